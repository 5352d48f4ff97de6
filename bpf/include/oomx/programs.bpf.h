/* SPDX-License-Identifier: GPL-2.0-only */
/* programs.bpf.h - the programs that are the same in every hook; what they do is in watch.bpf.h. */
#ifndef OOMX_PROGRAMS_BPF_H
#define OOMX_PROGRAMS_BPF_H

#include <oomx/watch.bpf.h>

SEC("fentry/mem_cgroup_out_of_memory")
int BPF_PROG(ox_memcg_failed, struct mem_cgroup *memcg)
{
	ox_watch_failed(ox_memcg_css(memcg), /* order= */ 0);
	ox_inflight_queue(1);
	return 0;
}

SEC("fentry/__oom_kill_process")
int BPF_PROG(ox_kill_enter, struct task_struct *victim)
{
	struct ox_seat *s = ox_seat();

	if (s)
		ox_watch_aim(victim, s);
	return 0;
}

SEC("fexit/__oom_kill_process")
int BPF_PROG(ox_kill_leave)
{
	ox_watch_aimed();
	return 0;
}

SEC("fexit/__oom_reap_task_mm")
int BPF_PROG(ox_reaped, struct mm_struct *mm, bool whole)
{
	ox_watch_freed(mm, /* gone= */ false, whole);
	return 0;
}

#endif
