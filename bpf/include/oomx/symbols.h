/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * symbols.h - the kernel's variables whose addresses the programs need: those that BTF does not
 * know. User space looks them all up at once and fills them in before it loads (user/symbols.h):
 * libbpf would read all of /proc/kallsyms for each object, most of what starting oomx took.
 */
#ifndef OOMX_SYMBOLS_H
#define OOMX_SYMBOLS_H

#include <linux/types.h>

#define OOMX_SYMBOLS_SECTION ".rodata.symbols"

/* Name by name as in the kernels 6.1 to 7.3. */
#define OOMX_SYMBOLS(X)                                                                            \
	X(__num_online_cpus)                                                                       \
	X(__per_cpu_offset)                                                                        \
	X(_totalram_pages)                                                                         \
	X(init_pid_ns)                                                                             \
	X(init_task)                                                                               \
	X(node_data)                                                                               \
	X(node_states)                                                                             \
	X(oom_killer_disabled)                                                                     \
	X(oom_lock)                                                                                \
	X(oom_notify_list)                                                                         \
	X(sysctl_oom_kill_allocating_task)                                                         \
	X(sysctl_panic_on_oom)                                                                     \
	X(total_swap_pages)                                                                        \
	X(vm_swappiness)

#define OOMX_SYMBOL_FIELD(name) __u64 name;
struct oomx_symbols {
	OOMX_SYMBOLS(OOMX_SYMBOL_FIELD)
};

#endif
