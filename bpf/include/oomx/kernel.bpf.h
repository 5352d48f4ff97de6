/* SPDX-License-Identifier: GPL-2.0-only */
/* kernel.bpf.h - what every kernel-side file starts from. Defines no map and no data. */
#ifndef OOMX_KERNEL_BPF_H
#define OOMX_KERNEL_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <oomx/abi.h>

#define OX_PAGE_SHIFT 12
#define OX_LONG_MAX 0x7fffffffffffffffLL
#define OX_LONG_MIN (-OX_LONG_MAX - 1)

/* include/linux/sched.h, 6.1 to 7.3 */
#define OX_PF_EXITING 0x00000004
#define OX_PF_KTHREAD 0x00200000
/* include/linux/sched/signal.h, 6.1 to 7.3: all threads are on their way out */
#define OX_SIGNAL_GROUP_EXIT 0x00000004
#define OX_SIGKILL 9
/* include/linux/oom.h */
#define OX_ADJ_MIN (-1000)
/* include/linux/gfp_types.h, 6.1 to 7.3 */
#define OX_GFP_FS 0x80u
#define OX_GFP_THISNODE 0x200000u
/* include/uapi/linux/mempolicy.h */
#define OX_MPOL_BIND 2

/* A policy, linked in when the object is loaded (policy.h). */
extern s64 oomx_policy_rank(const struct oomx_facts *f);

/* A field that another CPU or another program writes meanwhile. */
#define ox_once(x) (*(volatile typeof(x) *)&(x))

/* As a number: to a global function the verifier lets no pointer of the kernel's pass. */
static __always_inline u64 ox_addr(const void *p)
{
	u64 addr = 0;

	bpf_probe_read_kernel(&addr, sizeof(addr), &p);
	return addr;
}

#endif
