/* SPDX-License-Identifier: GPL-2.0-only */
/* procs.bpf.h - what rules say of processes: the one map that the probe "procs" has in common. */
#ifndef OOMX_PROCS_BPF_H
#define OOMX_PROCS_BPF_H

#include <oomx/kernel.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32); /* process id */
	__type(value, struct oomx_proc);
} oomx_procs SEC(".maps");

#endif
