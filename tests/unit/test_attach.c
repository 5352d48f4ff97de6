/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Containers behind records: what goes in comes out, as JSON and as text; garbage does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "attach.h"
#include "records.h"

#define UID "7d5b0c6e-9f3a-4c1d-8e2f-0a1b2c3d4e5f"

static char message[OX_RECORD_MAX];

static size_t start(__u32 type)
{
	union ox_record r;
	size_t size = fill(&r, type);

	memset(message, 0x55, sizeof(message));
	memcpy(message, &r, size);
	return size;
}

static const struct ox_identity web = { .runtime = "podman", .container_id = "0123456789abcdef",
					.name = "web", .image = "localhost/web:1", .nested = true };
static const struct ox_identity pod = { .pod = "api-0", .ns = "shop", .pod_uid = UID,
					.qos = "burstable" };

static void same(const char *got, const char *want)
{
	if (!got != !want || (got && strcmp(got, want)))
		fail_msg("'%s', not '%s'", got ? got : "(null)", want ? want : "(null)");
}

static void same_text(size_t size, const char *want)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(ox_record_print(f, message, size), 0);
	assert_int_equal(fclose(f), 0);
	if (!strstr(text, want))
		fail_msg("no '%s' in: %s", want, text);
}

static void round_trip(void **state)
{
	size_t size = start(OOMX_REC_OOM), bare = size;
	_cleanup_json_ json_t *j = NULL;

	(void)state;
	assert_null(ox_attached(message, size, OOMX_ATTACH_TRIGGER, "name"));
	size = ox_attach(message, size, OOMX_ATTACH_CONTAINER, &pod);
	assert_true(size > bare);
	assert_null(ox_attached(message, size, OOMX_ATTACH_TRIGGER, "name"));
	size = ox_attach(message, size, OOMX_ATTACH_TRIGGER, &web);
	assert_int_equal(ox_record_check(message, size), 0);
	same(ox_attached(message, size, OOMX_ATTACH_CONTAINER, "pod"), "api-0");
	same(ox_attached(message, size, OOMX_ATTACH_CONTAINER, "name"), NULL);
	same(ox_attached(message, size, OOMX_ATTACH_TRIGGER, "name"), "web");
	same(ox_attached(message, size, OOMX_ATTACH_TRIGGER, "podman"), NULL); /* a value */

	j = ox_record_json(message, size);
	same(json_string_value(get(get(j, "container"), "namespace")), "shop");
	assert_true(json_is_null(get(get(j, "container"), "id")));
	assert_true(json_is_true(get(get(j, "container"), "confirmed")));
	same(json_string_value(get(get(j, "trigger_container"), "image")), "localhost/web:1");
	assert_true(json_is_false(get(get(j, "trigger_container"), "confirmed")));
	same_text(size, "\n  full: pod shop/api-0 (burstable)\n");
	same_text(size, "\n  trigger: container web (podman), image localhost/web:1, as its owner "
			"says\n");
}

static void texts(void **state)
{
	struct ox_identity id = { .container_id = "0123456789abcdef" };
	size_t bare = start(OOMX_REC_KILL), size;
	_cleanup_json_ json_t *j = ox_record_json(message, bare);

	(void)state;
	assert_true(json_is_null(get(j, "container")));
	size = ox_attach(message, bare, OOMX_ATTACH_CONTAINER, &id);
	same_text(size, "\n  in container 0123456789ab (unknown runtime)\n");
	id.pod_uid = UID;
	size = ox_attach(message, bare, OOMX_ATTACH_CONTAINER, &id);
	same_text(size, "\n  in container 0123456789ab (unknown runtime), pod " UID "\n");
	id.name = "a\nb\xff";
	size = ox_attach(message, bare, OOMX_ATTACH_CONTAINER, &id);
	same_text(size, "\n  in container a?b\xef\xbf\xbd (unknown runtime), pod " UID "\n");
	bare = start(OOMX_REC_KERNEL_KILL);
	size = ox_attach(message, bare, OOMX_ATTACH_CONTAINER, &web);
	same_text(size, "\n  in container web (podman), image localhost/web:1, as its owner says\n");
}

static void too_much(void **state)
{
	_cleanup_free_ char *value = malloc(5000);
	struct ox_identity id = { .name = value, .image = value, .runtime = "r" };
	size_t bare = start(OOMX_REC_KILL), size;

	(void)state;
	memset(value, 'x', 5000);
	value[4999] = '\0';
	size = ox_attach(message, bare, OOMX_ATTACH_CONTAINER, &id);
	same(ox_attached(message, size, OOMX_ATTACH_CONTAINER, "name"), NULL);
	same(ox_attached(message, size, OOMX_ATTACH_CONTAINER, "runtime"), "r");
	value[1023] = '\0';
	for (int i = 0; i < 20; i++)
		size = ox_attach(message, size, OOMX_ATTACH_TRIGGER, &id);
	assert_true(size <= sizeof(message) && size > sizeof(message) - 1100);
	same(ox_attached(message, size, OOMX_ATTACH_TRIGGER, "name"), value);
	for (size_t n = sizeof(message) - 32; n <= sizeof(message); n++)
		assert_true(ox_attach(message, n, OOMX_ATTACH_TRIGGER, &id) <= sizeof(message));
}

/* Attachments of later versions are passed over, and keys, too. */
static void unknown(void **state)
{
	size_t size = start(OOMX_REC_KILL);
	struct oomx_attachment a = { .size = sizeof(a) + 5, .type = 77 };

	(void)state;
	size = (size + 7) & ~(size_t)7;
	memcpy(message + size, &a, sizeof(a));
	memcpy(message + size + sizeof(a), "name\0", 5);
	size = ox_attach(message, size + a.size, OOMX_ATTACH_CONTAINER, &web);
	same(ox_attached(message, size, OOMX_ATTACH_CONTAINER, "name"), "web");
	same(ox_attached(message, size, 77, "name"), NULL);
	memcpy(memmem(message, size, "runtime", 7), "runtimf", 7);
	same(ox_attached(message, size, OOMX_ATTACH_CONTAINER, "name"), "web");
	same(ox_attached(message, size, OOMX_ATTACH_CONTAINER, "runtime"), NULL);
}

/* A socket can send anything; each length has an allocation of its own: no byte beyond is read. */
static void garbage(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t bare = start(OOMX_REC_KILL), size, n;
		_cleanup_free_ char *copy = NULL;
		_cleanup_json_ json_t *j = NULL;

		size = ox_attach(message, bare, OOMX_ATTACH_CONTAINER, &web);
		n = bare + rand_r(&seed) % (size - bare + 1);
		for (int k = rand_r(&seed) % 6; k; k--)
			message[bare + rand_r(&seed) % (size - bare)] = (char)rand_r(&seed);
		copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, message, n);
		j = ox_record_json(copy, n);
		assert_non_null(j);
		(void)ox_attached(copy, n, OOMX_ATTACH_CONTAINER, "nested");
	}
	assert_null(ox_attached("", 0, OOMX_ATTACH_CONTAINER, "name"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(texts),	 cmocka_unit_test(too_much),
		cmocka_unit_test(unknown),    cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests_name("attach", tests, NULL, NULL);
}
