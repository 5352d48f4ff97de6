// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * numa.c - one of two nodes is short of memory: whoever has none of it there is no candidate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kills/kills.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define NODE_FREE_MIB 200 /* what the ballast leaves of node 1 */
/*
 * Not as much as hp has by then, and more than the 35 MiB that were seen on the lists of the CPUs.
 * What is freed goes there first, where the kernel's test for room does not count it, and it goes
 * on to kill: so it may with a victim that fits there (play_on_lists()).
 */
#define NODE_LP_MIB 72
#define LISTS_LP_MIB 32
#define NODE_AFTER_MIB 8

static struct kills_count with_oomx, alone, *on_lists;

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
	worker_wait_ready(cast_add(&kills_cast, &ballast, false));
}

/*
 * Node 1 is short, node 0 is not: the one with memory there only is no candidate, cheap as it is.
 * false, with a complaint: there was no OOM, or it does not end.
 */
static bool starve_node(bool cpuset, struct worker_spec *lp, struct worker **ret_lp)
{
	struct worker_growth g = { .threads = 1, .until_kill = true, .after_mib = NODE_AFTER_MIB };
	struct worker_spec out = kills_spec("out", OUT, LP_MIB);
	struct worker_spec hp = kills_spec("hp", HP, 0);
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
	cast_add(&kills_cast, &out, false);
	*ret_lp = cast_add(&kills_cast, lp, true);
	trigger = cast_add(&kills_cast, &hp, false);
	cast_ready(&kills_cast);
	g.mib = (unsigned int)proc_mem_mib("MemTotal");
	return cast_starve(&kills_cast, trigger, &g);
}

static void leave_node(bool cpuset)
{
	cast_close(&kills_cast);
	if (cpuset) {
		cgroup_set(TOP, "cpuset.mems", "");
		cgroup_set(OUT, "cpuset.mems", "");
	}
	cgroup_set_mib(TOP, "memory.max", LIMIT_MIB);
}

/* The kernel's totalpages are those of node 1 then, and so must ours be. */
static void play_node(bool cpuset)
{
	struct worker_spec lp = kills_spec("lp", LP, NODE_LP_MIB);
	int64_t differ = daemon_counter("counters.totals_differ");
	struct worker *victim;

	if (starve_node(cpuset, &lp, &victim))
		cast_expect_dead(&kills_cast);
	if (daemon_counter("counters.totals_differ") != differ)
		suite_fail("totalpages was not the kernel's");
	leave_node(cpuset);
}

void kills_cpuset(void)
{
	play_node(true);
}

void kills_mempolicy(void)
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
	struct worker_spec lp = kills_spec("lp", LP, LISTS_LP_MIB);
	struct worker *victim;

	lp.adj = lp_adj;
	if (starve_node(false, &lp, &victim)) {
		on_lists->runs++;
		if (kmsg_kills(NULL) == 1)
			cast_expect_dead(&kills_cast);
		else
			expect_room_on_lists(worker_pid(victim));
	}
	leave_node(false);
}

void kills_lists(void)
{
	on_lists = &with_oomx;
	play_on_lists(0);
}

/* lp is the kernel's own choice. */
void kills_lists_alone(void)
{
	on_lists = &alone;
	play_on_lists(1000);
}

void kills_compare_lists(void)
{
	kills_compare("lists", &with_oomx, &alone);
}
