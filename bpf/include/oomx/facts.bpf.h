/* SPDX-License-Identifier: GPL-2.0-only */
/* facts.bpf.h - fills what a policy is told about a candidate (facts.h), from the kernel. */
#ifndef OOMX_FACTS_BPF_H
#define OOMX_FACTS_BPF_H

#include <oomx/domain.bpf.h>
#include <oomx/protection.bpf.h>
#include <oomx/policy.h>

/* The linked policy's. A constant to the verifier, which leaves out what is not reached then. */
extern const struct oomx_policy_note oomx_policy_note;
#define OX_POLICY_LEAN (oomx_policy_note.flags & OOMX_NOTE_LEAN)
#define OX_POLICY_NO_VM (oomx_policy_note.flags & OOMX_NOTE_NO_VM)

/*
 * Priorities found during one walk, by css_set: processes of one cgroup share theirs, and walking
 * up to the root for each of them would cost more than all the rest. Two entries for each hash.
 */
#define OX_MEMO_SETS 128

struct ox_memo_entry {
	struct css_set *cset;
	u32 walk; /* that filled it; 0: none */
	u32 protection;
	bool set;
	struct oomx_prio prio;
};

struct ox_prio_memo {
	struct css_set *asked;
	struct cgroup_subsys_state *domain; /* of the memcg that is full; NULL: global */
	u32 walk;
	struct ox_way way;
	struct ox_memo_entry entries[2 * OX_MEMO_SETS];
};

/* Forgets all. domain: its css, NULL for a global OOM. */
static __always_inline void ox_memo_reset(struct ox_prio_memo *memo,
					  struct cgroup_subsys_state *domain)
{
	memo->domain = domain;
	if (!++memo->walk)
		memo->walk = 1;
}

/* set, domain: addresses, of a css_set and a css, see ox_css_under() */
__noinline int ox_memo_fill(struct ox_memo_entry *e, u64 set, u32 walk, u64 domain,
			    struct ox_way *way)
{
	u32 id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct css_set *cset = (void *)set;
	struct cgroup *cgrp = ox_read(cset, dfl_cgrp);

	if (!e || !way)
		return 0;
	e->cset = cset;
	e->walk = walk;
	e->protection = ox_memcg_protection(way, (u64)ox_read(cset, subsys[id]), domain,
					    ox_read(cgrp, root, flags));
	__builtin_memset(&e->prio, 0, sizeof(e->prio));
	e->set = cgrp && ox_prio_find(cgrp, &e->prio);
	return 0;
}

/* What a rule says of this very process; NULL: none does, or its cgroup was set by hand. */
static __always_inline struct oomx_prio *ox_proc_prio(struct task_struct *p,
						      struct ox_memo_entry *e, u32 cfg_flags)
{
	struct oomx_proc *proc;
	u32 pid;

	if (!(cfg_flags & OOMX_CFG_PROCS) || (e->prio.flags & OOMX_PRIO_BY_HAND))
		return NULL;
	pid = ox_read(p, tgid);
	proc = bpf_map_lookup_elem(&oomx_procs, &pid);
	if (!proc || proc->start_ns != BPF_CORE_READ(p, group_leader, start_boottime))
		return NULL;
	return &proc->prio;
}

/* Turns flags of a priority into those of the facts, without a branch. */
#define OX_FACT_OF_PRIO (OOMX_FACT_NEVER / OOMX_PRIO_NEVER)
_Static_assert(OOMX_PRIO_PROTECT * OX_FACT_OF_PRIO == OOMX_FACT_PROTECT, "as far from each other");

static __always_inline void ox_facts_prio(struct oomx_facts *f, struct task_struct *p,
					  struct ox_prio_memo *memo, u32 cfg_flags)
{
	struct css_set *cset = ox_read(p, cgroups);
	struct ox_memo_entry *e, *other;
	struct oomx_prio *prio, *own;
	u32 at;

	/* through the map and back: the verifier lets nobody hash what it takes for a pointer */
	memo->asked = cset;
	cset = ox_once(memo->asked);
	at = ((u64)cset * 0x9e3779b97f4a7c15ULL) >> 57; /* 0..OX_MEMO_SETS - 1 */
	e = &memo->entries[2 * at];
	other = e + 1;
	if (e->cset != cset || e->walk != memo->walk) {
		if (other->cset == cset && other->walk == memo->walk) {
			e = other;
		} else {
			*other = *e;
			ox_memo_fill(e, (u64)cset, memo->walk, (u64)memo->domain, &memo->way);
		}
	}
	own = ox_proc_prio(p, e, cfg_flags);
	prio = own ? own : &e->prio;
	f->priority = prio->priority;
	f->class = prio->class;
	f->rule = prio->rule;
	f->weight = prio->weight;
	f->memcg_protection = e->protection;
	if (own || e->set)
		f->flags |= OOMX_FACT_PRIO_SET;
	f->flags |= prio->flags * OX_FACT_OF_PRIO & (OOMX_FACT_NEVER | OOMX_FACT_PROTECT);
}

static __always_inline void ox_facts_mem(struct oomx_facts *f, struct mm_struct *mm, u32 rss_mode,
					 u32 n_cpus)
{
	struct ox_rss rss = { .mm = mm };

	ox_rss_read(&rss, rss_mode, n_cpus);
	f->file_pages = rss.v[OX_MM_FILEPAGES];
	f->anon_pages = rss.v[OX_MM_ANONPAGES];
	f->swap_pages = rss.v[OX_MM_SWAPENTS];
	f->shmem_pages = rss.v[OX_MM_SHMEMPAGES];
	f->pgtable_pages = ox_pgtable_pages(mm);
}

static __always_inline void ox_facts_memcg(struct oomx_facts *f, struct task_struct *p)
{
	struct cgroup_subsys_state *css = ox_task_memcg(p);
	struct mem_cgroup *memcg;

	if (!css)
		return;
	memcg = ox_cast(ox_css_memcg(css));
	f->memcg_id = ox_css_cgroup_id(css);
	f->memcg_usage_pages = ox_get(memcg, memory.usage.counter);
	f->memcg_max_pages = ox_get(memcg, memory.max);
	f->memcg_low_pages = ox_get(memcg, memory.low);
	f->memcg_min_pages = ox_get(memcg, memory.min);
	/* PAGE_COUNTER_MAX is LONG_MAX / PAGE_SIZE: no limit */
	if (f->memcg_max_pages >= (u64)OX_LONG_MAX >> OX_PAGE_SHIFT)
		f->memcg_max_pages = ~0UL;
}

static __always_inline void ox_facts_identity(struct oomx_facts *f, struct task_struct *p)
{
	struct task_struct *t = ox_cast(p);
	const struct cred *cred = ox_get(t, real_cred);

	f->age_ns = bpf_ktime_get_boot_ns() - ox_get(t, start_boottime);
	f->cpu_ns = ox_get(t, signal, sum_sched_runtime) + ox_get(t, se.sum_exec_runtime);
	f->uid = ox_read(cred, uid.val);
	bpf_probe_read_kernel(&f->caps, sizeof(f->caps), &cred->cap_effective);
}

/*
 * Facts of a candidate that ox_killable() let through, but for those of ox_facts_rest() and
 * oom_score_adj: the caller has read that, and enters the value it tested. f is zeroed here.
 */
static __noinline int ox_facts_fill(struct oomx_facts *f, struct task_struct *p,
				    struct mm_struct *mm, struct ox_domain *d,
				    struct ox_prio_memo *memo)
{
	struct oomx_config *cfg = ox_config();

	__builtin_memset(f, 0, sizeof(*f));
	if (!cfg)
		return 0;
	ox_facts_mem(f, mm, cfg->rss_mode, cfg->n_cpus);
	f->total_vm_pages = ox_read(mm, total_vm);
	f->domain_pages = d->pages;
	if ((u32)BPF_CORE_READ(p, tgid) == d->trigger)
		f->flags |= OOMX_FACT_IS_TRIGGER;
	if (BPF_CORE_READ(p, signal, oom_flag_origin))
		f->flags |= OOMX_FACT_ORIGIN;
	ox_facts_prio(f, p, memo, cfg->flags);
	return 0;
}

/* The one that the leanest policies are not told either. task: its address, see ox_css_under() */
__noinline int ox_facts_vm(struct oomx_facts *f, u64 task)
{
	struct ox_find_mm found = {};
	struct mm_struct *mm;

	if (f && ox_find_mm((void *)task, &found)) {
		mm = found.mm;
		f->total_vm_pages = ox_read(mm, total_vm);
	}
	return 0;
}

/* The policy's word, unless a rule has said never. */
static __always_inline s64 ox_policy_badness(struct oomx_facts *f)
{
	return f->flags & OOMX_FACT_NEVER ? OOMX_NEVER : oomx_policy_rank(f);
}

/* Those that a lean policy is not told (policy.h). task: its address */
__noinline int ox_facts_rest(struct oomx_facts *f, u64 task)
{
	struct task_struct *p = (void *)task;

	if (!f)
		return 0;
	ox_facts_identity(f, p);
	ox_facts_memcg(f, p);
	return 0;
}

/* What the policy was not told, for those that are reported. task: its address */
static __always_inline void ox_facts_complete(struct oomx_facts *f, u64 task)
{
	if (OX_POLICY_NO_VM)
		ox_facts_vm(f, task);
	if (OX_POLICY_LEAN)
		ox_facts_rest(f, task);
}

#endif
