/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nominate.bpf.h - how the policy's choice becomes the kernel's: a process of ours (the
 * responder) raises the nominee's oom_score_adj to 1000, out_of_memory() is held until that is
 * visible, and the kernel then selects and kills by itself.
 *
 * The request is sent as early as possible, before oom_lock is taken, so that the responder has
 * run by the time it matters; but nothing depends on it: choice and request are repeated under
 * oom_lock, where the BPF recursion guard never skips a program.
 */
#ifndef OOMX_NOMINATE_BPF_H
#define OOMX_NOMINATE_BPF_H

#include <oomx/enforce.bpf.h>
#include <oomx/hold.bpf.h>

/* PAGE_ALLOC_COSTLY_ORDER: no OOM kill for larger ones (mm/page_alloc.c, 6.1 to 7.3) */
#define OX_COSTLY_ORDER 3
/* Half of MAX_RECLAIM_RETRIES (mm/internal.h): the allocator will give up soon */
#define OX_FUTILE_LOOPS 8
#define OX_EARLY_FRESH_NS 50000000ULL /* an early request this young is not repeated */
#define OX_RENEW_NS (OOMX_ALTERED_NS / 2) /* one this old is, once it counts */

/* Seats of choices made before oom_lock: one per program that makes them, and CPU. */
#define OX_SEAT_MEMCG 0
#define OX_SEAT_GLOBAL 1
#define OX_SEAT_RETRY 2
#define OX_SEATS 3

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OX_SEATS);
	__type(key, u32);
	__type(value, struct ox_seat);
} oomx_early_seats SEC(".maps");

struct ox_inflight_scan {
	struct oomx_config *cfg;
	struct cgroup_subsys_state *css;
	u64 now;
	bool found;
};

static int ox_inflight_step(u32 i, struct ox_inflight_scan *scan)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];

	if (!ox_on_its_way(v, scan->now, scan->cfg))
		return 0;
	scan->found = !scan->css || ox_css_under((u64)v->memcg, (u64)scan->css);
	return scan->found;
}

/*
 * A victim is on its way out of this domain: no early choice until it is gone, or overdue. Under
 * oom_lock the ranking itself tells, exactly as the kernel will see it.
 */
__noinline int ox_inflight_in(struct ox_seat *s)
{
	struct ox_inflight_scan scan = { .cfg = ox_config(), .now = bpf_ktime_get_ns() };

	if (!s)
		return false;
	scan.css = s->dom.css;
	bpf_loop(OX_INFLIGHT, ox_inflight_step, &scan, 0);
	return scan.found;
}

/* Another one whose raised value would still compete in this domain: its slot plus 1. 0: none. */
__noinline int ox_rival_nominee(struct ox_seat *s)
{
	u32 i;

	if (!s)
		return 0;
	for (i = 0; i < OX_NOMINEES; i++) {
		struct ox_nominee *n = &ox_nominees[i];
		struct task_struct *t = n->task;

		if (!t || n->pid == s->best.pid || (u32)BPF_CORE_READ(t, tgid) != n->pid ||
		    BPF_CORE_READ(t, start_boottime) != n->start_ns)
			continue;
		if (BPF_CORE_READ(t, mm) == s->best.mm) /* raised with it, and dies with it */
			continue;
		if (ox_adj_now(t) != OOMX_ADJ_RAISED || ox_exiting(t) ||
		    ox_adj_of_owner(n->pid, n->start_ns, OOMX_ADJ_RAISED) == OOMX_ADJ_RAISED)
			continue;
		if (ox_domain_has(&s->dom, (u64)t))
			return i + 1;
	}
	return 0;
}

/* A request for this domain is on its way already. */
static __noinline bool ox_early_fresh(struct cgroup_subsys_state *css)
{
	u64 now = bpf_ktime_get_ns();
	u32 i;

	for (i = 0; i < OX_NOMINEES; i++)
		if (ox_nominees[i].pid && ox_nominees[i].css == css &&
		    now - ox_nominees[i].ktime_ns < OX_EARLY_FRESH_NS)
			return true;
	return false;
}

/* Before oom_lock: worth a choice of its own? */
static __always_inline bool ox_early_wanted(void)
{
	struct oomx_config *cfg = ox_config();

	if (!cfg || !ox_enforcing(cfg) || !cfg->responder_pid || ox_now.choosing ||
	    ox_still_stalled(cfg))
		return false;
	return ox_turn_is_ours() && !ox_exiting((void *)bpf_get_current_task());
}

/* The caller has filled the seat's domain. */
__noinline int ox_early(struct ox_seat *s)
{
	if (!s || ox_early_fresh(s->dom.css) || ox_inflight_in(s) || !ox_in_scope((u64)s->dom.css))
		return 0;
	if (!ox_rank(s) || s->inflight || !s->best.task || ox_agreed(s) || !ox_rivals(s))
		return 0;
	ox_request_demotions(s, /* again= */ false);
	if (ox_adj_now(s->best.task) == OOMX_ADJ_RAISED)
		return 0;
	if (ox_request_raise(s, 0))
		ox_count(early);
	return 0;
}

struct ox_wait {
	struct ox_seat *seat;
	struct oomx_config *cfg;
	u32 other; /* slot plus 1 of an earlier nominee, to be seen restored; 0: none */
	u64 end_ns;
	u32 reason; /* 0: all is as it should be */
};

__noinline int ox_arranged(struct ox_seat *s, u32 other)
{
	struct task_struct *t;

	if (!s)
		return false;
	if (ox_adj_now(s->best.task) != OOMX_ADJ_RAISED)
		return false;
	if (other) {
		t = ox_nominees[(other - 1) & (OX_NOMINEES - 1)].task;
		if (ox_adj_now(t) == OOMX_ADJ_RAISED && !ox_exiting(t))
			return false;
	}
	return ox_rivals_down(s);
}

static int ox_wait_step(u32 i, struct ox_wait *w)
{
	struct oomx_config *cfg = w->cfg;
	struct ox_seat *s = w->seat;

	if (!s)
		return 1;
	if (ox_arranged(s, w->other)) {
		w->reason = 0;
		return 1;
	}
	if (!cfg || !ox_once(cfg->responder_pid)) {
		w->reason = OOMX_ABSTAIN_NO_RESPONDER;
		return 1;
	}
	return bpf_ktime_get_ns() > w->end_ns;
}

/* Holds the OOM killer until what was asked for is done. 0 or a reason. */
__noinline int ox_await(struct ox_seat *s, u32 other)
{
	struct oomx_config *cfg = ox_config();
	struct ox_wait w = { .seat = s, .cfg = cfg, .other = other };
	struct task_struct *cur = (void *)bpf_get_current_task();
	u64 t0 = bpf_ktime_get_ns(), left;

	if (!cfg || !s)
		return OOMX_ABSTAIN_NO_RESPONDER;
	if (ox_arranged(s, other))
		return 0;
	if (BPF_CORE_READ(cur, flags) & OX_PF_KTHREAD)
		return OOMX_ABSTAIN_WORKER;
	left = ox_hold_left(s->dom.css);
	if (!left)
		return OOMX_ABSTAIN_BUDGET;
	w.reason = left < cfg->wait_ns ? OOMX_ABSTAIN_BUDGET : OOMX_ABSTAIN_TIMEOUT;
	w.end_ns = t0 + (left < cfg->wait_ns ? left : cfg->wait_ns);
	ox_spin(ox_wait_step, &w);
	ox_now.wait_ns = bpf_ktime_get_ns() - t0;
	ox_hold_spend(s->dom.css, ox_now.wait_ns);
	ox_count(waits);
	ox_add(wait_ns, ox_now.wait_ns);
	if (w.reason == OOMX_ABSTAIN_TIMEOUT)
		ox_stalled(cfg);
	return w.reason;
}

/*
 * What was altered early, while somebody else had oom_lock for long, may be put back before the
 * kernel has looked at it: it is asked for again. Nobody needs to wait for an answer: what is put
 * back is what was not asked for lately.
 */
static __noinline int ox_renew(struct ox_seat *s)
{
	u64 now = bpf_ktime_get_ns();
	u32 i;

	if (!s)
		return 0;
	for (i = 0; i < OX_NOMINEES; i++) {
		struct ox_nominee *n = &ox_nominees[i];

		if (n->pid == s->best.pid && n->start_ns == s->best.start_ns &&
		    now - n->ktime_ns < OX_RENEW_NS)
			return 0;
	}
	if (ox_request_raise(s, OOMX_REQ_EXCLUSIVE) && ox_request_demotions(s, /* again= */ true))
		ox_count(renewed);
	return 0;
}

/* Under oom_lock: makes the best the one that the kernel will choose. 0 or a reason. */
__noinline int ox_nominate(struct ox_seat *s)
{
	struct oomx_config *cfg = ox_config();
	u32 other = ox_rival_nominee(s);

	if (!cfg || !s)
		return OOMX_ABSTAIN_NO_RESPONDER;
	if (!other && ox_agreed(s)) {
		ox_count(agreed);
		return 0;
	}
	if (!ox_rivals(s) || (!cfg->demoter_pid && ox_needs_demoter(s)))
		return OOMX_ABSTAIN_OUTSCORED;
	if (!other && ox_arranged(s, 0)) {
		ox_renew(s);
		return 0;
	}
	if (!cfg->responder_pid || ox_still_stalled(cfg))
		return OOMX_ABSTAIN_NO_RESPONDER;
	if (!ox_request_raise(s, OOMX_REQ_EXCLUSIVE) ||
	    !ox_request_demotions(s, /* again= */ false))
		return OOMX_ABSTAIN_RING_FULL;
	return ox_await(s, other);
}

#define OX_TELL_SPACE 65536 /* of oomx_vital: more than the records of one OOM take */

struct ox_group_scan {
	struct cgroup_subsys_state *css;
	struct cgroup_subsys_state *top;
	bool found;
};

static int ox_group_step(u32 i, struct ox_group_scan *g)
{
	struct cgroup_subsys_state *css = g->css;
	struct mem_cgroup *memcg;

	if (!css)
		return 1;
	memcg = ox_css_memcg(css);
	g->found = BPF_CORE_READ(memcg, oom_group);
	g->css = BPF_CORE_READ(css, parent);
	return g->found || css == g->top;
}

/* mem_cgroup_get_oom_group() (mm/memcontrol.c, 6.1 to 7.3): who is chosen does not die alone. */
static __noinline bool ox_in_group(struct ox_domain *d)
{
	struct ox_group_scan g = { .top = d->css };

	g.css = ox_task_memcg((void *)bpf_get_current_task());
	bpf_loop(OOMX_DEPTH_MAX, ox_group_step, &g, 0);
	return g.found;
}

/* Of the whole machine only: drivers (virtio_balloon) that may have memory to give before a kill */
static __always_inline bool ox_notifiers(struct ox_domain *d)
{
	const struct blocking_notifier_head *list = ox_symbol(oom_notify_list);

	return !d->css && BPF_CORE_READ(list, head);
}

/* A kill by our hand has to be told: somebody reads, and there is room for its records. */
static __always_inline bool ox_can_tell(void)
{
	struct oomx_config *cfg = ox_config();
	u64 used = bpf_ringbuf_query(&oomx_vital, BPF_RB_AVAIL_DATA);

	return cfg && ox_once(cfg->responder_pid) &&
	       used + OX_TELL_SPACE < bpf_ringbuf_query(&oomx_vital, BPF_RB_RING_SIZE);
}

/*
 * Where nominating has failed and the trigger is itself the choice: once it has a SIGKILL, the
 * kernel goes by task_will_free_mem(current) (mm/oom_kill.c, 6.1 to 7.3), marks it and looks no
 * further: to nobody who shares its memory, to its group, to notifiers. So not where there are any.
 */
__noinline int ox_self_signal(struct ox_seat *s)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct mm_struct *mm = BPF_CORE_READ(cur, mm);

	if (!s || s->best.pid != (u32)(bpf_get_current_pid_tgid() >> 32) || mm != s->best.mm)
		return false;
	if (ox_shares(cur, mm) || ox_inflight_in(s) || ox_in_group(&s->dom) ||
	    ox_notifiers(&s->dom) || !ox_can_tell())
		return false;
	ox_now.chosen_pid = s->best.pid;
	ox_now.signalled = true;
	ox_watch_aim(cur, s);
	if (bpf_send_signal(OX_SIGKILL)) {
		ox_watch_aimed();
		ox_now.chosen_pid = 0;
		ox_now.signalled = false;
		return false;
	}
	ox_now.enforced = true;
	ox_count(self_signals);
	return true;
}

/*
 * What nominating came to. Where an earlier victim is in sight the kernel will wait for it, if all
 * goes well: that nobody could be nominated is reported if it does not.
 */
static __noinline int ox_settle(struct ox_seat *s, u32 reason)
{
	struct oomx_config *cfg = ox_config();
	bool failed = reason == OOMX_ABSTAIN_TIMEOUT;

	if (!cfg)
		return 0;
	if (!reason) {
		ox_now.enforced = true;
		return 0;
	}
	if (s->inflight)
		ox_now.ranked = false;
	else if (!ox_self_signal(s))
		ox_emit_abstain(s, reason, reason == OOMX_ABSTAIN_OUTSCORED ? s->rival_pid : 0);
	if (failed && ox_breaker(cfg, failed))
		ox_emit_abstain(s, OOMX_ABSTAIN_BREAKER, 0);
	return 0;
}

/* out_of_memory() entered */
static __always_inline void ox_enforce(struct oom_control *oc, struct ox_seat *s)
{
	if (ox_choose(oc, s, /* in_doubt= */ true))
		ox_settle(s, ox_nominate(s));
}

/* out_of_memory() left, oom_lock still held */
static __always_inline void ox_enforced(void)
{
	if (ox_now.mine && ox_now.signalled)
		ox_watch_aimed();
}

#endif
