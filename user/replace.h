/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * replace.h - one oomx takes over from another without an OOM in between that nobody, or both,
 * decide: the new set of programs is attached beside the old, one word is flipped, the old one is
 * told to end. One that was killed, and whose programs go on deciding (pinned.h), is taken over
 * from in the same way.
 */
#ifndef OX_REPLACE_H
#define OX_REPLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "engine.h"
#include "pinned.h"

/*
 * The process to take over from, *ret_pid; 0: none is running, start as usual. -EPROTO, logged:
 * it has another ABI, and stays in force. Other -errno, logged.
 */
int ox_replace_find(pid_t *ret_pid);

/*
 * Takes the turn, lets an OOM that is under way come to its end, ends the other process and waits
 * for that, then takes the lock. *ret_lock: as of ox_daemon_lock(). Logs. 0 or -errno.
 */
int ox_replace_finish(struct ox_engine *e, pid_t pid, int *ret_lock);

/* What is in force is what this oomx would load, of the same build, with the same policy. */
bool ox_replace_continues(const struct oomx_config *in_force, const struct ox_policy *policy);

/*
 * What a killed oomx left in force, with the lock held. 1: *ret is to be taken over from. 0: none.
 * -EBUSY, logged: it is another build's, or another policy, and `asked` (by --replace) is false; it
 * stays in force. -EPROTO, logged: the same for another ABI, asked or not. Other -errno, logged.
 */
int ox_replace_find_killed(const struct ox_policy *policy, bool asked, struct ox_pinned *ret);

/*
 * Pins the engine's maps in the place of the killed one's, takes the turn, and lets an OOM that is
 * under way come to its end. Logs. 0 or -errno: then the other one is in force as before.
 */
int ox_replace_killed(struct ox_engine *e);

#endif
