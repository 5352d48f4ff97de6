// SPDX-License-Identifier: GPL-2.0-only
/*
 * selftest - holds a process of ours at the end of its address space, where an OOM victim on its
 * way out is too, and looks whether the kernel's iteration over the tasks of a cgroup, the one
 * that a memcg's OOM goes by, still meets it there.
 */
#include <oomx/compat.bpf.h>

struct css_task_iter;

char _license[] SEC("license") = "GPL";

#define OX_HOLD_NS 100000000ULL /* the process is held no longer than that */
#define OX_HOLD_SPINS (1 << 23)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct oomx_selftest);
} oomx_selftest SEC(".maps");

static __always_inline struct oomx_selftest *ox_selftest(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&oomx_selftest, &zero);
}

static int ox_hold_step(u32 i, u64 *end_ns)
{
	struct oomx_selftest *t = ox_selftest();

	return !t || ox_once(t->release) || bpf_ktime_get_ns() > *end_ns;
}

SEC("fentry/exit_mmap")
int BPF_PROG(ox_selftest_exit, struct mm_struct *mm)
{
	struct oomx_selftest *t = ox_selftest();
	u64 end_ns = bpf_ktime_get_ns() + OX_HOLD_NS;

	if (!t || t->pid != (u32)(bpf_get_current_pid_tgid() >> 32))
		return 0;
	t->hides = ox_memcg_scan_hides_exiting();
	ox_once(t->exiting) = 1;
	bpf_loop(OX_HOLD_SPINS, ox_hold_step, &end_ns, 0);
	ox_once(t->exiting) = 2;
	return 0;
}

SEC("fexit/css_task_iter_next")
int BPF_PROG(ox_selftest_next, struct css_task_iter *it, struct task_struct *ret)
{
	struct oomx_selftest *t = ox_selftest();

	if (!t || t->reader != (u32)bpf_get_current_pid_tgid() || ox_once(t->exiting) != 1)
		return 0;
	t->walked++;
	if (ret && (u32)BPF_CORE_READ(ret, tgid) == t->pid)
		t->seen = 1;
	return 0;
}
