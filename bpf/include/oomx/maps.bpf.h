/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * maps.bpf.h - what user space fills and every kernel-side object reads. An object includes it
 * once: it defines the maps.
 */
#ifndef OOMX_MAPS_BPF_H
#define OOMX_MAPS_BPF_H

#include <oomx/kernel.bpf.h>
#include <oomx/procs.bpf.h>
#include <oomx/shields.bpf.h>

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

/* Names of the rules whose numbers are in events; for user space, shared like the others. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, struct oomx_rule);
} oomx_rules SEC(".maps");

/* For user space alone, too: what is to be put back outlives a crash. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64); /* cgroup id */
	__type(value, struct oomx_group);
} oomx_groups SEC(".maps");

/* Pinned, so that whoever comes after a crash can put the values back. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32); /* process id */
	__type(value, struct oomx_raised);
} oomx_raised SEC(".maps");

#define OX_SHARERS 1024

/*
 * All processes that share their memory have one oom_score_adj: who writes one's writes that of all
 * (__set_oom_adj(), fs/proc/base.c, 6.1 to 7.3). On record is one of them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OX_SHARERS);
	__type(key, u64);   /* mm */
	__type(value, u32); /* process id of whom oomx_raised has or had */
} oomx_sharers SEC(".maps");

static __always_inline struct oomx_config *ox_config(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&oomx_config, &zero);
}

/* oom_score_adj as its owner set it: ours is there only for the length of an OOM. */
static __always_inline s32 ox_adj_of_owner(u32 pid, u64 start_ns, s32 adj)
{
	struct oomx_raised *r;

	if (adj != OOMX_ADJ_RAISED && adj != OOMX_ADJ_LOWERED)
		return adj;
	r = bpf_map_lookup_elem(&oomx_raised, &pid);
	return r && r->start_ns == start_ns && r->set_adj == adj ? r->old_adj : adj;
}

/* The same of one that has this memory: another who shares it may be on record. */
static __always_inline s32 ox_adj_of_sharer(u32 pid, u64 start_ns, u64 mm, s32 adj)
{
	s32 own = ox_adj_of_owner(pid, start_ns, adj);
	struct oomx_raised *r;
	u32 *sharer;

	if (own != adj || (adj != OOMX_ADJ_RAISED && adj != OOMX_ADJ_LOWERED))
		return own;
	sharer = bpf_map_lookup_elem(&oomx_sharers, &mm);
	r = sharer ? bpf_map_lookup_elem(&oomx_raised, sharer) : NULL;
	return r && r->set_adj == adj ? r->old_adj : adj;
}

#endif
