/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* programs.h - the BPF programs that another process holds, and what the kernel counts of them. */
#ifndef OX_PROGRAMS_H
#define OX_PROGRAMS_H

#include <sys/types.h>
#include <linux/types.h>

#define OX_PROGRAMS_MAX 32
#define OX_PROGRAM_NAME_LEN 16 /* BPF_OBJ_NAME_LEN: longer names are cut by the kernel */

struct ox_program {
	__u32 id;
	char name[OX_PROGRAM_NAME_LEN];
	/*
	 * Calls left out because a program on the same CPU was in the middle of this very one
	 * (kernel/bpf/trampoline.c, __bpf_prog_enter_recur(), 6.1 to 7.3).
	 */
	__u64 recursion_misses;
};

/*
 * The programs of which process `pid` has a descriptor, in the order of their ids, each once.
 * Returns their number, or -errno: -EPERM without CAP_SYS_ADMIN, -ENOENT: the process is gone.
 */
int ox_programs_of(pid_t pid, struct ox_program ret[OX_PROGRAMS_MAX]);

#endif
