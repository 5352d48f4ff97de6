/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records: sizes that lie, names that are no names, and the schema that is promised to others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "cleanup.h"
#include "record.h"

#ifndef OX_SRCDIR
#define OX_SRCDIR "." /* the tests run from the top of the tree */
#endif
#define SCHEMA OX_SRCDIR "/docs/events.schema.json"
#define DOC OX_SRCDIR "/docs/events.md"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void fill_who(struct oomx_who *w, __u32 pid, const char *comm)
{
	w->pid = pid;
	w->uid = 1000;
	w->start_ns = 5000000000 + pid;
	w->cgroup_id = 4242;
	memcpy(w->comm, comm, strlen(comm));
	memcpy(w->path, "web\0app.slice\0", 15);
}

static void fill_facts(struct oomx_facts *f)
{
	*f = (struct oomx_facts){
		.anon_pages = 25600, .pgtable_pages = 60, .total_vm_pages = 30000,
		.domain_pages = 131072, .oom_score_adj = -5, .priority = 10, .class = 1, .rule = 3,
		.age_ns = 1, .cpu_ns = 2, .uid = 1000, .flags = OOMX_FACT_PRIO_SET,
		.memcg_usage_pages = 25700, .memcg_max_pages = ~0ull, .memcg_id = 4242,
	};
}

static void fill_kill(struct oomx_rec_kill *r)
{
	fill_who(&r->victim, 124, "stress");
	r->badness = -7;
	r->points = 25660;
	r->trigger_pid = 123;
	r->rules_generation = 2;
	r->latency_ns = 1200000;
	r->wait_ns = 800000;
	r->domain_id = 4242;
	r->would_pid = 125;
	r->would_badness = 99;
	r->would_points = 98;
	memcpy(r->would_comm, "hog", 3);
	memcpy(r->policy, "priority", 8);
	r->policy_hash = 0xabc;
	fill_facts(&r->facts);
}

/* A plausible record of each type; its size. */
static size_t fill(union ox_record *r, __u32 type)
{
	static const size_t size[] = {
		[OOMX_REC_OOM] = sizeof(r->oom),
		[OOMX_REC_KILL] = sizeof(r->kill),
		[OOMX_REC_KERNEL_KILL] = sizeof(r->kill),
		[OOMX_REC_FREED] = sizeof(r->freed),
		[OOMX_REC_ABSTAIN] = sizeof(r->abstain),
		[OOMX_REC_CANDIDATES] = sizeof(r->candidates),
	};

	memset(r, 0, sizeof(*r));
	r->hdr = (struct oomx_rec_hdr){ .type = type, .size = size[type], .abi = OOMX_ABI,
					.hook = OOMX_HOOK_OBSERVE, .decision = 7, .ktime_ns = 1 };
	switch (type) {
	case OOMX_REC_OOM:
		fill_who(&r->oom.trigger, 123, "python3");
		r->oom.constraint = OOMX_CONSTRAINT_MEMCG;
		r->oom.domain_id = 4242;
		r->oom.limit_pages = r->oom.usage_pages = 131072;
		r->oom.n_candidates = 5;
		r->oom.n_tasks = 12;
		memcpy(r->oom.domain_path, "app.slice", 10);
		break;
	case OOMX_REC_KILL:
	case OOMX_REC_KERNEL_KILL:
		fill_kill(&r->kill);
		break;
	case OOMX_REC_FREED:
		r->freed.pid = 124;
		r->freed.pages = 25660;
		r->freed.room_ns = 900000;
		break;
	case OOMX_REC_ABSTAIN:
		r->abstain.reason = OOMX_ABSTAIN_OUTSCORED;
		r->abstain.wanted_pid = 124;
		memcpy(r->abstain.wanted_comm, "stress", 6);
		r->abstain.rival_pid = 9;
		break;
	case OOMX_REC_CANDIDATES:
		r->candidates.n = 2;
		r->candidates.n_offered = 5;
		r->candidates.stride = sizeof(struct oomx_candidate);
		r->candidates.top[0].pid = 1;
		r->candidates.top[1].pid = 2;
		r->candidates.top[1].badness = 1;
		fill_facts(&r->candidates.top[1].facts);
		break;
	}
	return size[type];
}

static json_t *get(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!v)
		fail_msg("no key '%s'", key);
	return v;
}

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

static char *printed(const void *rec, size_t size)
{
	size_t n;
	char *text = NULL;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(ox_record_print(f, rec, size), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* ---- the schema ------------------------------------------------------------------------------ */

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
	if (sub && (bad = misfit(root, definition(root, strrchr(json_string_value(sub), '/') + 1), v,
				 at)))
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
		union ox_record r;
		__u32 type = 0;

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
		while (strcmp(ox_record_type_name(type), json_string_value(get(example, "type"))))
			type++;
		real = ox_record_json(&r, fill(&r, type));
		same_keys(example, real, ox_record_type_name(type));
		same_keys(real, example, ox_record_type_name(type));
		seen[type] = true;
	}
	free(TAKE_PTR(line));
	(void)fclose(doc);
	for (__u32 type = OOMX_REC_OOM; type < OOMX_REC_MAX; type++)
		if (!seen[type])
			fail_msg("%s has no example of %s", DOC, ox_record_type_name(type));
}

/* ---- checking and loading -------------------------------------------------------------------- */

static void check_rejects(void **state)
{
	(void)state;
	for (__u32 type = OOMX_REC_OOM; type < OOMX_REC_MAX; type++) {
		union ox_record r;
		size_t size = fill(&r, type);

		assert_int_equal(ox_record_check(&r, size), 0);
		assert_int_equal(ox_record_check(&r, sizeof(r)), 0);
		/* on the heap, to the byte: the sanitizer sees what is read beyond */
		for (size_t n = 0; n < size; n++) {
			_cleanup_free_ char *cut = malloc(n + 1);
			struct oomx_rec_hdr *hdr = (void *)cut;

			memcpy(cut, &r, n);
			assert_int_equal(ox_record_check(cut, n), -EBADMSG);
			assert_null(ox_record_json(cut, n));
			assert_int_equal(ox_record_print(stderr, cut, n), -EBADMSG);
			if (n < sizeof(*hdr) || type == OOMX_REC_CANDIDATES)
				continue;
			hdr->size = n; /* honest, but too short */
			assert_int_equal(ox_record_check(cut, n), -EBADMSG);
		}
		r.hdr.size = ~0u;
		assert_int_equal(ox_record_check(&r, size), -EBADMSG);
		r.hdr.size = 0;
		assert_int_equal(ox_record_check(&r, size), -EBADMSG);
	}
}

static void check_header(void **state)
{
	static const __u32 unknown[] = { 0, OOMX_REC_MAX, OOMX_REC_MAX + 1, 0x7fffffff, ~0u };
	union ox_record r, out;
	size_t size = fill(&r, OOMX_REC_FREED);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		r.hdr.type = unknown[i];
		assert_int_equal(ox_record_check(&r, size), -ENOMSG);
	}
	r.hdr.type = OOMX_REC_FREED;
	r.hdr.abi = OOMX_ABI + 1;
	assert_int_equal(ox_record_check(&r, size), -EPROTONOSUPPORT);
	memset(&out, 0x55, sizeof(out));
	assert_int_equal(ox_record_load(&r, size, &out), -EPROTONOSUPPORT);
	assert_int_equal(out.hdr.type, 0x55555555);
}

static void candidates_reject(void **state)
{
	static const struct {
		__u32 n, stride, size;
		int err;
	} row[] = {
		{ 0, 0, 48, 0 },
		{ 1, 192, 48 + 192, 0 },
		{ 1, 192, 48 + 191, -EBADMSG },
		{ 1, 0, 48 + 192, -EBADMSG },
		{ 1, 191, 48 + 192, -EBADMSG },
		{ 1, ~0u, 48 + 192, -EBADMSG },
		{ ~0u, 192, 48 + 192, -EBADMSG },
		{ 0x80000000, 192, 48 + 192, -EBADMSG },
		{ 22369622, 192, 48 + 192, -EBADMSG }, /* n * stride = 128 in 32 bits */
		{ OOMX_TOP_K + 1, 192, 48 + 8 * 192, -EBADMSG },
		{ 8, 192, 48 + 8 * 192, 0 },
		{ 4, 384, 48 + 8 * 192, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		_cleanup_free_ struct oomx_rec_candidates *r = calloc(1, row[i].size);
		_cleanup_json_ json_t *j = NULL;

		r->hdr = (struct oomx_rec_hdr){ .type = OOMX_REC_CANDIDATES, .size = row[i].size,
						.abi = OOMX_ABI };
		r->n = row[i].n;
		r->stride = row[i].stride;
		if (ox_record_check(r, row[i].size) != row[i].err)
			fail_msg("row %zu: %d, not %d", i, ox_record_check(r, row[i].size),
				 row[i].err);
		j = ox_record_json(r, row[i].size);
		assert_int_equal(!j, !!row[i].err);
		if (j)
			assert_int_equal(json_array_size(get(j, "candidates")), row[i].n);
	}
}

/* A newer kernel side sends more, and more of them: the best are kept, in order. */
static void candidates_sorted(void **state)
{
	enum { N = 20, STRIDE = sizeof(struct oomx_candidate) + 16, SIZE = 48 + N * STRIDE };
	static const __s64 badness[N] = { 5,   INT64_MIN, 5,  9,  INT64_MAX, -1, 0,  1, 2, 3,
					  100, 7,	   -9, 11, 12,	      13, 14, 5, 5, 4 };
	_cleanup_free_ char *rec = calloc(1, SIZE + 1);
	struct oomx_rec_candidates head = {
		.hdr = { .type = OOMX_REC_CANDIDATES, .size = SIZE, .abi = OOMX_ABI },
		.n = N, .n_offered = 1000, .stride = STRIDE,
	};
	static const __s64 best[] = { INT64_MAX, 100, 14, 13, 12, 11, 9, 7 };
	char *unaligned = rec + 1;
	union ox_record r;

	(void)state;
	memcpy(unaligned, &head, 48);
	for (int i = 0; i < N; i++) {
		struct oomx_candidate c = { .pid = i, .badness = badness[i], .start_ns = i };

		memcpy(unaligned + 48 + i * STRIDE, &c, sizeof(c));
	}
	assert_int_equal(ox_record_load(unaligned, SIZE, &r), 0);
	assert_int_equal(r.candidates.n, OOMX_TOP_K);
	assert_int_equal(r.candidates.stride, sizeof(struct oomx_candidate));
	assert_int_equal(r.candidates.n_offered, 1000);
	for (int i = 0; i < OOMX_TOP_K; i++)
		assert_int_equal(r.candidates.top[i].badness, best[i]);
}

static void candidates_ties(void **state)
{
	union ox_record r;
	size_t size = fill(&r, OOMX_REC_CANDIDATES);
	static const __u32 order[] = { 4, 2, 1, 0, 3 };
	static const __u64 start[] = { 1, 2, 3, 9, 3 };
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	r.candidates.n = 5;
	for (__u32 i = 0; i < 5; i++)
		r.candidates.top[i] = (struct oomx_candidate){ .pid = i, .start_ns = start[i],
							       .badness = i == 4 ? 2 : i != 3 };
	j = ox_record_json(&r, size);
	for (__u32 i = 0; i < 5; i++)
		assert_int_equal(json_integer_value(get(json_array_get(get(j, "candidates"), i),
							"pid")), order[i]);
}

/* ---- values ------------------------------------------------------------------------------ */

static void json_values(void **state)
{
	union ox_record r;
	size_t size = fill(&r, OOMX_REC_KERNEL_KILL);
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	r.kill.badness = INT64_MIN;
	r.kill.would_badness = INT64_MIN + 1;
	r.kill.facts.memcg_low_pages = INT64_MAX;
	r.kill.facts.memcg_min_pages = 1ull << 63;
	j = ox_record_json(&r, size);
	assert_true(json_is_null(get(j, "badness")));
	assert_int_equal(json_integer_value(get(j, "points")), 25660);
	assert_string_equal(json_string_value(get(j, "policy_hash")), "0000000000000abc");
	assert_string_equal(json_string_value(get(j, "hook")), "observe");
	assert_int_equal(json_integer_value(get(j, "rule")), 3);
	assert_int_equal(json_integer_value(get(get(j, "would"), "badness")), INT64_MIN + 1);
	assert_string_equal(json_string_value(get(get(j, "victim"), "cgroup")), "/app.slice/web");
	assert_true(json_is_null(get(get(j, "facts"), "memcg_max_pages")));
	assert_true(json_is_null(get(get(j, "facts"), "memcg_min_pages")));
	assert_true(json_integer_value(get(get(j, "facts"), "memcg_low_pages")) == INT64_MAX);
	assert_true(json_is_true(get(get(j, "facts"), "prio_set")));
	assert_true(json_is_false(get(get(j, "facts"), "origin")));
}

static void json_nulls(void **state)
{
	union ox_record r;
	_cleanup_json_ json_t *kill = NULL, *freed = NULL, *abstain = NULL, *oom = NULL;
	size_t size = fill(&r, OOMX_REC_KILL);

	(void)state;
	r.kill.would_pid = 0;
	kill = ox_record_json(&r, size);
	assert_true(json_is_null(get(kill, "would")));
	size = fill(&r, OOMX_REC_FREED);
	r.freed.room_ns = 0;
	freed = ox_record_json(&r, size);
	assert_true(json_is_null(get(freed, "room_ns")));
	size = fill(&r, OOMX_REC_ABSTAIN);
	r.abstain.wanted_pid = r.abstain.rival_pid = 0;
	r.abstain.reason = OOMX_ABSTAIN_MAX;
	abstain = ox_record_json(&r, size);
	assert_true(json_is_null(get(abstain, "wanted")));
	assert_true(json_is_null(get(abstain, "rival_pid")));
	assert_string_equal(json_string_value(get(abstain, "reason")), "unknown");
	size = fill(&r, OOMX_REC_OOM);
	r.oom.domain_id = 0;
	oom = ox_record_json(&r, size);
	assert_string_equal(json_string_value(get(oom, "domain")), "global");
	assert_true(json_is_null(get(oom, "domain_cgroup")));
}

static void names_are_complete(void **state)
{
	(void)state;
	for (__u32 i = 1; i < OOMX_ABSTAIN_MAX; i++) {
		assert_string_not_equal(ox_abstain_name(i), "unknown");
		assert_null(strstr(ox_abstain_text(i), "does not know"));
	}
	for (__u32 i = 1; i < OOMX_REC_MAX; i++)
		assert_string_not_equal(ox_record_type_name(i), "unknown");
	for (__u32 i = 0; i <= OOMX_CONSTRAINT_MEMCG; i++)
		assert_string_not_equal(ox_constraint_name(i), "unknown");
	assert_string_equal(ox_abstain_name(0), "unknown");
	assert_string_equal(ox_abstain_name(~0u), "unknown");
	assert_non_null(strstr(ox_abstain_text(~0u), "does not know"));
	assert_string_equal(ox_hook_name(0), "unknown");
	assert_string_equal(ox_hook_name(OOMX_HOOK_NOMINATE), "nominate");
}

#define FFFD "\xef\xbf\xbd"

static void utf8(void **state)
{
	static const struct {
		const char *in, *json, *print;
	} row[] = {
		{ "", "", "" },
		{ "plain", "plain", "plain" },
		{ "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x82", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x82",
		  "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x82" },
		{ "\xff", FFFD, FFFD },
		{ "a\xc3", "a" FFFD, "a" FFFD },			 /* cut */
		{ "\xc3(", FFFD "(", FFFD "(" },			 /* no continuation */
		{ "\x80", FFFD, FFFD },					 /* only that */
		{ "\xc0\xaf", FFFD FFFD, FFFD FFFD },			 /* overlong '/' */
		{ "\xe0\x80\xaf", FFFD FFFD FFFD, FFFD FFFD FFFD },
		{ "\xed\xa0\x80", FFFD FFFD FFFD, FFFD FFFD FFFD },	 /* surrogate */
		{ "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD, FFFD FFFD FFFD FFFD },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\x1b[2J\n\t\x7f", "\x1b[2J\n\t\x7f", "?[2J???" },
		{ "\xc2\x9b" "1m", "\xc2\x9b" "1m", "?1m" },		 /* C1: CSI */
		{ "\xe2\x80\xae" "gpj", "\xe2\x80\xae" "gpj", "?gpj" }, /* right to left */
	};
	char buf[64], tiny[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		assert_string_equal(ox_utf8_clean(row[i].in, 20, false, buf, sizeof(buf)),
				    row[i].json);
		assert_string_equal(ox_utf8_clean(row[i].in, 20, true, buf, sizeof(buf)),
				    row[i].print);
	}
	assert_string_equal(ox_utf8_clean("abcdef", 3, false, buf, sizeof(buf)), "abc");
	assert_string_equal(ox_utf8_clean("ab\xc3\xbc", 4, false, tiny, sizeof(tiny)), "ab");
	assert_string_equal(ox_utf8_clean("\xff\xff", 2, false, tiny, sizeof(tiny)), FFFD);
	assert_ptr_equal(ox_utf8_clean("a", 1, false, tiny, 0), tiny);
}

static void hostile_names(void **state)
{
	union ox_record r;
	size_t size = fill(&r, OOMX_REC_KILL);
	_cleanup_free_ char *text = NULL, *line = NULL;
	_cleanup_json_ json_t *j = NULL, *again = NULL;

	(void)state;
	memset(r.kill.victim.path, 0xff, OOMX_PATH_LEN); /* one component, never ended */
	memset(r.kill.policy, 0xfe, OOMX_POLICY_LEN);
	memcpy(r.kill.victim.comm, "\x1b]0;x\x07\n\"\\\xc3", 11);
	j = ox_record_json(&r, size);
	assert_non_null(j);
	line = json_dumps(j, JSON_COMPACT);
	assert_non_null(line);
	assert_null(strchr(line, '\n'));
	again = json_loads(line, 0, NULL);
	assert_non_null(again);
	assert_memory_equal(json_string_value(get(get(again, "victim"), "cgroup")), "…/" FFFD, 7);

	text = printed(&r, size);
	assert_null(strchr(text, '\x1b'));
	assert_ptr_equal(strchr(strchr(text, '\n') + 1, '\n'), text + strlen(text) - 1);
}

static void times(void **state)
{
	char buf[OX_TIME_LEN];
	struct timespec real, mono;
	__u64 t;

	(void)state;
	assert_string_equal(ox_time_format(0, buf), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(ox_time_format(1709210096000000789, buf),
			    "2024-02-29T12:34:56.000000789Z");
	assert_string_equal(ox_time_format(~0ull, buf), "2554-07-21T23:34:33.709551615Z");
	assert_int_equal(ox_time_from_ktime(~0ull, &t), -ERANGE);

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	assert_int_equal(ox_time_from_ktime(mono.tv_sec * 1000000000ull + mono.tv_nsec, &t), 0);
	assert_in_range(t / 1000000000, real.tv_sec - 5, real.tv_sec + 5);
}

/* ---- for people --------------------------------------------------------------------------- */

static void assert_says(const union ox_record *r, size_t size, const char *what)
{
	_cleanup_free_ char *text = printed(r, size);
	int lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	assert_in_range(lines, 1, 2);
	if (!strstr(text, what))
		fail_msg("'%s' does not say '%s'", text, what);
}

static void prose(void **state)
{
	union ox_record r;
	size_t size = fill(&r, OOMX_REC_KERNEL_KILL);

	(void)state;
	assert_says(&r, size, "policy priority would have chosen hog (pid 125, badness 99, points 98); "
			      "the kernel chose stress (pid 124, uid 1000, oom_score_adj 0, "
			      "/app.slice/web)\n");
	r.kill.agreed = 1;
	assert_says(&r, size, "policy priority agreed; the kernel chose stress (pid 124");
	r.kill.group = 1;
	assert_says(&r, size, "the kernel killed stress");
	size = fill(&r, OOMX_REC_KERNEL_KILL);
	r.kill.would_pid = 0;
	assert_says(&r, size, "policy priority had no choice; the kernel chose stress");

	size = fill(&r, OOMX_REC_KILL);
	assert_says(&r, size, "#7 kill: killed stress (pid 124");
	assert_says(&r, size, "badness -7, kernel's points 25660, priority 10 by rule 3 of generation 2, "
			      "100.2 MiB; 1.2 ms after the failed allocation of pid 123, of which "
			      "800.0 us waiting");
	r.kill.badness = INT64_MIN;
	assert_says(&r, size, "badness never");

	size = fill(&r, OOMX_REC_OOM);
	assert_says(&r, size, "/app.slice is at its limit, 512.0 MiB of 512.0 MiB: python3 (pid 123");
	r.oom.order = -1;
	r.oom.domain_id = 0;
	r.oom.constraint = 0;
	r.oom.domain_pages = 1 << 20;
	assert_says(&r, size, "the machine is out of memory, all of 4.0 GiB");
	assert_says(&r, size, "sysrq-f");

	size = fill(&r, OOMX_REC_FREED);
	assert_says(&r, size, "there was room after 900.0 us");
	size = fill(&r, OOMX_REC_ABSTAIN);
	assert_says(&r, size, "not stress (pid 124, badness 0), because another candidate beats");
	size = fill(&r, OOMX_REC_CANDIDATES);
	assert_says(&r, size, "the first 2 of 5\n");
	memset(&r.candidates.n, 0, sizeof(r.candidates) - sizeof(r.hdr));
	assert_says(&r, size, "the first 0 of 0\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_fits_schema),
		cmocka_unit_test(schema_check_can_fail),
		cmocka_unit_test(documented_examples),
		cmocka_unit_test(check_rejects),
		cmocka_unit_test(check_header),
		cmocka_unit_test(candidates_reject),
		cmocka_unit_test(candidates_sorted),
		cmocka_unit_test(candidates_ties),
		cmocka_unit_test(json_values),
		cmocka_unit_test(json_nulls),
		cmocka_unit_test(names_are_complete),
		cmocka_unit_test(utf8),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(times),
		cmocka_unit_test(prose),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
