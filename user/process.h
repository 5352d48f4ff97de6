/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* process.h - what rules ask about a process, read from /proc. */
#ifndef OX_PROCESS_H
#define OX_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <linux/types.h>
#include <oomx/abi.h>

struct ox_process {
	char comm[OOMX_COMM_LEN]; /* any program may give itself any name */
	char exe[PATH_MAX];	  /* the file that runs, as seen from its own root; "": none */
	bool exe_hidden;	  /* there may be one: seeing it takes CAP_SYS_PTRACE */
	bool exe_foreign;	  /* ... which is not the machine's own of that name */
	char cmdline[4096];	  /* arguments, a blank between them; cut. Its own word, too */
	char uid[12];		  /* real, in digits */
	char cgroup[PATH_MAX];	  /* v2 */
};

/*
 * start_ns (CLOCK_BOOTTIME) tells it from another with the same id; 0: whoever has it now. cmdline:
 * read that, too, or leave it empty. It is in the process's own memory, and whoever reads it waits
 * for the mmap_lock (get_cmdline(), mm/util.c, access_remote_vm()), which the process may keep.
 * 0; -ESRCH: it is gone; other -errno.
 */
int ox_process_read(__u32 pid, __u64 start_ns, bool cmdline, struct ox_process *ret);

/*
 * When the process of this directory below /proc started, in clock ticks since boot
 * (CLOCK_BOOTTIME). 0; -ESRCH: it is gone; -EPROTO: not understood; other -errno.
 */
int ox_process_start_ticks(int dir, __u64 *ret);

#endif
