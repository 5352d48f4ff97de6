// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_kills - victims and triggers of every kind that dies, or makes others die, in its own way:
 * with oomx enforcing, the ones that its priorities name die, completely, and nobody else does.
 *
 * Some cases need two NUMA nodes (kills-numa of tests/vm/suite).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/adjtrace.h"
#include "lib/cast.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define TOP "/k"
#define LP TOP "/lp" /* dies first */
#define H2 TOP "/h2"
#define HP TOP "/hp"
#define OUT "/kout" /* outside, and cheaper than all of them */

/*
 * Without lp's 24 MiB, h2 and hp have room; with it, hp would be the kernel's own choice. Page
 * tables and kernel memory are some MiB more.
 */
#define LIMIT_MIB 80
#define LP_MIB 24
#define H2_MIB 8
#define HP_MIB 50

#define THROTTLED_MIB 10 /* of hp's, which take long with a tenth of a CPU */
#define GROUP_SIZE 20
#define CHEAP_MIB 10 /* two of them are not too many */
#define LOWERED_MIB 36 /* memory.max, when it is lowered under those who are there */
#define NODE_FREE_MIB 200 /* what the ballast leaves of node 1 */
/*
 * Not as much as hp has by then, and more than the 35 MiB that were seen on the lists of the CPUs.
 * What is freed goes there first, where the kernel's test for room does not count it, and it goes
 * on to kill: so it may with a victim that fits there (play_on_lists()).
 */
#define NODE_LP_MIB 72
#define LISTS_LP_MIB 32
#define NODE_AFTER_MIB 8

static struct cast cast;
static const char *throttle; /* cpu.max of everybody while hp grows; NULL: none */
static unsigned int has_mib; /* of hp's, before it grows */
static struct on_lists {
	unsigned int runs, second;
} with_oomx, alone, *on_lists;

static struct worker_spec spec_of(const char *comm, const char *cgroup, unsigned int mib)
{
	return (struct worker_spec){ .comm = comm, .cgroup = cgroup, .anon_kib = mib * 1024 };
}

static struct worker *add(const char *comm, const char *cgroup, unsigned int mib, bool meant)
{
	struct worker_spec spec = spec_of(comm, cgroup, mib);

	return cast_add(&cast, &spec, meant);
}

/* hp grows, next to an h2 that stands by. */
static void starve(unsigned int mib, unsigned int triggers)
{
	const struct worker_growth g = { .mib = mib - has_mib, .threads = triggers };
	struct worker *hp;

	add("h2", H2, H2_MIB, false);
	hp = add("hp", HP, has_mib, false);
	cast_ready(&cast);
	if (throttle)
		cgroup_set(TOP, "cpu.max", throttle);
	if (cast_starve(&cast, hp, &g))
		cast_expect_dead(&cast);
}

/* ---- victims --------------------------------------------------------------------------------- */

/*
 * What is written for one of them counts for all: one is raised, and nobody takes that back by
 * raising another.
 */
static void play_sharers(void)
{
	struct worker_spec spec = spec_of("lp", LP, LP_MIB);

	spec.sharers = 3;
	worker_wait_ready(cast_add(&cast, &spec, true));
	adjtrace_begin();
	starve(HP_MIB, 1);
	adjtrace_end();
	adjtrace_expect_never_before_kill("lp", 0);
}

static void play_leader(void)
{
	struct worker_spec spec = spec_of("lp", LP, LP_MIB);

	spec.threads = 3;
	spec.leader_exits = true;
	cast_add(&cast, &spec, true);
	starve(HP_MIB, 2);
}

static void play_group(void)
{
	unsigned int i;

	cgroup_set(LP, "memory.oom.group", "1");
	for (i = 0; i < GROUP_SIZE; i++)
		add("lp", LP, i ? 1 : LP_MIB / 2, true);
	starve(HP_MIB, 1);
	cgroup_set(LP, "memory.oom.group", "0");
}

static void play_pid_ns(void)
{
	struct worker_spec spec = spec_of("lp", LP, LP_MIB);

	spec.pid_ns = true;
	cast_add(&cast, &spec, true);
	starve(HP_MIB, 1);
}

static bool frozen(void *arg)
{
	(void)arg;
	return proc_keyed(CGROUP_ROOT LP "/cgroup.events", "frozen") == 1;
}

static void play_frozen(void)
{
	struct worker *lp = add("lp", LP, LP_MIB, true);

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
	struct worker_spec spec = spec_of("lp", LP, LP_MIB);
	int64_t timeouts = daemon_counter("counters.guard_timeouts");
	struct worker *lp;

	spec.sharers = 1;
	lp = cast_add(&cast, &spec, true);
	add("h2", H2, H2_MIB, false);
	add("hp", HP, H2_MIB, false);
	cast_ready(&cast);
	if (cast_starve(&cast, lp, &g))
		cast_expect_dead(&cast);
	if (daemon_counter("counters.guard_timeouts") != timeouts)
		suite_fail("the trigger waited for a victim whose address space it shares");
}

static void play_self(void)
{
	const struct worker_growth g = { .mib = HP_MIB, .threads = 2 };
	struct worker *lp = add("lp", LP, 0, true);

	add("h2", H2, HP_MIB, false);
	cast_ready(&cast);
	if (cast_starve(&cast, lp, &g))
		cast_expect_dead(&cast);
}

/* The first cheap one does not do: the second has to go, too, and hp stays. */
static void play_shortfall(void)
{
	add("lp", LP, CHEAP_MIB, true);
	add("lp", LP, CHEAP_MIB, true);
	starve(HP_MIB + 12, 1);
}

/* Whoever lowers memory.max triggers the OOM, and is none of those that it is about. */
static void play_writer(void)
{
	static const char *const argv[] = { "/bin/sh", "-c", NULL, NULL };
	char text[128];
	const char *args[4];

	add("out", OUT, LP_MIB, false);
	add("lp", LP, LP_MIB, true);
	add("h2", H2, H2_MIB, false);
	add("hp", HP, LP_MIB / 2, false);
	cast_ready(&cast);
	memcpy(args, argv, sizeof(argv));
	snprintf(text, sizeof(text), "echo %u >" CGROUP_ROOT TOP "/memory.max", LOWERED_MIB << 20);
	args[2] = text;
	if (command_run(args, 0, SUITE_STEP_MS)->exit)
		suite_fail("memory.max cannot be lowered");
	if (cast_await(&cast))
		cast_expect_dead(&cast);
	cgroup_set_mib(TOP, "memory.max", LIMIT_MIB);
}

/* Writes to hp's memory, which hp's cgroup pays for: its OOMs are triggered from outside of it. */
static void play_remote(void)
{
	struct worker_growth g = { .mib = HP_MIB, .threads = 4 };
	struct worker_spec hp = spec_of("hp", HP, 0);
	struct worker *out = add("out", OUT, LP_MIB, false);
	struct worker *lp = add("lp", LP, LP_MIB, true);
	const struct event *e;

	add("h2", H2, H2_MIB, false);
	hp.room_kib = HP_MIB * 1024;
	g.into = cast_add(&cast, &hp, false);
	cast_ready(&cast);
	if (!cast_starve(&cast, out, &g))
		return;
	cast_expect_dead(&cast);
	e = daemon_find(OOMX_REC_KILL, 0, worker_pid(lp));
	if (e && e->trigger_pid != worker_pid(out))
		suite_fail("expected out (%d) to trigger, pid %d did", worker_pid(out),
			   e->trigger_pid);
}

static void play_cpu_max(void)
{
	cgroup_set("", "cgroup.subtree_control", "+cpu");
	add("lp", LP, LP_MIB, true);
	throttle = "10000 100000";
	has_mib = HP_MIB - THROTTLED_MIB;
	starve(HP_MIB, 4);
	throttle = NULL;
	has_mib = 0;
	cgroup_set(TOP, "cpu.max", "max");
}

static void play_one_cpu(void)
{
	cgroup_set("", "cgroup.subtree_control", "+cpuset");
	cgroup_set(TOP, "cpuset.cpus", "0");
	add("lp", LP, LP_MIB, true);
	starve(HP_MIB, 8);
	cgroup_set(TOP, "cpuset.cpus", "");
}

static void play_many(void)
{
	add("lp", LP, LP_MIB, true);
	starve(HP_MIB, 32);
}

/* ---- NUMA ------------------------------------------------------------------------------------ */

static int64_t node_free_mib(unsigned int node)
{
	static char buf[8192];
	const char *at;
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
	if (proc_read(path, buf, sizeof(buf)))
		return -1;
	at = strstr(buf, "MemFree:");
	return at ? strtoll(at + strlen("MemFree:"), NULL, 10) / 1024 : -1;
}

static void fill_node(void)
{
	struct worker_spec ballast = { .comm = "ballast", .adj = -1000, .nodes = 2 };
	int64_t free_mib;

	proc_drop_caches();
	free_mib = node_free_mib(1);
	if (free_mib < NODE_FREE_MIB)
		suite_fatal("node 1 has %lld MiB free, %d are needed", (long long)free_mib,
			    NODE_FREE_MIB);
	ballast.anon_kib = (unsigned int)(free_mib - NODE_FREE_MIB) * 1024;
	worker_wait_ready(cast_add(&cast, &ballast, false));
}

/*
 * Node 1 is short, node 0 is not: the one with memory there only is no candidate, cheap as it is.
 * false, with a complaint: there was no OOM, or it does not end.
 */
static bool starve_node(bool cpuset, struct worker_spec *lp, struct worker **ret_lp)
{
	struct worker_growth g = { .threads = 1, .until_kill = true, .after_mib = NODE_AFTER_MIB };
	struct worker_spec out = spec_of("out", OUT, LP_MIB);
	struct worker_spec hp = spec_of("hp", HP, 0);
	struct worker *trigger;

	fill_node();
	cgroup_set(TOP, "memory.max", "max");
	if (cpuset) {
		cgroup_set("", "cgroup.subtree_control", "+cpuset");
		cgroup_set(OUT, "cpuset.mems", "0");
		cgroup_set(TOP, "cpuset.mems", "1");
	} else {
		out.nodes = 1;
		lp->nodes = hp.nodes = 2;
	}
	cast_add(&cast, &out, false);
	*ret_lp = cast_add(&cast, lp, true);
	trigger = cast_add(&cast, &hp, false);
	cast_ready(&cast);
	g.mib = (unsigned int)proc_mem_mib("MemTotal");
	return cast_starve(&cast, trigger, &g);
}

static void leave_node(bool cpuset)
{
	cast_close(&cast);
	if (cpuset) {
		cgroup_set(TOP, "cpuset.mems", "");
		cgroup_set(OUT, "cpuset.mems", "");
	}
	cgroup_set_mib(TOP, "memory.max", LIMIT_MIB);
}

/* The kernel's totalpages are those of node 1 then, and so must ours be. */
static void play_node(bool cpuset)
{
	struct worker_spec lp = spec_of("lp", LP, NODE_LP_MIB);
	int64_t differ = daemon_counter("counters.totals_differ");
	struct worker *victim;

	if (starve_node(cpuset, &lp, &victim))
		cast_expect_dead(&cast);
	if (daemon_counter("counters.totals_differ") != differ)
		suite_fail("totalpages was not the kernel's");
	leave_node(cpuset);
}

static void play_cpuset(void)
{
	play_node(true);
}

static void play_mempolicy(void)
{
	play_node(false);
}

/*
 * All that lp leaves fits on the lists of the CPUs: whether a second one is killed then is chance,
 * with the kernel alone as with oomx. It may only be where the kernel's own report says that the
 * room was there; lp has to be the first in any case.
 */
static void expect_room_on_lists(pid_t lp)
{
	const struct kmsg_kill *k;
	unsigned int n = kmsg_kills(&k);

	kmsg_expect_complete();
	if (n != 2 || k[0].pid != lp) {
		suite_fail("expected lp to be killed, and then one more: %u were, %d first", n,
			   n ? k[0].pid : 0);
	} else if (k[1].free_kib < 0 || k[1].free_kib >= k[1].high_kib ||
		   k[1].free_kib + k[1].pcp_kib < k[1].high_kib) {
		suite_fail("expected the room for the second one on the lists of CPUs");
		kmsg_complain_reports();
	} else {
		on_lists->second++;
	}
}

static void play_on_lists(int lp_adj)
{
	struct worker_spec lp = spec_of("lp", LP, LISTS_LP_MIB);
	struct worker *victim;

	lp.adj = lp_adj;
	if (starve_node(false, &lp, &victim)) {
		on_lists->runs++;
		if (kmsg_kills(NULL) == 1)
			cast_expect_dead(&cast);
		else
			expect_room_on_lists(worker_pid(victim));
	}
	leave_node(false);
}

static void play_lists(void)
{
	on_lists = &with_oomx;
	play_on_lists(0);
}

/* lp is the kernel's own choice. */
static void play_lists_alone(void)
{
	on_lists = &alone;
	play_on_lists(1000);
}

/* Not more second victims than the kernel has alone; a fifth more may be chance. */
static void compare_lists(void)
{
	unsigned int more = alone.runs / 5 > 2 ? alone.runs / 5 : 2;

	if (!with_oomx.runs || !alone.runs)
		return;
	suite_run_begin("lists_compared", 1);
	printf("lists: a second victim in %u of %u runs, with the kernel alone in %u of %u\n",
	       with_oomx.second, with_oomx.runs, alone.second, alone.runs);
	if (with_oomx.second > alone.second + more)
		suite_fail("expected %u second victims with oomx, or fewer: %u",
			   alone.second + more, with_oomx.second);
	suite_run_end();
}

/* ---- all of them ----------------------------------------------------------------------------- */

#define NEEDS_NUMA 1u
#define NEEDS_NO_OOMX 2u

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
	{ "shared_mm", play_shared_mm, 0 },
	{ "self", play_self, 0 },
	{ "shortfall", play_shortfall, 0 },
	{ "writer", play_writer, 0 },
	{ "remote", play_remote, 0 },
	{ "cpu_max", play_cpu_max, 0 },
	{ "one_cpu", play_one_cpu, 0 },
	{ "many", play_many, 0 },
	{ "cpuset", play_cpuset, NEEDS_NUMA },
	{ "mempolicy", play_mempolicy, NEEDS_NUMA },
	{ "lists", play_lists, NEEDS_NUMA },
	{ "lists_alone", play_lists_alone, NEEDS_NUMA | NEEDS_NO_OOMX },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

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

static void play(const struct kill_case *k, unsigned int runs)
{
	unsigned int i;

	for (i = 1; i <= runs; i++) {
		suite_run_begin(k->name, i);
		if (!(k->needs & NEEDS_NO_OOMX))
			daemon_require();
		daemon_clear();
		cast_open(&cast);
		k->play();
		if (suite_run_failed())
			daemon_complain_events();
		cast_close(&cast);
		cgroup_drain(TOP, 8);
		suite_run_end();
	}
	suite_times(k->name);
}

/* --only lists: both sides of it */
static bool asked_for(const struct kill_case *k, const char *only)
{
	if (only)
		return !strncmp(only, k->name, strlen(only));
	return !(k->needs & NEEDS_NUMA) == !is_numa();
}

static unsigned int play_all(const struct suite_options *o, unsigned int no_oomx)
{
	unsigned int i, played = 0;

	for (i = 0; i < N_CASES; i++) {
		if ((cases[i].needs & NEEDS_NO_OOMX) != no_oomx || !asked_for(&cases[i], o->only))
			continue;
		play(&cases[i], o->runs);
		played++;
	}
	return played;
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 5 };
	unsigned int played;

	suite_begin("kills", argc, argv, &o);
	open_cgroups();
	played = play_all(&o, NEEDS_NO_OOMX);
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
	compare_lists();
	daemon_stop();
	close_cgroups();
	return suite_end();
}
