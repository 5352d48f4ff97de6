// SPDX-License-Identifier: GPL-2.0-only
/*
 * helpers_run - the parts that policies and hooks are made of, each by itself: the arithmetic of
 * policy.h, the order of candidates, and what is read from the caller's own cgroup.
 */
#include <oomx/emit.bpf.h>

#include "runs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUN_CASES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct run_helper);
} helper_cases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct run_top);
} helper_top SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct run_cgroup);
} helper_cgroup SEC(".maps");

static int helper_step(u32 i, u32 *done)
{
	struct run_helper *c = bpf_map_lookup_elem(&helper_cases, &i);

	if (!c)
		return 1;
	switch (c->op) {
	case RUN_DIV:
		c->result = oomx_div(c->a, c->b);
		break;
	case RUN_CLAMP:
		c->result = oomx_clamp(c->a, c->b, c->c);
		break;
	case RUN_LEXICAL:
		c->result = oomx_lexical(c->a, c->b);
		break;
	case RUN_BEFORE:
		c->result = ox_before(c->flags, c->a, c->b, c->flags >> 16, c->c, c->d);
		break;
	default:
		return 1;
	}
	(*done)++;
	return 0;
}

SEC("syscall")
int helper_run(struct run_ctx *ctx)
{
	u32 done = 0;

	bpf_loop(ctx->n, helper_step, &done, 0);
	ctx->done = done;
	return 0;
}

static int top_step(u32 i, u32 *done)
{
	struct run_helper *c = bpf_map_lookup_elem(&helper_cases, &i);
	struct ox_pick p = { .task = (void *)bpf_get_current_task() };
	struct ox_seat *s = ox_seat();

	if (!c || !s)
		return 1;
	p.badness = c->a;
	p.start_ns = c->b;
	p.pid = c->c;
	ox_top_insert(s, &p, &s->facts);
	(*done)++;
	return 0;
}

SEC("syscall")
int helper_run_top(struct run_ctx *ctx)
{
	u32 zero = 0, done = 0;
	struct run_top *out = bpf_map_lookup_elem(&helper_top, &zero);
	struct ox_seat *s = ox_seat();

	if (!out || !s)
		return 1;
	s->n_top = 0;
	s->worst = 0;
	bpf_loop(ctx->n, top_step, &done, 0);
	out->n = s->n_top;
	bpf_probe_read_kernel(out->top, sizeof(out->top), s->top);
	ctx->done = done;
	return 0;
}

SEC("syscall")
int helper_run_cgroup(struct run_ctx *ctx)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct cgroup *cgrp = BPF_CORE_READ(cur, cgroups, dfl_cgrp);
	u32 zero = 0;
	struct run_cgroup *out = bpf_map_lookup_elem(&helper_cgroup, &zero);
	struct ox_seat *s = ox_seat();

	if (!out || !s || !cgrp)
		return 1;
	ox_cgroup_path(out->path, cgrp, &s->path);
	out->id = BPF_CORE_READ(cgrp, kn, id);
	__builtin_memset(&out->prio, 0, sizeof(out->prio));
	out->found = ox_prio_find(cgrp, &out->prio);
	return 0;
}
