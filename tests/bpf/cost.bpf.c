// SPDX-License-Identifier: GPL-2.0-only
/* cost - how long an OOM takes: to the choice, and in all. Under oom_lock: one at a time. */
#include <oomx/kernel.bpf.h>

#include "cost.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct cost);
} cost SEC(".maps");

static __always_inline struct cost *cost_now(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&cost, &zero);
}

SEC("fentry/out_of_memory")
int BPF_PROG(cost_enter)
{
	struct cost *c = cost_now();

	if (c) {
		c->chosen_ns = 0;
		c->enter_ns = bpf_ktime_get_ns();
	}
	return 0;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(cost_chosen)
{
	struct cost *c = cost_now();

	if (c)
		c->chosen_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/out_of_memory")
int BPF_PROG(cost_leave)
{
	struct cost *c = cost_now();

	if (!c || !c->chosen_ns)
		return 0;
	c->whole_ns = bpf_ktime_get_ns() - c->enter_ns;
	c->choice_ns = c->chosen_ns - c->enter_ns;
	__sync_fetch_and_add(&c->seq, 1);
	return 0;
}
