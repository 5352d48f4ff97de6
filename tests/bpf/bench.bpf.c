// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench - two choices in one OOM: the kernel's, between the entries of out_of_memory() and of
 * oom_kill_process(), and ours, by the very walk that the hooks make, right before or right after.
 */
#include <oomx/rank.bpf.h>

#include "bench.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ox_seat);
} bench_seat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct bench);
} bench SEC(".maps");

static __always_inline struct bench *bench_now(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&bench, &zero);
}

static __noinline int bench_rank(struct oom_control *oc)
{
	struct bench *b = bench_now();
	struct ox_seat *s;
	u32 zero = 0;

	s = bpf_map_lookup_elem(&bench_seat, &zero);
	if (!b || !s)
		return 0;
	ox_domain_init(&s->dom, oc, &s->nodes);
	b->done = ox_rank(s);
	b->rank_ns = s->rank_ns;
	b->rank_pid = s->best.task ? s->best.pid : 0;
	b->n_tasks = s->n_tasks;
	b->n_offered = s->n_offered;
	return 0;
}

SEC("fentry/out_of_memory")
int BPF_PROG(bench_enter, struct oom_control *oc)
{
	struct bench *b = bench_now();

	if (!b)
		return 0;
	if (ox_once(b->rank_first))
		bench_rank(oc);
	b->enter_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(bench_chosen, struct oom_control *oc)
{
	struct bench *b = bench_now();
	u64 now = bpf_ktime_get_ns();

	if (!b)
		return 0;
	b->kernel_ns = now - b->enter_ns;
	b->kernel_pid = BPF_CORE_READ(oc, chosen, tgid);
	if (!ox_once(b->rank_first))
		bench_rank(oc);
	__sync_fetch_and_add(&b->seq, 1);
	return 0;
}
