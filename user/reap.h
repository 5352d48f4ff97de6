/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reap.h - after the kill: takes the memory of victims that are slow to give it back, and tells
 * the kernel's log of kills that are not in it.
 */
#ifndef OX_REAP_H
#define OX_REAP_H

#include <stddef.h>
#include <linux/types.h>

#define OX_REAP_MAX 64 /* victims waited for; of more, the oldest are no longer looked after */

/*
 * process_mrelease() waits for the victim's mmap_lock, which it may keep as long as it likes:
 * a thread of its own makes the call, for one victim after the other.
 */
struct ox_reap {
	int timer; /* readable when one is overdue: call ox_reap_work(); off while there is none */
	int channel; /* to that thread, readable when it has released one: call ox_reap_tell() */
	unsigned int n;
	struct ox_reap_victim {
		__u64 start_ns;
		__u64 due_ns; /* CLOCK_MONOTONIC */
		__u32 pid;
	} victims[OX_REAP_MAX];
};

/* 0 or -errno, logged. */
int ox_reap_start(struct ox_reap *r);

/* Looks at one event record: victims begin with a kill and end with their `freed`. */
void ox_reap_record(struct ox_reap *r, const void *rec, size_t size);

/* Hands those that are overdue to the thread. */
void ox_reap_work(struct ox_reap *r);

/* Logs whose memory it has released. */
void ox_reap_tell(const struct ox_reap *r);

/* Does not wait for the thread, which ends when it can, and with the process at the latest. */
void ox_reap_done(struct ox_reap *r);

#endif
