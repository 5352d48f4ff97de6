/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * procs_live.h - rules about processes, in force: map "oomx_procs" has what they say of those that
 * have something else than their cgroup. Children have what their parent has from the beginning;
 * after exec, a change of name, user or cgroup a process is looked at within milliseconds. So is
 * one that gives itself oom_score_adj -1000, which a rule may not let it (shields.h).
 */
#ifndef OX_PROCS_LIVE_H
#define OX_PROCS_LIVE_H

#include "engine.h"
#include "rules.h"

struct ox_procs;

/* Follows processes from here on. Logs. 0 or -errno. */
int ox_procs_new(struct ox_engine *e, struct ox_procs **ret);

/*
 * Puts these rules in force for all processes. They are used from then on, and have to stay until
 * others are. `load`: the upper part of their numbers. 0 or -errno, logged.
 */
int ox_procs_apply(struct ox_procs *p, const struct ox_rules *rules, __u32 load);

/* Readable when there is work. */
int ox_procs_fd(const struct ox_procs *p);
void ox_procs_work(struct ox_procs *p);

/* Some may have become another rule's without an event of their own: looks at all of them. */
void ox_procs_look_again(struct ox_procs *p);

/* NULL is fine. What is in the map stays there. */
void ox_procs_free(struct ox_procs *p);

#endif
