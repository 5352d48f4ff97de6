// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* global.c - the whole machine is short of more than the first cheap one has. */
#include "kills/kills.h"
#include "lib/ballast.h"
#include "lib/cgroup.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define GLOBAL_FREE_MIB 224 /* what the ballast leaves */
#define GLOBAL_CHEAP_MIB 80
#define GLOBAL_H2_MIB 32
/*
 * That hp needs after the first kill: more than one of them has, and less than two have, by more
 * than what may lie on the lists of CPUs then (31 MiB were seen): no look for room counts it, and
 * the first death may bring it back.
 */
#define GLOBAL_AFTER_MIB 120

/* The second has to go, too, and hp stays. */
void kills_shortfall_global(void)
{
	struct worker_growth g = { .threads = 1, .until_kill = true,
				   .after_mib = GLOBAL_AFTER_MIB };
	struct worker *ballast, *hp;
	const struct kmsg_kill *k;
	unsigned int i, n;

	cgroup_set(TOP, "memory.max", "max");
	ballast = ballast_start(GLOBAL_FREE_MIB);
	kills_add("lp", LP, GLOBAL_CHEAP_MIB, true);
	kills_add("lp", LP, GLOBAL_CHEAP_MIB, true);
	kills_add("h2", H2, GLOBAL_H2_MIB, false);
	hp = kills_add("hp", HP, 0, false);
	cast_ready(&kills_cast);
	proc_drop_caches();
	g.mib = (unsigned int)proc_mem_mib("MemTotal");
	if (cast_starve(&kills_cast, hp, &g))
		kills_expect_dead();
	n = kmsg_kills(&k);
	for (i = 0; i < n; i++) {
		if (k[i].memcg)
			suite_fail("expected OOMs of the machine, not of a memory cgroup");
	}
	worker_end(ballast);
}
