/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * watch.bpf.h - the life of an OOM as every hook reports it: out_of_memory() entered, a victim
 * chosen, processes killed, their memory gone. Each function is the body of one attached
 * program; hooks call them and add what they enforce.
 *
 * out_of_memory() is called again and again while a victim is dying; only calls that kill are
 * reported as an OOM, the others are counted.
 */
#ifndef OOMX_WATCH_BPF_H
#define OOMX_WATCH_BPF_H

#include <oomx/emit.bpf.h>

struct ox_queue {
	u64 mm;
	s32 change;
};

static int ox_inflight_queue_step(u32 i, struct ox_queue *q)
{
	struct ox_inflight *v = &ox_inflight[i & (OX_INFLIGHT - 1)];

	if (v->mm != q->mm || ox_once(v->gone))
		return 0;
	if (q->change > 0 || ox_once(v->queued) > 0)
		__sync_fetch_and_add(&v->queued, q->change);
	return 1;
}

/*
 * A thread of a victim that has taken its SIGKILL, and is past mutex_lock_killable()'s test for it,
 * touches memory on its way out (futexes, what it shares with a child), for which its memcg has no
 * room: it waits for oom_lock like everybody else, though it will not kill once it has it. change:
 * 1 when it begins to, -1 afterwards.
 */
static __always_inline void ox_inflight_queue(s32 change)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct ox_queue q = { .change = change };

	if (!(BPF_CORE_READ(cur, flags) & OX_PF_EXITING))
		return;
	/* __fatal_signal_pending() (include/linux/sched/signal.h, 6.1 to 7.3): it does not wait */
	if (change > 0 && BPF_CORE_READ(cur, pending.signal.sig[0]) & (1UL << (OX_SIGKILL - 1)))
		return;
	q.mm = (u64)BPF_CORE_READ(cur, mm);
	if (q.mm)
		bpf_loop(OX_INFLIGHT, ox_inflight_queue_step, &q, 0);
}

/* mem_cgroup_out_of_memory() entered, or all zones given up on: the allocation has failed */
static __always_inline void ox_watch_failed(struct cgroup_subsys_state *css, s32 order)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct ox_failing f = {
		.ktime_ns = bpf_ktime_get_ns(),
		.css = css,
		.order = order,
	};

	bpf_map_update_elem(&oomx_failing, &tid, &f, BPF_ANY);
}

/* Of this thread's last reclaim for the machine */
static __always_inline s32 ox_failing_order(void)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct ox_failing *f = bpf_map_lookup_elem(&oomx_failing, &tid);

	return f && !f->css ? f->order : 0;
}

static __always_inline void ox_watch_enter(struct oom_control *oc)
{
	struct oomx_config *cfg = ox_config();
	u32 tid = bpf_get_current_pid_tgid();
	struct ox_failing *failed = bpf_map_lookup_elem(&oomx_failing, &tid);

	ox_now.awaiting = false;
	ox_now.mine = ox_turn_begin();
	if (!ox_now.mine)
		return;
	ox_count(ooms);
	ox_now.enter_ns = bpf_ktime_get_ns();
	ox_now.fail_ns = failed ? failed->ktime_ns : ox_now.enter_ns;
	bpf_map_delete_elem(&oomx_failing, &tid);
	ox_now.decision = (cfg ? cfg->decision_base : 0) + ++ox_decisions;
	ox_now.wait_ns = 0;
	ox_now.wanted_pid = 0;
	ox_now.n_kills = 0;
	ox_now.abstained = 0;
	ox_now.chosen_pid = 0;
	ox_now.ranked = false;
	ox_now.obeyed = false;
	ox_now.signalled = false;
	ox_now.out_of_scope = false;
	ox_now.enforced = false;
	ox_now.announced = false;
	ox_now.in_kill = false;
	ox_now.choosing = true;
}

/* Ranks the domain of oc into the seat of oom_lock. go_on: see there. */
static __always_inline bool ox_watch_rank(struct oom_control *oc, struct ox_seat *s, bool go_on)
{
	ox_domain_init(&s->dom, oc, &s->nodes);
	s->go_on = go_on;
	if (!ox_rank(s))
		return false;
	ox_now.ranked = true;
	ox_now.wanted_pid = s->best.task ? s->best.pid : 0;
	return true;
}

/* A process that shares the address space is as good: the kernel kills all of them. */
static __always_inline bool ox_shares_mm(struct task_struct *t, struct mm_struct *mm)
{
	struct ox_find_mm f = {};

	return ox_find_mm(t, &f) && f.mm == mm;
}

/* oom_kill_process() entered: the kernel has chosen, nothing is killed yet */
static __always_inline void ox_watch_chosen(struct oom_control *oc, struct ox_seat *s)
{
	struct task_struct *chosen = BPF_CORE_READ(oc, chosen);

	if (!ox_now.mine)
		return;
	ox_now.awaiting = false;
	ox_now.chosen_pid = BPF_CORE_READ(chosen, tgid);
	if (!ox_now.ranked)
		ox_watch_rank(oc, s, /* go_on= */ true);
	ox_now.obeyed = ox_now.wanted_pid && (ox_now.chosen_pid == ox_now.wanted_pid ||
					      ox_shares_mm(chosen, s->best.mm));
	if (s->dom.pages != BPF_CORE_READ(oc, totalpages))
		ox_count(totals_differ);
}

/*
 * __oom_kill_process() entered. Whose memory will go is noted before SIGKILL is sent: another CPU
 * may be through with it before mark_oom_victim() is called.
 */
static __always_inline void ox_watch_aim(struct task_struct *t, struct ox_seat *s)
{
	struct ox_find_mm f = {};
	struct ox_victim v = {}, *old;
	u64 key;

	if (!ox_now.mine)
		return;
	ox_now.in_kill = true;
	ox_now.aimed_mm = 0;
	if (!ox_find_mm(t, &f))
		return;
	key = (u64)f.mm;
	old = bpf_map_lookup_elem(&oomx_victims, &key);
	if (old && old->decision == ox_now.decision)
		return; /* with memory.oom.group the kernel goes over its first victim twice */
	v.decision = ox_now.decision;
	v.start_ns = BPF_CORE_READ(t, group_leader, start_boottime);
	v.pid = BPF_CORE_READ(t, tgid);
	v.kill_ns = bpf_ktime_get_ns();
	v.domain_id = ox_css_cgroup_id(s->dom.css);
	v.css = s->dom.css;
	v.zones = s->dom.zones;
	v.order = s->dom.order;
	v.slot = __sync_fetch_and_add(&ox_inflight_next, 1) & (OX_INFLIGHT - 1);
	__sync_lock_test_and_set(&ox_inflight[v.slot].mm, 0); /* nobody's, until all is written */
	ox_inflight[v.slot].gone = 0;
	ox_inflight[v.slot].unmapped_ns = 0;
	ox_inflight[v.slot].kill_ns = v.kill_ns;
	ox_inflight[v.slot].start_ns = v.start_ns;
	ox_inflight[v.slot].pid = v.pid;
	ox_inflight[v.slot].leader = BPF_CORE_READ(t, group_leader);
	ox_inflight[v.slot].memcg = ox_task_memcg(t);
	ox_inflight[v.slot].domain = s->dom.css;
	ox_inflight[v.slot].may_hide = ox_may_hide(t, f.mm);
	ox_inflight[v.slot].hold_end_ns = 0;
	ox_inflight[v.slot].queued = 0;
	__sync_lock_test_and_set(&ox_inflight[v.slot].mm, key);
	bpf_map_update_elem(&oomx_victims, &key, &v, BPF_ANY);
	ox_now.aimed_mm = key;
}

/* __oom_kill_process() left. One that had exited by itself was not killed. */
static __always_inline void ox_watch_aimed(void)
{
	u64 key = ox_now.aimed_mm;
	struct ox_victim *v = key ? bpf_map_lookup_elem(&oomx_victims, &key) : NULL;

	ox_now.in_kill = false;
	if (!v || (v->state & OX_VICTIM_KILLED))
		return;
	if (ox_inflight[v->slot & (OX_INFLIGHT - 1)].mm == key)
		ox_inflight[v->slot & (OX_INFLIGHT - 1)].gone = 1;
	bpf_map_delete_elem(&oomx_victims, &key);
}

static __noinline int ox_watch_emit_freed(struct ox_victim *v, u64 key)
{
	struct oomx_rec_freed *r = bpf_ringbuf_reserve(&oomx_vital, sizeof(*r), 0);

	if (r) {
		ox_emit_header(&r->hdr, OOMX_REC_FREED, sizeof(*r));
		r->hdr.decision = v->decision;
		r->pid = v->pid;
		r->_pad = 0;
		r->start_ns = v->start_ns;
		r->pages = v->pages;
		r->mm_gone_ns = v->gone_ns - v->kill_ns;
		r->room_ns = v->room_ns;
		r->domain_id = v->domain_id;
		ox_emit_submit(OOMX_REC_FREED, r);
	} else {
		ox_count(dropped[OOMX_REC_FREED]);
	}
	bpf_map_delete_elem(&oomx_victims, &key);
	return 0;
}

/* Facts of the one that dies: those ranked if it was the best, else read now. */
static __always_inline void ox_watch_victim_facts(struct ox_seat *s, struct task_struct *t,
						  struct mm_struct *mm, struct oomx_rec_kill *r)
{
	u32 pid = BPF_CORE_READ(t, tgid);
	u64 start_ns = BPF_CORE_READ(t, group_leader, start_boottime);
	s32 adj = ox_adj_of_sharer(pid, start_ns, (u64)mm, BPF_CORE_READ(t, signal, oom_score_adj));

	if (ox_now.ranked && s->best.task && s->best.pid == pid) {
		ox_facts_complete(&s->best_facts, ox_addr(t));
		r->facts = s->best_facts;
		r->badness = s->best.badness;
		r->points = s->best.points;
		return;
	}
	ox_memo_reset(&s->memo, s->dom.css);
	ox_facts_fill(&s->facts, t, mm, &s->dom, &s->memo);
	ox_facts_rest(&s->facts, ox_addr(t));
	s->facts.oom_score_adj = adj;
	r->facts = s->facts;
	r->points = oomx_badness(&s->facts);
	r->badness = ox_policy_badness(&s->facts);
}

static __always_inline void ox_watch_would(struct ox_seat *s, struct oomx_rec_kill *r)
{
	bool any = ox_now.ranked && s->best.task;

	r->would_pid = any ? s->best.pid : 0;
	r->would_badness = any ? s->best.badness : OOMX_NEVER;
	r->would_points = any ? s->best.points : OX_LONG_MIN;
	ox_emit_comm(r->would_comm, any ? s->best.task : NULL);
}

static __noinline int ox_watch_emit_kill(struct ox_seat *s, struct task_struct *t,
					 struct mm_struct *mm, bool ours)
{
	struct oomx_config *cfg = ox_config();
	struct oomx_rec_kill *r;
	u64 now = bpf_ktime_get_ns();
	u32 type = ours ? OOMX_REC_KILL : OOMX_REC_KERNEL_KILL;

	r = bpf_ringbuf_reserve(&oomx_vital, sizeof(*r), 0);
	if (!r) {
		if (ours)
			ox_count(dropped[OOMX_REC_KILL]);
		else
			ox_count(dropped[OOMX_REC_KERNEL_KILL]);
		return 0;
	}
	ox_emit_header(&r->hdr, type, sizeof(*r));
	ox_watch_victim_facts(s, t, mm, r);
	ox_emit_who(&r->victim, t, r->facts.oom_score_adj, s);
	r->group = ox_now.n_kills > 0 && r->victim.pid != ox_now.chosen_pid;
	r->agreed = ox_now.ranked && s->best.task && s->best.task == s->kernel.task;
	r->trigger_pid = s->dom.trigger;
	r->rules_generation = cfg ? cfg->rules_generation : 0;
	r->latency_ns = now - ox_now.fail_ns;
	r->wait_ns = ox_now.wait_ns;
	r->domain_id = ox_css_cgroup_id(s->dom.css);
	r->flags = ox_now.signalled ? OOMX_KILL_SIGNALLED : 0;
	ox_watch_would(s, r);
	__builtin_memset(r->policy, 0, sizeof(r->policy));
	r->policy_hash = 0;
	if (cfg) {
		__builtin_memcpy(r->policy, cfg->policy, sizeof(r->policy));
		r->policy_hash = cfg->policy_hash;
	}
	bpf_ringbuf_submit(r, 0);
	if (ours)
		ox_count(sent[OOMX_REC_KILL]);
	else
		ox_count(sent[OOMX_REC_KERNEL_KILL]);
	return 0;
}

/*
 * mark_oom_victim() entered. Within __oom_kill_process() that is a kill: SIGKILL is on its way.
 * Outside, the kernel only grants reserves to a task that is dying anyway. With memory.oom.group
 * the kernel goes over its first victim twice; it is reported once.
 */
static __always_inline void ox_watch_marked(struct task_struct *t, struct ox_seat *s)
{
	struct mm_struct *mm = BPF_CORE_READ(t, mm);
	struct oomx_config *cfg = ox_config();
	struct ox_victim *v;
	u64 key = (u64)mm;
	bool ours = ox_now.enforced && !ox_now.abstained &&
		    (ox_now.obeyed || ox_now.signalled);

	if (!ox_now.in_kill || !mm)
		return;
	v = bpf_map_lookup_elem(&oomx_victims, &key);
	if (!v || (v->state & OX_VICTIM_KILLED))
		return;
	if (!ox_now.announced) {
		ox_now.announced = true;
		ox_emit_oom(s);
		if (ox_now.ranked)
			ox_emit_candidates(s);
	}
	ox_count(kills);
	ox_watch_emit_kill(s, t, mm, ours);
	ox_now.n_kills++;
	v->pages = cfg ? ox_mm_pages(mm, cfg->rss_mode, cfg->n_cpus) : 0;
	if (__sync_fetch_and_or(&v->state, OX_VICTIM_KILLED) & OX_VICTIM_GONE)
		ox_watch_emit_freed(v, key);
}

static __always_inline void ox_watch_leave(struct oom_control *oc, bool ret)
{
	struct task_struct *chosen = BPF_CORE_READ(oc, chosen);

	ox_now.awaiting = false;
	if (!ox_now.mine)
		return;
	ox_turn_end();
	ox_now.mine = false;
	ox_now.choosing = false;
	if (ox_now.n_kills)
		return;
	if (chosen == (void *)-1UL)
		ox_count(joined);
	else if (ret && !chosen && ox_exiting((void *)bpf_get_current_task()))
		ox_count(exiting);
	else
		ox_count(standing_down);
}

/*
 * The reaper or process_mrelease() is through with it, or (gone) exit_mmap() has freed it. whole:
 * so far that nothing is to be waited for, as the kernel sees it, which then sets MMF_OOM_SKIP.
 */
static __always_inline void ox_watch_freed(struct mm_struct *mm, bool gone, bool whole)
{
	u64 key = (u64)mm, now;
	struct ox_victim *v = bpf_map_lookup_elem(&oomx_victims, &key);

	if (!v)
		return;
	now = bpf_ktime_get_ns();
	if (!v->room_ns && ox_domain_room(v->css, v->zones, v->order))
		v->room_ns = now - v->kill_ns;
	if (whole && ox_inflight[v->slot & (OX_INFLIGHT - 1)].mm == key)
		ox_inflight[v->slot & (OX_INFLIGHT - 1)].gone = 1;
	if (!gone)
		return;
	v->gone_ns = now;
	if (__sync_fetch_and_or(&v->state, OX_VICTIM_GONE) & OX_VICTIM_KILLED)
		ox_watch_emit_freed(v, key);
}

#endif
