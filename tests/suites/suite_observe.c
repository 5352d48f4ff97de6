// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_observe - oomx without --enforce changes nothing and sees everything: the kernel's kill
 * is the one that would have happened anyway and is told once; and over random populations the
 * first candidate of --policy kernel is the process that the kernel then kills.
 */
#include <stdio.h>
#include <string.h>

#include "lib/ballast.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/scene.h"
#include "lib/suite.h"

#define POP "/t"
#define POP_MIN 8
#define POP_MAX 20
#define POP_ROOM_MIB 32	 /* memcg: between what the population uses and the limit */
#define POP_AFTER_MIB 8	 /* growth after the first kill: often a second one, of somebody else */
/*
 * Global: free memory that the ballast leaves. Each page of it is touched in every run, so it is
 * little, and so are the members: the largest sum of 20 comes nowhere near.
 */
#define POP_LEAVE_MIB 240
#define POP_MEMCG_KIB (12 << 10)
#define POP_GLOBAL_KIB (6 << 10)

/* Nested, and two levels that hold nobody themselves. */
static const char *const places[] = { POP "/a", POP "/b/c", POP "/b/d/e", POP "/f" };
#define N_PLACES (sizeof(places) / sizeof(places[0]))
static const char *const parents[] = { POP, POP "/b", POP "/b/d" };
#define N_PARENTS (sizeof(parents) / sizeof(parents[0]))

static struct population {
	bool global;
	unsigned int n;
	struct worker *workers[POP_MAX];
	struct worker *grower, *ballast;
	unsigned int eligible; /* of workers and grower */
	struct proc_census before;
} pop;

/* ---- what was told, against what happened --------------------------------------------------- */

/* Every logged kill has its event, and every event the list behind it. */
static bool all_told(void *arg)
{
	const struct kmsg_kill *logged;
	const struct event *e;
	unsigned int i, n = kmsg_kills(&logged);

	(void)arg;
	for (i = 0; i < n; i++) {
		e = daemon_find(OOMX_REC_KERNEL_KILL, 0, logged[i].pid);
		if (!e || !daemon_find(OOMX_REC_CANDIDATES, e->decision, 0))
			return !daemon_running();
	}
	return true;
}

static void expect_told(void)
{
	const struct kmsg_kill *logged;
	unsigned int i, n;

	if (!suite_wait(all_told, NULL, SUITE_STEP_MS) || !daemon_running())
		suite_fail("expected a \"kernel_kill\" and \"candidates\" for every logged kill");
	n = kmsg_kills(&logged);
	for (i = 0; i < n; i++) {
		if (!daemon_find(OOMX_REC_KERNEL_KILL, 0, logged[i].pid))
			suite_fail("logged, not told: %s (%d)", logged[i].comm, logged[i].pid);
	}
	if (daemon_count(OOMX_REC_KERNEL_KILL) != n || daemon_count(OOMX_REC_KILL))
		suite_fail("%u kills logged; told: %u \"kernel_kill\" and %u \"kill\"", n,
			   daemon_count(OOMX_REC_KERNEL_KILL), daemon_count(OOMX_REC_KILL));
}

/* --policy kernel: the first of the list, or one of as many points, is who died. */
static void expect_first(const struct event *kill)
{
	const struct event *list = daemon_find(OOMX_REC_CANDIDATES, kill->decision, 0);
	const struct event_top *first;
	unsigned int i;

	if (!list || !list->n_top) {
		suite_fail("no candidates for the kill of %s (%d)", kill->who.comm, kill->who.pid);
		return;
	}
	first = &list->top[0];
	if (first->pid == kill->who.pid || first->points == kill->points)
		return;
	suite_fail("expected %s (%d), first with %lld points, to be killed; it was %s (%d) with %lld",
		   first->comm, first->pid, (long long)first->points, kill->who.comm, kill->who.pid,
		   (long long)kill->points);
	for (i = 0; i < list->n_top; i++)
		suite_fail("candidate %u: %s (%d), points %lld", i + 1, list->top[i].comm,
			   list->top[i].pid, (long long)list->top[i].points);
}

/* ---- (a) the scene -------------------------------------------------------------------------- */

static void play_scene(bool global, const struct suite_options *o)
{
	const char *what = global ? "scene/global" : "scene/memcg";
	static struct scene s;
	const struct event *e;
	unsigned int i;

	scene_open(&s, global, o->triggers);
	daemon_start(NULL);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		daemon_clear();
		if (scene_play(&s)) {
			scene_expect_victim(&s, s.hp);
			expect_told();
			e = daemon_find(OOMX_REC_KERNEL_KILL, 0, worker_pid(s.hp));
			if (e && strcmp(e->hook, "observe"))
				suite_fail("expected hook observe by default, got %s", e->hook);
			scene_expect_others_unchanged(&s);
		}
		if (suite_run_failed())
			daemon_complain_events();
		scene_clear(&s);
		suite_run_end();
	}
	suite_times(what);
	daemon_stop();
	scene_close(&s);
}

/* ---- (b) random populations ----------------------------------------------------------------- */

static int random_adj(void)
{
	long dice = suite_random(1, 10);

	return dice == 1 ? -1000 : dice <= 5 ? 0 : (int)suite_random(-500, 500);
}

static void start_member(unsigned int i)
{
	struct worker_spec spec = { .cgroup = places[suite_random(0, N_PLACES - 1)] };
	char comm[16];

	snprintf(comm, sizeof(comm), "p%u", i);
	spec.comm = comm;
	spec.adj = random_adj();
	spec.anon_kib =
		(unsigned int)suite_random(0, pop.global ? POP_GLOBAL_KIB : POP_MEMCG_KIB);
	if (suite_random(1, 3) == 1)
		spec.file_kib = (unsigned int)suite_random(0, 4 << 10);
	if (suite_random(1, 3) == 1)
		spec.shmem_kib = (unsigned int)suite_random(0, 4 << 10);
	if (suite_random(1, 2) == 1)
		spec.threads = (unsigned int)suite_random(1, 6);
	if (suite_random(1, 3) == 1)
		spec.uid = 1000;
	spec.leader_exits = spec.threads && suite_random(1, 4) == 1;

	pop.eligible += spec.adj != -1000;
	pop.workers[i] = worker_start(&spec);
}

static void populate(void)
{
	struct worker_spec grower = { .comm = "grower", .cgroup = POP "/a" };
	unsigned int i;

	pop.n = (unsigned int)suite_random(POP_MIN, POP_MAX);
	grower.adj = (int)suite_random(-300, 300);
	pop.eligible = 1;
	for (i = 0; i < pop.n; i++)
		start_member(i);
	pop.grower = worker_start(&grower);
	for (i = 0; i < pop.n; i++)
		worker_wait_ready(pop.workers[i]);
	worker_wait_ready(pop.grower);
}

/* The grower has finished, and nobody is on the way out any more. */
static bool over(void *arg)
{
	const struct kmsg_kill *logged;
	unsigned int i, n = kmsg_kills(&logged);
	struct worker *w;

	(void)arg;
	if (worker_failed(pop.grower, NULL))
		return true;
	if (worker_alive(pop.grower) && !worker_done(pop.grower))
		return false;
	for (i = 0; i < n; i++) {
		w = worker_by_pid(logged[i].pid);
		if (w && worker_alive(w))
			return false;
	}
	return n > 0;
}

static void starve(const struct suite_options *o)
{
	struct worker_growth g = { .threads = o->triggers, .until_kill = true,
				   .after_mib = POP_AFTER_MIB };

	if (pop.global) {
		proc_drop_caches();
	} else {
		cgroup_set_mib(POP, "memory.max",
			       (unsigned int)(cgroup_number(POP, "memory.current") >> 20) +
				       POP_ROOM_MIB);
	}
	g.mib = (unsigned int)proc_mem_mib("MemTotal");
	proc_census(&pop.before);
	kmsg_clear();
	worker_grow(pop.grower, &g);
	if (!suite_wait(over, NULL, SUITE_STEP_MS))
		suite_fail("expected an OOM and its end after %d s: grower %s, %u kills logged",
			   SUITE_STEP_MS / 1000, worker_fate(pop.grower), kmsg_kills(NULL));
}

static void check_population(void)
{
	const struct event *events, *oom = NULL;
	unsigned int i, n;

	kmsg_expect_others_unchanged(&pop.before);
	/* The machine is full, and anybody's next page may be an OOM: room, before counting. */
	worker_end(pop.grower);
	pop.grower = NULL;
	expect_told();
	n = daemon_events(&events);
	for (i = 0; i < n; i++) {
		if (events[i].type == OOMX_REC_KERNEL_KILL)
			expect_first(&events[i]);
		if (events[i].type == OOMX_REC_OOM && !oom)
			oom = &events[i];
	}
	if (!oom)
		suite_fail("no \"oom\" event");
	else if (!pop.global && oom->candidates != pop.eligible)
		suite_fail("expected %u candidates in the first OOM, got %lld", pop.eligible,
			   (long long)oom->candidates);
}

static void clear_population(void)
{
	unsigned int i;

	worker_end(pop.grower);
	for (i = 0; i < pop.n; i++)
		worker_end(pop.workers[i]);
	pop.n = 0;
	pop.grower = NULL;
	if (!pop.global)
		cgroup_set(POP, "memory.max", "max");
}

static void open_places(bool global)
{
	unsigned int i;

	pop.global = global;
	for (i = 0; i < N_PARENTS; i++)
		cgroup_make(parents[i]);
	for (i = 0; i < N_PLACES; i++)
		cgroup_make(places[i]);
	if (global)
		pop.ballast = ballast_start(POP_LEAVE_MIB);
}

static void close_places(void)
{
	unsigned int i;

	worker_end(pop.ballast);
	pop.ballast = NULL;
	for (i = N_PLACES; i-- > 0;)
		cgroup_remove(places[i]);
	for (i = N_PARENTS; i-- > 0;)
		cgroup_remove(parents[i]);
}

static void play_populations(bool global, const struct suite_options *o)
{
	static const char *const args[] = { "--policy", "kernel", NULL };
	const char *what = global ? "population/global" : "population/memcg";
	unsigned int i, kills = 0;

	open_places(global);
	daemon_start(args);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		daemon_clear();
		populate();
		starve(o);
		if (!suite_run_failed())
			check_population();
		if (suite_run_failed())
			daemon_complain_events();
		kills += kmsg_kills(NULL);
		clear_population();
		suite_run_end();
	}
	printf("observe %s: %u kills in %u runs\n", what, kills, o->runs);
	suite_times(what);
	daemon_stop();
	close_places();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 20, .domains = SUITE_DOMAIN_BOTH, .triggers = 1,
				   .seed = 1 };

	suite_begin("observe", argc, argv, &o);
	if (o.domains & SUITE_DOMAIN_MEMCG) {
		play_scene(false, &o);
		play_populations(false, &o);
	}
	if (o.domains & SUITE_DOMAIN_GLOBAL) {
		play_scene(true, &o);
		play_populations(true, &o);
	}
	return suite_end();
}
