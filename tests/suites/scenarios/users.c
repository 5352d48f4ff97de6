// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * users.c - from reports of users: of systemd, systemd-oomd, nohang, Kubernetes and Talos. Sizes
 * are in proportion to theirs; where there is no limit in a report, the cgroup stands for the
 * machine.
 */
#include "scenarios/scenarios.h"

/* systemd-oomd's own test: what is marked avoid lives, and another that is as bad dies */
#define T2                                                                                         \
	"rules:\n"                                                                                 \
	"- name: bloat\n  match: {unit: testbloat.service}\n  avoid: 500\n"

const struct scenario scenarios_systemd[] = {
	{ .name = "T2", .top = "/system.slice", .rules = T2, .players = {
		{ "bloat", "testbloat.service", 50, KERNELS, "bloat" },
		{ "munch", "testmunch.service", 24, DIES, "(none)" },
		{ "chill", "testchill.service", 2 } } },
	{},
};

/*
 * I1: ten pieces, none of them worth killing, and a hog; and the session, with the
 * oom_score_adj that desktops give it: on a machine with much more than the hog has, that counts
 * more than the hog's size.
 */
#define I1                                                                                         \
	"rules:\n"                                                                                 \
	"- name: session\n  match: {slice: session.slice}\n  protect: true\n"

/*
 * I3: a pod of one process, and one that has far more, in four. Each container dies as one; without
 * "container", the rule would be about kubepods-burstable.slice, too, which would die as one.
 */
#define I3                                                                                         \
	"rules:\n"                                                                                 \
	"- name: burstable\n"                                                                      \
	"  match: {kubernetes: {qos: burstable}, container: {runtime: \"*\"}}\n"                    \
	"  kill: group\n"

/* I4: the smallest request, so the highest oom_score_adj, and next to no memory */
#define I4_SPARED                                                                                  \
	"rules:\n"                                                                                 \
	"- name: sidecars\n  match: {exe: \"**/suite_scenarios\", comm: \"*-proxy\"}\n"            \
	"  protect: true\n"
#define I4_REQUEST I3

/* I5: a program that shields itself. The kernel takes whom it can, and that is never the hog. */
#define I5                                                                                         \
	"rules:\n"                                                                                 \
	"- name: no-shield\n  match: {cgroup: /s/hog}\n  unshield: 0\n"

/* I7: what can be lost goes first, and be it smaller */
#define I7                                                                                         \
	"rules:\n"                                                                                 \
	"- name: tabs\n  match: {comm: \"tab*\", uid: 1000}\n  class: 1\n"

/* I8: the class decides, and not which one is the larger */
#define I8                                                                                         \
	"rules:\n"                                                                                 \
	"- name: besteffort\n  match: {kubernetes: {qos: besteffort}}\n  class: 2\n"               \
	"- name: burstable\n  match: {kubernetes: {qos: burstable}}\n  class: 1\n"

#define LEAF(n) { "leaf-" #n, "app.slice/leaf-" #n ".scope", 7 }

const struct scenario scenarios_users[] = {
	{ .name = "I1", .top = "/user.slice", .rules = I1, .players = {
		LEAF(0), LEAF(1), LEAF(2), LEAF(3), LEAF(4), LEAF(5), LEAF(6), LEAF(7), LEAF(8),
		LEAF(9),
		{ "hog", "app.slice/hog.scope", 40, DIES, "(none)" },
		{ "kiosk", "session.slice/kiosk.service", 18, KERNELS, "session", .adj = 167 },
		{ "panel", "session.slice/panel.service", 1, 0, "session", .adj = 100 },
		{ "system", "system.slice", 60, .adj = -999 } } },
	{ .name = "I3", .top = KUBE, .policy = "largest_cgroup", .rules = I3, .rule = "burstable",
	  .players = {
		{ "pod-1", BURSTABLE_POD(1) CRI(1), 28, KERNELS, "burstable", .adj = 515 },
		{ "pod-2", BURSTABLE_POD(2) CRI(2), 25, DIES, "burstable", .adj = 484 },
		{ "pod-2", BURSTABLE_POD(2) CRI(2), 25, DIES, .adj = 484 },
		{ "pod-2", BURSTABLE_POD(2) CRI(2), 25, DIES, .adj = 484 },
		{ "pod-2", BURSTABLE_POD(2) CRI(2), 25, DIES, .adj = 484 },
		{ "system", GUARANTEED_POD(3) CRI(3), 1, GROWS, .adj = -997 } } },
	{ .name = "I4/spared", .top = KUBE, .rules = I4_SPARED, .processes = true, .players = {
		{ "log-proxy", BURSTABLE_POD(1) CRI(1), 20, KERNELS, "sidecars", .adj = 999 },
		{ "main", BURSTABLE_POD(1) CRI(2), 77, DIES, "(none)", .adj = 500 },
		{ "system", GUARANTEED_POD(3) CRI(3), 22, GROWS, .adj = -997 } } },
	/* The main program in several processes: one alone would be the kernel's choice, too. */
	{ .name = "I4/request", .top = KUBE, .policy = "over_request", .rules = I4_REQUEST,
	  .rule = "burstable", .players = {
		{ "log-proxy", BURSTABLE_POD(1) CRI(1), 6, KERNELS, .adj = 999 },
		{ "main", BURSTABLE_POD(1) CRI(2), 26, DIES, .adj = 500, .request_mib = 64 },
		{ "main", BURSTABLE_POD(1) CRI(2), 26, DIES, .adj = 500, .request_mib = 64 },
		{ "main", BURSTABLE_POD(1) CRI(2), 26, DIES, .adj = 500, .request_mib = 64 },
		{ "system", GUARANTEED_POD(3) CRI(3), 22, GROWS, .adj = -997,
		  .request_mib = 64 } } },
	{ .name = "I5", .rules = I5, .rule = "no-shield", .players = {
		{ "hog", "hog", 50, DIES, "no-shield", .adj = -1000 },
		{ "notifier", "notifier", 25, KERNELS, "(none)" },
		{ "editor", "editor", 12 } } },
	{ .name = "I7", .top = "/user.slice", .rules = I7, .rule = "tabs", .processes = true,
	  .players = {
		{ "batch", "app.slice/batch.scope", 60, KERNELS, "(none)", .uid = 1000 },
		{ "tab-1", "app.slice/browser.scope", 12, 0, "tabs", .uid = 1000 },
		{ "tab-2", "app.slice/browser.scope", 18, DIES, "tabs", .uid = 1000 },
		{ "tab-3", "app.slice/browser.scope", 8, 0, "tabs", .uid = 1000 },
		/* calls itself one, and is somebody else's */
		{ "tab-4", "app.slice/other.scope", 20, 0, "(none)", .uid = 1001 } } },
	{ .name = "I8", .top = KUBE, .rules = I8, .rule = "besteffort", .players = {
		{ "best-effort", BESTEFFORT_POD(1) CRI(1), 30, DIES, "besteffort", .adj = 1000 },
		{ "burstable", BURSTABLE_POD(2) CRI(2), 84, KERNELS, "burstable", .adj = 999 },
		{ "guaranteed", GUARANTEED_POD(3) CRI(3), 8, 0, "(none)", .adj = -997 } } },
	{},
};
