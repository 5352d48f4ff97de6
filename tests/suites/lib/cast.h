/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cast.h - an OOM with any number of players: who is there, who grows, and who was meant to die.
 * What scene.h does for three of them in one plot.
 */
#ifndef SUITE_CAST_H
#define SUITE_CAST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/proc.h"
#include "lib/worker.h"

#define CAST_MAX 40

struct cast {
	unsigned int n;
	struct worker *players[CAST_MAX];
	bool meant[CAST_MAX]; /* to be killed */
	struct worker *trigger;
	bool kernels_own; /* by right: oomx has nothing to say about it */
	pid_t dismissed;
	struct proc_census before;
	int64_t vmstat_before;
};

void cast_open(struct cast *c); /* nobody yet */

/* Starts one, and returns before it is ready. */
struct worker *cast_add(struct cast *c, const struct worker_spec *spec, bool meant);

/* Waits until all are ready, and forgets what was logged and told so far. */
void cast_ready(struct cast *c);

/*
 * Has the trigger grow, and waits until it has what it wants or is dead, and everybody logged as
 * killed is gone. false, with a complaint: it never was. cast_await() is the second half alone,
 * with no trigger where the shortage has another cause: it waits for the first death.
 */
bool cast_starve(struct cast *c, struct worker *trigger, const struct worker_growth *g);
bool cast_await(struct cast *c);

/*
 * Complains unless those meant are dead, all the others alive (the trigger having what it wanted),
 * the kernel log knows no other victim, and everybody else is there with his oom_score_adj as it
 * was. With a daemon running, each of the dead is told once, and nobody else: as oomx's choice, or
 * as the kernel's own together with the reason why oomx stood back; or, kernels_own, without one.
 */
void cast_expect_dead(struct cast *c);

void cast_dismiss_last(struct cast *c); /* ends the one added last, who no longer counts */
void cast_close(struct cast *c); /* ends all of them */

#endif
