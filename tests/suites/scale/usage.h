/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* usage.h - what a running oomx takes: its process and those that it has started, together. */
#ifndef SUITE_SCALE_USAGE_H
#define SUITE_SCALE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
	uint64_t user_bytes;   /* proportional set size: shared pages count once */
	uint64_t kernel_bytes; /* memlock of its BPF maps and programs, each counted once */
};

void usage_memory(struct usage *ret);

/* CPU time of all threads since they were started. */
uint64_t usage_cpu_ns(void);

/* How often any of its threads was given a CPU. */
uint64_t usage_switches(void);

#endif
