/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * containers.h - event records get the names of the containers they are about.
 *
 * The kernel tells of every cgroup that is made or removed; idcache.h remembers. All of it happens
 * in the thread that hands out events: no OOM waits for it.
 */
#ifndef OX_CONTAINERS_H
#define OX_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct ox_containers;

/*
 * Looks at all cgroups there are and watches those to come. Where the kernel does not tell of
 * them that is logged, and names are looked up when an event asks. 0 or -errno, logged.
 */
int ox_containers_new(struct ox_containers **ret);
/* NULL is fine. */
void ox_containers_free(struct ox_containers *c);

/*
 * Who else is told of cgroups, by the same source: called for each that is made or gone, from
 * within the other functions. id 0: some could not be told, all have to be looked at. False: the
 * kernel does not tell.
 */
typedef void (*ox_cgroup_told_fn)(void *ctx, __u64 id, const char *path, bool gone);
bool ox_containers_tell(struct ox_containers *c, ox_cgroup_told_fn told, void *ctx);

/* Readable when ox_containers_work() has something to do; owned by `c`. */
int ox_containers_fd(const struct ox_containers *c);
void ox_containers_work(struct ox_containers *c);

/*
 * The record as a message with what is known of the containers in it: attach.h. *size is that of
 * the record and becomes that of the message. Valid until the next call.
 */
const void *ox_containers_attach(struct ox_containers *c, const void *rec, size_t *size);

#endif
