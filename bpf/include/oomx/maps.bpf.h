/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * maps.bpf.h - what user space fills and every kernel-side object reads. An object includes it
 * once: it defines the maps.
 */
#ifndef OOMX_MAPS_BPF_H
#define OOMX_MAPS_BPF_H

#include <oomx/kernel.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct oomx_config);
} oomx_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64); /* cgroup id */
	__type(value, struct oomx_prio);
} oomx_prio SEC(".maps");

static __always_inline struct oomx_config *ox_config(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&oomx_config, &zero);
}

#endif
