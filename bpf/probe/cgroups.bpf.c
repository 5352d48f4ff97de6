// SPDX-License-Identifier: GPL-2.0-only
/*
 * cgroups - tells of every cgroup that is made or removed, so that rules are looked at for a new
 * one at once, without ever looking at those that were there. The tracepoints are those of mkdir
 * and rmdir; the kernel calls them with cgroup_mutex held, one at a time.
 */
#include <oomx/kernel.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} oomx_cgroups SEC(".maps");

/* Not told, for want of room: whoever reads has to look for himself. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, u64);
} oomx_cgroups_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct oomx_cgroup_rec);
} oomx_cgroups_seat SEC(".maps");

static __always_inline int ox_tell(struct cgroup *cgrp, const char *path, u32 what)
{
	struct oomx_cgroup_rec *r;
	u32 zero = 0;
	u64 *lost;
	long n;

	if (BPF_CORE_READ(cgrp, root, hierarchy_id)) /* 0 is that of cgroup v2 */
		return 0;
	r = bpf_map_lookup_elem(&oomx_cgroups_seat, &zero);
	lost = bpf_map_lookup_elem(&oomx_cgroups_lost, &zero);
	if (!r || !lost)
		return 0;
	r->id = BPF_CORE_READ(cgrp, kn, id);
	r->what = what;
	r->_pad = 0;
	n = bpf_probe_read_kernel_str(r->path, sizeof(r->path), path);
	if (n <= 0 || n > OOMX_CGROUP_LEN ||
	    bpf_ringbuf_output(&oomx_cgroups, r, sizeof(*r) - OOMX_CGROUP_LEN + n, 0))
		__sync_fetch_and_add(lost, 1);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(ox_cgroup_made, struct cgroup *cgrp, const char *path)
{
	return ox_tell(cgrp, path, OOMX_CGROUP_MADE);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(ox_cgroup_gone, struct cgroup *cgrp, const char *path)
{
	return ox_tell(cgrp, path, OOMX_CGROUP_GONE);
}
