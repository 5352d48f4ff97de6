// SPDX-License-Identifier: GPL-2.0-only
/*
 * observe - ranks and reports, changes nothing. The policy's choice is made at the instant when
 * the kernel has made its own and killed nobody yet: "would have chosen X, the kernel chose Y".
 */
#include <oomx/programs.bpf.h>

char _license[] SEC("license") = "GPL";

SEC("fentry/out_of_memory")
int BPF_PROG(ox_oom_enter, struct oom_control *oc)
{
	ox_watch_enter(oc);
	return 0;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(ox_oom_chosen, struct oom_control *oc)
{
	struct ox_seat *s = ox_seat();

	if (s)
		ox_watch_chosen(oc, s);
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
