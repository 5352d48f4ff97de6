/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * shields.bpf.h - processes that had oom_score_adj -1000 until a rule took it from them: the one
 * map that the probe "shields" has in common. Pinned, so that whoever comes after a crash can put
 * the values back.
 */
#ifndef OOMX_SHIELDS_BPF_H
#define OOMX_SHIELDS_BPF_H

#include <oomx/kernel.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32); /* process id */
	__type(value, struct oomx_shield);
} oomx_shields SEC(".maps");

#endif
