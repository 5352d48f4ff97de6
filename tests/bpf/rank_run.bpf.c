// SPDX-License-Identifier: GPL-2.0-only
/*
 * rank_run - the choice by itself: the very walk that a hook makes in an OOM, over the processes
 * of the guest, where nothing has run out of memory. Attached to a function that only
 * BPF_PROG_TEST_RUN calls, so it is the same kind of program as a hook's.
 */
#include <oomx/rank.bpf.h>

#include "runs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ox_seat);
} rank_seat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct run_rank_args);
} rank_args SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct run_rank);
} rank_result SEC(".maps");

/* The memcg of the caller or above it with this cgroup id. */
static __noinline u64 rank_find_memcg(u64 id)
{
	struct cgroup_subsys_state *css = ox_task_memcg((void *)bpf_get_current_task());
	int i;

	for (i = 0; i < OOMX_DEPTH_MAX && css; i++) {
		if (ox_css_cgroup_id(css) == id)
			return (u64)css;
		css = BPF_CORE_READ(css, parent);
	}
	return 0;
}

static __always_inline void rank_tell(struct run_rank *out, struct ox_seat *s)
{
	out->rank_ns = s->rank_ns;
	out->n_tasks = s->n_tasks;
	out->n_offered = s->n_offered;
	out->n_top = s->n_top;
	out->best_pid = s->best.task ? s->best.pid : 0;
	out->badness = s->best.task ? s->best.badness : OOMX_NEVER;
	out->points = s->best.task ? s->best.points : OOMX_NEVER;
	out->torn = s->torn;
	out->kernel_pid = s->kernel.task ? s->kernel.pid : 0;
}

SEC("fentry/bpf_fentry_test1")
int BPF_PROG(rank_run)
{
	struct cgroup_subsys_state *css = NULL;
	struct run_rank_args *args;
	struct run_rank *out;
	struct ox_seat *s;
	u32 zero = 0;

	args = bpf_map_lookup_elem(&rank_args, &zero);
	out = bpf_map_lookup_elem(&rank_result, &zero);
	s = bpf_map_lookup_elem(&rank_seat, &zero);
	if (!args || !out || !s)
		return 0;
	__builtin_memset(out, 0, sizeof(*out));
	if (args->domain_id) {
		css = (void *)rank_find_memcg(args->domain_id);
		if (!css)
			return 0;
		ox_domain_init_memcg(&s->dom, css, 0, 0);
	} else {
		ox_domain_init_global(&s->dom, NULL, NULL, NULL);
	}
	s->go_on = true;
	out->done = ox_rank(s);
	rank_tell(out, s);
	return 0;
}
