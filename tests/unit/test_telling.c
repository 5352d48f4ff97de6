// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record that a killed oomx was telling is known again, and says so when it is told again. */
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
#include "telling.h"

static void known_again(void **state)
{
	struct oomx_config config = {};
	union ox_record r, other;
	size_t size = fill(&r, OOMX_REC_KILL);

	(void)state;
	assert_false(ox_telling_may_have(&config, &r, size)); /* it has not begun with any */
	ox_telling_begin(&config, &r, size);
	assert_true(ox_telling_may_have(&config, &r, size));
	assert_false(ox_telling_may_have(&config, &r, sizeof(struct oomx_rec_hdr) - 1));
	other = r;
	other.hdr.decision++;
	assert_false(ox_telling_may_have(&config, &other, size));
	other = r;
	other.hdr.ktime_ns++; /* another of the same group */
	assert_false(ox_telling_may_have(&config, &other, size));
	other = r;
	other.hdr.type = OOMX_REC_KERNEL_KILL;
	assert_false(ox_telling_may_have(&config, &other, size));
	other.hdr.decision++;
	ox_telling_begin(&config, &other, size); /* the next one: the first is done */
	assert_false(ox_telling_may_have(&config, &r, size));
	assert_true(ox_telling_may_have(&config, &other, size));
	memset(&config, 0, sizeof(config));
	memset(&r, 0, sizeof(r)); /* of no type: as if it had not begun */
	assert_false(ox_telling_may_have(&config, &r, sizeof(r.hdr)));
}

static void is_again(const void *message, size_t size, bool again)
{
	_cleanup_json_ json_t *j = ox_record_json(message, size);
	_cleanup_free_ char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(ox_record_print(f, message, size), 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(!!strstr(text, "\n  may have been told before"), again);
	assert_true(json_object_get(j, "again") == (again ? json_true() : NULL));
	assert_int_equal(ox_record_check(message, size), 0);
}

/* Of every type, and behind the names of containers. */
static void says_so(void **state)
{
	static const struct ox_identity web = { .runtime = "podman", .name = "web" };
	static char message[OX_RECORD_MAX], buf[OX_RECORD_MAX];
	const void *again;
	union ox_record r;
	size_t size;
	__u32 type;

	(void)state;
	for (type = 1; type < OOMX_REC_MAX; type++) {
		memset(message, 0x55, sizeof(message));
		memset(buf, 0x55, sizeof(buf));
		size = fill(&r, type);
		memcpy(message, &r, size);
		is_again(message, size, false);
		if (type == OOMX_REC_KILL) {
			size = ox_attach(message, size, OOMX_ATTACH_CONTAINER, &web);
			is_again(message, size, false);
		}
		again = ox_telling_again(message, &size, buf);
		is_again(again, size, true);
		if (type == OOMX_REC_KILL)
			assert_string_equal(ox_attached(again, size, OOMX_ATTACH_CONTAINER, "name"),
					    "web");
	}
}

/* Without room for the note it is told without. */
static void no_room(void **state)
{
	static char message[OX_RECORD_MAX], buf[OX_RECORD_MAX];
	size_t size = sizeof(message);
	struct oomx_rec_hdr hdr = { .size = sizeof(message) };

	(void)state;
	memcpy(message, &hdr, sizeof(hdr));
	assert_memory_equal(ox_telling_again(message, &size, buf), message, sizeof(message));
	assert_int_equal(size, sizeof(message));
	size = sizeof(message) - sizeof(struct oomx_attachment);
	hdr.size = size;
	memcpy(message, &hdr, sizeof(hdr));
	assert_true(ox_attached_mark(ox_telling_again(message, &size, buf), sizeof(message),
				     OOMX_ATTACH_AGAIN));
	assert_int_equal(size, sizeof(message));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_again),
		cmocka_unit_test(says_so),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
