/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* daemon.h - the one oomx of a machine: its lock, and undoing what one has left behind. */
#ifndef OX_DAEMON_H
#define OX_DAEMON_H

#include <sys/types.h>

/*
 * Makes OX_RUN_DIR and takes the lock, writing our process id into it. The fd to hold; -EBUSY:
 * another has it, *ret_other is its process id (0: unknown); other -errno.
 */
int ox_daemon_lock(pid_t *ret_other);

/* The process id of the oomx that holds the lock; 0: none; -errno. */
pid_t ox_daemon_pid(void);

/*
 * Takes back what a dead oomx, of this version or another, has left: raised oom_score_adj, pinned
 * maps and links, its socket. Call only with the lock held or nobody holding it. Logs what fails.
 * 0: done, or there was nothing; *ret_found says whether there was. Else -errno of the last.
 */
int ox_daemon_undo(int *ret_found);

#endif
