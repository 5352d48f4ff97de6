/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hasten.bpf.h - those on their way out who want a CPU, and have to wait for it: the responder is
 * asked to help.
 *
 * A kernel that does not preempt itself leaves a CPU to whoever is held on it, and what waits there
 * waits for as long; other CPUs may not pull it, if its cgroup weighs little or may use no other.
 */
#ifndef OOMX_HASTEN_BPF_H
#define OOMX_HASTEN_BPF_H

#include <oomx/hold.bpf.h>

#define OX_LOOK_EVERY_NS 2000000ULL
#define OX_HASTEN_NS 10000000ULL /* ten times what the responder needs; without, all goes on */
#define OX_QUEUED_MAX 4096 /* threads of a victim that are looked at */
/* MAX_RT_PRIO (include/linux/sched/prio.h, 6.1 to 7.3): this or more is not real time */
#define OX_NORMAL_PRIO 100

struct ox_queued {
	struct list_head *head;
	struct list_head *node;
	u32 tid;
};

/* This thread, by its address, waits for the CPU that we are on. */
static __always_inline bool ox_waits_here(u64 thread)
{
	struct task_struct *t = (void *)thread;

	return ox_on_rq(t) && !ox_on_cpu(t) &&
	       BPF_CORE_READ(t, thread_info.cpu) == bpf_get_smp_processor_id();
}

static int ox_queued_step(u32 i, struct ox_queued *q)
{
	struct list_head *node = q->node;
	struct task_struct *t;

	if (!node || node == q->head)
		return 1;
	t = ox_task_of_thread(node);
	q->node = BPF_CORE_READ(node, next);
	/* who moves one that is not to be moved waits until it is */
	if (!ox_waits_here((u64)t) || BPF_CORE_READ(t, migration_disabled))
		return 0;
	q->tid = BPF_CORE_READ(t, pid);
	return 1;
}

/*
 * The id of a thread of this victim that waits for the CPU that we are on; 0: none does. The
 * victim, by its address, may be gone before its memory is: who lives there now is not of that mm.
 */
static __noinline u32 ox_queued_here(u64 task, u64 mm)
{
	struct task_struct *p = (void *)task;
	struct ox_queued q = {};
	struct list_head *head = ox_thread_head(BPF_CORE_READ(p, signal));

	if ((u64)BPF_CORE_READ(p, signal, oom_mm) != mm)
		return 0;
	q.head = head;
	q.node = BPF_CORE_READ(head, next);
	bpf_loop(OX_QUEUED_MAX, ox_queued_step, &q, 0);
	return q.tid;
}

static __noinline bool ox_hasten_ask(u32 tid, u32 flags)
{
	struct oomx_config *cfg = ox_config();
	struct oomx_request *r;

	if (!cfg || !ox_once(cfg->responder_pid) || ox_still_stalled(cfg))
		return false;
	r = bpf_ringbuf_reserve(&oomx_requests, sizeof(*r), 0);
	if (!r)
		return false;
	__builtin_memset(r, 0, sizeof(*r));
	r->pid = tid;
	r->flags = flags;
	r->cpu = bpf_get_smp_processor_id();
	r->ktime_ns = bpf_ktime_get_ns();
	bpf_ringbuf_submit(r, BPF_RB_FORCE_WAKEUP);
	return true;
}

/* That thread is to go to another CPU than ours. */
static __always_inline void ox_hasten_away(u32 tid)
{
	ox_hasten_ask(tid, OOMX_REQ_AWAY);
}

struct ox_hasten_wait {
	struct oomx_config *cfg;
	u64 pos; /* in the ring: behind what was asked for */
	u64 end_ns;
	u32 online;
};

/*
 * It is done, or cannot be, as with groups that have no real time (CONFIG_RT_GROUP_SCHED); or there
 * may be no CPU for the responder as long as we wait.
 */
static int ox_hasten_step(u32 i, struct ox_hasten_wait *w)
{
	return bpf_ringbuf_query(&oomx_requests, BPF_RB_CONS_POS) >= w->pos ||
	       !ox_once(w->cfg->responder_pid) || ox_once(ox_spinning) >= w->online ||
	       bpf_ktime_get_ns() > w->end_ns;
}

/*
 * We are on our way out, with little left to do: from now on nobody but real-time tasks takes the
 * CPU from us. Waits until that is so: if somebody does before, what remains may take much longer.
 * Not who has read the memory of a victim (/proc, process_vm_readv()), and is the last to let go of
 * it: that one lives on, and would have real time for life.
 */
static __noinline int ox_hasten_us(void)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct ox_hasten_wait w = { .cfg = ox_config(), .end_ns = bpf_ktime_get_ns() };

	if (!w.cfg || !(BPF_CORE_READ(cur, flags) & OX_PF_EXITING) ||
	    BPF_CORE_READ(cur, prio) < OX_NORMAL_PRIO ||
	    !ox_hasten_ask(bpf_get_current_pid_tgid(), OOMX_REQ_HASTEN))
		return 0;
	w.pos = bpf_ringbuf_query(&oomx_requests, BPF_RB_PROD_POS);
	w.end_ns += OX_HASTEN_NS;
	w.online = ox_symbol_u32(ox_symbol(__num_online_cpus));
	ox_spin(ox_hasten_step, &w);
	return 0;
}

#endif
