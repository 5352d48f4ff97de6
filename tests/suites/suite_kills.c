// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_kills - victims and triggers of every kind that dies, or makes others die, in its own way:
 * with oomx enforcing, the ones that its priorities name die, completely, and nobody else does.
 *
 * Some cases need two NUMA nodes (kills-numa of tests/vm/suite).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kills/kills.h"
#include "lib/adjtrace.h"
#include "lib/bpfcount.h"
#include "lib/cast.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define THROTTLED_MIB 10 /* of hp's, which take long with a tenth of a CPU */
#define GROUP_SIZE 20
#define CHEAP_MIB 10 /* two of them are not too many */
#define LOWERED_MIB 36 /* memory.max, when it is lowered under those who are there */
#define HOLD_WINDOW_MS 2000 /* hold_window_ns (user/engine.c) */
#define MAY_BE_HELD_NS 200000000 /* a fifth of hold_budget_ns */

struct cast kills_cast;
static const char *throttle; /* cpu.max of everybody while hp grows; NULL: none */
static unsigned int has_mib; /* of hp's, before it grows */
static bool alone; /* with no oomx: whoever is meant to die is the kernel's own choice */
static struct kills_count *count; /* of the case that is played */

struct worker_spec kills_spec(const char *comm, const char *cgroup, unsigned int mib)
{
	return (struct worker_spec){ .comm = comm, .cgroup = cgroup, .anon_kib = mib * 1024 };
}

struct worker *kills_add(const char *comm, const char *cgroup, unsigned int mib, bool meant)
{
	struct worker_spec spec = kills_spec(comm, cgroup, mib);

	if (alone && meant)
		spec.adj = 1000;
	return cast_add(&kills_cast, &spec, meant);
}

static void tell(const char *what, const struct kills_count *with_oomx,
		 const struct kills_count *alone_count)
{
	printf("%s: one victim too many in %u of %u runs, with the kernel alone in %u of %u\n", what,
	       with_oomx->second, with_oomx->runs, alone_count->second, alone_count->runs);
}

void kills_compare(const char *what, const struct kills_count *with_oomx,
		   const struct kills_count *alone)
{
	unsigned int more = 3 + alone->runs / 5;
	char name[64];

	if (!with_oomx->runs || !alone->runs)
		return;
	snprintf(name, sizeof(name), "%s_compared", what);
	suite_run_begin(name, 1);
	tell(what, with_oomx, alone);
	if (with_oomx->second > alone->second + more)
		suite_fail("expected %u runs with one victim too many with oomx, or fewer: %u",
			   alone->second + more, with_oomx->second);
	suite_run_end();
}

void kills_expect_dead(void)
{
	unsigned int i, meant = 0;

	for (i = 0; i < kills_cast.n; i++) {
		meant += kills_cast.meant[i];
		kills_cast.meant[i] |= alone && !worker_alive(kills_cast.players[i]);
	}
	count->runs++;
	count->second += kmsg_kills(NULL) > meant;
	cast_expect_dead(&kills_cast);
}

/* hp grows, next to an h2 that stands by. */
static void starve(unsigned int mib, unsigned int triggers)
{
	const struct worker_growth g = { .mib = mib - has_mib, .threads = triggers };
	struct worker *hp;

	kills_add("h2", H2, H2_MIB, false);
	hp = kills_add("hp", HP, has_mib, false);
	cast_ready(&kills_cast);
	if (throttle)
		cgroup_set(TOP, "cpu.max", throttle);
	if (cast_starve(&kills_cast, hp, &g))
		kills_expect_dead();
}

/* ---- victims --------------------------------------------------------------------------------- */

/*
 * What is written for one of them counts for all: one is raised, and nobody takes that back by
 * raising another.
 */
static void play_sharers(void)
{
	struct worker_spec spec = kills_spec("lp", LP, LP_MIB);

	spec.sharers = 3;
	worker_wait_ready(cast_add(&kills_cast, &spec, true));
	adjtrace_begin();
	starve(HP_MIB, 1);
	adjtrace_end();
	adjtrace_expect_never_before_kill("lp", 0);
}

static void play_leader(void)
{
	struct worker_spec spec = kills_spec("lp", LP, LP_MIB);

	spec.threads = 3;
	spec.leader_exits = true;
	cast_add(&kills_cast, &spec, true);
	starve(HP_MIB, 2);
}

static void play_group(void)
{
	unsigned int i;

	cgroup_set(LP, "memory.oom.group", "1");
	for (i = 0; i < GROUP_SIZE; i++)
		kills_add("lp", LP, i ? 1 : LP_MIB / 2, true);
	starve(HP_MIB, 1);
	cgroup_set(LP, "memory.oom.group", "0");
}

static void play_pid_ns(void)
{
	struct worker_spec spec = kills_spec("lp", LP, LP_MIB);

	spec.pid_ns = true;
	cast_add(&kills_cast, &spec, true);
	starve(HP_MIB, 1);
}

static bool frozen(void *arg)
{
	(void)arg;
	return proc_keyed(CGROUP_ROOT LP "/cgroup.events", "frozen") == 1;
}

static void play_frozen(void)
{
	struct worker *lp = kills_add("lp", LP, LP_MIB, true);

	worker_wait_ready(lp);
	cgroup_set(LP, "cgroup.freeze", "1");
	if (!suite_wait(frozen, NULL, SUITE_STEP_MS))
		suite_fail("lp's cgroup is never frozen");
	starve(HP_MIB, 1);
	cgroup_set(LP, "cgroup.freeze", "0");
}

/* ---- triggers -------------------------------------------------------------------------------- */

/* The memory that the trigger needs is that of whom it makes die: nobody may wait for that. */
static void play_shared_mm(void)
{
	const struct worker_growth g = { .mib = HP_MIB, .threads = 1, .by_sharer = true };
	struct worker_spec spec = kills_spec("lp", LP, LP_MIB);
	int64_t timeouts = daemon_counter("counters.guard_timeouts");
	struct worker *lp;

	spec.sharers = 1;
	lp = cast_add(&kills_cast, &spec, true);
	kills_add("h2", H2, H2_MIB, false);
	kills_add("hp", HP, H2_MIB, false);
	cast_ready(&kills_cast);
	if (cast_starve(&kills_cast, lp, &g))
		cast_expect_dead(&kills_cast);
	if (daemon_counter("counters.guard_timeouts") != timeouts)
		suite_fail("the trigger waited for a victim whose address space it shares");
}

static void play_self(void)
{
	const struct worker_growth g = { .mib = HP_MIB, .threads = 2 };
	struct worker *lp = kills_add("lp", LP, 0, true);

	kills_add("h2", H2, HP_MIB, false);
	cast_ready(&kills_cast);
	if (cast_starve(&kills_cast, lp, &g))
		cast_expect_dead(&kills_cast);
}

/* The first cheap one does not do: the second has to go, too, and hp stays. */
static void play_shortfall(void)
{
	kills_add("lp", LP, CHEAP_MIB, true);
	kills_add("lp", LP, CHEAP_MIB, true);
	starve(HP_MIB + 12, 1);
}

/* Whoever lowers memory.max triggers the OOM, and is none of those that it is about. */
static void play_writer(void)
{
	static const char *const argv[] = { "/bin/sh", "-c", NULL, NULL };
	char text[128];
	const char *args[4];

	kills_add("out", OUT, LP_MIB, false);
	kills_add("lp", LP, LP_MIB, true);
	kills_add("h2", H2, H2_MIB, false);
	kills_add("hp", HP, LP_MIB / 2, false);
	cast_ready(&kills_cast);
	memcpy(args, argv, sizeof(argv));
	snprintf(text, sizeof(text), "echo %u >" CGROUP_ROOT TOP "/memory.max", LOWERED_MIB << 20);
	args[2] = text;
	if (command_run(args, 0, SUITE_STEP_MS)->exit)
		suite_fail("memory.max cannot be lowered");
	if (cast_await(&kills_cast))
		kills_expect_dead();
}

/* Writes to hp's memory, which hp's cgroup pays for: its OOMs are triggered from outside of it. */
static void play_remote(void)
{
	struct worker_growth g = { .mib = HP_MIB, .threads = 4 };
	struct worker_spec hp = kills_spec("hp", HP, 0);
	struct worker *out = kills_add("out", OUT, LP_MIB, false);
	struct worker *lp = kills_add("lp", LP, LP_MIB, true);
	const struct event *e;

	kills_add("h2", H2, H2_MIB, false);
	hp.room_kib = HP_MIB * 1024;
	g.into = cast_add(&kills_cast, &hp, false);
	cast_ready(&kills_cast);
	if (!cast_starve(&kills_cast, out, &g))
		return;
	kills_expect_dead();
	e = daemon_find(OOMX_REC_KILL, 0, worker_pid(lp));
	if (e && e->trigger_pid != worker_pid(out))
		suite_fail("expected out (%d) to trigger, pid %d did", worker_pid(out),
			   e->trigger_pid);
}

static void play_cpu_max(void)
{
	cgroup_set("", "cgroup.subtree_control", "+cpu");
	kills_add("lp", LP, LP_MIB, true);
	throttle = "10000 100000";
	has_mib = HP_MIB - THROTTLED_MIB;
	starve(HP_MIB, 4);
	throttle = NULL;
	has_mib = 0;
	cgroup_set(TOP, "cpu.max", "max");
	cgroup_set("", "cgroup.subtree_control", "-cpu");
}

static void play_one_cpu(void)
{
	cgroup_set("", "cgroup.subtree_control", "+cpuset");
	cgroup_set(TOP, "cpuset.cpus", "0");
	kills_add("lp", LP, LP_MIB, true);
	starve(HP_MIB, 8);
	cgroup_set(TOP, "cpuset.cpus", "");
	cgroup_set("", "cgroup.subtree_control", "-cpuset");
}

static void play_many(void)
{
	kills_add("lp", LP, LP_MIB, true);
	starve(HP_MIB, 32);
}

/*
 * With the cpu controller in use, cgroups of little weight stay on the CPU where they are: whoever
 * is held there may keep a victim from it, where the kernel does not preempt itself.
 */
static void play_weighted(void (*play)(void))
{
	int64_t late = alone ? 0 : daemon_counter("counters.guard_timeouts");
	int64_t hastened = alone ? 0 : daemon_counter("counters.hastened");

	cgroup_set("", "cgroup.subtree_control", "+cpu");
	play();
	cgroup_set("", "cgroup.subtree_control", "-cpu");
	if (alone)
		return;
	if (daemon_counter("counters.guard_timeouts") != late)
		suite_fail("an OOM was held in vain, for as long as it may be");
	if (daemon_counter("counters.hastened") == hastened)
		suite_fail("expected the victim to be given real-time priority");
}

static void play_leader_weighted(void)
{
	play_weighted(play_leader);
}

static void play_one_cpu_weighted(void)
{
	play_weighted(play_one_cpu);
}

static void play_many_weighted(void)
{
	play_weighted(play_many);
}

/* ---- all of them ----------------------------------------------------------------------------- */

#define NEEDS_NUMA 1u
#define NEEDS_NO_OOMX 2u
#define ALONE_TOO 4u /* for comparison, first */

static const struct kill_case {
	const char *name;
	void (*play)(void);
	unsigned int needs;
} cases[] = {
	{ "sharers", play_sharers, 0 },
	{ "leader", play_leader, 0 },
	{ "group", play_group, 0 },
	{ "pid_ns", play_pid_ns, 0 },
	{ "frozen", play_frozen, 0 },
	{ "reader", kills_reader, 0 },
	{ "shared_mm", play_shared_mm, 0 },
	{ "self", play_self, 0 },
	{ "shortfall", play_shortfall, 0 },
	{ "rivals_eight", kills_rivals_eight, 0 },
	{ "rivals_nine", kills_rivals_nine, 0 },
	{ "shortfall_global", kills_shortfall_global, ALONE_TOO },
	{ "writer", play_writer, ALONE_TOO },
	{ "remote", play_remote, 0 },
	{ "kernel_thread", kills_kernel_thread, 0 },
	{ "kernel_thread_late", kills_kernel_thread_late, 0 },
	{ "kernel_thread_alone", kills_kernel_thread_alone, NEEDS_NO_OOMX },
	{ "cpu_max", play_cpu_max, ALONE_TOO },
	{ "one_cpu", play_one_cpu, ALONE_TOO },
	{ "many", play_many, ALONE_TOO },
	{ "leader_weighted", play_leader_weighted, 0 },
	{ "one_cpu_weighted", play_one_cpu_weighted, ALONE_TOO },
	{ "many_weighted", play_many_weighted, ALONE_TOO },
	{ "cpuset", kills_cpuset, NEEDS_NUMA },
	{ "mempolicy", kills_mempolicy, NEEDS_NUMA },
	{ "lists", kills_lists, NEEDS_NUMA },
	{ "lists_alone", kills_lists_alone, NEEDS_NUMA | NEEDS_NO_OOMX },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static struct kills_count with_oomx[N_CASES], without[N_CASES];

static bool is_numa(void)
{
	return !access("/sys/devices/system/node/node1", F_OK);
}

static void open_cgroups(void)
{
	cgroup_make(TOP);
	cgroup_make(LP);
	cgroup_make(H2);
	cgroup_make(HP);
	cgroup_make(OUT);
	cgroup_set_mib(TOP, "memory.max", LIMIT_MIB);
}

static void close_cgroups(void)
{
	cgroup_remove(OUT);
	cgroup_remove(HP);
	cgroup_remove(H2);
	cgroup_remove(LP);
	cgroup_remove(TOP);
}

static int64_t held_ns(void)
{
	if (!daemon_running())
		return 0;
	return daemon_counter("counters.guard_ns") + daemon_counter("counters.wait_ns");
}

/*
 * Twenty may take so long to die that little is left of the time for which the OOMs of this cgroup
 * may be held (hold_budget_ns): on 7.2 and 7.3 the next one's victim might be followed by a second.
 */
static void await_budget(void)
{
	static int64_t since_ns;
	int64_t now_ns = held_ns();

	if (now_ns - since_ns < MAY_BE_HELD_NS)
		return;
	suite_sleep(HOLD_WINDOW_MS);
	since_ns = now_ns;
}

static void play(const struct kill_case *k, unsigned int runs)
{
	char name[64];
	unsigned int i;

	snprintf(name, sizeof(name), "%s%s", k->name, alone ? "_alone" : "");
	for (i = 1; i <= runs; i++) {
		suite_run_begin(name, i);
		if (!alone && !(k->needs & NEEDS_NO_OOMX))
			daemon_require();
		daemon_clear();
		cast_open(&kills_cast);
		k->play();
		if (suite_run_failed())
			daemon_complain_events();
		cast_close(&kills_cast);
		cgroup_drain(TOP, 8);
		cgroup_set_mib(TOP, "memory.max", LIMIT_MIB); /* some have another */
		await_budget();
		suite_run_end();
	}
	suite_times(name);
}

/* --only lists: both sides of it */
static bool asked_for(const struct kill_case *k, const char *only)
{
	if (only)
		return !strncmp(only, k->name, strlen(only));
	return !(k->needs & NEEDS_NUMA) == !is_numa();
}

static unsigned int play_all(const struct suite_options *o, unsigned int of)
{
	unsigned int i, played = 0;

	alone = of == ALONE_TOO;
	for (i = 0; i < N_CASES; i++) {
		if (alone ? !(cases[i].needs & ALONE_TOO) : (cases[i].needs & NEEDS_NO_OOMX) != of)
			continue;
		if (!asked_for(&cases[i], o->only))
			continue;
		count = alone ? &without[i] : &with_oomx[i];
		play(&cases[i], alone ? (o->runs + 2) / 3 : o->runs);
		played++;
	}
	alone = false;
	return played;
}

/* What the kernel has left out is told, all of it, after so many preemptions. */
static void expect_misses_told(void)
{
	int64_t told = daemon_recursion_misses(), kernels = bpf_recursion_misses("ox_");

	suite_run_begin("recursion_misses", 1);
	printf("%lld calls of a program were left out\n", (long long)kernels);
	if (told > kernels || daemon_recursion_misses() < kernels) /* there may be more by then */
		suite_fail("oomx tells of %lld calls left out, the kernel of %lld", (long long)told,
			   (long long)kernels);
	suite_run_end();
}

static void compare_all(void)
{
	unsigned int i;

	for (i = 0; i < N_CASES; i++) {
		if (without[i].runs)
			tell(cases[i].name, &with_oomx[i], &without[i]);
	}
	kills_compare_threads();
	kills_compare_lists();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 5 };
	unsigned int played;

	suite_begin("kills", argc, argv, &o);
	open_cgroups();
	played = play_all(&o, NEEDS_NO_OOMX) + play_all(&o, ALONE_TOO);
	{
		const char *const args[] = { "--enforce",  "--hook",	 o.hook,
					     "--policy",   "priority",	 "--priority",
					     LP "=-100",   "--priority", OUT "=-200",
					     NULL };

		daemon_start(args);
	}
	played += play_all(&o, 0);
	if (!played)
		suite_fatal("no case %s", o.only);
	compare_all();
	expect_misses_told();
	daemon_stop();
	close_cgroups();
	return suite_end();
}
