// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vendors.c - the priorities of kernels with their vendor's patches, said in rules.
 */
#include "scenarios/scenarios.h"

/*
 * Anolis, memory.priority: 0 to 12, higher is safer, siblings are compared level by level, and
 * among equals the largest dies. The level at the top is the class (12 - N), the one below it the
 * priority. This has no words for a tie above the last level, which is decided there by the size of
 * a whole branch.
 *
 *	gold (12):  a (0), b (7)	a is the lowest of all, and in the higher branch
 *	bronze (2): c (8), d (3), e (3)
 */
#define ANOLIS                                                                                     \
	"rules:\n"                                                                                 \
	"- name: gold/a\n  match: {cgroup: /s/gold/a}\n  class: 0\n  priority: 0\n"                \
	"- name: gold/b\n  match: {cgroup: /s/gold/b}\n  class: 0\n  priority: 7\n"                \
	"- name: bronze/c\n  match: {cgroup: /s/bronze/c}\n  class: 10\n  priority: 8\n"           \
	"- name: bronze/d-e\n  match: {cgroup: \"/s/bronze/[de]\"}\n  class: 10\n  priority: 3\n"

/*
 * Huawei, memory.qos_level: -1024 to 1023 over the whole tree, lower dies first, and among equals
 * the largest. There are 2048 of them and 2001 priorities: the ends go to classes of their own.
 */
#define HUAWEI                                                                                     \
	"rules:\n"                                                                                 \
	"- name: level -1024\n  match: {cgroup: [/s/t1/w, /s/t2/x]}\n  class: 2\n"                 \
	"  priority: -24\n"                                                                        \
	"- name: level -1001\n  match: {cgroup: /s/t2/v}\n  class: 2\n  priority: -1\n"            \
	"- name: level -1\n  match: {cgroup: /s/t1/y}\n  class: 1\n  priority: -1\n"               \
	"- name: level 1023\n  match: {cgroup: /s/t2/z}\n  class: 0\n  priority: 23\n"             \
	"- name: level 0\n  match: {cgroup: \"/s/**\"}\n  class: 1\n"

const struct scenario scenarios_vendors[] = {
	{ .name = "anolis", .rules = ANOLIS, .rule = "bronze/d-e", .players = {
		{ "a", "gold/a", 40, KERNELS, "gold/a" },
		{ "b", "gold/b", 8, 0, "gold/b" },
		{ "c", "bronze/c", 20, 0, "bronze/c" },
		{ "d", "bronze/d", 10, 0, "bronze/d-e" },
		{ "e", "bronze/e", 16, DIES, "bronze/d-e" } } },
	{ .name = "huawei", .rules = HUAWEI, .rule = "level -1024", .players = {
		{ "w", "t1/w", 10, 0, "level -1024" },
		{ "x", "t2/x", 16, DIES, "level -1024" },
		{ "v", "t2/v", 24, 0, "level -1001" },
		{ "y", "t1/y", 20, 0, "level -1" },
		{ "u", "t1/u", 30, 0, "level 0" },
		{ "z", "t2/z", 40, KERNELS, "level 1023" } } },
	{},
};
