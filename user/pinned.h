/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pinned.h - sets of programs that need no process of ours to decide: their links are pinned, so
 * they go on when the daemon is killed, until another oomx takes over or `oomx stop`.
 *
 * A set is a directory OX_LINKS_DIR/GENERATION, complete from the moment it has that name. The one
 * whose generation has the turn (struct oomx_turn) is in force; others are dormant.
 */
#ifndef OX_PINNED_H
#define OX_PINNED_H

#include <oomx/abi.h>

#include "engine.h"

struct ox_pinned {
	__u32 generation;
	struct oomx_config config; /* with its texts ended */
	struct oomx_stats stats;
};

/*
 * The set in force, whether or not its daemon lives. 1: there is one, *ret. 0: none. -EPROTO: one
 * of another ABI, and of *ret only config.abi is valid. -EACCES: only root can see. Other -errno.
 */
int ox_pinned_find(struct ox_pinned *ret);

/* A policy is loaded: its daemon runs, or was killed and left it in force. */
bool ox_pinned_or_running(void);

/* fd of a map of that set, such as one of its rings; the caller's to close; -errno. */
int ox_pinned_map(const struct ox_pinned *p, const char *map);

/*
 * Pins the engine's links, of which all are attached, and what others may want of its maps, unless
 * that is done; to be taken away by ox_pinned_remove(). Logs. 0 or -errno: then none is pinned.
 */
int ox_pinned_add(const struct ox_engine *e);

/*
 * One set's pins. When nobody else holds its links, its programs are detached on return, the one
 * that the kernel module asks before the others. What fails is logged.
 */
void ox_pinned_remove(__u32 generation);

/* Those of all other sets, incomplete ones too; 0: of all. */
void ox_pinned_remove_others(__u32 generation);

/* The highest generation that has, or may have, something pinned; 0: none. */
__u32 ox_pinned_highest(void);

/* The one value of the array map pinned at OX_PIN_DIR/name, up to `size` bytes. 0 or -errno. */
int ox_pinned_value(const char *name, void *buf, size_t size);

#endif
