/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rules_live.h - rules in force: every cgroup that a rule matches has what it says in the map
 * "oomx_prio", those there are and, within milliseconds, those to come. Until then a new cgroup
 * has what its nearest ancestor has, since the kernel side looks that up.
 *
 * Entries that were made by hand (`oomx priority`, --priority) are left as they are.
 */
#ifndef OX_RULES_LIVE_H
#define OX_RULES_LIVE_H

#include "engine.h"
#include "rules.h"

struct ox_live;

/*
 * Reads the rules at `path` (NULL: OX_RULES_DIR, which need not be there). Logs. 0; -EILSEQ: they
 * have mistakes; -ENXIO: there are none at the path given; other -errno.
 */
int ox_live_new(const char *path, struct ox_live **ret);

/*
 * Puts them in force with the engine's maps, which must be loaded. From before that on,
 * ox_live_told() has to be called for cgroups that come and go. 0 or -errno, logged.
 */
int ox_live_start(struct ox_live *l, struct ox_engine *e);

/*
 * Some thousand cgroups take a while to look at: after each of them, `between` is called and does
 * what can't wait. Of the functions here, it may call ox_live_told().
 */
void ox_live_between(struct ox_live *l, void (*between)(void *ctx), void *ctx);

/* As containers.h calls it, ctx being the struct ox_live. */
void ox_live_told(void *ctx, __u64 id, const char *path, bool gone);

/* Readable when there is work. */
int ox_live_fd(const struct ox_live *l);
void ox_live_work(struct ox_live *l);

/* Reads the files anew. With a mistake in them, the old rules stay in force, and that is logged. */
void ox_live_reload(struct ox_live *l);

/* The entries of the map may have been changed by others: puts the rules' back. */
void ox_live_reapply(struct ox_live *l);

/*
 * Puts every memory.oom.group and oom_score_adj back: before the end, unless another oomx has taken
 * over.
 */
void ox_live_undo(struct ox_live *l);

/* Takes back what rules of another oomx, that was taken over from, have set: for --no-rules. */
void ox_live_forget(const struct ox_engine *e);

/* NULL is fine. What is in the maps stays there. */
void ox_live_free(struct ox_live *l);

#endif
