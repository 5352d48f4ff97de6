/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cases.h - what suite_rules is made of: its stage, and the cases that have files of their own. */
#ifndef SUITE_RULES_H
#define SUITE_RULES_H

#include <stdbool.h>

#include "lib/cast.h"
#include "lib/ruled.h"

#define RULES_FILE "/tmp/oomx-rules/oomx.yaml"
#define RULES_TOP "/r" /* has a limit of 96 MiB, and is made anew for each case */

struct rules_case {
	const char *name;
	void (*play)(void);
	bool alone; /* with an oomx of its own: it is about how one starts or ends */
};

extern struct cast rules_cast; /* empty at the beginning of a case */

/* oomx, with RULES_FILE as it is now. One that is left from the case before will do. */
void rules_start(const char *policy);

/* Another one, with these rules, or none (NULL), takes over from it. */
void rules_replace(const char *file);

/* Named as the cgroup's last part. */
struct worker *rules_add(const char *cgroup, unsigned int mib, bool meant);

/* Everybody is there; one grows, and those meant die. */
void rules_starve(struct worker *trigger, unsigned int mib);

/* The one who died was told with this rule. */
void rules_expect_told(const char *rule);

/* Up to NULL. The second one ends the cast before. */
void rules_make_all(const char *const cgroups[]);
void rules_remove_all(const char *const cgroups[]);

void rules_play_shipped(void);
void rules_play_most(void);
void rules_play_shield(void);
void rules_play_shield_crash(void);
void rules_play_shield_replace(void);
void rules_play_preference(void);
void rules_play_reclaim(void);
void rules_play_reclaim_global(void);

#endif
