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

struct taking {
	u64 flags;
	bool small;
};

static int take(u32 i, struct taking *t)
{
	void *r = bpf_ringbuf_reserve(&ring, t->small ? 8 : PIECE, 0);

	if (!r)
		return 1;
	bpf_ringbuf_discard(r, t->flags);
	return 0;
}

static int take_all(u64 flags)
{
	struct taking t = { .flags = flags };

	bpf_loop(1 << 16, take, &t, 0);
	t.small = true;
	bpf_loop(1 << 16, take, &t, 0);
	return 0;
}

/* Its reader does not get to know. */
SEC("syscall")
int fill(void *ctx)
{
	return take_all(BPF_RB_NO_WAKEUP);
}

/* Its reader is woken, as by records: it will empty the ring when it can. */
SEC("syscall")
int fill_and_tell(void *ctx)
{
	return take_all(BPF_RB_FORCE_WAKEUP);
}
