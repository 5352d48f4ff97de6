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

#include <oomx/watch.bpf.h>

#define OX_NOMINEES 8
/* PAGE_ALLOC_COSTLY_ORDER: no OOM kill for larger ones (mm/page_alloc.c, 6.1 to 7.3) */
#define OX_COSTLY_ORDER 3
/* Half of MAX_RECLAIM_RETRIES (mm/internal.h): the allocator will give up soon */
#define OX_FUTILE_LOOPS 8
#define OX_SPINS_MAX (1 << 23)	      /* BPF_MAX_LOOPS; time ends the wait long before */
#define OX_EARLY_FRESH_NS 50000000ULL /* an early request this young is not repeated */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} oomx_requests SEC(".maps");

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

/* Those lately nominated, whatever became of them. Slots are overwritten in turn. */
struct ox_nominee {
	struct task_struct *task;
	struct cgroup_subsys_state *css; /* of the OOM domain */
	u64 start_ns;
	u64 ktime_ns;
	u32 pid;
	u32 _pad;
};

struct ox_nominee ox_nominees[OX_NOMINEES];
u32 ox_nominees_next;

extern const void sysctl_panic_on_oom __ksym;
extern const void sysctl_oom_kill_allocating_task __ksym;

static __always_inline bool ox_enforcing(struct oomx_config *cfg)
{
	return cfg && (ox_once(cfg->flags) & OOMX_CFG_ENFORCE);
}

static __always_inline s32 ox_adj_now(struct task_struct *t)
{
	return BPF_CORE_READ(t, signal, oom_score_adj);
}

/* Why the policy's choice is not enforced. rival: who is in the way, or 0. */
static __noinline int ox_emit_abstain(struct ox_seat *s, u32 reason, u32 rival)
{
	struct oomx_rec_abstain *r;

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

/*
 * A victim is on its way out of this domain: no early choice until it is gone, or overdue. Under
 * oom_lock the ranking itself tells, exactly as the kernel will see it.
 */
static __noinline bool ox_inflight_in(struct cgroup_subsys_state *css)
{
	struct oomx_config *cfg = ox_config();
	u64 now = bpf_ktime_get_ns();
	u32 i;

	if (!cfg)
		return false;
	for (i = 0; i < OX_INFLIGHT; i++) {
		struct ox_inflight *v = &ox_inflight[i];

		if (!v->mm || v->gone || now - v->kill_ns > cfg->inflight_ns)
			continue;
		if (!css || ox_css_under(v->memcg, css))
			return true;
	}
	return false;
}

/* Another one whose raised value would still compete in this domain. */
static __noinline struct ox_nominee *ox_rival_nominee(struct ox_seat *s)
{
	u32 i;

	for (i = 0; i < OX_NOMINEES; i++) {
		struct ox_nominee *n = &ox_nominees[i];
		struct task_struct *t = n->task;

		if (!t || n->pid == s->best.pid || (u32)BPF_CORE_READ(t, tgid) != n->pid ||
		    BPF_CORE_READ(t, start_boottime) != n->start_ns)
			continue;
		if (ox_adj_now(t) != OOMX_ADJ_RAISED || ox_exiting(t) ||
		    ox_adj_of_owner(n->pid, n->start_ns, OOMX_ADJ_RAISED) == OOMX_ADJ_RAISED)
			continue;
		if (ox_domain_has(&s->dom, t))
			return n;
	}
	return NULL;
}

/* Asks the responder to raise the seat's best. False: the ring is full. */
static __noinline bool ox_request(struct ox_seat *s, bool exclusive)
{
	u32 slot = __sync_fetch_and_add(&ox_nominees_next, 1) & (OX_NOMINEES - 1);
	struct oomx_raised raised = { .start_ns = s->best.start_ns, .old_adj = s->best.adj };
	struct ox_nominee *n = &ox_nominees[slot];
	struct oomx_request *r;
	u32 pid = s->best.pid;

	raised.ktime_ns = bpf_ktime_get_ns();
	/* before the request: what is raised must be on record, whoever dies in between */
	if (bpf_map_update_elem(&oomx_raised, &pid, &raised, BPF_ANY))
		return false;
	r = bpf_ringbuf_reserve(&oomx_requests, sizeof(*r), 0);
	if (!r)
		return false;
	n->task = s->best.task;
	n->css = s->dom.css;
	n->start_ns = s->best.start_ns;
	n->ktime_ns = raised.ktime_ns;
	n->pid = pid;
	r->pid = pid;
	r->old_adj = s->best.adj;
	r->exclusive = exclusive;
	r->_pad = 0;
	r->start_ns = s->best.start_ns;
	r->ktime_ns = raised.ktime_ns;
	bpf_ringbuf_submit(r, BPF_RB_FORCE_WAKEUP);
	ox_count(nominated);
	return true;
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
static __always_inline bool ox_early_wanted(struct cgroup_subsys_state *css)
{
	struct oomx_config *cfg = ox_config();

	return ox_enforcing(cfg) && cfg->responder_pid && !ox_now.choosing &&
	       !ox_exiting((void *)bpf_get_current_task()) && !ox_early_fresh(css) &&
	       !ox_inflight_in(css);
}

static __noinline int ox_early(struct ox_seat *s)
{
	if (!ox_rank(s) || s->inflight || !s->best.task || ox_agreed(s) || ox_outscored(s))
		return 0;
	if (ox_adj_now(s->best.task) == OOMX_ADJ_RAISED)
		return 0;
	if (ox_request(s, /* exclusive= */ false))
		ox_count(early);
	return 0;
}

struct ox_wait {
	struct oomx_config *cfg;
	struct task_struct *wanted;
	struct task_struct *rival; /* to be seen restored; NULL: none */
	u64 end_ns;
	u32 reason; /* 0: raised in time */
};

static int ox_wait_step(u32 i, struct ox_wait *w)
{
	struct task_struct *wanted = w->wanted, *rival = w->rival;
	struct oomx_config *cfg = w->cfg;

	if (ox_adj_now(wanted) == OOMX_ADJ_RAISED &&
	    (!rival || ox_adj_now(rival) != OOMX_ADJ_RAISED || ox_exiting(rival))) {
		w->reason = 0;
		return 1;
	}
	if (!cfg || !ox_once(cfg->responder_pid)) {
		w->reason = OOMX_ABSTAIN_NO_RESPONDER;
		return 1;
	}
	return bpf_ktime_get_ns() > w->end_ns;
}

/* Under oom_lock: raise the best and hold the OOM killer until it sees that. 0 or a reason. */
static __noinline u32 ox_nominate(struct ox_seat *s, struct oomx_config *cfg)
{
	struct ox_nominee *rival = ox_rival_nominee(s);
	struct ox_wait w = { .reason = OOMX_ABSTAIN_TIMEOUT };
	u64 t0 = bpf_ktime_get_ns();

	if (!rival && ox_agreed(s)) {
		ox_count(agreed);
		return 0;
	}
	if (ox_outscored(s))
		return OOMX_ABSTAIN_OUTSCORED;
	if (!rival && ox_adj_now(s->best.task) == OOMX_ADJ_RAISED)
		return 0;
	if (!cfg->responder_pid)
		return OOMX_ABSTAIN_NO_RESPONDER;
	if (!ox_request(s, /* exclusive= */ true))
		return OOMX_ABSTAIN_RING_FULL;
	w.cfg = cfg;
	w.wanted = s->best.task;
	w.rival = rival ? rival->task : NULL;
	w.end_ns = t0 + cfg->wait_ns;
	bpf_loop(OX_SPINS_MAX, ox_wait_step, &w, 0);
	ox_now.wait_ns = bpf_ktime_get_ns() - t0;
	ox_count(waits);
	ox_add(wait_ns, ox_now.wait_ns);
	return w.reason;
}

static __always_inline u32 ox_ksym_u32(const void *sym)
{
	u32 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), sym);
	return v;
}

/*
 * Whether out_of_memory() will go on to select somebody: its own tests before that
 * (mm/oom_kill.c, 6.1 to 7.3), but for the notifiers, which may still free memory.
 */
static __always_inline bool ox_will_select(struct ox_seat *s)
{
	if (s->dom.order == -1) /* sysrq-f keeps its meaning */
		return false;
	if (ox_exiting((void *)bpf_get_current_task()))
		return false;
	return s->dom.css || (s->dom.gfp & OX_GFP_FS);
}

/* out_of_memory() entered */
static __always_inline void ox_enforce(struct oom_control *oc, struct ox_seat *s)
{
	struct oomx_config *cfg = ox_config();
	u32 reason;

	if (!cfg || !ox_enforcing(cfg))
		return;
	ox_domain_init(&s->dom, oc, &s->nodes);
	if (!ox_will_select(s))
		return;
	if (!s->dom.css && (ox_ksym_u32(&sysctl_panic_on_oom) ||
			    ox_ksym_u32(&sysctl_oom_kill_allocating_task))) {
		ox_emit_abstain(s, OOMX_ABSTAIN_SYSCTL, 0);
		return;
	}
	if (!ox_watch_rank(oc, s)) {
		ox_emit_abstain(s, OOMX_ABSTAIN_WALK, 0);
		return;
	}
	if (s->inflight) { /* the kernel will see that victim too, and wait for it */
		ox_now.ranked = false;
		return;
	}
	if (!s->best.task) {
		ox_emit_abstain(s, OOMX_ABSTAIN_NO_CANDIDATE, 0);
		return;
	}
	reason = ox_nominate(s, cfg);
	if (reason)
		ox_emit_abstain(s, reason, reason == OOMX_ABSTAIN_OUTSCORED ? s->rival_pid : 0);
	else
		ox_now.enforced = true;
}

/*
 * oom_kill_process() entered: did the kernel take the one it was given? It may also have gone on
 * where we stood back for an earlier victim, because the reaper gave that one up in between; then
 * it may have taken the policy's choice by itself.
 */
static __always_inline void ox_enforce_check(struct ox_seat *s)
{
	if (!ox_now.enforced && !ox_now.abstained && ox_enforcing(ox_config()) &&
	    s->dom.order != -1) {
		if (ox_now.chosen_pid != ox_now.wanted_pid) {
			ox_emit_abstain(s, OOMX_ABSTAIN_OVERTAKEN, ox_now.chosen_pid);
			return;
		}
		ox_now.enforced = true;
		ox_count(agreed);
	}
	if (ox_now.enforced && ox_now.chosen_pid != ox_now.wanted_pid)
		ox_emit_abstain(s, OOMX_ABSTAIN_DISOBEYED, ox_now.chosen_pid);
}

static __noinline bool ox_kills_pending(u64 since_ns)
{
	u32 i;

	for (i = 0; i < OX_INFLIGHT; i++) {
		struct ox_inflight *v = &ox_inflight[i];

		if (v->mm && !ox_once(v->gone) && v->kill_ns >= since_ns)
			return true;
	}
	return false;
}

struct ox_guard {
	u64 since_ns;
	u64 end_ns;
	u32 done;
};

static int ox_guard_step(u32 i, struct ox_guard *g)
{
	if (!ox_kills_pending(g->since_ns)) {
		g->done = 1;
		return 1;
	}
	return bpf_ktime_get_ns() > g->end_ns;
}

/*
 * out_of_memory() left, oom_lock still held. Where the kernel loses sight of a memcg victim that
 * is exiting (compat.bpf.h), the next trigger would have a second one killed: hold the lock until
 * the first is gone. The others re-check the limit once they have the lock, and stand down.
 */
static __always_inline void ox_guard(struct oom_control *oc)
{
	struct oomx_config *cfg = ox_config();
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct ox_guard g = { .since_ns = ox_now.enter_ns };

	if (!ox_memcg_scan_hides_exiting() || !cfg || !ox_enforcing(cfg) || !ox_now.n_kills ||
	    !BPF_CORE_READ(oc, memcg))
		return;
	if ((u64)BPF_CORE_READ(cur, mm) == ox_now.guard_mm) /* it is the victim */
		return;
	g.end_ns = bpf_ktime_get_ns() + cfg->guard_ns;
	bpf_loop(OX_SPINS_MAX, ox_guard_step, &g, 0);
	ox_count(guards);
	if (!g.done)
		ox_count(guard_timeouts);
}

/* A nominee's memory is gone: nothing is left to restore. */
static __always_inline void ox_forget(struct mm_struct *mm)
{
	u64 key = (u64)mm;
	struct ox_victim *v = bpf_map_lookup_elem(&oomx_victims, &key);
	u32 pid;

	if (!v)
		return;
	pid = v->pid;
	bpf_map_delete_elem(&oomx_raised, &pid);
}

#endif
