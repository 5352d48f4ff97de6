/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * oom_group.h - memory.oom.group of cgroups as rules want it (`kill: group`, `kill: task`), written
 * before there is any need, and put back when no rule wants it any more. What it was is kept in
 * the pinned map "oomx_groups", which outlives a crash.
 */
#ifndef OX_OOM_GROUP_H
#define OX_OOM_GROUP_H

#include <stdbool.h>
#include <linux/types.h>

/*
 * Sets it for the cgroup. `load`: the reading of the rules that wants it. 0; -ENOENT: it has no
 * such file (its parent does not hand on the memory controller, or not yet); -ESRCH: no such
 * cgroup; other -errno.
 */
int ox_oom_group_set(int map, __u64 id, bool group, __u32 load);

/* Puts back what other readings of the rules than this one wanted. */
void ox_oom_group_sweep(int map, __u32 load);

/* Puts all back. The number of those that could not be. */
unsigned int ox_oom_group_restore(int map);

#endif
