// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tree, its rules, and what lies in oomx's map for it. */
#include "scale/scale.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "lib/ruled.h"
#include "lib/suite.h"

bool scale_has_own(unsigned int k)
{
	return k <= scale.own;
}

void scale_path(unsigned int i, unsigned int k, char path[CGROUP_PATH_LEN])
{
	int n = snprintf(path, CGROUP_PATH_LEN, SCALE_TOP "/p%02u", i);

	if (k)
		snprintf(path + n, CGROUP_PATH_LEN - (size_t)n, "/%c%u",
			 scale_has_own(k) ? 'w' : 'i', k);
}

__s32 scale_wanted(unsigned int i, bool parent)
{
	__s32 n = (__s32)(1 + i + SCALE_PARENTS * scale.turn);

	return parent ? -n : n;
}

void scale_write_rules(unsigned int turn)
{
	static char text[SCALE_RULES * 128];
	size_t at;
	unsigned int i;

	scale.turn = turn;
	at = (size_t)snprintf(text, sizeof(text), "rules:\n");
	for (i = 0; i < SCALE_PARENTS; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "- name: p%02u\n  match: {cgroup: " SCALE_TOP "/p%02u}\n"
				       "  priority: %d\n"
				       "- name: w%02u\n  match: {cgroup: \"" SCALE_TOP "/p%02u/w*\"}\n"
				       "  priority: %d\n", i, i, scale_wanted(i, true), i, i,
				       scale_wanted(i, false));
	ruled_write(SCALE_FILE, text);
}

uint64_t scale_make(const char *cgroup, __u64 *ret_id)
{
	char path[sizeof(CGROUP_ROOT) + CGROUP_PATH_LEN];
	uint64_t start_ns, took_ns;

	snprintf(path, sizeof(path), CGROUP_ROOT "%s", cgroup);
	start_ns = suite_now_ns();
	if (mkdir(path, 0755))
		suite_fatal("%s: %m", path);
	took_ns = suite_now_ns() - start_ns;
	*ret_id = cgroup_id(cgroup);
	return took_ns;
}

void scale_remove(unsigned int i, unsigned int k)
{
	char cgroup[CGROUP_PATH_LEN], path[sizeof(CGROUP_ROOT) + CGROUP_PATH_LEN];

	scale_path(i, k, cgroup);
	snprintf(path, sizeof(path), CGROUP_ROOT "%s", cgroup);
	if (rmdir(path))
		suite_fatal("%s: %m", path);
}

bool scale_entry(__u64 id, struct oomx_prio *ret)
{
	return !bpf_map_lookup_elem(scale.prio_map, &id, ret);
}

bool scale_is(__u64 id, __s32 priority)
{
	struct oomx_prio p;

	return scale_entry(id, &p) && p.priority == priority;
}

size_t scale_entries(void)
{
	__u64 id, *at = NULL;
	size_t n = 0;

	for (; !bpf_map_get_next_key(scale.prio_map, at, &id); n++)
		at = &id;
	return n;
}

static bool entries_are(void *arg)
{
	return scale_entries() == *(size_t *)arg;
}

void scale_expect_entries(size_t n)
{
	if (!suite_wait(entries_are, &n, SCALE_ALL_MS))
		suite_fail("expected %zu entries, found %zu", n, scale_entries());
}

void scale_wait_for_all(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	uint64_t end_ns = suite_now_ns() + SCALE_ALL_MS * 1000000ULL;
	unsigned int at = 0, k;

	while (at < scale.n && suite_now_ns() < end_ns) {
		k = at % (scale.each + 1);
		if (!scale_has_own(k) ||
		    scale_is(scale.ids[at], scale_wanted(at / (scale.each + 1), !k)))
			at++;
		else
			nanosleep(&ms, NULL);
	}
	if (at < scale.n)
		suite_fatal("cgroup %u of %u is not under its rule", at, scale.n);
}

void scale_expect_all(void)
{
	unsigned int at, k, wrong = 0, n = 0;
	struct oomx_prio p;
	bool have;

	for (at = 0; at < scale.n; at++) {
		k = at % (scale.each + 1);
		have = scale_entry(scale.ids[at], &p);
		wrong += have != scale_has_own(k) ||
			 (have && p.priority != scale_wanted(at / (scale.each + 1), !k));
		n += scale_has_own(k);
	}
	if (wrong)
		suite_fail("%u cgroups of %u are under another rule", wrong, scale.n);
	else
		scale_expect_entries(scale.before + n);
}
