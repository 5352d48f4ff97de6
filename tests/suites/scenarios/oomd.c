// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * oomd.c - what oomd tests of its choices: which branch of the tree, and then which leaf; groups;
 * sizes, preferences and growth. MiB are as in its fixtures, or in proportion.
 */
#include "scenarios/scenarios.h"

/*
 * R1: a choice between A and B comes before one among what is in A. Z is the largest, and the
 * least important of all: a contest of leaves takes it, and so does the kernel.
 */
#define R1_BRANCHES                                                                                \
	"rules:\n"                                                                                 \
	"- name: branch-b\n  match: {cgroup: /s/B}\n  class: 1\n"                                  \
	"- name: leaf-z\n  match: {cgroup: /s/A/Z}\n  priority: -100\n"
#define R1_LEAVES                                                                                  \
	"rules:\n"                                                                                 \
	"- name: leaf-z\n  match: {cgroup: /s/A/Z}\n  priority: -100\n"
/* not recursive: the branch dies as one */
#define R1_WHOLE                                                                                   \
	"rules:\n"                                                                                 \
	"- name: branch-b\n  match: {cgroup: /s/B}\n  class: 1\n  kill: group\n"                   \
	"- name: leaf-z\n  match: {cgroup: /s/A/Z}\n  priority: -100\n"

/* R3: memory.oom.group was there before, and holds with no word about it in a rule. */
#define R3                                                                                         \
	"rules:\n"                                                                                 \
	"- name: y\n  match: {cgroup: /test.slice/Y}\n  class: 1\n"

/* M1: whatever is cheaper outside is no candidate. The kernel is right by itself. */
#define M1                                                                                         \
	"rules:\n"                                                                                 \
	"- name: outside\n  match: {cgroup: /outside}\n  class: 9\n"
#define M2                                                                                         \
	"rules:\n"                                                                                 \
	"- name: liked\n  match: {cgroup: /s/liked}\n  prefer: 500\n"
#define M3                                                                                         \
	"rules:\n"                                                                                 \
	"- name: avoided\n  match: {cgroup: /s/big}\n  avoid: 500\n"
#define M4                                                                                         \
	"rules:\n"                                                                                 \
	"- name: all\n  match: {cgroup: \"/s/*\"}\n  prefer: 500\n"

/*
 * M5: growth takes the place of size. oomd compares with a moving average, which a policy is not
 * told: this one has the average over the whole life. Those of one age are compared by size.
 */
#define M5 "rules: []\n"

/* M8: what is given to the winner and to some others changes nothing. */
#define M8_PREFER                                                                                  \
	"rules:\n"                                                                                 \
	"- name: some\n  match: {cgroup: [/s/big, /s/small]}\n  prefer: 300\n"
#define M8_CLASS                                                                                   \
	"rules:\n"                                                                                 \
	"- name: some\n  match: {cgroup: [/s/big, /s/middle]}\n  class: 3\n"
#define M8_PRIORITY                                                                                \
	"rules:\n"                                                                                 \
	"- name: some\n  match: {cgroup: [/s/big, /s/small]}\n  priority: -7\n"

const struct scenario scenarios_oomd[] = {
	{ .name = "R1/branches", .rules = R1_BRANCHES, .rule = "branch-b", .players = {
		{ "z", "A/Z", 40, KERNELS, "leaf-z" },
		{ "x", "A/X", 8, 0, "(none)" },
		{ "f", "B/F", 16, DIES, "branch-b" } } },
	{ .name = "R1/leaves", .rules = R1_LEAVES, .rule = "leaf-z", .players = {
		{ "z", "A/Z", 40, KERNELS | DIES, "leaf-z" },
		{ "x", "A/X", 8, 0, "(none)" },
		{ "f", "B/F", 16, 0, "(none)" } } },
	{ .name = "R1/whole", .rules = R1_WHOLE, .rule = "branch-b", .players = {
		{ "z", "A/Z", 40, KERNELS, "leaf-z" },
		{ "x", "A/X", 8 },
		{ "f", "B/F", 16, DIES, "branch-b" },
		{ "f-2", "B/F", 2, DIES, "branch-b" },
		{ "g", "B/G", 4, DIES, "branch-b" } } },
	{ .name = "R3", .top = "/test.slice", .rules = R3, .rule = "y", .group = "Y/M", .players = {
		{ "a-z", "A/Z", 30, KERNELS, "(none)" },
		{ "y-m-z", "Y/M/Z", 12, DIES, "y" },
		{ "y-m-x", "Y/M/X", 8, DIES, "y" },
		{ "p", "Q/F/P", 24 } } },
	{ .name = "M1", .rules = M1, .players = {
		{ "big", "big", 60, KERNELS | DIES, "(none)" },
		{ "small-1", "small-1", 20 },
		{ "small-2", "small-2", 20 },
		{ "outside", "/outside", 70, 0, "outside" } } },
	{ .name = "M2", .rules = M2, .rule = "liked", .players = {
		{ "big", "big", 60, KERNELS, "(none)" },
		{ "liked", "liked", 20, DIES, "liked" },
		{ "small", "small", 20 } } },
	{ .name = "M3", .rules = M3, .players = {
		{ "big", "big", 60, KERNELS, "avoided" },
		{ "middle", "middle", 30, DIES, "(none)" },
		{ "small", "small", 20 } } },
	/* the kernel is right by itself */
	{ .name = "M4", .rules = M4, .rule = "all", .players = {
		{ "big", "big", 60, KERNELS | DIES, "all" },
		{ "middle", "middle", 30, 0, "all" },
		{ "small", "small", 20, 0, "all" } } },
	/* the kernel is right by itself */
	{ .name = "M5/size", .policy = "growth", .rules = M5, .players = {
		{ "grow", "grow", 1, GROWS, .adj = -999 },
		{ "first", "first", 21 },
		{ "second", "second", 20 },
		{ "third", "third", 30, KERNELS | DIES } } },
	{ .name = "M5/growth", .policy = "growth", .rules = M5, .players = {
		{ "grow", "grow", 1, GROWS, .adj = -999 },
		{ "second", "second", 20 },
		{ "third", "third", 30, KERNELS },
		{ "first", "first", 21, DIES | LATE } } },
	/* the kernel is right by itself; a preference alone for "middle" would change that (M2) */
	{ .name = "M8/prefer", .rules = M8_PREFER, .rule = "some", .players = {
		{ "big", "big", 40, KERNELS | DIES, "some" },
		{ "middle", "middle", 24, 0, "(none)" },
		{ "small", "small", 12, 0, "some" } } },
	{ .name = "M8/class", .rules = M8_CLASS, .rule = "some", .players = {
		{ "big", "big", 40, KERNELS | DIES, "some" },
		{ "middle", "middle", 24, 0, "some" },
		{ "small", "small", 12, 0, "(none)" } } },
	{ .name = "M8/priority", .rules = M8_PRIORITY, .rule = "some", .players = {
		{ "big", "big", 40, KERNELS | DIES, "some" },
		{ "middle", "middle", 24, 0, "(none)" },
		{ "small", "small", 12, 0, "some" } } },
	{},
};
