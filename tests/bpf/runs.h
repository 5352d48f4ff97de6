/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* runs.h - what goes in and out of the programs that BPF_PROG_TEST_RUN runs. */
#ifndef TESTS_RUNS_H
#define TESTS_RUNS_H

#include <linux/types.h>
#include <oomx/abi.h>

#define RUN_CASES 16384
#define RUN_MARK 777 /* oom_score_adj of those that picky.bpf.c does not refuse */

/* Context of every SEC("syscall") program. */
struct run_ctx {
	__u32 n;    /* in: cases to go through */
	__u32 done; /* out */
};

/* policy_run.bpf.c: map "policy_cases" */
struct run_policy {
	struct oomx_facts facts; /* in */
	__s64 badness;		 /* out */
	__u64 _pad;
};

/* helpers_run.bpf.c: map "helper_cases" */
#define RUN_DIV 1     /* oomx_div(a, b) */
#define RUN_CLAMP 2   /* oomx_clamp(a, b, c) */
#define RUN_LEXICAL 3 /* oomx_lexical(a, b) */
#define RUN_BEFORE 4  /* ox_before(flags, a, b, flags >> 16, c, d) */

struct run_helper {
	__u32 op; /* RUN_* */
	__u32 flags;
	__s64 a, b, c, d;
	__s64 result; /* out */
};

/* ... the OOMX_TOP_K best of the cases: a is the badness, b the start, c the process id */
struct run_top {
	__u32 n;
	__u32 _pad;
	struct oomx_candidate top[OOMX_TOP_K];
};

/* ... about the cgroup of the caller */
struct run_cgroup {
	char path[OOMX_PATH_LEN];
	__u64 id;
	__u32 found; /* some priority */
	__u32 _pad;
	struct oomx_prio prio;
};

/* hold_run.bpf.c: map "hold_cases", in turn */
struct run_hold {
	__u64 domain;	/* an address, of whatever; 0: the machine */
	__u64 spend_ns; /* its OOMs hold oom_lock for so long */
	__u64 left_ns;	/* out: and may so long after that */
};

/* ... context of queued_run: of the caller's threads */
struct run_queued {
	__u64 mm;  /* in: as if the caller were a victim with this memory */
	__u32 tid; /* out: one that waits for the caller's CPU; 0: none does */
	__u32 _pad;
};

/* rank_run.bpf.c: maps "rank_args", "rank_result" */
struct run_rank_args {
	__u64 domain_id; /* cgroup id of an ancestor of the caller; 0: the whole machine */
};

struct run_rank {
	__u64 rank_ns;
	__s64 badness;
	__s64 points;
	__u32 done; /* the walk came to its end */
	__u32 n_tasks;
	__u32 n_offered;
	__u32 n_top;
	__u32 best_pid;	  /* 0: none */
	__u32 kernel_pid; /* whom the kernel would take; 0: none */
	__u32 torn;	  /* the memcg's members moved: everybody was asked */
	__u32 _pad;
};

#endif
