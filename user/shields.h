/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * shields.h - programs that have given themselves oom_score_adj -1000, and a rule that does not let
 * them (`unshield`): the value is rewritten long before any OOM, and put back afterwards. What was
 * there is remembered in the map "oomx_shields", for children, too, which the probe "shields" adds.
 *
 * oom_score_adj_min stays as it is: the process may go on setting what it could set before.
 */
#ifndef OX_SHIELDS_H
#define OX_SHIELDS_H

#include <stdbool.h>

#include "engine.h"

struct ox_shields;

/* The engine's map, and what follows forks, pinned. Logs. 0 or -errno. */
int ox_shields_new(const struct ox_engine *e, struct ox_shields **ret);

/* Is its value -1000, or has been until we rewrote it? Never of init, nor of oomx itself. */
bool ox_shields_concern(const struct ox_shields *s, __u32 pid, __u64 start_ns);

/*
 * Rewrites -1000, and what was written in its place before, to `adj`; any other value is its
 * owner's and stays. `load` is the reading of the rules that wants it. 0; -ESRCH: it is gone;
 * -EACCES, -EPERM: not permitted, nothing is remembered then; other -errno.
 */
int ox_shields_take(struct ox_shields *s, __u32 pid, __u64 start_ns, int adj, __u32 load);

/* No rule is about it any more: puts its value back, if it was rewritten. Errors as above. */
int ox_shields_give_back(struct ox_shields *s, __u32 pid);

/*
 * These two need no struct ox_shields: who has no rule that unshields may have taken over from
 * another oomx that had, or may undo what a dead one has left. map, raised: fds of "oomx_shields"
 * and "oomx_raised"; of the latter, negative: there is none.
 */

/* Puts back whatever another reading of the rules has rewritten. */
void ox_shields_sweep(int map, int raised, __u32 load);

/* All of them, before the end. The number of those that could not be put back. */
unsigned int ox_shields_restore(int map, int raised);

/* Takes away what follows forks for other oomx, which have been taken over from. */
void ox_shields_unpin_others(void);

/* Detaches. NULL is fine. */
void ox_shields_free(struct ox_shields *s);

#endif
