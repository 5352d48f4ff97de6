/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hold.bpf.h - how long the OOM killer may be held: a budget per domain, a responder that does not
 * answer. All of it under oom_lock.
 */
#ifndef OOMX_HOLD_BPF_H
#define OOMX_HOLD_BPF_H

#include <oomx/request.bpf.h>

#define OX_SPINS_MAX (1 << 23) /* BPF_MAX_LOOPS: a quarter of a second and more */
#define OX_HOLDS 8 /* domains whose budget is known; the one not used for longest gives way */

struct ox_hold {
	struct cgroup_subsys_state *css; /* NULL: global */
	u64 window_ns;			 /* when it began; 0: free */
	u64 spent_ns;
};

struct ox_hold ox_holds[OX_HOLDS];
struct ox_hold_scan {
	struct cgroup_subsys_state *css;
	bool found;
};

u32 ox_hold_at; /* in a map, where the verifier does not tell its values apart */
/* Who waits in BPF right now: as many CPUs may have nobody else on them, without preemption. */
u32 ox_spinning;

#define ox_spin(step, ctx)                                                                         \
	do {                                                                                       \
		__sync_fetch_and_add(&ox_spinning, 1);                                             \
		bpf_loop(OX_SPINS_MAX, step, ctx, 0);                                              \
		__sync_fetch_and_add(&ox_spinning, -1);                                            \
	} while (0)

u64 ox_stalled_at; /* position in the ring that the responder has to pass; 0: it answers */

static int ox_hold_step(u32 i, struct ox_hold_scan *scan)
{
	struct ox_hold *h = &ox_holds[i & (OX_HOLDS - 1)];

	if (h->window_ns && h->css == scan->css) {
		ox_hold_at = i;
		scan->found = true;
		return 1;
	}
	if (h->window_ns < ox_holds[ox_hold_at & (OX_HOLDS - 1)].window_ns)
		ox_hold_at = i;
	return 0;
}

static __always_inline struct ox_hold *ox_hold_of(struct cgroup_subsys_state *css)
{
	struct ox_hold_scan scan = { .css = css };
	struct ox_hold *h;

	ox_hold_at = 0;
	bpf_loop(OX_HOLDS, ox_hold_step, &scan, 0);
	h = &ox_holds[ox_hold_at & (OX_HOLDS - 1)];
	if (!scan.found) {
		h->css = css;
		h->window_ns = 0;
	}
	return h;
}

/* Nanoseconds that this domain's OOMs may still hold oom_lock */
static __noinline u64 ox_hold_left(struct cgroup_subsys_state *css)
{
	struct oomx_config *cfg = ox_config();
	struct ox_hold *h = ox_hold_of(css);
	u64 now = bpf_ktime_get_ns();

	if (!cfg)
		return 0;
	if (!h->window_ns || now - h->window_ns > cfg->hold_window_ns) {
		h->window_ns = now;
		h->spent_ns = 0;
	}
	return h->spent_ns < cfg->hold_budget_ns ? cfg->hold_budget_ns - h->spent_ns : 0;
}

static __noinline int ox_hold_spend(struct cgroup_subsys_state *css, u64 ns)
{
	ox_hold_of(css)->spent_ns += ns;
	return 0;
}

/* The responder was waited for in vain: not again before it has read what it was sent. */
static __always_inline void ox_stalled(struct oomx_config *cfg)
{
	ox_stalled_at = bpf_ringbuf_query(&oomx_requests, BPF_RB_PROD_POS);
	__sync_fetch_and_or(&cfg->flags, OOMX_CFG_STALLED);
}

static __always_inline bool ox_still_stalled(struct oomx_config *cfg)
{
	if (!ox_stalled_at)
		return false;
	if (bpf_ringbuf_query(&oomx_requests, BPF_RB_CONS_POS) < ox_stalled_at)
		return true;
	ox_stalled_at = 0;
	__sync_fetch_and_and(&cfg->flags, ~OOMX_CFG_STALLED);
	return false;
}

#endif
