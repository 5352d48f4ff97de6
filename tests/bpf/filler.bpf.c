// SPDX-License-Identifier: GPL-2.0-only
/* filler - takes all the room that a ring buffer has, as records that a reader passes over. */
#include <oomx/kernel.bpf.h>

#define PIECE 4080

char _license[] SEC("license") = "GPL";

/* Replaced by one of oomx's before this is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} ring SEC(".maps");

static int take(u32 i, u32 *taken)
{
	void *r = bpf_ringbuf_reserve(&ring, *taken & 1 ? 8 : PIECE, 0);

	if (!r)
		return 1;
	bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("syscall")
int fill(void *ctx)
{
	u32 small = 0;

	bpf_loop(1 << 16, take, &small, 0);
	small = 1;
	bpf_loop(1 << 16, take, &small, 0);
	return 0;
}
