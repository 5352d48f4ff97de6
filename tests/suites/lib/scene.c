// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/scene.h"

#include <stdio.h>

#include "lib/ballast.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/kmsg.h"
#include "lib/suite.h"

/*
 * With a limit of 128 MiB: 32 + 24 + 90 and the page tables are too much, 24 + 90 is not. The
 * machine's own OOM has more to spare, since others (page cache, the kernel) move meanwhile: hp
 * stops `AFTER` MiB beyond the first kill, which lp's death pays for twice over.
 */
#define MEMCG_LP_MIB 32
#define MEMCG_H2_MIB 24
#define MEMCG_HP_MIB 90
#define GLOBAL_LP_MIB 64
#define GLOBAL_H2_MIB 32
#define GLOBAL_AFTER_MIB 16
#define GLOBAL_FREE_MIB 224 /* what the ballast leaves: touching pages is what a run waits for */
#define LEFTOVER_MIB 8 /* kernel memory that a dead worker's cgroup may still be charged for */

void scene_open(struct scene *s, bool global, unsigned int triggers)
{
	*s = (struct scene){ .global = global, .triggers = triggers };
	cgroup_make(SCENE_CGROUP);
	cgroup_make(SCENE_LP);
	cgroup_make(SCENE_H2);
	cgroup_make(SCENE_HP);
	scene_set_global(s, global);
}

void scene_set_global(struct scene *s, bool global)
{
	s->global = global;
	if (global) {
		cgroup_set(SCENE_CGROUP, "memory.max", "max");
		s->ballast = ballast_start(GLOBAL_FREE_MIB);
	} else {
		cgroup_set_mib(SCENE_CGROUP, "memory.max", SCENE_LIMIT_MIB);
		worker_end(s->ballast);
		s->ballast = NULL;
	}
}

void scene_close(struct scene *s)
{
	scene_clear(s);
	worker_end(s->ballast);
	s->ballast = NULL;
	cgroup_remove(SCENE_HP);
	cgroup_remove(SCENE_H2);
	cgroup_remove(SCENE_LP);
	cgroup_remove(SCENE_CGROUP);
}

void scene_clear(struct scene *s)
{
	worker_end(s->hp);
	worker_end(s->h2);
	worker_end(s->lp);
	s->hp = s->h2 = s->lp = NULL;
	cgroup_drain(SCENE_CGROUP, LEFTOVER_MIB);
}

/* hp has finished, and nobody is on the way out any more. */
static bool over(void *arg)
{
	const struct scene *s = arg;
	const struct kmsg_kill *kills;
	unsigned int i, n;
	struct worker *w;

	if (worker_failed(s->hp, NULL))
		return true;
	if (worker_alive(s->hp) && !worker_done(s->hp))
		return false;
	n = kmsg_kills(&kills);
	for (i = 0; i < n; i++) {
		w = worker_by_pid(kills[i].pid);
		if (w && worker_alive(w))
			return false;
	}
	return true;
}

static struct worker *start_lp(const struct scene *s)
{
	unsigned int kib = (s->global ? GLOBAL_LP_MIB : MEMCG_LP_MIB) * 1024;
	const struct worker_spec spec = {
		.comm = "lp",
		.cgroup = SCENE_LP,
		.adj = s->lp_adj,
		.anon_kib = s->lp_pgtables ? 0 : kib,
		.pgtables_kib = s->lp_pgtables ? kib : 0,
		.sharers = s->lp_sharers,
	};

	return worker_start(&spec);
}

static struct worker *start_h2(const struct scene *s)
{
	struct worker_spec spec = s->h2_spec;

	spec.comm = "h2";
	spec.cgroup = SCENE_H2;
	if (!spec.anon_kib)
		spec.anon_kib = (s->global ? GLOBAL_H2_MIB : MEMCG_H2_MIB) * 1024;
	return worker_start(&spec);
}

bool scene_play(struct scene *s)
{
	const struct worker_spec hp = { .comm = "hp", .cgroup = SCENE_HP };
	struct worker_growth g = { .threads = s->triggers };
	const char *why;

	s->lp = start_lp(s);
	s->h2 = start_h2(s);
	s->hp = worker_start(&hp);
	worker_wait_ready(s->lp);
	worker_wait_ready(s->h2);
	worker_wait_ready(s->hp);

	if (s->global) {
		proc_drop_caches();
		g.mib = (unsigned int)proc_mem_mib("MemTotal");
		g.until_kill = true;
		g.after_mib = GLOBAL_AFTER_MIB;
	} else {
		g.mib = s->hp_mib ?: MEMCG_HP_MIB;
	}
	proc_census(&s->before);
	if (s->oomx_ends)
		proc_census_leave_out(&s->before, command_oomx());
	s->oom_kill_before = cgroup_event(SCENE_CGROUP, "oom_kill");
	s->vmstat_before = proc_vmstat("oom_kill");
	kmsg_clear();

	worker_grow(s->hp, &g);
	if (s->meanwhile)
		s->meanwhile();
	if (!suite_wait(over, s, SUITE_STEP_MS)) {
		suite_fail("expected an OOM and its end, after %d s: lp %s, h2 %s, hp %s",
			   SUITE_STEP_MS / 1000, worker_fate(s->lp), worker_fate(s->h2),
			   worker_fate(s->hp));
		return false;
	}
	if (worker_failed(s->hp, &why)) {
		suite_fail("expected an OOM, hp %s", why);
		return false;
	}
	return true;
}

static void expect_fates(struct scene *s, struct worker *victim)
{
	struct worker *all[] = { s->lp, s->h2, s->hp };
	unsigned int i;
	bool right = true;

	for (i = 0; i < 3; i++) {
		if (all[i] == victim)
			right &= worker_killed(all[i]);
		else
			right &= worker_alive(all[i]);
	}
	if (victim != s->hp)
		right &= worker_done(s->hp);
	if (!right)
		suite_fail("expected %s to be killed and nobody else; lp %s, h2 %s, hp %s",
			   worker_comm(victim), worker_fate(s->lp), worker_fate(s->h2),
			   worker_fate(s->hp));
}

void scene_expect_victim(struct scene *s, struct worker *victim)
{
	int64_t kills = cgroup_event(SCENE_CGROUP, "oom_kill") - s->oom_kill_before;
	int64_t vmstat = proc_vmstat("oom_kill") - s->vmstat_before;
	const struct kmsg_kill *logged;
	unsigned int i, n = kmsg_kills(&logged);

	expect_fates(s, victim);
	if (n != 1 || kmsg_kills_of(worker_pid(victim)) != 1) {
		suite_fail("expected the kernel to log one kill, of %s (%d); it logged %u",
			   worker_comm(victim), worker_pid(victim), n);
		for (i = 0; i < n; i++)
			suite_fail("the kernel logged the kill of %s (%d)", logged[i].comm,
				   logged[i].pid);
	} else if (logged[0].memcg == s->global) {
		suite_fail("expected %s OOM, the kernel logged the other",
			   s->global ? "the machine's" : "a memory cgroup's");
	}
	if (kills != 1 || vmstat != 1)
		suite_fail("expected oom_kill + 1, memory.events has + %lld, /proc/vmstat + %lld",
			   (long long)kills, (long long)vmstat);
}

void scene_expect_others_unchanged(struct scene *s)
{
	kmsg_expect_others_unchanged(&s->before);
}
