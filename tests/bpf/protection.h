/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* protection.h - what protection.bpf.c tells suite_parity about memory.min and memory.low. */
#ifndef TESTS_PROTECTION_H
#define TESTS_PROTECTION_H

#include <linux/types.h>

/* In the map "protection_seen": a cgroup, and the one that reclaim is for. */
struct protection_key {
	__u64 cgroup_id;
	__u64 target_id;
};

/* Thousandths of its usage that are protected, at the last of several times. */
struct protection_rec {
	__u32 kernel; /* what it has just worked out */
	__u32 ours;   /* ours at the same instant */
	__u32 alone;  /* were its own settings all that counts */
	__u32 seen;   /* times so far */
};

#endif
