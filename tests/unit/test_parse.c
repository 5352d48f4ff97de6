/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers: what is one, and the many things that nearly are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cleanup.h"
#include "parse.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define UNTOUCHED 0x5a5a5a5a

/* not a number to any of the parsers */
static const char *const nonsense[] = {
	NULL, "", " ", "-", "+", "--1", "+1", " 1", "1 ", "1\n", "\t1", "1x", "x", "0x10", "0b1",
	"010", "00", "-0", "-01", "1.0", "1e3", "1,000", "1_000", "1k", "- 1", "\xd9\xa1", "\xff",
	"99999999999999999999x", "NaN", "inf", "1-", "\xe2\x88\x92" "1",
};

static void rejects_nonsense(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		const char *s = nonsense[i] ? nonsense[i] : "(null)";
		__s64 s64 = UNTOUCHED;
		__u64 u64 = UNTOUCHED;
		__s32 s32 = UNTOUCHED;
		__u32 u32 = UNTOUCHED;

		if (ox_parse_s64(nonsense[i], INT64_MIN, INT64_MAX, &s64) != -EINVAL ||
		    ox_parse_u64(nonsense[i], 0, UINT64_MAX, &u64) != -EINVAL ||
		    ox_parse_s32(nonsense[i], INT32_MIN, INT32_MAX, &s32) != -EINVAL ||
		    ox_parse_u32(nonsense[i], 0, UINT32_MAX, &u32) != -EINVAL)
			fail_msg("'%s' passed for a number, or for one out of range", s);
		assert_true(s64 == UNTOUCHED && u64 == UNTOUCHED && s32 == UNTOUCHED &&
			    u32 == UNTOUCHED);
	}
}

static void signed_numbers(void **state)
{
	static const struct {
		const char *s;
		__s64 min, max, n;
		int err;
	} row[] = {
		{ "0", INT64_MIN, INT64_MAX, 0, 0 },
		{ "1", INT64_MIN, INT64_MAX, 1, 0 },
		{ "-1", INT64_MIN, INT64_MAX, -1, 0 },
		{ "9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, 0 },
		{ "-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, 0 },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, UNTOUCHED, -ERANGE },
		{ "-9223372036854775809", INT64_MIN, INT64_MAX, UNTOUCHED, -ERANGE },
		{ "18446744073709551615", INT64_MIN, INT64_MAX, UNTOUCHED, -ERANGE },
		{ "-18446744073709551615", INT64_MIN, INT64_MAX, UNTOUCHED, -ERANGE },
		{ "18446744073709551617", INT64_MIN, INT64_MAX, UNTOUCHED, -ERANGE },
		{ "99999999999999999999", INT64_MIN, INT64_MAX, UNTOUCHED, -ERANGE },
		{ "-99999999999999999999", INT64_MIN, INT64_MAX, UNTOUCHED, -ERANGE },
		{ "1000", -1000, 1000, 1000, 0 },
		{ "1001", -1000, 1000, UNTOUCHED, -ERANGE },
		{ "-1000", -1000, 1000, -1000, 0 },
		{ "-1001", -1000, 1000, UNTOUCHED, -ERANGE },
		{ "5", 6, 4, UNTOUCHED, -ERANGE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		__s64 n = UNTOUCHED;
		int err = ox_parse_s64(row[i].s, row[i].min, row[i].max, &n);

		if (err != row[i].err || n != row[i].n)
			fail_msg("'%s': %d, %lld, not %d, %lld", row[i].s, err, (long long)n,
				 row[i].err, (long long)row[i].n);
	}
}

static void unsigned_numbers(void **state)
{
	static const struct {
		const char *s;
		__u64 min, max, n;
		int err;
	} row[] = {
		{ "0", 0, UINT64_MAX, 0, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, UINT64_MAX, 0 },
		{ "18446744073709551616", 0, UINT64_MAX, UNTOUCHED, -ERANGE },
		{ "-1", 0, UINT64_MAX, UNTOUCHED, -EINVAL },
		{ "0", 1, 10, UNTOUCHED, -ERANGE },
		{ "11", 1, 10, UNTOUCHED, -ERANGE },
		{ "10", 1, 10, 10, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		__u64 n = UNTOUCHED;
		int err = ox_parse_u64(row[i].s, row[i].min, row[i].max, &n);

		if (err != row[i].err || n != row[i].n)
			fail_msg("'%s': %d, %llu, not %d, %llu", row[i].s, err,
				 (unsigned long long)n, row[i].err, (unsigned long long)row[i].n);
	}
}

static void narrow_numbers(void **state)
{
	__u32 u = UNTOUCHED;
	__s32 s = UNTOUCHED;

	(void)state;
	assert_int_equal(ox_parse_u32("4294967296", 0, UINT32_MAX, &u), -ERANGE);
	assert_int_equal(ox_parse_s32("2147483648", INT32_MIN, INT32_MAX, &s), -ERANGE);
	assert_int_equal(ox_parse_s32("-2147483649", INT32_MIN, INT32_MAX, &s), -ERANGE);
	assert_int_equal(u, UNTOUCHED);
	assert_int_equal(s, UNTOUCHED);
	assert_int_equal(ox_parse_u32("4294967295", 0, UINT32_MAX, &u), 0);
	assert_int_equal(u, UINT32_MAX);
	assert_int_equal(ox_parse_s32("-2147483648", INT32_MIN, INT32_MAX, &s), 0);
	assert_int_equal(s, INT32_MIN);
}

static void a_million_digits(void **state)
{
	enum { N = 1000000 };
	_cleanup_free_ char *s = malloc(N + 1);
	__u64 u = UNTOUCHED;

	(void)state;
	assert_non_null(s);
	memset(s, '9', N);
	s[N] = '\0';
	assert_int_equal(ox_parse_u64(s, 0, UINT64_MAX, &u), -ERANGE);
	s[N - 1] = 'x';
	assert_int_equal(ox_parse_u64(s, 0, UINT64_MAX, &u), -EINVAL);
	assert_int_equal(u, UNTOUCHED);
}

static void cgroup_assignments(void **state)
{
	static const struct {
		const char *s, *cgroup;
		__s32 n;
		int err;
	} row[] = {
		{ "a=1", "a", 1, 0 },
		{ "/a/b.slice=-1000", "/a/b.slice", -1000, 0 },
		{ "a=b=7", "a=b", 7, 0 },
		{ "==7", "=", 7, 0 },
		{ "a b=7", "a b", 7, 0 },
		{ "a=1001", NULL, 0, -ERANGE },
		{ "a=99999999999999999999", NULL, 0, -ERANGE },
		{ "a= 1", NULL, 0, -EINVAL },
		{ "a=+1", NULL, 0, -EINVAL },
		{ "a=0x10", NULL, 0, -EINVAL },
		{ "a=1=", NULL, 0, -EINVAL },
		{ "a=", NULL, 0, -EINVAL },
		{ "=1", NULL, 0, -EINVAL },
		{ "=", NULL, 0, -EINVAL },
		{ "a", NULL, 0, -EINVAL },
		{ "1", NULL, 0, -EINVAL },
		{ "", NULL, 0, -EINVAL },
		{ NULL, NULL, 0, -EINVAL },
		{ "0123456789abcdef=1", NULL, 0, -ENAMETOOLONG },
		{ "0123456789abcde=1", "0123456789abcde", 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		char cgroup[16] = "untouched";
		__s32 n = UNTOUCHED;
		int err = ox_parse_cgroup_s32(row[i].s, -1000, 1000, cgroup, sizeof(cgroup), &n);

		if (err != row[i].err)
			fail_msg("row %zu: %d, not %d", i, err, row[i].err);
		assert_string_equal(cgroup, row[i].cgroup ? row[i].cgroup : "untouched");
		assert_int_equal(n, row[i].cgroup ? row[i].n : UNTOUCHED);
	}
}

static void hexadecimal(void **state)
{
	static const struct {
		const char *s;
		__u64 n;
		size_t len;
		int err;
	} rows[] = {
		{ "0", 0, 1, 0 },
		{ "00ff D x", 255, 4, 0 },
		{ "ffffffff81000abc T _text", 0xffffffff81000abcULL, 16, 0 },
		{ "ffffffffffffffff", UINT64_MAX, 16, 0 },
		{ "10000000000000000", 0, 0, -ERANGE },
		{ "", 0, 0, -EINVAL },
		{ " 1", 0, 0, -EINVAL },
		{ "x1", 0, 0, -EINVAL },
		{ "FF", 0, 0, -EINVAL },
		{ "-1", 0, 0, -EINVAL },
		{ "1F", 1, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *end = NULL;
		__u64 n = UNTOUCHED;

		if (ox_parse_hex(rows[i].s, &end, &n) != rows[i].err)
			fail_msg("'%s'", rows[i].s);
		if (rows[i].err)
			assert_true(!end && n == UNTOUCHED);
		else
			assert_true(n == rows[i].n && end == rows[i].s + rows[i].len);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_nonsense),
		cmocka_unit_test(signed_numbers),
		cmocka_unit_test(unsigned_numbers),
		cmocka_unit_test(narrow_numbers),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(a_million_digits),
		cmocka_unit_test(cgroup_assignments),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
