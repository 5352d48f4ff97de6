// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * rivals.c - processes with an oom_score_adj of 1000 that are larger than the policy's choice: the
 * kernel would take each of them, whatever the choice is raised to. Up to eight are lowered for the
 * time of the OOM; of more, oomx says so, and the kernel's own choice stands.
 */
#include <string.h>

#include "kills/kills.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/suite.h"

#define ALL_MIB 200 /* memory.max: too little for all, by less than any of them has */
#define CHOICE_MIB 14
#define RIVAL_MIB 16
#define LARGEST_MIB 18
#define GROWN_MIB 43 /* beside nine */
#define AT_ONCE 8 /* OX_RIVALS (bpf/include/oomx/rank.bpf.h) */

static void play(unsigned int n)
{
	const struct worker_growth g = {
		.mib = GROWN_MIB + (AT_ONCE + 1 - n) * RIVAL_MIB,
		.threads = 1,
	};
	bool outscored = n > AT_ONCE && !strcmp(daemon_hook(), "nominate");
	int64_t demoted = daemon_counter("counters.demoted");
	struct worker_spec spec;
	const struct event *why;
	struct worker *hp;
	unsigned int i;

	cgroup_set_mib(TOP, "memory.max", ALL_MIB);
	kills_add("lp", LP, CHOICE_MIB, !outscored);
	for (i = 0; i < n; i++) {
		spec = kills_spec("rival", H2, i ? RIVAL_MIB : LARGEST_MIB);
		spec.adj = 1000;
		cast_add(&kills_cast, &spec, outscored && !i);
	}
	hp = kills_add("hp", HP, 0, false);
	cast_ready(&kills_cast);
	if (cast_starve(&kills_cast, hp, &g))
		cast_expect_dead(&kills_cast);
	why = daemon_find(OOMX_REC_ABSTAIN, 0, 0);
	if (outscored && (!why || strcmp(why->reason, "outscored")))
		suite_fail("expected \"abstain\": outscored, got %s", why ? why->reason : "none");
	demoted = daemon_counter("counters.demoted") - demoted;
	if (outscored ? demoted != 0 : !strcmp(daemon_hook(), "nominate") && demoted < n)
		suite_fail("%lld of %u rivals were lowered", (long long)demoted, n);
}

void kills_rivals_eight(void)
{
	play(AT_ONCE);
}

void kills_rivals_nine(void)
{
	play(AT_ONCE + 1);
}
