/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* priority.h - priorities of cgroups, in the map "oomx_prio". */
#ifndef OX_PRIORITY_H
#define OX_PRIORITY_H

/* Is there such a cgroup? Takes what ox_cgroup_id() takes. Logs. 0; -ENOENT; other -errno. */
int ox_priority_check(const char *cgroup);

/*
 * Gives the cgroup, and all below it without one of its own, the priority. Logs. 0; -ERANGE: not
 * within OOMX_PRIO_MIN..OOMX_PRIO_MAX; -ENOENT: no such cgroup; other -errno.
 */
int ox_priority_set(int map_fd, const char *cgroup, int prio);

#endif
