/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bench.h - what bench.bpf.c tells suite_bench.c of each OOM. Map "bench", one entry, mapped. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <linux/types.h>

struct bench {
	__u32 rank_first; /* in: we choose before the kernel does, else after */
	__u32 seq;	  /* out: OOMs that came to a choice; written last */
	__u64 enter_ns;
	__u64 kernel_ns; /* from out_of_memory() to oom_kill_process(): the kernel's choice */
	__u64 rank_ns;	 /* our choice, of the same processes, in the same OOM */
	__u32 kernel_pid;
	__u32 rank_pid;
	__u32 n_tasks;
	__u32 n_offered;
	__u32 done; /* our walk came to its end */
	__u32 _pad;
};

#endif
