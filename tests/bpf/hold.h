/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* hold.h - what a suite and tests/bpf/hold.bpf.c share, in memory: map "hold". */
#ifndef TESTS_HOLD_H
#define TESTS_HOLD_H

#include <linux/types.h>

#define HOLD_KILL 0 /* in front of oom_lock, for a kill in its memcg */
#define HOLD_FORK 1 /* in fork(), the child having its oom_score_adj from its parent already */
#define HOLD_LOOK 2 /* in the kernel's choice of a victim, before it has looked at anybody */
#define HOLD_FREE 3 /* in exit_mmap(), MMF_OOM_SKIP being set and the pages not given back */
#define HOLD_SCAN 4 /* in a memcg's OOM, before the kernel has looked at anybody */
#define HOLD_UNMAP 5 /* in exit_mmap(), before its memory is unmapped */
#define HOLD_EXIT 6 /* in do_exit(), before it gives up its memory */
#define HOLD_OOM 7 /* in out_of_memory(), oom_lock being held; before oomx if attached after it */
#define HOLDS 8 /* a power of two, for the verifier */

/* One way to be held. A thread's comm has to be this one. */
struct hold_at {
	char comm[16];
	__u64 for_ns; /* by the suite: it goes on after so long by itself; 0: not */
	__u32 after; /* by the suite: HOLD_* plus 1; not before somebody is there; 0: at once */
	__u32 until; /* by the suite: HOLD_* plus 1; it goes on once somebody is; 0: not */
	__u32 armed; /* by the suite: whoever comes next; reset by that */
	__u32 held;  /* by the program: it is there */
	__u32 go;    /* by the suite: it may go on */
	__u32 gave_up; /* by the program: it went on after HOLD_MAX_NS */
};

struct hold {
	struct hold_at at[HOLDS];
	__u32 inherited; /* processes forked with an oom_score_adj of OOMX_ADJ_RAISED */
};

/* A CPU that is held for 20 s is a lockup to the kernel's watchdog. */
#define HOLD_MAX_NS 15000000000ULL

#endif
