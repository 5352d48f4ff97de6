/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* latency.h - what latency.bpf.c tells suite_latency.c of one OOM. Map "latency", one entry, mapped. */
#ifndef TESTS_LATENCY_H
#define TESTS_LATENCY_H

#include <linux/types.h>

/* Nanoseconds from the failed allocation (the last of that thread's before the kill); 0: not yet */
struct latency {
	__u64 failed_at; /* CLOCK_MONOTONIC */
	__u64 signal_ns; /* SIGKILL was being sent */
	__u64 room_ns;	 /* the domain was seen to have room: by the reaper, or with the mm gone */
	__u64 gone_ns;	 /* exit_mmap() had freed the victim's memory */
	__u64 mm;
	__u64 css;
	__u64 zones;
	__s32 order;
	__u32 killer; /* thread id */
	__u32 victim;
	__u32 kills;
};

#endif
