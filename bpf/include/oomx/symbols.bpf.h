/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * symbols.bpf.h - addresses of the kernel's variables. Constants to the verifier: user space has
 * written them before the object is loaded, and nobody can afterwards.
 */
#ifndef OOMX_SYMBOLS_BPF_H
#define OOMX_SYMBOLS_BPF_H

#include <oomx/kernel.bpf.h>
#include <oomx/symbols.h>

const volatile struct oomx_symbols ox_symbols SEC(OOMX_SYMBOLS_SECTION);

/* Its address; what is there has to be read with bpf_probe_read_kernel(). */
#define ox_symbol(name) ((const void *)ox_symbols.name)

static __always_inline u64 ox_symbol_u64(const void *sym)
{
	u64 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), sym);
	return v;
}

static __always_inline u32 ox_symbol_u32(const void *sym)
{
	u32 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), sym);
	return v;
}

#endif
