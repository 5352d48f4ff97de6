/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task.bpf.h - what the kernel's OOM killer asks of a task, asked without its locks: every read
 * is fault-safe, a task that changes meanwhile gives a value of before or after.
 */
#ifndef OOMX_TASK_BPF_H
#define OOMX_TASK_BPF_H

#include <oomx/mem.bpf.h>

#define OX_THREADS_MAX (1 << 20)

/* container_of() over a field whose offset the running kernel decides */
#define ox_task_of_thread(n)                                                                       \
	((struct task_struct *)((char *)(n) -                                                      \
				bpf_core_field_offset(struct task_struct, thread_node)))
#define ox_task_of_tasks(n)                                                                        \
	((struct task_struct *)((char *)(n) - bpf_core_field_offset(struct task_struct, tasks)))

static __always_inline struct list_head *ox_thread_head(struct signal_struct *sig)
{
	return (void *)sig + bpf_core_field_offset(struct signal_struct, thread_head);
}

/* is_global_init() or a kernel thread: oom_unkillable_task() (mm/oom_kill.c, 6.1 to 7.3) */
static __always_inline bool ox_unkillable(struct task_struct *p)
{
	struct task_struct *t = ox_cast(p);

	return ox_get(t, tgid) == 1 || (ox_get(t, flags) & OX_PF_KTHREAD);
}

struct ox_find_mm {
	struct list_head *head;
	struct list_head *node;
	struct task_struct *t;
	struct mm_struct *mm;
};

static int ox_find_mm_step(u32 i, struct ox_find_mm *f)
{
	struct list_head *node = f->node;
	struct task_struct *t;
	struct mm_struct *mm;

	if (!node || node == f->head)
		return 1;
	t = ox_task_of_thread(node);
	mm = BPF_CORE_READ(t, mm);
	if (mm) {
		f->t = t;
		f->mm = mm;
		return 1;
	}
	f->node = BPF_CORE_READ(node, next);
	return 0;
}

/*
 * find_lock_task_mm() (mm/oom_kill.c, 6.1 to 7.3) without the lock: the first thread that still
 * has an mm; its leader may have exited. False if there is none.
 */
static __noinline bool ox_find_mm(struct task_struct *p, struct ox_find_mm *f)
{
	struct list_head *head;

	f->t = p;
	f->mm = BPF_CORE_READ(p, mm);
	if (f->mm)
		return true;
	f->t = NULL;
	head = ox_thread_head(BPF_CORE_READ(p, signal));
	f->head = head;
	f->node = BPF_CORE_READ(head, next);
	bpf_loop(OX_THREADS_MAX, ox_find_mm_step, f, 0);
	return f->mm != NULL;
}

/* in_vfork() (include/linux/sched/mm.h, 6.1 to 7.3): its parent waits, and shares its mm */
static __always_inline bool ox_in_vfork(struct task_struct *t, struct mm_struct *mm)
{
	return ox_read(t, vfork_done) && BPF_CORE_READ(t, real_parent, mm) == mm;
}

/* All its threads are dying: __task_will_free_mem() (mm/oom_kill.c, 6.1 to 7.3), less core dumps */
static __always_inline bool ox_exiting(struct task_struct *p)
{
	return BPF_CORE_READ(p, signal, flags) & OX_SIGNAL_GROUP_EXIT;
}

/*
 * What is asked of every process. The rest, ox_look_closer(), is asked only of those for whom the
 * answer matters: reading is what ranking costs.
 */
struct ox_look {
	struct task_struct *task;
	struct task_struct *thread; /* the first that has an mm */
	struct mm_struct *mm;
	struct mm_struct *oom_mm; /* not NULL: a victim already */
	s32 adj;
	bool origin;
};

/* The three fields lie side by side: one read, where each read is a call. */
static __always_inline void ox_look_signal_call(struct ox_look *l, struct signal_struct *sig)
{
	const u32 from = bpf_core_field_offset(sig->oom_flag_origin);
	const u32 adj = bpf_core_field_offset(sig->oom_score_adj) - from;
	const u32 mm = bpf_core_field_offset(sig->oom_mm) - from;
	char buf[32];

	if (adj > sizeof(buf) - sizeof(s16) || mm > sizeof(buf) - sizeof(void *)) {
		l->oom_mm = BPF_CORE_READ(sig, oom_mm);
		l->adj = BPF_CORE_READ(sig, oom_score_adj);
		l->origin = BPF_CORE_READ(sig, oom_flag_origin);
		return;
	}
	bpf_probe_read_kernel(buf, mm + sizeof(void *), (void *)sig + from);
	l->oom_mm = *(struct mm_struct **)(buf + mm);
	l->adj = *(s16 *)(buf + adj);
	l->origin = *buf;
}

static __always_inline void ox_look_signal(struct ox_look *l, struct signal_struct *sig)
{
	if (ox_can_cast()) {
		l->oom_mm = sig->oom_mm;
		l->adj = sig->oom_score_adj;
		l->origin = sig->oom_flag_origin;
	} else {
		ox_look_signal_call(l, sig);
	}
}

/* False: a kernel thread. */
static __always_inline bool ox_look(struct ox_look *l, struct task_struct *p)
{
	struct task_struct *t = ox_cast(p);

	l->task = p;
	l->thread = p;
	l->mm = ox_get(t, mm);
	if (!l->mm && (ox_get(t, flags) & OX_PF_KTHREAD))
		return false;
	ox_look_signal(l, ox_get(t, signal));
	return true;
}

/* Its leader has no mm any more. */
static __noinline bool ox_look_threads(struct ox_look *l)
{
	struct ox_find_mm f = {};
	bool found = ox_find_mm(l->task, &f);

	l->thread = f.t;
	l->mm = f.mm;
	return found;
}

/* The tests of oom_badness() before it counts; those that turn away many processes. */
static __always_inline bool ox_look_killable(struct ox_look *l)
{
	return (l->mm || ox_look_threads(l)) && l->adj != OX_ADJ_MIN;
}

/* Its other tests: init, kernel threads on a borrowed mm, vfork, given up on by the reaper. */
static __always_inline bool ox_look_closer(struct ox_look *l)
{
	struct task_struct *thread = l->thread;

	return !ox_unkillable(l->task) && !(ox_mm_flags(l->mm) & (1UL << OX_MMF_OOM_SKIP)) &&
	       !ox_in_vfork(thread, l->mm);
}

/* All the tests of oom_badness() before it counts. Fills f; false: LONG_MIN, not to be killed. */
static __always_inline bool ox_killable(struct task_struct *p, struct ox_find_mm *f, s32 *adj)
{
	struct ox_look l = {};

	if (!ox_look(&l, p) || !ox_look_killable(&l))
		return false;
	*adj = l.adj;
	f->t = l.thread;
	f->mm = l.mm;
	return ox_look_closer(&l);
}

#endif
