/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records: sizes that lie, names that are no names, and what is said about them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "records.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

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

/* ---- checking and loading ------------------------------------------------------------------- */

static bool is_kill(__u32 type)
{
	return type == OOMX_REC_KILL || type == OOMX_REC_KERNEL_KILL;
}

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
			_cleanup_free_ char *cut = malloc(n);
			struct oomx_rec_hdr *hdr = (void *)cut;

			memcpy(cut, &r, n);
			assert_int_equal(ox_record_check(cut, n), -EBADMSG);
			assert_null(ox_record_json(cut, n));
			assert_int_equal(ox_record_print(stderr, cut, n), -EBADMSG);
			if (n < sizeof(*hdr) || type == OOMX_REC_CANDIDATES)
				continue;
			/* honest, but too short: kills had 8 bytes less when they were published */
			hdr->size = n;
			assert_int_equal(ox_record_check(cut, n), is_kill(type) && n + 8 >= size ?
								  0 : -EBADMSG);
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

/* ---- values --------------------------------------------------------------------------------- */

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
	assert_string_equal(ox_hook_name(OOMX_HOOK_STRUCT_OPS), "struct_ops");
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

/* ---- for people ----------------------------------------------------------------------------- */

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
	assert_says(&r, size, "badness -7, kernel's points 25660, priority 10, class 1 by rule 3 of generation 2, "
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
