/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* priority.h - priorities of cgroups, in the map "oomx_prio". */
#ifndef OX_PRIORITY_H
#define OX_PRIORITY_H

#include <limits.h>
#include <linux/types.h>
#include <oomx/abi.h>

/* Is there such a cgroup? Takes what ox_cgroup_id() takes. Logs. 0; -ENOENT; other -errno. */
int ox_priority_check(const char *cgroup);

/*
 * Gives the cgroup, and all below it without one of its own, the priority. Logs. 0; -ERANGE: not
 * within OOMX_PRIO_MIN..OOMX_PRIO_MAX; -ENOENT: no such cgroup; other -errno.
 */
int ox_priority_set(int map_fd, const char *cgroup, int prio);

/* Writes an entry; makes room if there is none. 0 or -errno. */
int ox_priority_put(int map_fd, __u64 id, const struct oomx_prio *p);

/*
 * What the kernel side would find for the cgroup ("/a/b"): its own entry or its nearest ancestor's,
 * *ret_from, "" if there is none; *ret is the default then. 0; -ENOENT: no such cgroup.
 */
int ox_priority_find(int map_fd, const char *cgroup, char ret_from[PATH_MAX],
		     struct oomx_prio *ret);

#endif
