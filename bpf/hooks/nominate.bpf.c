// SPDX-License-Identifier: GPL-2.0-only
/*
 * nominate - makes the policy's choice the kernel's own, by raising the oom_score_adj of whom the
 * policy chose for as long as the OOM lasts (nominate.bpf.h). Reports like observe.
 */
#include <oomx/guard.bpf.h>
#include <oomx/programs.bpf.h>

char _license[] SEC("license") = "GPL";

/*
 * Apart from ox_memcg_failed(), because this takes long: the recursion guard leaves a program out
 * where one on the same CPU was preempted in the middle of it.
 */
SEC("fentry/mem_cgroup_out_of_memory")
int BPF_PROG(ox_memcg_early, struct mem_cgroup *memcg, gfp_t gfp, int order)
{
	struct cgroup_subsys_state *css = ox_memcg_css(memcg);
	u32 key = OX_SEAT_MEMCG;
	struct ox_seat *s;

	if (!ox_early_wanted())
		return 0;
	s = bpf_map_lookup_elem(&oomx_early_seats, &key);
	if (!s)
		return 0;
	ox_domain_init_memcg(&s->dom, css, order, gfp);
	ox_early(s);
	return 0;
}

/* For the machine, not a memcg. If nothing was reclaimed, the kernel looks at the zones next. */
SEC("fexit/try_to_free_pages")
int BPF_PROG(ox_reclaimed, struct zonelist *zonelist, int order, gfp_t gfp, nodemask_t *mask,
	     unsigned long ret)
{
	if (order > OX_COSTLY_ORDER)
		return 0;
	ox_watch_failed(/* css= */ NULL, order); /* it may have; what comes next knows no order */
	if (!ret)
		ox_guard_global(zonelist, mask,
				bpf_core_enum_value(enum zone_watermarks, WMARK_MIN), order);
	return 0;
}

/*
 * All zones are given up on once this is called with force and frees nothing: seen before every
 * global out_of_memory() of 6.1 to 7.3, and before nothing else.
 */
SEC("fexit/unreserve_highatomic_pageblock")
int BPF_PROG(ox_global_failed, struct alloc_context *ac, bool force, bool ret)
{
	u32 key = OX_SEAT_GLOBAL;
	struct ox_seat *s;
	s32 order, i;

	if (!force || ret)
		return 0;
	order = ox_failing_order();
	ox_watch_failed(/* css= */ NULL, order);
	s = bpf_map_lookup_elem(&oomx_early_seats, &key);
	if (s && ox_early_wanted()) {
		ox_domain_init_global(&s->dom, BPF_CORE_READ(ac, zonelist),
				      BPF_CORE_READ(ac, nodemask), &s->nodes);
		ox_early(s);
	}
	for (i = 0; i < OX_LOOKS_MAX; i++) {
		ox_guard_passing(&ox_passed_ns);
		if (!ox_guard_global(BPF_CORE_READ(ac, zonelist), BPF_CORE_READ(ac, nodemask),
				     bpf_core_enum_value(enum zone_watermarks, WMARK_HIGH),
				     order))
			break;
	}
	return 0;
}

/*
 * Where the allocator gives up step by step (6.1, 6.12), it may still be put off the CPU here, and
 * not later: on a kernel that does not preempt itself, a responder that was last on this CPU gets
 * no other chance.
 */
SEC("tp_btf/reclaim_retry_zone")
int BPF_PROG(ox_global_failing, struct zoneref *zone, int order, unsigned long reclaimable,
	     unsigned long available, unsigned long min_wmark, int no_progress_loops)
{
	u32 key = OX_SEAT_RETRY;
	struct ox_seat *s;

	if (no_progress_loops < OX_FUTILE_LOOPS || order > OX_COSTLY_ORDER ||
	    !ox_early_wanted())
		return 0;
	s = bpf_map_lookup_elem(&oomx_early_seats, &key);
	if (!s)
		return 0;
	ox_domain_init_global(&s->dom, /* zonelist= */ NULL, /* mask= */ NULL, &s->nodes);
	s->dom.zones = zone;
	ox_early(s);
	return 0;
}

/* Of a memcg's OOM; the kernel looks next whether there is room by now. */
SEC("fexit/mutex_lock_killable")
int BPF_PROG(ox_locked, void *lock, int ret)
{
	if (lock != ox_symbol(oom_lock))
		return 0;
	ox_inflight_queue(-1);
	if (!ret)
		ox_guard_locked();
	return 0;
}

/*
 * Whoever waits for the responder must not wait for a dead one. Any of its threads will do: they
 * die together, and one of them may need the very CPU on which it is waited for.
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(ox_task_exit, struct task_struct *p)
{
	struct oomx_config *cfg = ox_config();

	if (cfg && cfg->responder_pid && (u32)p->tgid == cfg->responder_pid)
		cfg->responder_pid = 0;
	if (cfg && cfg->demoter_pid && (u32)p->tgid == cfg->demoter_pid)
		cfg->demoter_pid = 0;
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(ox_forked, struct task_struct *parent, struct task_struct *child)
{
	if (ox_turn_is_ours())
		ox_request_inherited(parent, child);
	return 0;
}

SEC("fentry/out_of_memory")
int BPF_PROG(ox_oom_enter, struct oom_control *oc)
{
	struct ox_seat *s = ox_seat();

	ox_watch_enter(oc);
	if (s)
		ox_enforce(oc, s);
	return 0;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(ox_oom_chosen, struct oom_control *oc)
{
	struct ox_seat *s = ox_seat();

	if (!s)
		return 0;
	ox_watch_chosen(oc, s);
	ox_enforce_check(s);
	return 0;
}

SEC("fentry/mark_oom_victim")
int BPF_PROG(ox_marked, struct task_struct *t)
{
	struct ox_seat *s = ox_seat();

	if (s)
		ox_watch_marked(t, s);
	if (ox_now.in_kill)
		ox_request_killed(t);
	return 0;
}

SEC("fexit/out_of_memory")
int BPF_PROG(ox_oom_leave, struct oom_control *oc, bool ret)
{
	ox_enforced();
	ox_watch_leave(oc, ret);
	return 0;
}

/*
 * Called by exit_mmap() (mm/mmap.c, 6.1 to 7.3), and by munmap(), which has users. Optional: a
 * compiler may have it inlined in its callers. Then a victim may get away between look and scan.
 */
SEC("?fexit/unmap_vmas")
int BPF_PROG(ox_mm_unmapped, struct mmu_gather *tlb)
{
	struct mm_struct *mm = tlb->mm;

	if (!mm->mm_users.counter)
		ox_guard_unmapped((u64)mm);
	return 0;
}

SEC("fexit/exit_mmap")
int BPF_PROG(ox_mm_gone, struct mm_struct *mm)
{
	ox_request_forget(mm);
	ox_watch_freed(mm, /* gone= */ true, /* whole= */ true);
	return 0;
}

/*
 * Again: the recursion guard leaves a program out where one on the same CPU was preempted in the
 * middle of it. That one cannot be in the middle of this one as well; for the others there is
 * nothing left to do.
 */
SEC("fexit/exit_mmap")
int BPF_PROG(ox_mm_gone_missed, struct mm_struct *mm)
{
	ox_request_forget(mm);
	ox_watch_freed(mm, /* gone= */ true, /* whole= */ true);
	return 0;
}
