// SPDX-License-Identifier: GPL-2.0-only
/*
 * oomx - lets a BPF program choose the OOM killer's victim: the struct_ops type "oomx_choice_ops"
 * (oomx_choice.h), and two functions of the kernel, hooked by ftrace:
 *   out_of_memory()  the program is asked, then the kernel's own function goes on;
 *   oom_badness()    is the kernel's own, but for the chosen one, which gets LONG_MAX unless the
 *		      kernel finds it ineligible: then nothing is changed.
 *
 * All else is the kernel's. Nobody is ever made ineligible: without candidates it panics.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bpf_verifier.h>
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/pid_namespace.h>
#include <linux/static_call.h>
#include "compat.h"
#include "oomx_choice.h"

#define LATE_MAX 3 /* late answers in a row until a program is not asked any more */
static unsigned int budget_ms = 1000;
module_param(budget_ms, uint, 0644);
MODULE_PARM_DESC(budget_ms, "an answer that takes longer is not used");

#define COUNTER(name, text)                                                                        \
	static unsigned long name;                                                                 \
	module_param(name, ulong, 0444);                                                           \
	MODULE_PARM_DESC(name, "OOMs: " text)

COUNTER(asked, "the program was asked; each is one of the next five, too");
COUNTER(chosen, "the kernel took its choice");
COUNTER(abstained, "it left the choice to the kernel");
COUNTER(failed, "its answer was negative");
COUNTER(late, "its answer came later than budget_ms");
COUNTER(refused, "its choice is no process, or was not killed: ineligible, or memory came free");
COUNTER(skipped, "it was not asked, as an earlier victim was on its way out");

/* ---- the struct_ops type -------------------------------------------------------------------- */

static struct oomx_choice_ops __rcu *current_ops;
static DEFINE_MUTEX(ops_lock);
static unsigned int late_in_a_row;

static const struct bpf_verifier_ops oomx_verifier_ops = {
	.get_func_proto = bpf_base_func_proto,
	.is_valid_access = bpf_tracing_btf_ctx_access,
};

static int oomx_init_type(struct btf *btf)
{
	return 0;
}

/* Under oom_lock nothing may sleep: a page fault there could wait for memory. */
static int oomx_check_member(const struct btf_type *t, const struct btf_member *member,
			     const struct bpf_prog *prog)
{
	return prog->sleepable ? -EINVAL : 0;
}

/* 1: taken care of; 0: the core's to do */
static int oomx_init_member(const struct btf_type *t, const struct btf_member *member, void *kdata,
			    const void *udata)
{
	const struct oomx_choice_ops *from = udata;
	struct oomx_choice_ops *to = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct oomx_choice_ops, abi):
		to->abi = from->abi;
		return to->abi == OOMX_CHOICE_ABI ? 1 : -EPROTONOSUPPORT;
	case offsetof(struct oomx_choice_ops, name):
		strscpy(to->name, from->name, sizeof(to->name));
		return 1;
	}
	return 0;
}

static int oomx_validate(void *kdata)
{
	const struct oomx_choice_ops *ops = kdata;

	return ops->choose && ops->abi ? 0 : -EINVAL;
}

/* One pointer for the other: while a program is replaced, there is none at no instant. */
static int oomx_set(struct oomx_choice_ops *ops, bool only_if_none)
{
	guard(mutex)(&ops_lock);
	if (only_if_none && rcu_access_pointer(current_ops))
		return -EBUSY;
	rcu_assign_pointer(current_ops, ops);
	WRITE_ONCE(late_in_a_row, 0);
	synchronize_rcu(); /* nobody is in the old one any more */
	return 0;
}

static int oomx_reg(void *kdata OOMX_LINK_ARG)
{
	return oomx_set(kdata, true);
}

static void oomx_unreg(void *kdata OOMX_LINK_ARG)
{
	oomx_set(NULL, false);
}

static int oomx_update(void *kdata, void *old_kdata OOMX_LINK_ARG)
{
	return oomx_set(kdata, false);
}

static int oomx_choose_stub(struct oomx_choice *c)
{
	return OOMX_CHOOSE_NOBODY;
}

static struct oomx_choice_ops oomx_stubs = { .choose = oomx_choose_stub };

static struct bpf_struct_ops oomx_struct_ops = {
	.verifier_ops = &oomx_verifier_ops,
	.init = oomx_init_type,
	.check_member = oomx_check_member,
	.init_member = oomx_init_member,
	.validate = oomx_validate,
	.reg = oomx_reg,
	.unreg = oomx_unreg,
	.update = oomx_update,
	.cfi_stubs = &oomx_stubs,
	.name = "oomx_choice_ops",
	.owner = THIS_MODULE,
};

/* ---- the choice: under oom_lock, so one at a time on the whole machine ---------------------- */

static struct task_struct *asking, *wanted; /* whose out_of_memory() it is, if it wants one; whom */
static struct task_struct *victims[8]; /* the latest that were chosen, with references */
static bool killed; /* the kernel has, since it was last seen that no victim is left */
static atomic_t inside = ATOMIC_INIT(0); /* calls in the new functions */

/* The kernel's own; called directly: both are sealed against indirect calls (IBT). */
DEFINE_STATIC_CALL_NULL(kernel_oom, out_of_memory);
DEFINE_STATIC_CALL_NULL(kernel_badness, oom_badness);

/* out_of_memory() will go on to choose somebody: its own tests before that; and not for sysrq-f */
static bool will_choose(const struct oom_control *oc)
{
	return oc->order != -1 && !fatal_signal_pending(current) &&
	       !(current->flags & PF_EXITING) && (oc->memcg || (oc->gfp_mask & __GFP_FS));
}

/* A victim in the same domain whose memory nobody has given up on (MMF_OOM_SKIP); *any: in any. */
static bool in_flight(struct task_struct *t, const struct oom_control *oc, bool *any)
{
	if (!t || !tsk_is_oom_victim(t) || oomx_mm_over(t->signal->oom_mm))
		return false;
	*any = true;
	return !oc->memcg || cgroup_is_descendant(task_css(t, memory_cgrp_id)->cgroup,
						  oc->memcg->css.cgroup);
}

/*
 * The kernel makes no new choice while there is one, but loses sight of it: once it is gone and
 * others who share its memory are not, and since 7.x in a memcg once it is exiting.
 */
static bool victim_in_flight(const struct oom_control *oc)
{
	bool any = false, here = false;
	struct task_struct *t;
	unsigned int i;

	if (!killed)
		return false;
	guard(rcu)();
	for_each_process(t)
		here |= in_flight(t, oc, &any);
	for (i = 0; i < ARRAY_SIZE(victims); i++)
		here |= in_flight(victims[i], oc, &any);
	killed = any;
	return here;
}

/*
 * The process with this id, with a reference; NULL: none that could ever be killed. It cannot have
 * become another's since the choice: ids go round, and all would have to be used up meanwhile.
 */
static struct task_struct *process_of(int pid)
{
	struct task_struct *t = pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_TGID);

	return t && !is_global_init(t) && !(t->flags & PF_KTHREAD) ? get_task_struct(t) : NULL;
}

static struct task_struct *ask(const struct oom_control *oc)
{
	struct oomx_choice c = {
		.cgroup_id = oc->memcg ? cgroup_id(oc->memcg->css.cgroup) : 0,
		.trigger = current->tgid,
		.order = oc->order,
		.gfp = (__force u32)oc->gfp_mask,
	};
	struct task_struct *t = NULL;
	struct oomx_choice_ops *ops;
	u64 t0 = ktime_get_ns();
	int pid;

	guard(rcu)();
	ops = rcu_dereference(current_ops);
	if (!ops) /* detached just now */
		return NULL;
	c.id = ++asked;
	pid = ops->choose(&c);
	if (ktime_get_ns() - t0 > (u64)READ_ONCE(budget_ms) * NSEC_PER_MSEC) {
		late++;
		WRITE_ONCE(late_in_a_row, late_in_a_row + 1);
		pr_notice("%s took longer than %u ms: the kernel chooses%s\n", ops->name,
			  budget_ms, late_in_a_row == LATE_MAX ? ", from now on" : "");
	} else {
		WRITE_ONCE(late_in_a_row, 0);
		t = pid > 0 ? process_of(pid) : NULL;
		failed += pid < 0;
		abstained += !pid;
		refused += pid > 0 && !t;
	}
	return t;
}

static bool new_out_of_memory(struct oom_control *oc)
{
	bool ours = rcu_access_pointer(current_ops) && will_choose(oc) &&
		    READ_ONCE(late_in_a_row) < LATE_MAX;
	bool held = ours && victim_in_flight(oc), ret = true;

	skipped += held;
	wanted = ours && !held ? ask(oc) : NULL;
	WRITE_ONCE(asking, wanted ? current : NULL);
	if (held && oc->memcg)
		oc->chosen = (void *)-1UL; /* as the kernel leaves it where it sees that victim */
	else
		ret = static_call(kernel_oom)(oc);
	WRITE_ONCE(asking, NULL);
	killed |= oc->chosen && oc->chosen != (void *)-1UL;
	if (wanted) {
		chosen += oc->chosen == wanted;
		refused += oc->chosen != wanted;
		swap(wanted, victims[asked % ARRAY_SIZE(victims)]);
		if (wanted)
			put_task_struct(wanted);
	}
	atomic_dec(&inside);
	return ret;
}

/* Others ask for it, too: /proc/PID/oom_score. */
static long new_oom_badness(struct task_struct *p, unsigned long totalpages)
{
	long points = static_call(kernel_badness)(p, totalpages);

	if (READ_ONCE(asking) == current && points != LONG_MIN && same_thread_group(p, wanted))
		points = LONG_MAX;
	atomic_dec(&inside);
	return points;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

static struct hook {
	struct ftrace_ops ops;
	char *symbol;
	void *instead;
	unsigned long site; /* where it is traced */
} hooks[] = {
	{ .symbol = "oom_badness", .instead = new_oom_badness },
	{ .symbol = "out_of_memory", .instead = new_out_of_memory },
};

static void notrace oomx_redirect(unsigned long ip, unsigned long parent, struct ftrace_ops *op,
				  struct ftrace_regs *fregs)
{
	struct hook *h = container_of(op, struct hook, ops);

	if (ip != h->site) /* then what lies behind it is unknown, too */
		return;
	atomic_inc(&inside);
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)h->instead);
}

/* A probe that is never armed says where a function is traced that is not exported. */
static int hook_find(struct hook *h)
{
	struct kprobe probe = { .symbol_name = h->symbol, .flags = KPROBE_FLAG_DISABLED };
	int err = register_kprobe(&probe);

	if (!err)
		unregister_kprobe(&probe);
	h->site = OOMX_SITE((unsigned long)probe.addr);
	h->ops.func = oomx_redirect;
	h->ops.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT;
	return err ?: ftrace_set_filter(&h->ops, h->symbol, strlen(h->symbol), /* reset= */ 1);
}

static void hooks_off(void)
{
	struct hook *h;
	unsigned int i;

	for (h = hooks; h < hooks + ARRAY_SIZE(hooks); h++) {
		if (h->ops.flags & FTRACE_OPS_FL_ENABLED)
			unregister_ftrace_function(&h->ops);
		ftrace_free_filter(&h->ops);
	}
	while (atomic_read(&inside))
		msleep(10);
	synchronize_rcu_tasks(); /* nobody is in the last instructions of the new functions */
	for (i = 0; i < ARRAY_SIZE(victims); i++)
		if (victims[i])
			put_task_struct(victims[i]);
}

static int __init oomx_init(void)
{
	struct hook *h;
	int err = 0;

	for (h = hooks; !err && h < hooks + ARRAY_SIZE(hooks); h++)
		err = hook_find(h);
	if (!err) {
		static_call_update(kernel_badness, (void *)OOMX_BEHIND(hooks[0].site));
		static_call_update(kernel_oom, (void *)OOMX_BEHIND(hooks[1].site));
		for (h = hooks; !err && h < hooks + ARRAY_SIZE(hooks); h++)
			err = register_ftrace_function(&h->ops);
	}
	if (err)
		pr_err("%s() cannot be hooked: %d\n", h[-1].symbol, err);
	err = err ?: register_bpf_struct_ops(&oomx_struct_ops, oomx_choice_ops);
	if (err)
		hooks_off();
	return err;
}

module_init(oomx_init);
module_exit(hooks_off);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("lets a BPF program choose the OOM killer's victim");
MODULE_VERSION("0.1.0");
