/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h - numbers and assignments from the command line and from files, strictly.
 *
 * A number is decimal digits, for the signed ones with an optional '-' in front. Nothing else: no
 * blanks, no '+', no "0x10", no "010" (octal or ten?), no "-0", no unit. `s` may be NULL.
 *
 * All return 0; -EINVAL: not a number; -ERANGE: a number outside min..max (both included).
 * The result is untouched on failure.
 */
#ifndef OX_PARSE_H
#define OX_PARSE_H

#include <stddef.h>
#include <linux/types.h>

int ox_parse_s64(const char *s, __s64 min, __s64 max, __s64 *ret);
int ox_parse_s32(const char *s, __s32 min, __s32 max, __s32 *ret);
int ox_parse_u64(const char *s, __u64 min, __u64 max, __u64 *ret);
int ox_parse_u32(const char *s, __u32 min, __u32 max, __u32 *ret);

/*
 * The 1 to 16 hexadecimal digits (lower case, as the kernel prints them) that `s` begins with, and
 * what follows them in *ret_end. `s` and ret_end are not NULL.
 */
int ox_parse_hex(const char *s, const char **ret_end, __u64 *ret);

/*
 * "CGROUP=N" -> the cgroup, copied to ret_cgroup[size], and N within min..max. Split at the last
 * '=', because a cgroup's name may contain one. The cgroup is not looked up, but is not empty.
 * Also -ENAMETOOLONG: the cgroup does not fit. Nothing is written on failure.
 */
int ox_parse_cgroup_s32(const char *s, __s32 min, __s32 max, char *ret_cgroup, size_t size,
			__s32 *ret);

#endif
