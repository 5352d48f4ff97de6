// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * play.c - one scenario of a table: its cgroups and processes, an OOM, and what all witnesses say
 * of it.
 */
#include "scenarios/scenarios.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cast.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/ruled.h"

#define DIR "/tmp/oomx-scenarios"
#define ROOM_MIB 4 /* left in the cgroup when everybody is there: kernel memory comes and goes */
#define LATE_MS 8000

static struct cast cast;
static struct worker *workers[PLAYERS_MAX]; /* as in the table */
static char made[PATHS_MAX][CGROUP_PATH_LEN];
static unsigned int n_made;

/* ---- cgroups --------------------------------------------------------------------------------- */

static void make_one(const char *path)
{
	unsigned int i;

	for (i = 0; i < n_made; i++) {
		if (!strcmp(made[i], path))
			return;
	}
	if (n_made == PATHS_MAX)
		suite_fatal("more than %d cgroups", PATHS_MAX);
	cgroup_make(path);
	snprintf(made[n_made++], CGROUP_PATH_LEN, "%s", path);
}

void scenario_make(const char *path)
{
	char part[CGROUP_PATH_LEN];
	size_t i;

	for (i = 1; path[i]; i++) {
		if (path[i] == '/') {
			snprintf(part, sizeof(part), "%.*s", (int)i, path);
			make_one(part);
		}
	}
	make_one(path);
}

void scenario_remove_all(void)
{
	while (n_made)
		cgroup_remove(made[--n_made]);
}

static const char *top_of(const struct scenario *s)
{
	return s->top ?: "/s";
}

static void path_of(const struct scenario *s, const char *cgroup, char path[CGROUP_PATH_LEN])
{
	if (cgroup[0] == '/')
		snprintf(path, CGROUP_PATH_LEN, "%s", cgroup);
	else
		snprintf(path, CGROUP_PATH_LEN, "%s/%s", top_of(s), cgroup);
}

static void make_cgroups(const struct scenario *s)
{
	const struct player *p;
	char path[CGROUP_PATH_LEN];

	scenario_make(top_of(s));
	for (p = s->players; p->comm; p++) {
		path_of(s, p->cgroup, path);
		scenario_make(path);
		if (p->request_mib)
			cgroup_set_mib(path, "memory.low", p->request_mib);
	}
	path_of(s, "grow", path);
	scenario_make(path);
	if (s->group) {
		path_of(s, s->group, path);
		cgroup_set(path, "memory.oom.group", "1");
	}
}

/* ---- oomx ------------------------------------------------------------------------------------ */

void scenario_start_oomx(const char *hook, const char *policy, const char *rules)
{
	const char *dir = getenv("OOMX_POLICIES");
	char path[PATH_MAX] = "priority";
	const char *const args[] = { "--enforce", "--hook",  hook, "--policy",
				     path,	  "--rules", DIR,  NULL };

	mkdir(DIR, 0755);
	ruled_write(DIR "/oomx.yaml", rules);
	if (policy)
		snprintf(path, sizeof(path), "%s/%s.bpf.o", dir ?: "build/tests/policies", policy);
	daemon_start(args);
}

/* ---- the processes --------------------------------------------------------------------------- */

static struct worker *start(const struct scenario *s, const struct player *p, bool meant)
{
	char path[CGROUP_PATH_LEN];
	const struct worker_spec spec = { .comm = p->comm, .cgroup = path, .adj = p->adj,
					  .anon_kib = p->mib * 1024, .uid = p->uid };

	path_of(s, p->cgroup, path);
	return cast_add(&cast, &spec, meant);
}

/* So much that what goes on until the OOM is little beside it: twice what it took so far, too. */
static unsigned int late_ms(uint64_t begun_ns)
{
	return LATE_MS + (unsigned int)((suite_now_ns() - begun_ns) / 500000);
}

/* Returns who grows, when all are there. */
static struct worker *start_all(const struct scenario *s, bool oomx)
{
	static const struct player grow = { "grow", "grow", 1, GROWS, .adj = -999 };
	struct worker *trigger = NULL;
	uint64_t begun = suite_now_ns();
	const struct player *p;
	bool late = false;

	for (p = s->players; p->comm; p++) {
		if (p->is & LATE && !late) {
			late = true;
			cast_ready(&cast);
			if (oomx)
				suite_sleep(late_ms(begun));
		}
		workers[p - s->players] = start(s, p, oomx && p->is & DIES);
		if (p->is & GROWS)
			trigger = workers[p - s->players];
	}
	if (!trigger)
		trigger = start(s, &grow, false);
	cast_ready(&cast);
	return trigger;
}

/* Less than what any of the right deaths gives back. */
static unsigned int growth_mib(const struct scenario *s)
{
	unsigned int dies = 0, kernels = UINT_MAX;
	const struct player *p;

	for (p = s->players; p->comm; p++) {
		if (p->is & DIES)
			dies += p->mib;
		if (p->is & KERNELS && p->mib < kernels)
			kernels = p->mib;
	}
	return ROOM_MIB + (dies < kernels ? dies : kernels) / 2;
}

/* Those who are there just fit in; and one grows. */
static bool run_out(const struct scenario *s, struct worker *trigger)
{
	const struct worker_growth g = { .mib = growth_mib(s), .threads = 1 };
	int64_t bytes = cgroup_number(top_of(s), "memory.current");

	cgroup_set_mib(top_of(s), "memory.max", (unsigned int)(bytes >> 20) + ROOM_MIB);
	return cast_starve(&cast, trigger, &g);
}

static void clear(const struct scenario *s)
{
	cast_close(&cast);
	cgroup_set(top_of(s), "memory.max", "max");
	cgroup_drain(top_of(s), 8);
}

/* ---- the kernel alone ------------------------------------------------------------------------ */

/*
 * Whom it kills first. It may go on and kill more: 7.2 does not wait for the first one's memory,
 * unless the one who asks for some dies himself.
 */
static void play_alone(const struct scenario *s)
{
	const struct kmsg_kill *kills;
	const struct player *p;
	struct worker *trigger;
	bool right = false;

	cast_open(&cast);
	trigger = start_all(s, false);
	if (run_out(s, trigger)) {
		if (!kmsg_kills(&kills)) {
			suite_fail("the kernel logged no kill");
		} else {
			for (p = s->players; p->comm; p++)
				right |= p->is & KERNELS &&
					 worker_pid(workers[p - s->players]) == kills[0].pid;
			if (!right)
				suite_fail("the kernel alone killed %s (%d) first", kills[0].comm,
					   kills[0].pid);
		}
	}
	clear(s);
}

/* ---- with oomx ------------------------------------------------------------------------------- */

static void expect_rules(const struct scenario *s)
{
	const struct player *p;

	for (p = s->players; p->comm; p++) {
		if (p->rule)
			ruled_expect_process(workers[p - s->players], p->rule);
	}
}

struct counts {
	int64_t events, groups, vmstat;
};

static void count(const struct scenario *s, struct counts *ret)
{
	ret->events = cgroup_event(top_of(s), "oom_kill");
	ret->groups = cgroup_event(top_of(s), "oom_group_kill");
	ret->vmstat = proc_vmstat("oom_kill");
}

/*
 * The kernel log, memory.events and /proc/vmstat speak of the same kills: of one, or of a cgroup's,
 * where the kernel may count its first one twice (oom_kill_process() and then the scan of the
 * cgroup; mm/oom_kill.c, 6.1 to 7.3).
 */
static void expect_witnesses(const struct scenario *s, const struct counts *before)
{
	unsigned int n = kmsg_kills(NULL), meant = 0;
	const struct player *p;
	struct counts now;

	for (p = s->players; p->comm; p++)
		meant += !!(p->is & DIES);
	count(s, &now);
	now.events -= before->events;
	now.groups -= before->groups;
	now.vmstat -= before->vmstat;
	if (n != now.events || n != now.vmstat)
		suite_fail("the kernel logged %u kills, memory.events has %lld, /proc/vmstat %lld", n,
			   (long long)now.events, (long long)now.vmstat);
	if (n < meant || n > meant + (meant > 1))
		suite_fail("expected %u kills, the kernel logged %u", meant, n);
	if (now.groups != (meant > 1))
		suite_fail("expected %d cgroups killed as one, memory.events has %lld", meant > 1,
			   (long long)now.groups);
}

/* One was chosen, and why; whoever else died belonged to it. */
static void expect_told(const struct scenario *s)
{
	const char *rule = s->rule ?: RULED_NONE;
	const struct event *e;
	unsigned int i, n = daemon_events(&e), chosen = 0;

	for (i = 0; i < n; i++) {
		if (e[i].type == OOMX_REC_KERNEL_KILL)
			suite_fail("expected no \"kernel_kill\", found that of %s", e[i].who.comm);
		if (e[i].type != OOMX_REC_KILL || e[i].group)
			continue;
		chosen++;
		if (strcmp(e[i].rule, rule))
			suite_fail("expected the kill of %s to name rule %s, not %s", e[i].who.comm,
				   rule, e[i].rule);
	}
	if (chosen != 1)
		suite_fail("expected one \"kill\" of who was chosen, found %u", chosen);
	if (suite_run_failed())
		daemon_complain_events();
}

static bool unshielded(void *arg)
{
	return proc_oom_score_adj(worker_pid(arg)) != -1000;
}

/* Who is to die and has -1000 is killed by nobody: a rule is to give it something else, before. */
static void await_unshielded(const struct scenario *s)
{
	const struct player *p;

	for (p = s->players; p->comm; p++) {
		if (p->is & DIES && p->adj == -1000 &&
		    !suite_wait(unshielded, workers[p - s->players], SUITE_STEP_MS))
			suite_fail("expected %s to lose its oom_score_adj of -1000", p->comm);
	}
}

static void play_oomx(const struct scenario *s, bool first)
{
	struct worker *trigger;
	struct counts before;

	cast_open(&cast);
	trigger = start_all(s, true);
	if (first || s->processes)
		expect_rules(s);
	await_unshielded(s);
	count(s, &before);
	if (run_out(s, trigger)) {
		cast_expect_dead(&cast);
		expect_witnesses(s, &before);
		expect_told(s);
	}
	clear(s);
}

void scenario_play(const struct scenario *s, const struct suite_options *o)
{
	char what[64];
	unsigned int run;

	make_cgroups(s);
	snprintf(what, sizeof(what), "%s, kernel alone", s->name);
	suite_run_begin(what, 1);
	play_alone(s);
	suite_run_end();
	scenario_start_oomx(o->hook, s->policy, s->rules);
	for (run = 1; run <= o->runs; run++) {
		suite_run_begin(s->name, run);
		daemon_require();
		play_oomx(s, run == 1);
		suite_run_end();
	}
	daemon_stop();
	scenario_remove_all();
	suite_times(s->name);
}
