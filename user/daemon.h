/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* daemon.h - the one oomx of a machine: its lock, and undoing what one has left behind. */
#ifndef OX_DAEMON_H
#define OX_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Makes OX_RUN_DIR and takes the lock, writing our process id into it. The fd to hold; -EBUSY:
 * another has it, *ret_other is its process id (0: unknown); other -errno.
 */
int ox_daemon_lock(pid_t *ret_other);

/*
 * The same, but waits for those who have the lock for a short time only. `to_undo`: we are not to
 * be found as the one that is running, and write no process id.
 */
int ox_daemon_wait_lock(bool to_undo, pid_t *ret_other);

/*
 * The process id of the oomx that holds the lock; 0: none; -EACCES: there may be one, only root can
 * tell; other -errno.
 */
pid_t ox_daemon_pid(void);

/*
 * Takes back what a dead oomx, of this version or another, has left: raised oom_score_adj, pinned
 * maps and links, its socket. Call only with the lock held: one that starts meanwhile waits. Logs
 * what fails.
 * 0: done, or there was nothing; *ret_found says whether there was. Else -errno of the last.
 */
int ox_daemon_undo(int *ret_found);

#endif
