// SPDX-License-Identifier: GPL-2.0-only
/* neighbour - somebody else's programs on the functions that oomx is attached to, too. */
#include <oomx/kernel.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} neighbour_calls SEC(".maps");

static __always_inline int count(void)
{
	u32 zero = 0;
	u64 *n = bpf_map_lookup_elem(&neighbour_calls, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("fentry/mem_cgroup_out_of_memory")
int BPF_PROG(n_memcg)
{
	return count();
}

SEC("fentry/out_of_memory")
int BPF_PROG(n_enter)
{
	return count();
}

SEC("fexit/out_of_memory")
int BPF_PROG(n_leave)
{
	return count();
}

SEC("fentry/oom_kill_process")
int BPF_PROG(n_chosen)
{
	return count();
}

SEC("fentry/mark_oom_victim")
int BPF_PROG(n_marked)
{
	return count();
}

SEC("fexit/exit_mmap")
int BPF_PROG(n_gone)
{
	return count();
}
