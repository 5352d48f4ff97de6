// SPDX-License-Identifier: GPL-2.0-only
/*
 * shields - remembers children of processes whose oom_score_adj of -1000 a rule has rewritten:
 * they inherit what was written, and would have inherited -1000. Stays attached when the daemon is
 * killed, until `oomx stop` has put everything back.
 */
#include <oomx/shields.bpf.h>

char _license[] SEC("license") = "GPL";

SEC("tp_btf/sched_process_fork")
int BPF_PROG(ox_shield_forked, struct task_struct *parent, struct task_struct *child)
{
	u32 from = BPF_CORE_READ(parent, tgid), pid = BPF_CORE_READ(child, tgid);
	struct oomx_shield *s, mine;

	if (from == pid) /* a thread */
		return 0;
	s = bpf_map_lookup_elem(&oomx_shields, &from);
	if (!s || s->start_ns != BPF_CORE_READ(parent, group_leader, start_boottime) ||
	    s->set_adj != BPF_CORE_READ(child, signal, oom_score_adj))
		return 0;
	mine = *s;
	mine.start_ns = BPF_CORE_READ(child, start_boottime);
	bpf_map_update_elem(&oomx_shields, &pid, &mine, BPF_ANY);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(ox_shield_exit, struct task_struct *p)
{
	u32 pid = p->tgid;

	if (BPF_CORE_READ(p, signal, live.counter) == 0)
		bpf_map_delete_elem(&oomx_shields, &pid);
	return 0;
}
