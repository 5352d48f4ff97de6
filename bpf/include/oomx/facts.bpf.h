/* SPDX-License-Identifier: GPL-2.0-only */
/* facts.bpf.h - fills what a policy is told about a candidate (facts.h), from the kernel. */
#ifndef OOMX_FACTS_BPF_H
#define OOMX_FACTS_BPF_H

#include <oomx/domain.bpf.h>
#include <oomx/policy.h>

/* The linked policy's. A constant to the verifier, which leaves out what is not reached then. */
extern const struct oomx_policy_note oomx_policy_note;
#define OX_POLICY_LEAN (oomx_policy_note.flags & OOMX_NOTE_LEAN)

/* Neighbours in the task list often share a cgroup: remember the last answer. */
struct ox_prio_memo {
	struct cgroup *cgrp;
	struct oomx_prio prio;
	bool set;
};

static __always_inline void ox_facts_prio(struct oomx_facts *f, struct task_struct *p,
					  struct ox_prio_memo *memo)
{
	struct cgroup *cgrp = BPF_CORE_READ(p, cgroups, dfl_cgrp);

	if (cgrp != memo->cgrp) {
		memo->cgrp = cgrp;
		__builtin_memset(&memo->prio, 0, sizeof(memo->prio));
		memo->set = cgrp && ox_prio_find(cgrp, &memo->prio);
	}
	f->priority = memo->prio.priority;
	f->class = memo->prio.class;
	f->rule = memo->prio.rule;
	if (memo->set)
		f->flags |= OOMX_FACT_PRIO_SET;
}

static __always_inline void ox_facts_memcg(struct oomx_facts *f, struct task_struct *p)
{
	struct cgroup_subsys_state *css = ox_task_memcg(p);
	struct mem_cgroup *memcg;

	if (!css)
		return;
	memcg = ox_css_memcg(css);
	f->memcg_id = ox_css_cgroup_id(css);
	f->memcg_usage_pages = BPF_CORE_READ(memcg, memory.usage.counter);
	f->memcg_max_pages = BPF_CORE_READ(memcg, memory.max);
	f->memcg_low_pages = BPF_CORE_READ(memcg, memory.low);
	f->memcg_min_pages = BPF_CORE_READ(memcg, memory.min);
	/* PAGE_COUNTER_MAX is LONG_MAX / PAGE_SIZE: no limit */
	if (f->memcg_max_pages >= (u64)OX_LONG_MAX >> OX_PAGE_SHIFT)
		f->memcg_max_pages = ~0UL;
}

static __always_inline void ox_facts_identity(struct oomx_facts *f, struct task_struct *p)
{
	const struct cred *cred = BPF_CORE_READ(p, real_cred);

	f->age_ns = bpf_ktime_get_boot_ns() - BPF_CORE_READ(p, start_boottime);
	f->cpu_ns = BPF_CORE_READ(p, signal, sum_sched_runtime) +
		    BPF_CORE_READ(p, se.sum_exec_runtime);
	f->uid = BPF_CORE_READ(cred, uid.val);
	bpf_probe_read_kernel(&f->caps, sizeof(f->caps), &cred->cap_effective);
}

/*
 * Facts of a candidate that ox_killable() let through, but for those of ox_facts_rest() and
 * oom_score_adj: the caller has read that, and enters the value it tested. f is zeroed here. Costs
 * about twenty fault-safe reads, plus one per possible CPU where the kernel's own oom_badness()
 * adds them up.
 */
static __noinline int ox_facts_fill(struct oomx_facts *f, struct task_struct *p,
				    struct mm_struct *mm, struct ox_domain *d,
				    struct ox_prio_memo *memo)
{
	struct oomx_config *cfg = ox_config();
	s64 rss[4] = {};

	__builtin_memset(f, 0, sizeof(*f));
	if (!cfg)
		return 0;
	ox_rss_read(mm, rss, cfg->rss_mode, cfg->n_cpus);
	f->file_pages = rss[OX_MM_FILEPAGES];
	f->anon_pages = rss[OX_MM_ANONPAGES];
	f->swap_pages = rss[OX_MM_SWAPENTS];
	f->shmem_pages = rss[OX_MM_SHMEMPAGES];
	f->pgtable_pages = ox_pgtable_pages(mm);
	f->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	f->domain_pages = d->pages;
	if ((u32)BPF_CORE_READ(p, tgid) == d->trigger)
		f->flags |= OOMX_FACT_IS_TRIGGER;
	if (BPF_CORE_READ(p, signal, oom_flag_origin))
		f->flags |= OOMX_FACT_ORIGIN;
	ox_facts_prio(f, p, memo);
	return 0;
}

/* Those that a lean policy is not told (policy.h): for the best few, where they are reported. */
static __noinline int ox_facts_rest(struct oomx_facts *f, struct task_struct *p)
{
	ox_facts_identity(f, p);
	ox_facts_memcg(f, p);
	return 0;
}

#endif
