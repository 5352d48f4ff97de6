// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct_ops - makes the policy's choice the kernel's own through the kernel module (kmod/): that
 * asks within out_of_memory(), and has the kernel kill whom it is told. Reports like observe.
 *
 * The choice is made as out_of_memory() is entered, and left in the map that tells whose turn it
 * is. What the module calls only reads it there, and is the same in every oomx: while one takes
 * over from another it does not matter whose of the two is called.
 */
#include <oomx/enforce.bpf.h>
#include <oomx/programs.bpf.h>
#include <oomx_choice.h>

char _license[] SEC("license") = "GPL";

/* All zones are given up on, as in nominate. */
SEC("fexit/unreserve_highatomic_pageblock")
int BPF_PROG(ox_global_failed, struct alloc_context *ac, bool force, bool ret)
{
	if (force && !ret)
		ox_watch_failed(/* css= */ NULL, /* order= */ 0);
	return 0;
}

SEC("fentry/out_of_memory")
int BPF_PROG(ox_oom_enter, struct oom_control *oc)
{
	struct ox_seat *s = ox_seat();
	struct oomx_turn *t = ox_turn();

	ox_watch_enter(oc);
	if (!s || !t || !ox_choose(oc, s, /* in_doubt= */ false))
		return 0;
	t->wanted = s->best.pid;
	ox_now.enforced = true;
	return 0;
}

/* Called by the module: always between the programs on entry and on exit of out_of_memory(). */
SEC("struct_ops/ox_choose")
int BPF_PROG(ox_asked, struct oomx_choice *c)
{
	struct oomx_turn *t = ox_turn();

	return t ? (int)t->wanted : OOMX_CHOOSE_NOBODY;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(ox_oom_chosen, struct oom_control *oc)
{
	struct ox_seat *s = ox_seat();

	if (!s)
		return 0;
	ox_watch_chosen(oc, s);
	ox_enforce_check(s);
	return 0;
}

SEC("fentry/mark_oom_victim")
int BPF_PROG(ox_marked, struct task_struct *t)
{
	struct ox_seat *s = ox_seat();

	if (s)
		ox_watch_marked(t, s);
	return 0;
}

SEC("fexit/out_of_memory")
int BPF_PROG(ox_oom_leave, struct oom_control *oc, bool ret)
{
	ox_watch_leave(oc, ret);
	return 0;
}

SEC("fexit/exit_mmap")
int BPF_PROG(ox_mm_gone, struct mm_struct *mm)
{
	ox_watch_freed(mm, /* gone= */ true, /* whole= */ true);
	return 0;
}

/*
 * Again: the recursion guard leaves a program out where one on the same CPU was preempted in the
 * middle of it. That one cannot be in the middle of this one as well; for the others there is
 * nothing left to do.
 */
SEC("fexit/exit_mmap")
int BPF_PROG(ox_mm_gone_missed, struct mm_struct *mm)
{
	ox_watch_freed(mm, /* gone= */ true, /* whole= */ true);
	return 0;
}

SEC(".struct_ops.link")
struct oomx_choice_ops oomx_choice_ops = {
	.choose = (void *)ox_asked,
	.abi = OOMX_CHOICE_ABI,
	.name = "oomx",
};
