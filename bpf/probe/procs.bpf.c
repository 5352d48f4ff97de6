// SPDX-License-Identifier: GPL-2.0-only
/*
 * procs - follows processes for rules that ask about them. A child has what its parent has from
 * its first instruction; a process that has become another (by exec, by a new name, user or
 * cgroup) is told, and looked at.
 */
#include <oomx/procs.bpf.h>

char _license[] SEC("license") = "GPL";

#define OX_ADJ_SHIELDED (-1000) /* OOM_SCORE_ADJ_MIN */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} oomx_proc_events SEC(".maps");

/* Not told, for want of room: whoever reads has to look for himself. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, u64);
} oomx_procs_lost SEC(".maps");

static __always_inline int ox_tell(struct task_struct *p)
{
	struct oomx_proc_rec r = {};
	u32 zero = 0;
	u64 *lost;

	if (BPF_CORE_READ(p, flags) & OX_PF_KTHREAD)
		return 0;
	r.pid = BPF_CORE_READ(p, tgid);
	r.start_ns = BPF_CORE_READ(p, group_leader, start_boottime);
	lost = bpf_map_lookup_elem(&oomx_procs_lost, &zero);
	if (bpf_ringbuf_output(&oomx_proc_events, &r, sizeof(r), 0) && lost)
		__sync_fetch_and_add(lost, 1);
	return 0;
}

static __always_inline bool ox_is_shielded(struct task_struct *p)
{
	return BPF_CORE_READ(p, signal, oom_score_adj) == OX_ADJ_SHIELDED;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(ox_proc_forked, struct task_struct *parent, struct task_struct *child)
{
	u32 from = BPF_CORE_READ(parent, tgid), pid = BPF_CORE_READ(child, tgid);
	struct oomx_proc *p, mine;

	if (from == pid) /* a thread */
		return 0;
	if (ox_is_shielded(child)) /* its parent's value may be about to be rewritten */
		ox_tell(child);
	p = bpf_map_lookup_elem(&oomx_procs, &from);
	if (!p || p->start_ns != BPF_CORE_READ(parent, group_leader, start_boottime))
		return 0;
	mine = *p;
	mine.start_ns = BPF_CORE_READ(child, start_boottime);
	if (bpf_map_update_elem(&oomx_procs, &pid, &mine, BPF_ANY))
		ox_tell(child);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(ox_proc_exec, struct task_struct *p)
{
	return ox_tell(p);
}

SEC("tp_btf/task_rename")
int BPF_PROG(ox_proc_renamed, struct task_struct *p)
{
	return p->pid == p->tgid ? ox_tell(p) : 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(ox_proc_moved, struct cgroup *to, const char *path, struct task_struct *p)
{
	return ox_tell(p);
}

/* Rules may not let it shield itself. */
SEC("tp_btf/oom_score_adj_update")
int BPF_PROG(ox_proc_adj, struct task_struct *p)
{
	return ox_is_shielded(p) ? ox_tell(p) : 0;
}

/* setuid() and its kin */
SEC("fexit/commit_creds")
int BPF_PROG(ox_proc_creds)
{
	return ox_tell((void *)bpf_get_current_task());
}

/* Reading it tells all processes there are. */
SEC("iter/task")
int ox_proc_all(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	struct oomx_proc_rec r = {};

	if (!t || t->pid != t->tgid || (t->flags & OX_PF_KTHREAD))
		return 0;
	r.pid = t->tgid;
	r.start_ns = t->start_boottime;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(ox_proc_exit, struct task_struct *p)
{
	u32 pid = p->tgid;

	if (BPF_CORE_READ(p, signal, live.counter) == 0)
		bpf_map_delete_elem(&oomx_procs, &pid);
	return 0;
}
