/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * responder.h - the process that raises oom_score_adj when the kernel side asks for it, within
 * milliseconds, while the machine is out of memory.
 *
 * It is a process of its own, started anew from the binary: it must share its memory with nothing
 * that forks (a page copied on write would have to be allocated, in the middle of the OOM). Its
 * memory is locked, it runs in real time, it never allocates once it is ready; what the kernel
 * allocates on its behalf may come from a reserve that it gives back first (reserve.h). Two threads
 * of it do the same on different CPUs: one of them can always run. It has given up
 * CAP_SYS_RESOURCE: with it, writing oom_score_adj would also move oom_score_adj_min, and the
 * process's owner could not lower the value any more.
 */
#ifndef OX_RESPONDER_H
#define OX_RESPONDER_H

#include <sys/types.h>

#include "engine.h"

struct ox_responder {
	pid_t pid;
	int pidfd; /* readable when it has died */
	int control; /* closing it makes the responder restore everything and end */
};

/*
 * Starts it and waits until it is ready. The demoter is a second one that has kept
 * CAP_SYS_RESOURCE, and lowers those rivals of a nominee that take it. Logs. 0 or -errno; nothing
 * is left on failure.
 */
int ox_responder_start(struct ox_responder *r, const struct ox_engine *e, bool demoter);

/* Has it restore everything, waits for its end, then restores what it may have left. */
void ox_responder_stop(struct ox_responder *r, const struct ox_engine *e);

/* `oomx responder`: what the started process runs; not for people. */
int ox_cmd_responder(int argc, char **argv);

#endif
