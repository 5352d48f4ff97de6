// SPDX-License-Identifier: GPL-2.0-only
/* chooser - programs for the kernel module that answer as they are told, sensibly or not. */
#include <oomx/kernel.bpf.h>
#include <oomx_choice.h>

#include "chooser.h"

char _license[] SEC("license") = "GPL";

#define STEPS (1 << 23) /* BPF_MAX_LOOPS, and that many times as many */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct chooser);
} chooser SEC(".maps");

struct work {
	u64 end_ns;
	u64 steps;
};

static int inner(u32 i, struct work *w)
{
	w->steps++;
	return bpf_ktime_get_ns() > w->end_ns;
}

static int outer(u32 i, struct work *w)
{
	bpf_loop(STEPS, inner, w, 0);
	return bpf_ktime_get_ns() > w->end_ns;
}

static __always_inline int choose(struct oomx_choice *c, u32 who)
{
	struct work w = {};
	u32 zero = 0;
	struct chooser *ch = bpf_map_lookup_elem(&chooser, &zero);

	if (!ch)
		return OOMX_CHOOSE_NOBODY;
	__sync_fetch_and_add(&ch->calls[who], 1);
	ch->id = c->id;
	ch->cgroup_id = c->cgroup_id;
	ch->trigger = c->trigger;
	ch->order = c->order;
	if (ch->mode == CHOOSER_ENDLESS) {
		w.end_ns = bpf_ktime_get_ns() + ch->loop_ns;
		bpf_loop(STEPS, outer, &w, 0);
		ch->steps = w.steps;
	}
	if (ch->mode == CHOOSER_TRIGGER)
		ch->answer = (s32)c->trigger; /* merged into one load, the two have no one type */
	return ch->answer;
}

SEC("struct_ops/chooser_a")
int BPF_PROG(chooser_a, struct oomx_choice *c)
{
	return choose(c, 0);
}

SEC("struct_ops/chooser_b")
int BPF_PROG(chooser_b, struct oomx_choice *c)
{
	return choose(c, 1);
}

SEC(".struct_ops.link")
struct oomx_choice_ops ops_a = {
	.choose = (void *)chooser_a,
	.abi = OOMX_CHOICE_ABI,
	.name = "a",
};

SEC(".struct_ops.link")
struct oomx_choice_ops ops_b = {
	.choose = (void *)chooser_b,
	.abi = OOMX_CHOICE_ABI,
	.name = "b",
};

/* The module must not take these two. */
SEC(".struct_ops.link")
struct oomx_choice_ops ops_other_abi = {
	.choose = (void *)chooser_a,
	.abi = OOMX_CHOICE_ABI + 1,
	.name = "other abi",
};

SEC(".struct_ops.link")
struct oomx_choice_ops ops_nothing = {
	.abi = OOMX_CHOICE_ABI,
	.name = "nothing",
};
