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
	return BPF_CORE_READ(p, tgid) == 1 || (BPF_CORE_READ(p, flags) & OX_PF_KTHREAD);
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
	return BPF_CORE_READ(t, vfork_done) && BPF_CORE_READ(t, real_parent, mm) == mm;
}

/* All its threads are dying: __task_will_free_mem() (mm/oom_kill.c, 6.1 to 7.3), less core dumps */
static __always_inline bool ox_exiting(struct task_struct *p)
{
	return BPF_CORE_READ(p, signal, flags) & OX_SIGNAL_GROUP_EXIT;
}

static __always_inline bool ox_is_victim(struct task_struct *p)
{
	return BPF_CORE_READ(p, signal, oom_mm) != NULL;
}

/*
 * The tests of oom_badness() before it counts. Fills f; false: LONG_MIN, not to be killed.
 */
static __always_inline bool ox_killable(struct task_struct *p, struct ox_find_mm *f, s32 *adj)
{
	struct task_struct *t;

	if (ox_unkillable(p) || !ox_find_mm(p, f))
		return false;
	t = f->t;
	*adj = BPF_CORE_READ(t, signal, oom_score_adj);
	if (*adj == OX_ADJ_MIN || (ox_mm_flags(f->mm) & (1UL << OX_MMF_OOM_SKIP)))
		return false;
	return !ox_in_vfork(t, f->mm);
}

#endif
