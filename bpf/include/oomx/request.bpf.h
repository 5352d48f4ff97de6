/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * request.bpf.h - what user space is asked to do: raise a nominee's oom_score_adj, lower a
 * rival's, put an inherited one right. What is asked for is on record first (map oomx_raised), so
 * that it is put back whoever dies in between.
 *
 * Two rings, each read by a process of its own. The responder has no CAP_SYS_RESOURCE: it may
 * raise and put back, and leaves oom_score_adj_min alone. The demoter has it: it lowers those
 * whose minimum is their value, and puts both back at once by writing the value again.
 */
#ifndef OOMX_REQUEST_BPF_H
#define OOMX_REQUEST_BPF_H

#include <oomx/watch.bpf.h>

#define OX_NOMINEES 8
#define OX_LATELY 1024

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} oomx_requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} oomx_demotions SEC(".maps");

/*
 * What was asked for, by process id: like oomx_raised, but nobody deletes from it. fork() copies
 * the value some time before the child runs; by then the parent may have its own again, and be on
 * record no more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OX_LATELY);
	__type(key, u32);
	__type(value, struct oomx_raised);
} oomx_lately SEC(".maps");

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

static __always_inline s32 ox_adj_now(struct task_struct *t)
{
	return BPF_CORE_READ(t, signal, oom_score_adj);
}

/* False: no room, on record or in the ring. */
__noinline int ox_request_put(struct oomx_request *q, bool demoter)
{
	struct oomx_raised raised = { .ktime_ns = bpf_ktime_get_ns(), .capped = demoter };
	struct oomx_request *r;
	u32 pid;
	u64 mm;

	if (!q)
		return false;
	pid = q->pid; /* keys lie on the stack: 6.1 takes no others */
	mm = q->mm;
	raised.start_ns = q->start_ns;
	raised.old_adj = q->old_adj;
	raised.set_adj = q->set_adj;

	if (bpf_map_update_elem(&oomx_raised, &pid, &raised, BPF_ANY))
		return false;
	bpf_map_update_elem(&oomx_lately, &pid, &raised, BPF_ANY);
	if (!(q->flags & OOMX_REQ_RESTORE)) /* or it might stand for its parent, and be gone soon */
		bpf_map_update_elem(&oomx_sharers, &mm, &pid, BPF_ANY);
	r = demoter ? bpf_ringbuf_reserve(&oomx_demotions, sizeof(*r), 0) :
		      bpf_ringbuf_reserve(&oomx_requests, sizeof(*r), 0);
	if (!r)
		return false;
	*r = *q;
	r->ktime_ns = raised.ktime_ns;
	bpf_ringbuf_submit(r, BPF_RB_FORCE_WAKEUP);
	return true;
}

/* Where it is, is kept in the seat: see ox_member_step(). */
struct ox_sharers_walk {
	struct ox_seat *seat;
	const struct oomx_request *q;
	bool demoter;
};

static int ox_sharer_step(u32 i, struct ox_sharers_walk *w)
{
	const struct oomx_request *q = w->q;
	struct oomx_raised raised = {};
	struct ox_seat *s = w->seat;
	struct list_head *next;
	struct task_struct *t;
	u32 pid;

	if (!s || !q)
		return 1;
	next = ox_read(s->pos, tasks.next);
	t = ox_task_of_tasks(next);
	s->pos = t;
	if (!next || t == (struct task_struct *)ox_symbol(init_task))
		return 1;
	pid = BPF_CORE_READ(t, tgid);
	if ((u64)BPF_CORE_READ(t, mm) != q->mm || pid == q->pid)
		return 0;
	raised.start_ns = BPF_CORE_READ(t, start_boottime);
	raised.ktime_ns = bpf_ktime_get_ns();
	raised.old_adj = ox_adj_of_owner(pid, raised.start_ns, ox_adj_now(t));
	raised.set_adj = q->set_adj;
	raised.capped = w->demoter;
	raised.of = q->pid;
	bpf_map_update_elem(&oomx_raised, &pid, &raised, BPF_ANY);
	return 0;
}

/*
 * Others share the memory of one that is altered: they are altered with it, and put back with it,
 * as long as it lives and shares their memory. On record are all of them.
 */
__noinline int ox_request_sharers(struct ox_seat *s, struct oomx_request *q, bool demoter)
{
	struct ox_sharers_walk w = { .seat = s, .q = q, .demoter = demoter };

	if (!s || !q)
		return 0;
	s->pos = (struct task_struct *)ox_symbol(init_task);
	bpf_loop(OX_TASKS_MAX, ox_sharer_step, &w, 0);
	q->flags |= OOMX_REQ_SHARED;
	return 0;
}

static __always_inline bool ox_shares(struct task_struct *t, struct mm_struct *mm)
{
	return BPF_CORE_READ(mm, mm_users.counter) > BPF_CORE_READ(t, signal, nr_threads);
}

/* Asks for the seat's best to be raised. */
__noinline int ox_request_raise(struct ox_seat *s, u32 flags)
{
	u32 slot = __sync_fetch_and_add(&ox_nominees_next, 1) & (OX_NOMINEES - 1);
	struct ox_nominee *n = &ox_nominees[slot];
	struct oomx_request q = { .set_adj = OOMX_ADJ_RAISED, .flags = flags };

	if (!s)
		return false;
	q.pid = s->best.pid;
	q.old_adj = s->best.adj;
	q.start_ns = s->best.start_ns;
	q.mm = (u64)s->best.mm;
	q.lack_pages = ox_domain_lack(&s->dom);

	if (ox_shares(s->best.task, s->best.mm))
		ox_request_sharers(s, &q, /* demoter= */ false);
	if (!ox_request_put(&q, /* demoter= */ false))
		return false;
	n->task = s->best.task;
	n->css = s->dom.css;
	n->start_ns = s->best.start_ns;
	n->ktime_ns = bpf_ktime_get_ns();
	n->pid = s->best.pid;
	ox_count(nominated);
	return true;
}

struct ox_demotions {
	struct ox_seat *seat;
	bool again;
	bool failed;
};

static int ox_demotion_step(u32 i, struct ox_demotions *d)
{
	struct oomx_request q = { .set_adj = OOMX_ADJ_LOWERED };
	struct ox_seat *s = d->seat;
	struct ox_rival *r;

	if (!s || i >= s->n_rivals)
		return 1;
	r = &s->rivals[i & (OX_RIVALS - 1)];
	if (!d->again && ox_adj_now(r->task) != r->adj)
		return 0;
	q.pid = r->pid;
	q.old_adj = r->adj;
	q.start_ns = r->start_ns;
	q.mm = (u64)r->mm;
	q.lack_pages = ox_domain_lack(&s->dom);
	if (ox_shares(r->task, r->mm))
		ox_request_sharers(s, &q, r->adj_min > OOMX_ADJ_LOWERED);
	if (!ox_request_put(&q, r->adj_min > OOMX_ADJ_LOWERED)) {
		d->failed = true;
		return 1;
	}
	ox_count(demoted);
	return 0;
}

/* Asks for all of the seat's rivals to be lowered that are not yet; again: the others as well. */
__noinline int ox_request_demotions(struct ox_seat *s, bool again)
{
	struct ox_demotions d = { .seat = s, .again = again };

	if (!s)
		return false;
	bpf_loop(OX_RIVALS, ox_demotion_step, &d, 0);
	return !d.failed;
}

/* Any of the seat's rivals would have to be lowered by the demoter. */
__noinline int ox_needs_demoter(struct ox_seat *s)
{
	u32 i;

	if (!s)
		return false;
	for (i = 0; i < OX_RIVALS && i < s->n_rivals; i++)
		if (s->rivals[i].adj_min > OOMX_ADJ_LOWERED)
			return true;
	return false;
}

/* All of the seat's rivals are out of the best's way. */
__noinline int ox_rivals_down(struct ox_seat *s)
{
	u32 i;

	if (!s)
		return false;
	for (i = 0; i < OX_RIVALS && i < s->n_rivals; i++) {
		struct task_struct *t = s->rivals[i].task;

		if (ox_adj_now(t) == s->rivals[i].adj && !ox_exiting(t))
			return false;
	}
	return true;
}

/*
 * A process was forked, and is about to run. What its parent has from us for the length of an OOM
 * it must not keep for life.
 */
static __always_inline void ox_request_inherited(struct task_struct *parent,
						 struct task_struct *child)
{
	u32 pid = BPF_CORE_READ(parent, tgid);
	struct oomx_raised *of = bpf_map_lookup_elem(&oomx_lately, &pid);
	struct oomx_request q = { .flags = OOMX_REQ_RESTORE };
	u64 mm = (u64)BPF_CORE_READ(parent, mm);
	u32 *sharer;

	if (!of || of->start_ns != BPF_CORE_READ(parent, group_leader, start_boottime)) {
		sharer = bpf_map_lookup_elem(&oomx_sharers, &mm);
		of = sharer ? bpf_map_lookup_elem(&oomx_lately, sharer) : NULL;
		if (!sharer || !of)
			return;
		pid = *sharer;
	}
	q.pid = BPF_CORE_READ(child, tgid);
	if (q.pid == (u32)BPF_CORE_READ(parent, tgid)) /* a thread */
		return;
	if (ox_adj_now(child) != of->set_adj) /* forked before that */
		return;
	/* put back, and set to the same by its owner since */
	if (ox_adj_now(parent) == of->set_adj && !bpf_map_lookup_elem(&oomx_raised, &pid))
		return;
	q.old_adj = of->old_adj;
	q.set_adj = of->set_adj;
	q.start_ns = BPF_CORE_READ(child, start_boottime);
	q.mm = (u64)BPF_CORE_READ(child, mm);
	if (ox_request_put(&q, /* demoter= */ of->capped))
		ox_count(inherited);
}

/* A nominee's memory is gone: nothing is left to restore. */
static __always_inline void ox_request_forget(struct mm_struct *mm)
{
	u64 key = (u64)mm;
	struct ox_victim *v = bpf_map_lookup_elem(&oomx_victims, &key);
	u32 pid;

	if (!v)
		return;
	pid = v->pid;
	bpf_map_delete_elem(&oomx_raised, &pid);
}

/* It was killed: raising it was no false alarm. */
static __always_inline void ox_request_killed(struct task_struct *t)
{
	u32 pid = BPF_CORE_READ(t, tgid);
	struct oomx_raised *r = bpf_map_lookup_elem(&oomx_raised, &pid);

	if (r)
		r->killed = 1;
}

#endif
