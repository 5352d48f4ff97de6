/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* parity.h - what parity.bpf.c tells suite_parity.c about each process it was asked about. */
#ifndef TESTS_PARITY_H
#define TESTS_PARITY_H

#include <linux/types.h>

#define PARITY_COMM_LEN 16

/* One call of oom_badness(); by process id in the map "parity_seen". */
struct parity_rec {
	__s64 kernel;	    /* what it returned; OOMX_NEVER: not to be killed */
	__s64 ours;	    /* ours at the same instant, counters read as calibrated */
	__s64 approx;	    /* the same with the shared part of the counters only */
	__s64 sum;	    /* the same with every CPU's part added */
	__u64 totalpages;   /* what the kernel scaled oom_score_adj by */
	__u64 domain_pages; /* what we would have */
	/* every CPU's part added, whatever was calibrated: what it really has */
	__u64 anon_pages, file_pages, shmem_pages, swap_pages, pgtable_pages;
	__u32 seen;	/* calls so far */
	__u32 has_mm;	/* some thread of it still has an address space */
	__s32 adj;
	__u32 oom_skip; /* it is an OOM victim that was reaped, or given up on */
	char comm[PARITY_COMM_LEN];
};

#endif
