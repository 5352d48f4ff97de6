/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - the fence: all that differs between the kernels that the module is built for. A
 * module is compiled against one kernel, so here, and only here, its version is asked.
 */
#ifndef OOMX_KMOD_COMPAT_H
#define OOMX_KMOD_COMPAT_H

#include <linux/bpf.h>
#include <linux/ftrace.h>
#include <linux/mm_types.h>
#include <linux/sched/coredump.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#error "a module can offer a struct_ops type since 6.9"
#endif

/*
 * 6.11 gave the callbacks of a struct_ops type the link (73287fe22872 "bpf: pass bpf_struct_ops_link
 * to callbacks in bpf_struct_ops").
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define OOMX_LINK_ARG
#else
#define OOMX_LINK_ARG , struct bpf_link *link
#endif

/* 6.18 turned mm->flags from a word into a bitmap type. */
static inline bool oomx_mm_over(struct mm_struct *mm)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	return test_bit(MMF_OOM_SKIP, &mm->flags);
#else
	return mm_flags_test(MMF_OOM_SKIP, mm);
#endif
}

/*
 * Where a function is traced, by where a probe of it would be; and where it goes on behind that:
 * called there, it is not traced a second time. The BPF trampoline calls traced functions in the
 * same way (arch/x86/net/bpf_jit_comp.c, X86_PATCH_SIZE).
 */
#ifdef CONFIG_X86_64
#define OOMX_SITE(probe) (probe)
#define OOMX_BEHIND(site) ((site) + MCOUNT_INSN_SIZE)
#elif defined(CONFIG_ARM64) && !defined(CONFIG_ARM64_BTI_KERNEL)
/* "mov x9, x30" and then the call (arch/arm64/kernel/ftrace.c); no landing pad is before them */
#define OOMX_SITE(probe) ((probe) + AARCH64_INSN_SIZE)
#define OOMX_BEHIND(site) ((site) + AARCH64_INSN_SIZE)
#else
#error "only for x86-64, and arm64 without CONFIG_ARM64_BTI_KERNEL: see README.md"
#endif

#endif
