// SPDX-License-Identifier: GPL-2.0-only
/*
 * latency - an OOM by the clock, seen from outside of oomx: the same witness whether the kernel is
 * alone or not. Only the first kill is timed.
 */
#include <oomx/domain.bpf.h>

#include "latency.h"

#define SIGKILL 9

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct latency);
} latency SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u32); /* thread id */
	__type(value, u64);
} failing SEC(".maps");

static __always_inline struct latency *now_at(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&latency, &zero);
}

static __always_inline int note_failed(void)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&failing, &tid, &now, BPF_ANY);
	return 0;
}

SEC("fentry/mem_cgroup_out_of_memory")
int BPF_PROG(latency_memcg)
{
	return note_failed();
}

SEC("fexit/unreserve_highatomic_pageblock")
int BPF_PROG(latency_global, struct alloc_context *ac, bool force, bool ret)
{
	return force && !ret ? note_failed() : 0;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(latency_chosen, struct oom_control *oc)
{
	struct mem_cgroup *memcg = BPF_CORE_READ(oc, memcg);
	struct latency *l = now_at();

	if (!l || l->mm)
		return 0;
	l->css = memcg ? (u64)ox_memcg_css(memcg) : 0;
	l->zones = (u64)ox_zones_of(BPF_CORE_READ(oc, zonelist));
	l->order = BPF_CORE_READ(oc, order);
	return 0;
}

SEC("fentry/__oom_kill_process")
int BPF_PROG(latency_kill, struct task_struct *victim)
{
	u32 tid = bpf_get_current_pid_tgid();
	u64 *failed = bpf_map_lookup_elem(&failing, &tid);
	struct latency *l = now_at();

	if (!l)
		return 0;
	l->kills++;
	if (l->mm || !failed)
		return 0;
	l->failed_at = *failed;
	l->victim = BPF_CORE_READ(victim, tgid);
	l->killer = tid;
	l->mm = (u64)BPF_CORE_READ(victim, mm);
	return 0;
}

SEC("fentry/do_send_sig_info")
int BPF_PROG(latency_signal, int sig, void *info, struct task_struct *to)
{
	struct latency *l = now_at();

	if (l && sig == SIGKILL && l->mm && !l->signal_ns &&
	    l->killer == (u32)bpf_get_current_pid_tgid() &&
	    (u32)BPF_CORE_READ(to, tgid) == l->victim)
		l->signal_ns = bpf_ktime_get_ns() - l->failed_at;
	return 0;
}

static __always_inline void note_freed(struct mm_struct *mm, bool gone)
{
	struct latency *l = now_at();
	u64 ns;

	if (!l || !l->mm || l->mm != (u64)mm || l->gone_ns)
		return;
	ns = bpf_ktime_get_ns() - l->failed_at;
	if (!l->room_ns && ox_domain_room((void *)l->css, (void *)l->zones, l->order))
		l->room_ns = ns;
	if (gone)
		l->gone_ns = ns;
}

SEC("fexit/__oom_reap_task_mm")
int BPF_PROG(latency_reaped, struct mm_struct *mm)
{
	note_freed(mm, /* gone= */ false);
	return 0;
}

SEC("fexit/exit_mmap")
int BPF_PROG(latency_gone, struct mm_struct *mm)
{
	note_freed(mm, /* gone= */ true);
	return 0;
}
