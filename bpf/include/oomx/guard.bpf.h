/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guard.bpf.h - no second victim in a memcg while the first is on its way out.
 *
 * A memcg's OOM killer waits for an earlier victim only while it sees it among the memcg's tasks.
 * Some kernels lose sight of any that is exiting (OOMX_CFG_HIDES), all of them of some
 * (ox_may_hide()), and kill again while memory is being freed. So whoever has got oom_lock is held
 * until that victim's memory is gone; the kernel looks for room right after it. (Not until the
 * first page of room: of many threads, another may take that before the kernel looks.) All the
 * others sleep on the lock meanwhile, and leave their CPUs to the victim.
 */
#ifndef OOMX_GUARD_BPF_H
#define OOMX_GUARD_BPF_H

#include <oomx/nominate.bpf.h>
#include <oomx/symbols.bpf.h>

/* Under oom_lock: one at a time. In a map, where the verifier does not tell values apart. */
struct ox_guard {
	struct cgroup_subsys_state *css; /* of the memcg that is full; NULL: not known */
	struct cgroup_subsys_state *own; /* of the memcg of who holds the lock */
	u64 own_mm;
	u64 now;
	u64 max_ns;
	u64 slots; /* of ox_inflight: whom to wait for */
	struct cgroup_subsys_state *held; /* of the memcg on whose budget that goes */
	u64 end_ns;
	bool done;
	bool hides; /* OOMX_CFG_HIDES */
	bool useless; /* on one CPU that does not preempt, holding on helps nobody */
};

struct ox_guard ox_guard;

/*
 * The victim's memory is part of what is full. Where that is not known, because the recursion
 * guard has left ox_memcg_failed() out, it is taken to be what the victim died for, if whoever
 * holds the lock lives there.
 */
static __always_inline bool ox_guard_about(struct ox_inflight *v)
{
	if (ox_guard.css)
		return ox_css_under((u64)v->memcg, (u64)ox_guard.css);
	return v->domain && ox_css_under((u64)ox_guard.own, (u64)v->domain);
}

static int ox_guard_find_step(u32 i, void *ctx)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];

	if (!v->mm || ox_once(v->gone) || ox_guard.now - v->kill_ns > ox_guard.max_ns)
		return 0;
	if (!ox_guard.hides && !v->may_hide)
		return 0;
	if (!ox_guard_about(v))
		return 0;
	ox_guard.slots |= 1ULL << (i & (OX_INFLIGHT - 1));
	if (v->mm == ox_guard.own_mm) { /* would wait for itself */
		ox_guard.slots = 0;
		return 1;
	}
	ox_guard.held = ox_guard.css ?: v->domain;
	return 0;
}

/* A bit for each victim whose memory belongs to this memcg, and that the kernel may not see. */
static __always_inline void ox_guard_find(struct oomx_config *cfg)
{
	ox_guard.slots = 0;
	ox_guard.now = bpf_ktime_get_ns();
	ox_guard.max_ns = cfg->inflight_ns;
	ox_guard.hides = cfg->flags & OOMX_CFG_HIDES;
	bpf_loop(OX_INFLIGHT, ox_guard_find_step, NULL, 0);
}

static int ox_guard_over_step(u32 i, void *ctx)
{
	u32 slot = i & (OX_INFLIGHT - 1);
	struct ox_inflight *v = &ox_inflight[slot];

	ox_guard.done = !(ox_guard.slots >> slot & 1) || ox_once(v->gone) ||
			ox_mm_flags((void *)v->mm) & (1UL << OX_MMF_OOM_SKIP);
	return !ox_guard.done;
}

/* done: the memory of all of them is gone, or given up on by the reaper. */
static int ox_guard_step(u32 i, void *ctx)
{
	bpf_loop(OX_INFLIGHT, ox_guard_over_step, NULL, 0);
	return ox_guard.done || bpf_ktime_get_ns() > ox_guard.end_ns;
}

static __noinline int ox_guard_hold(void)
{
	struct oomx_config *cfg = ox_config();
	u64 t0 = bpf_ktime_get_ns(), left = ox_hold_left(ox_guard.held);
	u32 online = 0;

	if (!cfg)
		return 0;
	ox_guard.end_ns = t0 + (left < cfg->guard_ns ? left : cfg->guard_ns);
	bpf_loop(OX_SPINS_MAX, ox_guard_step, NULL, 0);
	ox_hold_spend(ox_guard.held, bpf_ktime_get_ns() - t0);
	ox_count(guards);
	if (ox_guard.done)
		return 0;
	ox_count(guard_timeouts);
	online = ox_symbol_u32(ox_symbol(__num_online_cpus));
	if (online == 1)
		ox_guard.useless = true;
	return 0;
}

/* oom_lock has been taken. */
static __always_inline void ox_guard_locked(void)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct oomx_config *cfg = ox_config();
	u32 tid = bpf_get_current_pid_tgid();
	struct ox_failing *f = bpf_map_lookup_elem(&oomx_failing, &tid);

	/* only a memcg's OOM locks this way: without css, f is of an earlier one, of the machine */
	if (!cfg || !ox_enforcing(cfg) || ox_guard.useless || ox_exiting(cur) ||
	    BPF_CORE_READ(cur, flags) & OX_PF_KTHREAD)
		return;
	ox_guard.css = f ? f->css : NULL;
	ox_guard.own = ox_task_memcg(cur);
	ox_guard.own_mm = (u64)BPF_CORE_READ(cur, mm);
	ox_guard_find(cfg);
	if (ox_guard.slots && ox_turn_is_ours() && ox_in_scope((u64)ox_guard.held))
		ox_guard_hold();
}

#endif
