/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * enforce.bpf.h - what the enforcing hooks share: whether there is something to choose, the choice,
 * whether the kernel took it, and a circuit breaker. All of it under oom_lock.
 */
#ifndef OOMX_ENFORCE_BPF_H
#define OOMX_ENFORCE_BPF_H

#include <oomx/watch.bpf.h>

/* Failures weigh more than successes: ten in a row end enforcing, or one in four for long. */
#define OX_BREAKER_FAILED 3
#define OX_BREAKER_LIMIT 30

/* Cgroups to enforce in, with all below them, where OOMX_CFG_SCOPED is set. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, u64); /* cgroup id */
	__type(value, u32);
} oomx_scope SEC(".maps");

u32 ox_failures;

static __always_inline bool ox_enforcing(struct oomx_config *cfg)
{
	return cfg && (ox_once(cfg->flags) & OOMX_CFG_ENFORCE);
}

struct ox_scope_walk {
	struct cgroup_subsys_state *css;
	bool found;
};

static int ox_scope_step(u32 i, struct ox_scope_walk *w)
{
	struct cgroup_subsys_state *css = w->css;
	u64 id;

	if (!css)
		return 1;
	id = ox_css_cgroup_id(css);
	if (bpf_map_lookup_elem(&oomx_scope, &id)) {
		w->found = true;
		return 1;
	}
	w->css = BPF_CORE_READ(css, parent);
	return 0;
}

/* The domain, by its css, is one to enforce in. With a scope, global OOMs are the kernel's. */
__noinline int ox_in_scope(u64 domain)
{
	struct ox_scope_walk w = { .css = (void *)domain };
	struct oomx_config *cfg = ox_config();

	if (!cfg || !(cfg->flags & OOMX_CFG_SCOPED))
		return true;
	if (w.css && ox_memcg_v1(ox_css_memcg(w.css))) /* another hierarchy, with the same ids */
		return false;
	bpf_loop(OOMX_DEPTH_MAX, ox_scope_step, &w, 0);
	return w.found;
}

/* Why the policy's choice is not enforced. rival: who is in the way, or 0. */
__noinline int ox_emit_abstain(struct ox_seat *s, u32 reason, u32 rival)
{
	struct oomx_rec_abstain *r;

	if (!s)
		return 0;
	ox_now.abstained = reason;
	if (reason < OOMX_ABSTAIN_MAX)
		ox_count(abstained[reason & 15]);
	if (!ox_emit_reserve(oomx_vital, OOMX_REC_ABSTAIN, r))
		return 0;
	r->reason = reason;
	r->wanted_pid = s->best.task ? s->best.pid : 0;
	r->wanted_badness = s->best.task ? s->best.badness : OOMX_NEVER;
	r->rival_pid = rival;
	r->_pad = 0;
	r->domain_id = ox_css_cgroup_id(s->dom.css);
	r->wait_ns = ox_now.wait_ns;
	ox_emit_comm(r->wanted_comm, s->best.task);
	ox_emit_submit(OOMX_REC_ABSTAIN, r);
	return 0;
}

/* True: that was one failure too many, enforcing has ended. */
static __always_inline bool ox_breaker(struct oomx_config *cfg, bool failed)
{
	if (!failed) {
		if (ox_failures)
			ox_failures--;
		return false;
	}
	ox_failures += OX_BREAKER_FAILED;
	if (ox_failures < OX_BREAKER_LIMIT)
		return false;
	ox_failures = 0;
	__sync_fetch_and_or(&cfg->flags, OOMX_CFG_TRIPPED);
	__sync_fetch_and_and(&cfg->flags, ~OOMX_CFG_ENFORCE);
	return true;
}

/*
 * Whether out_of_memory() will go on to select somebody: its own tests before that
 * (mm/oom_kill.c, 6.1 to 7.3), but for the notifiers, which may still free memory.
 */
static __always_inline bool ox_will_select(struct ox_seat *s)
{
	if (s->dom.order == -1) /* sysrq-f keeps its meaning */
		return false;
	if (ox_symbol_u32(ox_symbol(oom_killer_disabled)) & 0xff) /* a bool */
		return false;
	if (ox_exiting((void *)bpf_get_current_task()))
		return false;
	return s->dom.css || (s->dom.gfp & OX_GFP_FS);
}

/* The policy took too long. What it chose is not used: nobody would notice otherwise. */
static __noinline bool ox_too_slow(struct ox_seat *s)
{
	struct oomx_config *cfg = ox_config();

	if (!cfg || bpf_ktime_get_ns() - ox_now.enter_ns <= cfg->rank_ns)
		return false;
	ox_emit_abstain(s, OOMX_ABSTAIN_SLOW, 0);
	if (ox_breaker(cfg, true))
		ox_emit_abstain(s, OOMX_ABSTAIN_BREAKER, 0);
	return true;
}

/* An earlier victim is in sight, and by the time the kernel looks it may not be any more. */
static __always_inline bool ox_may_lose_sight(struct ox_seat *s)
{
	struct oomx_config *cfg = ox_config();

	return s->dom.css && cfg && cfg->flags & OOMX_CFG_HIDES;
}

struct ox_awaited_scan {
	struct oomx_config *cfg;
	u64 now;
	bool found;
};

static int ox_awaited_step(u32 i, struct ox_awaited_scan *scan)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];
	struct task_struct *leader = v->leader;

	if (!ox_on_its_way(v, scan->now, scan->cfg))
		return 0;
	if (ox_mm_flags((void *)v->mm) & (1UL << OX_MMF_OOM_SKIP))
		return 0;
	/* still itself, and in the list of processes: release_task() clears sighand */
	scan->found = BPF_CORE_READ(leader, sighand) &&
		      (u32)BPF_CORE_READ(leader, tgid) == v->pid &&
		      BPF_CORE_READ(leader, start_boottime) == v->start_ns;
	return scan->found;
}

/*
 * Of the whole machine: the kernel's scan will find an earlier victim and wait for it. It has to
 * happen at once: it ceases to wait before all of that victim's memory is back.
 */
static __noinline bool ox_awaited(struct ox_domain *d)
{
	struct ox_awaited_scan scan = { .cfg = ox_config(), .now = bpf_ktime_get_ns() };

	if (d->css || d->nodes)
		return false;
	bpf_loop(OX_INFLIGHT, ox_awaited_step, &scan, 0);
	return scan.found;
}

/* check_panic_on_oom() and what follows it in out_of_memory() (mm/oom_kill.c, 6.1 to 7.3) */
static __always_inline bool ox_sysctl_decides(struct ox_domain *d)
{
	u32 panic = ox_symbol_u32(ox_symbol(sysctl_panic_on_oom));

	if (d->css)
		return panic == 2;
	return panic || ox_symbol_u32(ox_symbol(sysctl_oom_kill_allocating_task));
}

/*
 * out_of_memory() entered: ranks its domain into the seat. True: the best there is to be the
 * victim. Else the kernel's own choice stands, or it waits for an earlier victim, which it will
 * see, too. in_doubt: also where it may not (then seat->inflight is set): if it does not, whom it
 * kills is the policy's choice, and if it does, nobody is.
 */
static __always_inline bool ox_choose(struct oom_control *oc, struct ox_seat *s, bool in_doubt)
{
	bool ranked;

	if (!ox_now.mine || !ox_enforcing(ox_config()))
		return false;
	ox_domain_init(&s->dom, oc, &s->nodes);
	s->best.task = NULL; /* nobody is wanted yet */
	if (!ox_will_select(s))
		return false;
	if (!ox_in_scope((u64)s->dom.css)) {
		ox_now.out_of_scope = true;
		ox_count(out_of_scope);
		return false;
	}
	if (ox_sysctl_decides(&s->dom)) {
		ox_emit_abstain(s, OOMX_ABSTAIN_SYSCTL, 0);
		return false;
	}
	in_doubt = in_doubt && ox_may_lose_sight(s);
	/* who is seen now waits to be seen by the kernel as well: ox_guard_unmapped() */
	ox_now.chooser = bpf_get_current_task();
	__sync_lock_test_and_set(&ox_now.awaiting, true);
	ox_now.locked_ns = 0;
	s->inflight = ox_awaited(&s->dom);
	if (s->inflight)
		return false;
	ranked = ox_watch_rank(oc, s, /* go_on= */ in_doubt);
	ox_now.awaiting = ranked && s->inflight && !in_doubt;
	if (!ranked) {
		ox_emit_abstain(s, OOMX_ABSTAIN_WALK, 0);
		return false;
	}
	if (s->inflight) {
		ox_now.ranked = in_doubt && s->best.task;
		return ox_now.ranked;
	}
	if (!s->best.task) {
		ox_emit_abstain(s, OOMX_ABSTAIN_NO_CANDIDATE, 0);
		return false;
	}
	return !ox_too_slow(s);
}

/* The kernel chose another than it was meant to. */
static __noinline int ox_disobeyed(struct ox_seat *s, u32 reason)
{
	struct oomx_config *cfg = ox_config();

	ox_emit_abstain(s, reason, ox_now.chosen_pid);
	if (cfg && reason == OOMX_ABSTAIN_DISOBEYED && ox_breaker(cfg, true))
		ox_emit_abstain(s, OOMX_ABSTAIN_BREAKER, 0);
	return 0;
}

/*
 * oom_kill_process() entered: did the kernel take the one it was given? It may also have gone on
 * where we stood back for an earlier victim, because the reaper gave that one up in between; then
 * it may have taken the policy's choice by itself.
 */
static __always_inline void ox_enforce_check(struct ox_seat *s)
{
	struct oomx_config *cfg = ox_config();

	if (!cfg || !ox_now.mine || !ox_enforcing(cfg) || ox_now.abstained ||
	    ox_now.out_of_scope || s->dom.order == -1)
		return;
	if (!ox_now.obeyed) {
		ox_disobeyed(s, ox_now.enforced ? OOMX_ABSTAIN_DISOBEYED :
						  OOMX_ABSTAIN_OVERTAKEN);
		return;
	}
	if (!ox_now.enforced)
		ox_count(agreed);
	ox_now.enforced = true;
	ox_breaker(cfg, false);
}

#endif
