/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* chooser.h - what chooser.bpf.c is told to answer and what it saw. Map "chooser", one entry. */
#ifndef TESTS_CHOOSER_H
#define TESTS_CHOOSER_H

#include <linux/types.h>

#define CHOOSER_ANSWER 1  /* `answer`, whatever it is */
#define CHOOSER_TRIGGER 2 /* the process whose allocation failed */
#define CHOOSER_ENDLESS 3 /* `answer`, after as much work as the verifier allows, or loop_ns */

struct chooser {
	__u32 mode;
	__s32 answer;
	__u64 loop_ns;
	__u64 calls[2]; /* out: of either program */
	__u64 steps;	/* out: of the endless work */
	__u64 cgroup_id; /* out: the last question */
	__u64 id;
	__u32 trigger;
	__s32 order;
};

#endif
