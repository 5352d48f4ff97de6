// SPDX-License-Identifier: GPL-2.0-only
/*
 * calibrate - reads the counters of one process in every way there is, at the very instant when
 * the kernel's own oom_badness() has read them: what agrees is what this kernel does.
 */
#include <oomx/task.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct oomx_calibration);
} oomx_calibration SEC(".maps");

SEC("fexit/oom_badness")
int BPF_PROG(ox_calibrate, struct task_struct *p, unsigned long totalpages, long ret)
{
	struct ox_find_mm f = {};
	struct oomx_calibration *c;
	u32 zero = 0;

	c = bpf_map_lookup_elem(&oomx_calibration, &zero);
	if (!c || (u32)BPF_CORE_READ(p, tgid) != c->pid || !ox_find_mm(p, &f))
		return 0;
	c->atomic = ox_rss_is_atomic();
	c->kernel = ret;
	c->approx = ox_mm_pages(f.mm, OOMX_RSS_APPROX, c->n_cpus);
	c->sum = ox_mm_pages(f.mm, OOMX_RSS_SUM, c->n_cpus);
	c->seen++;
	return 0;
}
