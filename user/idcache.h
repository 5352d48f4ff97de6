/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * idcache.h - whose cgroups are and were: looked up when they are made, kept when they are gone.
 *
 * A container's runtime forgets it as soon as it ends, and a kill often is the end. So each
 * container is remembered, and the last OX_IDCACHE_GONE of those that are gone. Some runtimes write
 * down a container only after its cgroup is made: those are looked up again, a few times.
 *
 * Bounded: OX_IDCACHE_LIVE containers at once, and some 600 bytes for each; with more, the oldest
 * are looked up only when asked for. Not thread-safe.
 */
#ifndef OX_IDCACHE_H
#define OX_IDCACHE_H

#include <linux/types.h>

#include "identity.h"

#define OX_IDCACHE_LIVE 16384
#define OX_IDCACHE_GONE 1024
#define OX_IDCACHE_RETRIES 8 /* in one call: new cgroups come in between */

struct ox_idcache;

struct ox_idcache_stats {
	__u32 live;    /* containers that are there */
	__u32 gone;    /* and that were */
	__u32 waiting; /* of the first, those to be looked up again */
};

/* `root`: what ox_identity_resolve_at() is given, kept by the caller. 0 or -ENOMEM. */
int ox_idcache_new(const char *root, struct ox_idcache **ret);
/* NULL is fine. */
void ox_idcache_free(struct ox_idcache *c);

/*
 * A cgroup is there: new, or found at the start. `now_ns` is of any clock that does not go back.
 * Without memory it is looked up when asked for.
 */
void ox_idcache_made(struct ox_idcache *c, const char *cgroup, __u64 now_ns);
void ox_idcache_gone(struct ox_idcache *c, const char *cgroup);

/*
 * When ox_idcache_retry() has something to do, 0: never. It takes no more than OX_IDCACHE_RETRIES
 * at once; what is left is due still.
 */
__u64 ox_idcache_due(const struct ox_idcache *c);
void ox_idcache_retry(struct ox_idcache *c, __u64 now_ns);

/*
 * The container that a cgroup is, or is in, or was; also a pod. Without labels. Valid until
 * the next call of any function here. NULL: neither, or no memory.
 */
const struct ox_identity *ox_idcache_get(struct ox_idcache *c, const char *cgroup);

void ox_idcache_stats(const struct ox_idcache *c, struct ox_idcache_stats *ret);

#endif
