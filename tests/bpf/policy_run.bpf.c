// SPDX-License-Identifier: GPL-2.0-only
/* policy_run - a policy, linked in, over made-up facts: what it says of each. */
#include <oomx/kernel.bpf.h>

#include "runs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUN_CASES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct run_policy);
} policy_cases SEC(".maps");

static int policy_step(u32 i, u32 *done)
{
	struct run_policy *c = bpf_map_lookup_elem(&policy_cases, &i);

	if (!c)
		return 1;
	c->badness = oomx_policy_rank(&c->facts);
	(*done)++;
	return 0;
}

SEC("syscall")
int policy_run(struct run_ctx *ctx)
{
	u32 done = 0;

	bpf_loop(ctx->n, policy_step, &done, 0);
	ctx->done = done;
	return 0;
}

/* No facts at all: 1 if the answer is "never". */
SEC("syscall")
int policy_run_null(struct run_ctx *ctx)
{
	return oomx_policy_rank(NULL) == OOMX_NEVER;
}
