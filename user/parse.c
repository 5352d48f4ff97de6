/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * By hand, without strtoll(): that one takes blanks, '+', and whatever follows the digits, and
 * tells errors by errno.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "parse.h"

/*
 * Digits -> *ret, without a superfluous zero in front. -EINVAL comes before -ERANGE: "999...9x"
 * is no number, however long.
 */
static int parse_digits(const char *s, __u64 *ret)
{
	bool overflow = false;
	__u64 n = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		overflow |= __builtin_mul_overflow(n, 10, &n);
		overflow |= __builtin_add_overflow(n, (__u64)(*s - '0'), &n);
	}
	if (overflow)
		return -ERANGE;
	*ret = n;
	return 0;
}

int ox_parse_u64(const char *s, __u64 min, __u64 max, __u64 *ret)
{
	__u64 n;
	int err;

	if (!s)
		return -EINVAL;
	err = parse_digits(s, &n);
	if (err)
		return err;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

int ox_parse_hex(const char *s, const char **ret_end, __u64 *ret)
{
	static const char digits[] = "0123456789abcdef";
	size_t i, len = strspn(s, digits);
	__u64 n = 0;

	if (!len)
		return -EINVAL;
	if (len > 2 * sizeof(n))
		return -ERANGE;
	for (i = 0; i < len; i++)
		n = n << 4 | (__u64)(strchr(digits, s[i]) - digits);
	*ret_end = s + len;
	*ret = n;
	return 0;
}

int ox_parse_u32(const char *s, __u32 min, __u32 max, __u32 *ret)
{
	__u64 n;
	int err = ox_parse_u64(s, min, max, &n);

	if (err)
		return err;
	*ret = n;
	return 0;
}

int ox_parse_s64(const char *s, __s64 min, __s64 max, __s64 *ret)
{
	bool negative;
	__u64 u;
	__s64 n;
	int err;

	if (!s)
		return -EINVAL;
	negative = *s == '-';
	err = parse_digits(s + negative, &u);
	if (err)
		return err;
	if (negative && !u)
		return -EINVAL;
	/* 2^63 itself is a number only with the sign in front */
	if (u > (__u64)INT64_MAX + negative)
		return -ERANGE;
	n = negative ? (__s64)-u : (__s64)u;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

int ox_parse_s32(const char *s, __s32 min, __s32 max, __s32 *ret)
{
	__s64 n;
	int err = ox_parse_s64(s, min, max, &n);

	if (err)
		return err;
	*ret = n;
	return 0;
}

int ox_parse_cgroup_s32(const char *s, __s32 min, __s32 max, char *ret_cgroup, size_t size,
			__s32 *ret)
{
	const char *eq = s ? strrchr(s, '=') : NULL;
	size_t len;
	__s32 n;
	int err;

	if (!eq || eq == s)
		return -EINVAL;
	err = ox_parse_s32(eq + 1, min, max, &n);
	if (err)
		return err;
	len = eq - s;
	if (len >= size)
		return -ENAMETOOLONG;

	memcpy(ret_cgroup, s, len);
	ret_cgroup[len] = '\0';
	*ret = n;
	return 0;
}
