// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * node.c - a Kubernetes node runs out of memory, again and again: six containers in three
 * classes, in the kubelet's cgroups and with its oom_score_adj, each of which dies as one. Strictly
 * by class, and the largest of a class first; and nobody who is no pod.
 */
#include "scenarios/scenarios.h"

#include <stdio.h>
#include <string.h>

#include "lib/cast.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"

#define N_CONTAINERS 6
#define FREE_MIB 64  /* what the ballast leaves beside the containers */
#define AFTER_MIB 8  /* what is taken of each one's memory */
#define PAUSE_MIB 1  /* of the second process in each container */
#define REPORTS_MS 5000 /* the kernel reports ten OOMs in that time (oom_kill_process()) */

/*
 * The class of what is no pod is 0. By the kubelet's formula: best effort 1000; burstable with
 * next to no request 999; guaranteed -997.
 */
#define RULES                                                                                      \
	"rules:\n"                                                                                 \
	"- name: besteffort\n  match: {kubernetes: {qos: besteffort}}\n  class: 3\n"               \
	"- name: burstable\n  match: {kubernetes: {qos: burstable}}\n  class: 2\n"                 \
	"- name: guaranteed\n  match: {kubernetes: {qos: guaranteed}}\n  class: 1\n"

/* In the order in which they are to die. */
static const struct {
	const char *comm;
	unsigned int mib;
	int adj;
	const char *rule;
} containers[N_CONTAINERS] = {
	{ "be-large", 72, 1000, "besteffort" },	 { "be-small", 48, 1000, "besteffort" },
	{ "bu-large", 96, 999, "burstable" },	 { "bu-small", 56, 999, "burstable" },
	{ "gu-large", 112, -997, "guaranteed" }, { "gu-small", 80, -997, "guaranteed" },
};
#define BU_LARGE 2 /* what the kernel kills first */

static const char *const cgroups[N_CONTAINERS] = {
	BESTEFFORT_POD(1) CRI(1), BESTEFFORT_POD(2) CRI(2), BURSTABLE_POD(3) CRI(3),
	BURSTABLE_POD(4) CRI(4),  GUARANTEED_POD(5) CRI(5), GUARANTEED_POD(6) CRI(6),
};

static struct cast cast;
static unsigned int steps;		 /* in how many all of them died, over all runs */
static unsigned int first[N_CONTAINERS]; /* of its two in the cast */
static int64_t groups[N_CONTAINERS];	 /* oom_group_kill of its cgroup, before */
static struct worker *growers[N_CONTAINERS];

static struct worker *add(const char *comm, const char *cgroup, int adj, unsigned int mib)
{
	const struct worker_spec spec = { .comm = comm, .cgroup = cgroup, .adj = adj,
					  .anon_kib = mib * 1024 };

	return cast_add(&cast, &spec, false);
}

/* Their order, and which of the two of a class is in which cgroup, are left to chance. */
static void start_containers(void)
{
	unsigned int i, j, k, order[N_CONTAINERS], swap = (unsigned int)suite_random(0, 1);

	for (i = 0; i < N_CONTAINERS; i++)
		order[i] = i;
	for (i = 0; i < N_CONTAINERS; i++) {
		j = (unsigned int)suite_random(i, N_CONTAINERS - 1);
		k = order[j];
		order[j] = order[i];
		first[k] = cast.n;
		add(containers[k].comm, cgroups[k ^ swap], containers[k].adj, containers[k].mib);
		groups[k] = cgroup_event(cgroups[k ^ swap], "oom_group_kill");
		add("pause", cgroups[k ^ swap], containers[k].adj, PAUSE_MIB);
	}
}

static void start_all(void)
{
	unsigned int i, mib = FREE_MIB;
	int64_t free_mib;

	cast_open(&cast);
	/* no pods; the agent is larger than most */
	add("sshd", "/system.slice/ssh.service", 0, 2);
	add("agent", "/system.slice/agent.service", 0, 40);
	add("job", "/batch", 300, 10);
	for (i = 0; i < N_CONTAINERS; i++) {
		mib += containers[i].mib + PAUSE_MIB;
		growers[i] = add("kubelet", "/system.slice/kubelet.service", -999, 0);
	}
	cast_ready(&cast);
	proc_drop_caches();
	free_mib = proc_mem_mib("MemFree");
	if (free_mib > mib)
		worker_wait_ready(add("ballast", NULL, -1000, (unsigned int)free_mib - mib));
	start_containers();
	cast_ready(&cast);
}

/* Until a process has been killed, and a little of what it had. */
static bool run_out(unsigned int i)
{
	struct worker_growth g = { .threads = 1, .until_kill = true, .after_mib = AFTER_MIB };

	proc_drop_caches();
	g.mib = (unsigned int)proc_mem_mib("MemTotal");
	return cast_starve(&cast, growers[i], &g);
}

static void play_alone(void)
{
	const struct kmsg_kill *kills;

	suite_run_begin("node, kernel alone", 1);
	start_all();
	if (run_out(0) && (!kmsg_kills(&kills) ||
			   kills[0].pid != worker_pid(cast.players[first[BU_LARGE]])))
		suite_fail("the kernel alone did not kill bu-large first, but %s",
			   kmsg_kills(&kills) ? kills[0].comm : "nobody");
	cast_close(&cast);
	suite_run_end();
}

/* ---- what came of it ------------------------------------------------------------------------- */

static pid_t chosen(unsigned int i)
{
	return worker_pid(cast.players[first[i]]);
}

static void expect_told(unsigned int i)
{
	const struct worker *w = cast.players[first[i]];
	const struct event *e = daemon_find(OOMX_REC_KILL, 0, chosen(i));

	if (!e || e->group || strcmp(e->rule, containers[i].rule) ||
	    strcmp(e->container.qos, containers[i].rule))
		suite_fail("expected %s to be told as chosen by rule %s, found rule %s",
			   worker_comm(w), containers[i].rule, e ? e->rule : "of no kill");
	if (cgroup_event(worker_cgroup(w), "oom_group_kill") != groups[i] + 1)
		suite_fail("expected the container of %s to be killed as one", worker_comm(w));
}

/* It died before the next one, and there was no memory then: below what the kernel goes by. */
static void expect_logged(unsigned int i)
{
	const struct kmsg_kill *kills, *k = NULL;
	unsigned int j, n = kmsg_kills(&kills);

	for (j = 0; j < n; j++) {
		if (!k && kills[j].pid == chosen(i))
			k = &kills[j];
		else if (!k && i + 1 < N_CONTAINERS && kills[j].pid == chosen(i + 1))
			suite_fail("%s was killed before %s", containers[i + 1].comm,
				   containers[i].comm);
	}
	if (!k || k->free_kib < 0)
		suite_fail("the kernel has not reported the OOM that %s died in",
			   containers[i].comm);
	else if (k->free_kib >= k->high_kib)
		suite_fail("%s was killed with %lld KiB free, which is no less than %lld",
			   containers[i].comm, (long long)k->free_kib, (long long)k->high_kib);
}

static bool freed(void *arg)
{
	return daemon_find(OOMX_REC_FREED, 0, worker_pid(arg));
}

/* What it had was there again, and was not enough, before the next one's OOM began. */
static void expect_used_up(unsigned int i)
{
	const struct event *next = daemon_find(OOMX_REC_KILL, 0, chosen(i + 1)), *e;
	int64_t back_ns, failed_ns;
	unsigned int j;

	for (j = first[i]; next && j < first[i] + 2; j++) {
		if (!suite_wait(freed, cast.players[j], SUITE_STEP_MS)) {
			suite_fail("expected a \"freed\" of %s (%d)", containers[i].comm,
				   worker_pid(cast.players[j]));
			continue;
		}
		e = daemon_find(OOMX_REC_FREED, 0, worker_pid(cast.players[j]));
		back_ns = e->ktime_ns;
		if (e->room_ns != EVENT_NONE)
			back_ns += e->room_ns - e->mm_gone_ns;
		failed_ns = next->ktime_ns - next->latency_ns;
		if (back_ns > failed_ns)
			suite_fail("%s was killed for what ran out %lld us before the memory of %s "
				   "(%d) was back", containers[i + 1].comm,
				   (long long)(back_ns - failed_ns) / 1000, containers[i].comm,
				   worker_pid(cast.players[j]));
	}
}

static void expect_all(int64_t vmstat_before)
{
	int64_t kills = proc_vmstat("oom_kill") - vmstat_before;
	unsigned int i;

	cast_expect_dead(&cast);
	for (i = 0; i < N_CONTAINERS; i++) {
		expect_told(i);
		expect_logged(i);
		if (i + 1 < N_CONTAINERS)
			expect_used_up(i);
	}
	if (kills != kmsg_kills(NULL))
		suite_fail("the kernel logged %u kills, /proc/vmstat has %lld", kmsg_kills(NULL),
			   (long long)kills);
	if (daemon_count(OOMX_REC_KERNEL_KILL))
		suite_fail("expected no \"kernel_kill\"");
}

/* ---- all six, one after the other ------------------------------------------------------------ */

static unsigned int dead(void)
{
	unsigned int n = 0;

	while (n < N_CONTAINERS && !worker_alive(cast.players[first[n]]))
		n++;
	return n;
}

/*
 * One is to die each time that memory runs out. It may run out once more before the next grower
 * takes any: others want memory, too, and what a process frees stays with its CPU for a while
 * (free_pcp in the kernel's report), where a GFP_KERNEL allocation of another CPU without anything
 * to reclaim does not look for it (__alloc_pages_direct_reclaim(), mm/page_alloc.c, 6.1 to 7.3).
 * Then the next one is right to die, and is held to the same.
 */
static void play_oomx(unsigned int run)
{
	int64_t before = proc_vmstat("oom_kill");
	unsigned int i, step;

	suite_run_begin("node", run);
	daemon_require();
	start_all();
	for (step = 0; (i = dead()) < N_CONTAINERS; step++) {
		cast.meant[first[i]] = cast.meant[first[i] + 1] = true;
		if (!run_out(step))
			break;
	}
	for (i = 0; i < N_CONTAINERS; i++)
		cast.meant[first[i]] = cast.meant[first[i] + 1] = true;
	if (!suite_run_failed())
		expect_all(before);
	steps += step;
	if (suite_run_failed())
		daemon_complain_events();
	cast_close(&cast);
	suite_run_end();
}

void node_play(const struct suite_options *o)
{
	unsigned int i;

	for (i = 0; i < N_CONTAINERS; i++) {
		scenario_make(cgroups[i]);
		cgroup_set(cgroups[i], "memory.oom.group", "1"); /* as the kubelet has it */
	}
	scenario_make("/system.slice/ssh.service");
	scenario_make("/system.slice/agent.service");
	scenario_make("/system.slice/kubelet.service");
	scenario_make("/batch");
	play_alone();
	scenario_start_oomx(o->hook, NULL, RULES);
	for (i = 1; i <= o->runs; i++) {
		suite_sleep(REPORTS_MS);
		play_oomx(i);
	}
	daemon_stop();
	scenario_remove_all();
	suite_times("node");
	printf("scenarios: node: %u containers, %u times memory was used up on purpose\n",
	       o->runs * N_CONTAINERS, steps);
}
