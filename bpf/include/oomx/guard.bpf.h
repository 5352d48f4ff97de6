/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guard.bpf.h - no second victim while the first is on its way out.
 *
 * A memcg's OOM killer waits for an earlier victim only while it sees it among the memcg's tasks.
 * Some kernels lose sight of any that is exiting (OOMX_CFG_HIDES), all of them of some
 * (ox_may_hide()) and of whoever's memory is just being freed (ox_freeing()), and kill again.
 * So whoever has got oom_lock is held until that victim's memory is gone; the kernel looks for room
 * right after it. (Not until the first page of room: of many threads, another may take that before
 * the kernel looks.) All the others sleep on the lock meanwhile, and leave their CPUs to the
 * victim.
 *
 * What comes back after an RCU grace period only, as page tables do on some kernels, is not
 * waited for: whoever is held is in an RCU read-side critical section.
 *
 * Where the machine is out of memory, the kernel looks for room when it has oom_lock, and nothing
 * can be done between the two: whoever has failed to allocate is held before that, and only while
 * memory is being freed that the kernel has ceased to wait for. There it asks for the high
 * watermark; but before it gives up, for the one that it allocates by. So it is held where reclaim
 * has found nothing, and has that look ahead of it; and once more where it has not. No longer than
 * the kernel needs: who allocates again at once has kswapd woken, and keeps what is freed from
 * gathering on the lists of CPUs (nr_pcp_high(), mm/page_alloc.c), where no look sees it.
 *
 * Between its last look for room and its scan of the processes the kernel would cease to wait for
 * a victim that gets that far just then. So there the victim waits, for a moment, until nobody is
 * between the two any more: it has said so before, and whoever comes now, and may be held, is.
 */
#ifndef OOMX_GUARD_BPF_H
#define OOMX_GUARD_BPF_H

#include <oomx/hasten.bpf.h>
#include <oomx/nominate.bpf.h>
#include <oomx/symbols.bpf.h>

/* Under oom_lock: one at a time. In a map, where the verifier does not tell values apart. */
struct ox_guard {
	struct cgroup_subsys_state *css; /* of the memcg that is full; NULL: not known */
	struct cgroup_subsys_state *own; /* of the memcg of who holds the lock */
	u64 own_mm;
	u64 now;
	u64 slots; /* of ox_inflight: whom to wait for */
	struct cgroup_subsys_state *held; /* of the memcg on whose budget that goes */
	u64 end_ns;
	u64 try_ns;	    /* on one CPU, until then: whether it is taken from who holds on */
	unsigned long taken; /* how often it had been before */
	bool done;
	bool useless; /* on one CPU that does not preempt, holding on helps nobody */
	bool yields;  /* a victim needs the CPU, and the kernel will wait for it by itself */
	u64 look_ns;  /* when to look next for a victim that waits for the CPU of who holds on */
};

/* Some ticks of the slowest clock (HZ=100) and the scheduler's slice */
#define OX_TRY_NS 50000000ULL

struct ox_guard ox_guard;

/*
 * Nobody uses it any more: it is being freed, or about to be. In exit_mmap() the kernel ceases to
 * wait for it (MMF_OOM_SKIP) before it gives back what it has gathered, up to 10,000 pages, and the
 * page tables (mm/mmap.c, 6.1 to 7.3).
 */
static __always_inline bool ox_freeing(struct ox_inflight *v)
{
	struct mm_struct *mm = (void *)v->mm;

	return !BPF_CORE_READ(mm, mm_users.counter);
}

/* It is being freed, and the kernel does not wait for it any more, or will not in a moment. */
static __always_inline bool ox_past_waiting(struct ox_inflight *v)
{
	struct mm_struct *mm = (void *)v->mm;

	return ox_freeing(v) &&
	       (ox_once(v->unmapped_ns) || ox_mm_flags(mm) & (1UL << OX_MMF_OOM_SKIP));
}

/* The reaper has done with it or can do nothing about it: the kernel does not wait any more. */
static __always_inline bool ox_given_up(struct ox_inflight *v)
{
	struct mm_struct *mm = (void *)v->mm;

	return ox_mm_flags(mm) & (1UL << OX_MMF_OOM_SKIP) && !ox_freeing(v);
}

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

/* The kernel does not wait for it, and its memory is still to come. */
static __always_inline bool ox_guard_needed(struct ox_inflight *v, struct oomx_config *cfg)
{
	return cfg->flags & OOMX_CFG_HIDES || v->may_hide || ox_freeing(v);
}

static int ox_guard_find_step(u32 i, void *ctx)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];
	struct oomx_config *cfg = ox_config();

	if (!cfg || !ox_on_its_way(v, ox_guard.now, cfg) || !ox_guard_needed(v, cfg))
		return 0;
	if (ox_once(v->queued) > 0 || !ox_guard_about(v))
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
static __always_inline void ox_guard_find(void)
{
	ox_guard.slots = 0;
	ox_guard.now = bpf_ktime_get_ns();
	bpf_loop(OX_INFLIGHT, ox_guard_find_step, NULL, 0);
}

static int ox_guard_over_step(u32 i, void *ctx)
{
	u32 slot = i & (OX_INFLIGHT - 1);
	struct ox_inflight *v = &ox_inflight[slot];

	ox_guard.done = !(ox_guard.slots >> slot & 1) || ox_once(v->gone) ||
			ox_once(v->queued) > 0 || ox_given_up(v);
	return !ox_guard.done;
}

/*
 * From there to out_of_memory(), or from oom_lock to a memcg's ranking: microseconds, unless the
 * CPU is taken away meanwhile, by others or by a hypervisor. (With 5 ms, three vCPUs for each of
 * which there was a third of a CPU missed one in 36.)
 */
#define OX_PASSING_NS 20000000ULL

/* While one was held another victim may have got as far: it is looked for again, and enough. */
#define OX_LOOKS_MAX 4

u64 ox_passed_ns; /* when somebody last went on from ox_guard_global() to his last look for room */

/*
 * A full barrier. Who goes on says so, and then looks for victims that are as far as that; a victim
 * says that it is, and then looks for whoever went on. One of the two sees the other.
 */
static __always_inline void ox_guard_passing(u64 *when)
{
	__sync_lock_test_and_set(when, bpf_ktime_get_ns());
}

/* The kernel waits for it by itself, as far as we know now. */
static __always_inline bool ox_guard_seen(struct ox_inflight *v)
{
	struct oomx_config *cfg = ox_config();

	return cfg && !(cfg->flags & OOMX_CFG_HIDES) && !v->may_hide && !ox_past_waiting(v);
}

/* done: none is past being waited for. */
static int ox_guard_past_step(u32 i, void *ctx)
{
	u32 slot = i & (OX_INFLIGHT - 1);

	ox_guard.done = !(ox_guard.slots >> slot & 1) || ox_guard_seen(&ox_inflight[slot]);
	return !ox_guard.done;
}

/*
 * The kernel would wait for all of them: let go on. As with whoever is not held: we say so, and
 * look once more.
 */
static __noinline int ox_guard_yield(void)
{
	ox_guard_passing(&ox_now.locked_ns);
	bpf_loop(OX_INFLIGHT, ox_guard_past_step, NULL, 0);
	ox_guard.yields = ox_guard.done;
	ox_guard.done = false;
	if (!ox_guard.yields)
		__sync_lock_test_and_set(&ox_now.locked_ns, 0);
	return 0;
}

static int ox_guard_look_step(u32 i, u32 *tid)
{
	u32 slot = i & (OX_INFLIGHT - 1);

	if (ox_guard.slots >> slot & 1)
		*tid = ox_queued_here((u64)ox_inflight[slot].leader, ox_inflight[slot].mm);
	return *tid != 0;
}

/* Does one of them wait for this very CPU? */
static __noinline int ox_guard_look(u64 now)
{
	u32 tid = 0;

	ox_guard.look_ns = now + OX_LOOK_EVERY_NS;
	bpf_loop(OX_INFLIGHT, ox_guard_look_step, &tid, 0);
	if (!tid)
		return 0;
	ox_guard_yield();
	if (!ox_guard.yields)
		ox_hasten_away(tid);
	return 0;
}

/*
 * done: the memory of all of them is gone, or given up on by the reaper; or they need the lock
 * themselves (ox_inflight_queue()), and holding on helps nobody.
 */
static int ox_guard_step(u32 i, void *ctx)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	u64 now = bpf_ktime_get_ns();

	bpf_loop(OX_INFLIGHT, ox_guard_over_step, NULL, 0);
	if (ox_guard.try_ns && now > ox_guard.try_ns) {
		ox_guard.try_ns = 0;
		ox_guard.useless = BPF_CORE_READ(cur, nivcsw) == ox_guard.taken;
	}
	if (!ox_guard.done && now > ox_guard.look_ns)
		ox_guard_look(now);
	return ox_guard.done || ox_guard.useless || ox_guard.yields || now > ox_guard.end_ns;
}

static __noinline int ox_guard_hold(void)
{
	struct oomx_config *cfg = ox_config();
	struct task_struct *cur = (void *)bpf_get_current_task();
	u64 t0 = bpf_ktime_get_ns(), left = ox_hold_left(ox_guard.held);

	if (!cfg)
		return 0;
	if (ox_symbol_u32(ox_symbol(__num_online_cpus)) == 1) {
		ox_guard.try_ns = t0 + OX_TRY_NS;
		ox_guard.taken = BPF_CORE_READ(cur, nivcsw);
	}
	ox_guard.yields = false;
	ox_guard.look_ns = t0 + OX_LOOK_EVERY_NS;
	/* if somebody has to die after all, there has to be time to nominate him */
	left = left > cfg->wait_ns ? left - cfg->wait_ns : 0;
	ox_guard.end_ns = t0 + (left < cfg->guard_ns ? left : cfg->guard_ns);
	ox_spin(ox_guard_step, NULL);
	t0 = bpf_ktime_get_ns() - t0;
	ox_hold_spend(ox_guard.held, t0);
	ox_count(guards);
	ox_add(guard_ns, t0);
	ox_guard.try_ns = 0;
	if (ox_guard.yields)
		ox_count(guards_yielded);
	else if (!ox_guard.done)
		ox_count(guard_timeouts);
	return ox_guard.done;
}

/* Others wait for kernel threads, and victims for the responder. */
static __always_inline bool ox_guard_may_hold(struct task_struct *t, struct oomx_config *cfg)
{
	u32 pid = BPF_CORE_READ(t, tgid);

	return !ox_exiting(t) && !(BPF_CORE_READ(t, flags) & OX_PF_KTHREAD) &&
	       pid != ox_once(cfg->responder_pid) && pid != ox_once(cfg->demoter_pid);
}

/* Not where all are waited for who will be hidden. */
static __always_inline void ox_guard_going_on(struct oomx_config *cfg)
{
	if (!(cfg->flags & OOMX_CFG_HIDES))
		ox_guard_passing(&ox_now.locked_ns);
}

/* oom_lock has been taken, for a memcg's OOM. */
static __always_inline void ox_guard_locked(void)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct oomx_config *cfg = ox_config();
	u32 tid = bpf_get_current_pid_tgid();
	struct ox_failing *f = bpf_map_lookup_elem(&oomx_failing, &tid);
	u32 i;

	/* only a memcg's OOM locks this way: without css, f is of an earlier one, of the machine */
	if (!cfg || !ox_enforcing(cfg) || ox_guard.useless || !ox_guard_may_hold(cur, cfg))
		return;
	ox_guard.css = f ? f->css : NULL;
	ox_guard.own = ox_task_memcg(cur);
	ox_guard.own_mm = (u64)BPF_CORE_READ(cur, mm);
	for (i = 0; i < OX_LOOKS_MAX; i++) {
		ox_guard_going_on(cfg);
		ox_guard_find();
		if (!ox_guard.slots || !ox_turn_is_ours() || !ox_in_scope((u64)ox_guard.held))
			return;
		__sync_lock_test_and_set(&ox_now.locked_ns, 0); /* no victim is to wait for us */
		if (!ox_guard_hold())
			break;
	}
	ox_guard_going_on(cfg);
}

struct ox_freeing_walk {
	struct oomx_config *cfg;
	u64 now;
	u64 crowded_ns; /* since when there may be no CPU left that is not held; 0: there is */
	u32 online;
	u64 zones; /* addresses, see ox_addr() */
	u64 nodes;
	u32 mark; /* the watermark that the kernel will ask for next */
	s32 order;
	u64 look_ns; /* as in struct ox_guard */
	u32 found; /* as bool, of which the verifier does not know that it is 0 or 1 */
	u32 late;
};

/* Of ox_guard_global(), whose callers have no lock: a little of the time may go unseen. */
struct ox_held {
	u32 threads;
	u64 window_ns; /* when it began */
	u64 spent_ns;  /* of hold_budget_ns in it, while there was anybody */
};

struct ox_held ox_held;

static int ox_freeing_find_step(u32 i, struct ox_freeing_walk *f)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];

	if (!ox_on_its_way(v, f->now, f->cfg) || !ox_past_waiting(v))
		return 0;
	if (!v->hold_end_ns)
		v->hold_end_ns = f->now + f->cfg->guard_ns;
	f->late = f->now > v->hold_end_ns ||
		  (f->crowded_ns && f->now - f->crowded_ns > f->cfg->wait_ns);
	f->found = !f->late;
	return !f->late;
}

static int ox_freeing_look_step(u32 i, struct ox_freeing_walk *f)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];
	u32 tid;

	if (!ox_on_its_way(v, f->now, f->cfg) || !ox_past_waiting(v))
		return 0;
	tid = ox_queued_here((u64)v->leader, v->mm);
	if (tid)
		ox_hasten_away(tid);
	return tid != 0;
}

static int ox_freeing_step(u32 i, struct ox_freeing_walk *f)
{
	f->now = bpf_ktime_get_ns();
	f->found = false;
	f->late = false;
	if (ox_once(ox_held.threads) < f->online)
		f->crowded_ns = 0;
	else if (!f->crowded_ns)
		f->crowded_ns = f->now;
	bpf_loop(OX_INFLIGHT, ox_freeing_find_step, f, 0);
	if (f->found && ox_zones_room(f->zones, f->nodes, f->mark, f->order))
		f->found = false;
	if (f->found && f->now > f->look_ns) {
		f->look_ns = f->now + OX_LOOK_EVERY_NS;
		bpf_loop(OX_INFLIGHT, ox_freeing_look_step, f, 0);
	}
	return !f->found;
}

/* There is something left of the budget of the machine's OOMs. */
static __always_inline bool ox_held_may(struct oomx_config *cfg, u64 now)
{
	if (now - ox_held.window_ns > cfg->hold_window_ns) {
		ox_held.window_ns = now;
		ox_held.spent_ns = 0;
	}
	return ox_held.spent_ns < cfg->hold_budget_ns;
}

struct ox_unmapped_wait {
	u64 passed_ns; /* until then, somebody who has not been held may be on his way, ... */
	u64 locked_ns; /* ... and the same with oom_lock; who takes it later sees the victim */
	u64 end_ns;
	u64 last_ns; /* the same, while somebody is known to be on his way */
	bool late;
};

static int ox_unmapped_step(u32 i, struct ox_unmapped_wait *w)
{
	u64 now = bpf_ktime_get_ns();

	u32 awaiting = ox_once(ox_now.awaiting);

	if (now > w->end_ns)
		w->late = !awaiting || now > w->last_ns || ox_waits_here(ox_once(ox_now.chooser));
	if (ox_once(ox_now.locked_ns) != w->locked_ns)
		w->locked_ns = 0;
	return w->late ||
	       (now > w->passed_ns && now > w->locked_ns + OX_PASSING_NS && !awaiting);
}

static int ox_unmapped_find_step(u32 i, u64 *mm)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];

	if (v->mm != *mm || ox_once(v->gone))
		return 0;
	__sync_lock_test_and_set(&v->unmapped_ns, bpf_ktime_get_ns());
	*mm = 0;
	return 1;
}

/* In exit_mmap(), before MMF_OOM_SKIP is set. */
static __noinline int ox_guard_unmapped(u64 mm)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct ox_unmapped_wait w = { .end_ns = bpf_ktime_get_ns() };
	struct oomx_config *cfg = ox_config();

	bpf_loop(OX_INFLIGHT, ox_unmapped_find_step, &mm, 0);
	if (mm || !ox_enforcing(cfg) || BPF_CORE_READ(cur, flags) & OX_PF_KTHREAD ||
	    ox_symbol_u32(ox_symbol(__num_online_cpus)) == 1)
		return 0;
	ox_hasten_us();
	w.last_ns = w.end_ns + cfg->guard_ns;
	w.end_ns += cfg->wait_ns;
	w.locked_ns = ox_once(ox_now.locked_ns);
	w.passed_ns = ox_once(ox_passed_ns) + OX_PASSING_NS;
	if (ox_unmapped_step(0, &w))
		return 0;
	ox_spin(ox_unmapped_step, &w);
	ox_count(exits_held);
	if (w.late)
		ox_count(exit_timeouts);
	return 0;
}

/*
 * Nothing was reclaimed, or all zones are given up on; oom_lock is not taken. Many may be held at
 * once, and where the kernel does not preempt them, on all CPUs, of which the victim needs one:
 * then for a short time. mark: the watermark that the kernel asks for next. nodes: NULL for those
 * that the task's cpuset allows. True: it was held.
 */
static __noinline bool ox_guard_global(struct zonelist *zonelist, nodemask_t *nodes, u32 mark,
				       s32 order)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct ox_freeing_walk f = { .cfg = ox_config(), .mark = mark, .order = order,
				     .look_ns = ~0ULL };
	bool first;
	u64 since;

	f.zones = ox_addr(ox_zones_of(zonelist));
	f.nodes = ox_addr(nodes) ?: ox_addr(cur) + bpf_core_field_offset(cur->mems_allowed);
	f.online = ox_symbol_u32(ox_symbol(__num_online_cpus));
	if (!ox_enforcing(f.cfg) || !ox_turn_is_ours() || f.online == 1 || !ox_in_scope(0) ||
	    !ox_guard_may_hold(cur, f.cfg))
		return false;
	ox_freeing_step(0, &f);
	if (!f.found || !ox_held_may(f.cfg, f.now))
		return false;
	since = f.now;
	f.look_ns = since + OX_LOOK_EVERY_NS;
	first = !__sync_fetch_and_add(&ox_held.threads, 1);
	ox_spin(ox_freeing_step, &f);
	__sync_fetch_and_add(&ox_held.threads, -1);
	if (first)
		__sync_fetch_and_add(&ox_held.spent_ns, f.now - since);
	ox_count(guards);
	ox_add(guard_ns, f.now - since);
	if (f.late)
		ox_count(guard_timeouts);
	return true;
}

#endif
