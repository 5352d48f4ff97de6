// SPDX-License-Identifier: GPL-2.0-only
/* hold_run - the budget of holding oom_lock, and who waits for a CPU, without an OOM. */
#include <oomx/hasten.bpf.h>

#include "runs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUN_CASES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct run_hold);
} hold_cases SEC(".maps");

static int hold_step(u32 i, u32 *done)
{
	struct run_hold *c = bpf_map_lookup_elem(&hold_cases, &i);

	if (!c)
		return 1;
	ox_hold_left((void *)c->domain);
	ox_hold_spend((void *)c->domain, c->spend_ns);
	c->left_ns = ox_hold_left((void *)c->domain);
	(*done)++;
	return 0;
}

SEC("syscall")
int hold_run(struct run_ctx *ctx)
{
	u32 done = 0;

	bpf_loop(ctx->n, hold_step, &done, 0);
	ctx->done = done;
	return 0;
}

SEC("syscall")
int queued_run(struct run_queued *q)
{
	struct task_struct *cur = (void *)bpf_get_current_task();

	q->tid = ox_queued_here((u64)BPF_CORE_READ(cur, group_leader), q->mm);
	return 0;
}
