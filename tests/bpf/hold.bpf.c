// SPDX-License-Identifier: GPL-2.0-only
/*
 * hold - stretches moments that are too short to be met by luck: somebody is kept where he is until
 * the suite says so. Counts the processes that are forked with the raised value.
 */
#include <oomx/symbols.bpf.h>
#include "hold.h"

#define STEPS (1 << 20) /* of each of two nested loops: time ends them */

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct hold);
} hold SEC(".maps");

struct spin {
	struct hold_at *at;
	struct hold_at *until; /* or NULL */
	u64 end_ns;
	bool over;
};

static int step(u32 i, struct spin *s)
{
	struct hold_at *at = s->at, *until = s->until;

	if (!at)
		return 1;
	if (until && ox_once(until->held))
		at->go = 1;
	s->over = ox_once(at->go) || bpf_ktime_get_ns() > s->end_ns;
	return s->over;
}

static int steps(u32 i, struct spin *s)
{
	bpf_loop(STEPS, step, s, 0);
	return s->over;
}

static __always_inline bool meant(const struct hold_at *at)
{
	char comm[16] = {};
	u32 i;

	bpf_get_current_comm(comm, sizeof(comm));
	for (i = 0; i < sizeof(comm); i++) {
		if (comm[i] != at->comm[i])
			return false;
		if (!comm[i])
			break;
	}
	return true;
}

/* of: HOLD_* plus 1, or 0 */
static __always_inline struct hold_at *other(struct hold *h, u32 of)
{
	return of ? &h->at[(of - 1) & (HOLDS - 1)] : NULL;
}

static __always_inline int keep(u32 where)
{
	struct spin s = {};
	u32 zero = 0;
	struct hold *h = bpf_map_lookup_elem(&hold, &zero);
	struct hold_at *after;

	if (!h)
		return 0;
	s.at = &h->at[where];
	if (!ox_once(s.at->armed) || !meant(s.at))
		return 0;
	after = other(h, s.at->after);
	if (after && !ox_once(after->held))
		return 0;
	s.until = other(h, s.at->until);
	s.at->armed = 0;
	s.end_ns = bpf_ktime_get_ns() + (s.at->for_ns ?: HOLD_MAX_NS);
	ox_once(s.at->held) = 1;
	bpf_loop(STEPS, steps, &s, 0);
	if (!ox_once(s.at->go) && !s.at->for_ns)
		s.at->gave_up = 1;
	return 0;
}

/* oomx has had its choice raised by then, and nobody has been killed yet. */
SEC("fentry/mutex_lock_killable")
int BPF_PROG(hold_kill, void *lock)
{
	return lock == ox_symbol(oom_lock) ? keep(HOLD_KILL) : 0;
}

SEC("fentry/out_of_memory")
int BPF_PROG(hold_oom)
{
	return keep(HOLD_OOM);
}

/* Called by oom_evaluate_task() (mm/oom_kill.c, 6.1 to 7.3), and before that when somebody asks. */
SEC("fentry/oom_badness")
int BPF_PROG(hold_look)
{
	return keep(HOLD_LOOK);
}

/* Called by select_bad_process() (mm/oom_kill.c, 6.1 to 7.3), and later by dump_tasks(). */
SEC("fentry/mem_cgroup_scan_tasks")
int BPF_PROG(hold_scan)
{
	return keep(HOLD_SCAN);
}

/* Called by copy_process() after copy_signal() (kernel/fork.c, 6.1 to 7.3) */
SEC("fentry/alloc_pid")
int BPF_PROG(hold_fork)
{
	return keep(HOLD_FORK);
}

/* Called by do_exit() (kernel/exit.c, 6.1 to 7.3) */
SEC("fentry/exit_signals")
int BPF_PROG(hold_exit)
{
	return keep(HOLD_EXIT);
}

/* Called by exit_mmap() (mm/mmap.c, 6.1 to 7.3), and by munmap(), for whoever still has an mm. */
SEC("fentry/unmap_vmas")
int BPF_PROG(hold_unmap)
{
	return bpf_get_current_task_btf()->mm ? 0 : keep(HOLD_UNMAP);
}

/* Called by both of them after that. */
SEC("fentry/free_pgtables")
int BPF_PROG(hold_free)
{
	return bpf_get_current_task_btf()->mm ? 0 : keep(HOLD_FREE);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(hold_forked, struct task_struct *parent, struct task_struct *child)
{
	u32 zero = 0;
	struct hold *h = bpf_map_lookup_elem(&hold, &zero);

	if (h && parent->tgid != child->tgid && child->signal->oom_score_adj == OOMX_ADJ_RAISED)
		__sync_fetch_and_add(&h->inherited, 1);
	return 0;
}
