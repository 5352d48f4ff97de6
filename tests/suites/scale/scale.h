/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* scale.h - the tree of cgroups and its rules, which all parts of the suite know. */
#ifndef SUITE_SCALE_H
#define SUITE_SCALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include <oomx/abi.h>

#include "lib/cgroup.h"

#define SCALE_TOP "/scale"
#define SCALE_DIR "/tmp/oomx-scale"
#define SCALE_FILE SCALE_DIR "/oomx.yaml"
#define SCALE_PARENTS 100 /* each with two rules: its own, and one for most of those below it */
#define SCALE_RULES (2 * SCALE_PARENTS)
#define SCALE_ALL_MS 600000 /* for something that is done for every cgroup */

struct scale {
	unsigned int n;	   /* cgroups, parents included */
	unsigned int each; /* of them below a parent */
	unsigned int own;  /* of these with a rule of their own */
	__u64 *ids;	   /* parent after parent, each followed by what is below it */
	unsigned int turn; /* the rules' priorities are of this one: 0 or 1 */
	size_t before;	   /* entries without any of ours */
	int prio_map, config_map;
};
extern struct scale scale;

/* Parent i itself (k is 0), or a cgroup below: the first `own` have a rule of their own. */
void scale_path(unsigned int i, unsigned int k, char path[CGROUP_PATH_LEN]);
bool scale_has_own(unsigned int k);

/* What the rules give a parent, or who is below it with a rule of its own. */
__s32 scale_wanted(unsigned int i, bool parent);

/* Those of this turn, from now on. */
void scale_write_rules(unsigned int turn);

/* mkdir, and nothing else; returns how long that took. Fatal where it fails. */
uint64_t scale_make(const char *cgroup, __u64 *ret_id);

/* rmdir of a cgroup of the tree; fatal where it fails. */
void scale_remove(unsigned int i, unsigned int k);

/* What a cgroup has of its own in oomx's map; false: nothing. */
bool scale_entry(__u64 id, struct oomx_prio *ret);
bool scale_is(__u64 id, __s32 priority);
size_t scale_entries(void);
void scale_expect_entries(size_t n); /* sooner or later */

/* Waits until each of them that has a rule of its own has that rule's priority; else fatal. */
void scale_wait_for_all(void);
/* Each has what the rules say, and nobody else anything. */
void scale_expect_all(void);

void scale_play_inherit(unsigned int run);

#endif
