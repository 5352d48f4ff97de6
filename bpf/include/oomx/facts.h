/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * facts.h - what a policy is told about one candidate. Part of the policy ABI (see policy.h).
 *
 * Plain numbers, natural alignment, no kernel type: the same policy function runs inside the
 * kernel, under BPF_PROG_TEST_RUN and over recorded candidates.
 *
 * Compatibility: fields are only ever added at the end, and each addition raises neither
 * OOMX_POLICY_ABI nor the meaning of what is there. A policy built against a shorter struct keeps
 * working; one built against a longer struct than oomx fills is refused when it is loaded.
 * A change of meaning raises OOMX_POLICY_ABI.
 */
#ifndef OOMX_FACTS_H
#define OOMX_FACTS_H

#include <linux/types.h>

#define OOMX_POLICY_ABI 1

/* The returned badness that means "never this one". Any other s64 ranks: higher dies first. */
#define OOMX_NEVER (-0x7fffffffffffffffLL - 1)

/* enum-like, but fixed width in records: why the candidate set is limited */
#define OOMX_CONSTRAINT_NONE 0	    /* the whole machine */
#define OOMX_CONSTRAINT_CPUSET 1    /* the trigger's cpuset */
#define OOMX_CONSTRAINT_MEMPOLICY 2 /* the trigger's memory policy */
#define OOMX_CONSTRAINT_MEMCG 3	    /* a memory cgroup's limit */

#define OOMX_PRIO_DEFAULT 0 /* of a cgroup without any explicit ancestor */
#define OOMX_PRIO_MIN (-1000)
#define OOMX_PRIO_MAX 1000

/* oomx_facts.flags */
#define OOMX_FACT_PRIO_SET (1u << 0)   /* a cgroup on the way up has an explicit priority */
#define OOMX_FACT_IS_TRIGGER (1u << 1) /* the task whose allocation failed */
#define OOMX_FACT_ORIGIN (1u << 2)     /* swapoff or KSM unmerge: the kernel always picks it */
#define OOMX_FACT_NEVER (1u << 3)      /* a rule forbids it: whatever the policy says, not chosen */
#define OOMX_FACT_PROTECT (1u << 4)    /* a rule wants it chosen only after all others */

struct oomx_facts {
	/* memory, in pages, of the candidate's address space (kernel: MM_*PAGES, MM_SWAPENTS) */
	__u64 anon_pages;
	__u64 file_pages;
	__u64 shmem_pages;
	__u64 swap_pages;
	__u64 pgtable_pages; /* mm_pgtables_bytes() / PAGE_SIZE */
	__u64 total_vm_pages;

	/* the OOM domain */
	__u64 domain_pages; /* oom_control.totalpages: what oom_score_adj is scaled by */

	/* the candidate */
	__s32 oom_score_adj; /* -1000..1000; -1000 is never offered to a policy */
	__s32 priority;	     /* of the nearest ancestor cgroup with one, else OOMX_PRIO_DEFAULT */
	__u32 class;	     /* strict order from rules; 0 where no rule says otherwise */
	__u32 rule;	     /* that decides about its cgroup: key in map "oomx_rules"; 0: none */
	__u64 age_ns;	     /* since the process started, boot time */
	__u64 cpu_ns;	     /* CPU time of its leader and of its threads that have ended */
	__u32 uid;	     /* real, in the initial user namespace */
	__u32 flags;	     /* OOMX_FACT_* */
	__u64 caps;	     /* effective capabilities, bit n = capability n */

	/* its memory cgroup, in pages; limits of ~0 mean none */
	__u64 memcg_usage_pages;
	__u64 memcg_max_pages;
	__u64 memcg_low_pages;
	__u64 memcg_min_pages;
	__u64 memcg_id; /* cgroup id */

	__s32 weight; /* from rules: thousandths of the domain that it is to count more, or less */
	/* thousandths of its memory cgroup's usage that memory.min and memory.low protect */
	__u32 memcg_protection;
};

_Static_assert(sizeof(struct oomx_facts) == 152, "policy ABI: struct oomx_facts");

#endif
