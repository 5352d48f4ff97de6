/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * oomx_choice.h - the ABI between the kernel module and whoever chooses through it: a context of
 * plain numbers in, a process id or "abstain" out. Nothing of the kernel's own types shows, so
 * that one BPF object fits every kernel the module is built for.
 *
 * The including file provides __u32, __s32 and __u64.
 *
 * Both structs grow at their end only. A change of meaning raises OOMX_CHOICE_ABI, and the module
 * then refuses objects of another number.
 */
#ifndef OOMX_CHOICE_H
#define OOMX_CHOICE_H

#define OOMX_CHOICE_ABI 1
#define OOMX_CHOICE_NAME_LEN 32
#define OOMX_CHOOSE_NOBODY 0 /* abstain: the kernel chooses */

/* One OOM at which somebody has to be chosen. Read-only to the program. */
struct oomx_choice {
	__u64 id;	 /* counts up with every question while the module is loaded */
	__u64 cgroup_id; /* of the memcg whose limit was hit; 0: the whole machine */
	__u32 trigger;	 /* process (thread group) id of the task that failed to allocate */
	__s32 order;	 /* of its allocation */
	__u32 gfp;	 /* flags of its allocation */
	__u32 _pad;
};

struct oomx_choice_ops {
	/*
	 * Called once per OOM, under oom_lock and the RCU read lock, in the context of the task
	 * that failed to allocate; must not sleep. Returns the process id, in the initial pid
	 * namespace, of who is to die; OOMX_CHOOSE_NOBODY; or a negative number: it failed.
	 *
	 * The kernel still decides whether that process may be killed here: init, kernel threads,
	 * oom_score_adj -1000, those outside the memcg or cpuset, and victims already reaped may
	 * not, and then the kernel's own choice stands. An answer later than the module's
	 * parameter budget_ms is no answer.
	 */
	int (*choose)(struct oomx_choice *c);
	__u32 abi; /* OOMX_CHOICE_ABI that the object was built for */
	char name[OOMX_CHOICE_NAME_LEN]; /* for the kernel log */
};

#endif
