/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is promised to others: output, schema and the documentation's examples say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "attach.h"
#include "ready.h"
#include "records.h"

#ifndef OX_SRCDIR
#define OX_SRCDIR "." /* the tests run from the top of the tree */
#endif
#define SCHEMA OX_SRCDIR "/docs/events.schema.json"
#define DOC OX_SRCDIR "/docs/events.md"

static bool type_matches(const char *type, const json_t *v)
{
	return (!strcmp(type, "object") && json_is_object(v)) ||
	       (!strcmp(type, "array") && json_is_array(v)) ||
	       (!strcmp(type, "string") && json_is_string(v)) ||
	       (!strcmp(type, "integer") && json_is_integer(v)) ||
	       (!strcmp(type, "boolean") && json_is_boolean(v)) ||
	       (!strcmp(type, "null") && json_is_null(v));
}

static bool one_type_matches(json_t *type, const json_t *v)
{
	json_t *one;
	size_t i;

	if (json_is_string(type))
		return type_matches(json_string_value(type), v);
	json_array_foreach(type, i, one)
		if (type_matches(json_string_value(one), v))
			return true;
	return !type;
}

static json_t *definition(json_t *root, const char *name)
{
	return get(get(root, "$defs"), name);
}

/*
 * As much of JSON Schema as ours uses, and stricter: no key may be unknown. Calls itself, as deep
 * as the schema nests. NULL, or where it does not fit.
 */
static const char *misfit(json_t *root, json_t *schema, json_t *v, const char *at)
{
	json_t *sub, *item, *props = json_object_get(schema, "properties");
	const char *key, *bad = NULL;
	size_t i;

	sub = json_object_get(schema, "$ref");
	if (sub)
		bad = misfit(root, definition(root, strrchr(json_string_value(sub), '/') + 1),
			     v, at);
	if (bad)
		return bad;
	sub = json_object_get(schema, "anyOf");
	json_array_foreach(sub, i, item) {
		bad = misfit(root, item, v, at);
		if (!bad)
			break;
	}
	if (bad || !one_type_matches(json_object_get(schema, "type"), v))
		return at;
	sub = json_object_get(schema, "const");
	if (sub && !json_equal(sub, v))
		return at;
	sub = json_object_get(schema, "enum");
	json_array_foreach(sub, i, item)
		if (json_equal(item, v))
			break;
	if (sub && i == json_array_size(sub))
		return at;
	if (json_is_array(v))
		json_array_foreach(v, i, item)
			if ((bad = misfit(root, get(schema, "items"), item, at)))
				return bad;
	sub = json_object_get(schema, "required");
	json_array_foreach(sub, i, item)
		if (!json_object_get(v, json_string_value(item)))
			return json_string_value(item);
	if (json_is_object(v) && props)
		json_object_foreach(v, key, item) {
			sub = json_object_get(props, key);
			if (!sub || (bad = misfit(root, sub, item, key)))
				return sub ? bad : key;
		}
	return NULL;
}

static void assert_fits(json_t *root, json_t *v)
{
	const char *type = json_string_value(get(v, "type"));
	const char *bad = misfit(root, definition(root, type), v, type);

	if (bad)
		fail_msg("%s: '%s' is not as the schema has it", type, bad);
}

static json_t *load_schema(void)
{
	json_error_t e;
	json_t *root = json_load_file(SCHEMA, JSON_REJECT_DUPLICATES, &e);

	if (!root)
		fail_msg("%s:%d: %s", SCHEMA, e.line, e.text);
	return root;
}

/* With the containers that the daemon adds; its size. */
static size_t fill_message(char *message, __u32 type)
{
	struct ox_identity id = { .runtime = "podman", .container_id = "1", .name = "web" };
	union ox_record r;
	size_t size = fill(&r, type);

	memcpy(message, &r, size);
	size = ox_attach(message, size, OOMX_ATTACH_CONTAINER, &id);
	return ox_attach(message, size, OOMX_ATTACH_TRIGGER, &id);
}

static void containers_fit_schema(void **state)
{
	static const __u32 types[] = { OOMX_REC_OOM, OOMX_REC_KILL, OOMX_REC_KERNEL_KILL };
	_cleanup_json_ json_t *root = load_schema();
	char message[OX_RECORD_MAX];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t size = fill_message(message, types[i]);
		_cleanup_json_ json_t *j = ox_record_json(message, size);

		assert_fits(root, j);
		assert_true(json_is_object(get(j, "container")));
		if (types[i] == OOMX_REC_OOM)
			assert_true(json_is_object(get(j, "trigger_container")));
	}
}

static void again_fits_schema(json_t *root, const void *rec, size_t size)
{
	_cleanup_json_ json_t *j = NULL;
	char message[OX_RECORD_MAX];

	memcpy(message, rec, size);
	size = ox_attach_mark(message, size, OOMX_ATTACH_AGAIN);
	j = ox_record_json(message, size);
	assert_true(json_is_true(get(j, "again")));
	assert_fits(root, j);
}

static void json_fits_schema(void **state)
{
	_cleanup_json_ json_t *root = load_schema();

	(void)state;
	for (__u32 type = OOMX_REC_OOM; type < OOMX_REC_MAX; type++) {
		union ox_record r;
		size_t size = fill(&r, type);
		_cleanup_json_ json_t *full = ox_record_json(&r, size);
		_cleanup_json_ json_t *garbage = NULL;

		assert_non_null(full);
		assert_fits(root, full);
		assert_string_equal(json_string_value(get(full, "type")), ox_record_type_name(type));
		again_fits_schema(root, &r, size);

		/* the same keys and types, whatever is in the record */
		memset((char *)&r + sizeof(r.hdr), 0xff, size - sizeof(r.hdr));
		if (type == OOMX_REC_CANDIDATES) {
			r.candidates.n = OOMX_TOP_K;
			r.candidates.stride = sizeof(struct oomx_candidate);
		}
		r.hdr.ktime_ns = r.hdr.decision = ~0ull;
		r.hdr.hook = ~0u;
		garbage = ox_record_json(&r, size);
		assert_non_null(garbage);
		assert_fits(root, garbage);
		assert_true(json_is_null(get(garbage, "time")));
	}
}

static json_t *ready(void)
{
	const struct oomx_config c = {
		.hook = OOMX_HOOK_NOMINATE, .rss_mode = OOMX_RSS_SUM, .policy = "priority",
		.policy_hash = 1, .build = ~0ull, .n_rules = 12,
	};

	return ox_ready_json(&c, 1234, /* enforce= */ true);
}

static void ready_fits_schema(void **state)
{
	_cleanup_json_ json_t *root = load_schema();
	_cleanup_json_ json_t *j = ready(), *one = json_pack("{ss}", "$ref", "#/$defs/ready");
	json_t *item;
	bool listed = false;
	size_t i;

	(void)state;
	assert_non_null(j);
	assert_fits(root, j);
	json_array_foreach(get(root, "oneOf"), i, item)
		listed |= json_equal(item, one);
	assert_true(listed);
}

/* The checker above must be able to say no. */
static void schema_check_can_fail(void **state)
{
	_cleanup_json_ json_t *root = load_schema();
	union ox_record r;
	size_t size = fill(&r, OOMX_REC_KILL);
	_cleanup_json_ json_t *j = ox_record_json(&r, size);
	json_t *def = definition(root, "kill");

	(void)state;
	assert_null(misfit(root, def, j, "kill"));
	json_object_set_new(j, "surprise", json_true());
	assert_string_equal(misfit(root, def, j, "kill"), "surprise");
	json_object_del(j, "surprise");
	json_object_set_new(j, "group", json_integer(0));
	assert_string_equal(misfit(root, def, j, "kill"), "group");
	json_object_set_new(j, "group", json_false());
	json_object_del(get(j, "facts"), "caps");
	assert_string_equal(misfit(root, def, j, "kill"), "caps");
}

static void same_keys(json_t *a, json_t *b, const char *type)
{
	const char *key;
	json_t *v;

	json_object_foreach(a, key, v) {
		json_t *w = json_object_get(b, key);

		if (!w)
			fail_msg("%s: the example in %s and the output differ in '%s'", type, DOC, key);
		if (json_is_object(v) && json_is_object(w))
			same_keys(v, w, type);
	}
}

/* What oomx prints of that type, with all keys. */
static json_t *real_of_type(const char *name, __u32 *ret_type)
{
	char message[OX_RECORD_MAX];

	*ret_type = 0;
	if (!strcmp(name, "ready"))
		return ready();
	while (strcmp(ox_record_type_name(*ret_type), name))
		if (++*ret_type == OOMX_REC_MAX)
			fail_msg("%s has an example of what there is not: %s", DOC, name);
	return ox_record_json(message, fill_message(message, *ret_type));
}

static void documented_examples(void **state)
{
	_cleanup_json_ json_t *root = load_schema();
	_cleanup_free_ char *line = NULL, *block = NULL;
	size_t room = 0, block_size;
	bool seen[OOMX_REC_MAX] = {}, inside = false;
	FILE *doc = fopen(DOC, "re"), *out = NULL;

	(void)state;
	assert_non_null(doc);
	while (getline(&line, &room, doc) > 0) {
		_cleanup_json_ json_t *example = NULL, *real = NULL;
		const char *name;
		__u32 type;

		if (!inside) {
			inside = !strcmp(line, "```json\n");
			if (inside)
				assert_non_null(out = open_memstream(&block, &block_size));
			continue;
		}
		if (strcmp(line, "```\n")) {
			assert_true(fputs(line, out) >= 0);
			continue;
		}
		inside = false;
		assert_int_equal(fclose(out), 0);
		example = json_loads(block, JSON_REJECT_DUPLICATES, NULL);
		free(TAKE_PTR(block));
		assert_non_null(example);
		assert_fits(root, example);
		name = json_string_value(get(example, "type"));
		real = real_of_type(name, &type);
		same_keys(example, real, name);
		same_keys(real, example, name);
		seen[type] = true; /* [0]: "ready" */
	}
	free(TAKE_PTR(line));
	(void)fclose(doc);
	for (__u32 type = 0; type < OOMX_REC_MAX; type++)
		if (!seen[type])
			fail_msg("%s has no example of %s", DOC,
				 type ? ox_record_type_name(type) : "ready");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_fits_schema),
		cmocka_unit_test(containers_fit_schema),
		cmocka_unit_test(ready_fits_schema),
		cmocka_unit_test(schema_check_can_fail),
		cmocka_unit_test(documented_examples),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
