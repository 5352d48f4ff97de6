/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * scene.h - the OOM that tells a choice from the kernel's: "lp" is expendable, "hp" is the largest
 * and what the kernel would kill, "h2" stands by. hp grows until memory is short; if lp dies, hp
 * gets all it wants.
 */
#ifndef SUITE_SCENE_H
#define SUITE_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/proc.h"
#include "lib/worker.h"

#define SCENE_CGROUP "/t"
#define SCENE_LIMIT_MIB 128 /* its memory.max, but for global OOMs */
#define SCENE_LP SCENE_CGROUP "/lp"
#define SCENE_H2 SCENE_CGROUP "/h2"
#define SCENE_HP SCENE_CGROUP "/hp"

struct scene {
	bool global;
	unsigned int triggers;

	/* may be set between scene_open() and scene_play(); 0: as usual */
	struct worker_spec h2_spec; /* its adj, uid, adj_keeps_min and anon_kib */
	unsigned int hp_mib;
	bool lp_pgtables; /* what lp has is page tables */
	unsigned int lp_sharers; /* processes that share lp's memory */
	int lp_adj;
	bool oomx_ends;	       /* oomx itself may end meanwhile, and is no bystander */
	void (*meanwhile)(void); /* called once hp grows, which does not wait for it */

	struct worker *lp, *h2, *hp;
	struct worker *ballast;	   /* global: most of the memory, never a candidate */
	struct proc_census before; /* everybody, right before the OOM */
	int64_t oom_kill_before, vmstat_before;
};

/* Cgroups; kept over all runs, since a cgroup made anew is another one. */
void scene_open(struct scene *s, bool global, unsigned int triggers);
/* The following OOMs are the machine's, or the memcg's; between two plays. */
void scene_set_global(struct scene *s, bool global);
void scene_close(struct scene *s);

/*
 * Starts the three, lets hp grow and waits until it has what it wants or is dead, and whoever
 * dies is gone. false, with a complaint: neither happened.
 */
bool scene_play(struct scene *s);
void scene_clear(struct scene *s);

/*
 * Complains unless `victim` alone was killed, by all witnesses: wait status, kernel log,
 * memory.events, /proc/vmstat. The census is for the caller: oomx restores values after the kill.
 */
void scene_expect_victim(struct scene *s, struct worker *victim);

/* Complains unless everybody not logged as killed is there, oom_score_adj as before. */
void scene_expect_others_unchanged(struct scene *s);

#endif
