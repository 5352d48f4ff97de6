/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cost.h - what cost.bpf.c tells of the last OOM that killed. Map "cost", one entry, mapped. */
#ifndef TESTS_COST_H
#define TESTS_COST_H

#include <linux/types.h>

struct cost {
	__u64 seq;	 /* OOMs that killed; written last */
	__u64 choice_ns; /* from out_of_memory() to oom_kill_process() */
	__u64 whole_ns;	 /* all of out_of_memory() */
	__u64 enter_ns;
	__u64 chosen_ns;
};

#endif
