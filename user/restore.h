/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* restore.h - puts raised oom_score_adj values back, now or after a crash. */
#ifndef OX_RESTORE_H
#define OX_RESTORE_H

#include <linux/types.h>
#include <oomx/abi.h>

/*
 * The directory below /proc of the process that has this id and started at start_ns
 * (CLOCK_BOOTTIME; 0: whoever has the id): what is opened there later is of the same one, or fails.
 * The caller's to close; -ESRCH: it is gone; other -errno.
 */
int ox_process_open(__u32 pid, __u64 start_ns);

/*
 * Writes oom_score_adj of the process that has this id and started at start_ns (CLOCK_BOOTTIME).
 * 0; -ESRCH: it is gone, or another has its id; other -errno.
 */
int ox_adj_write(__u32 pid, __u64 start_ns, int adj);

/* This process will not be an OOM victim; if that is not permitted, it is logged. */
void ox_adj_protect_self(void);

/* Its value now; errors as above. */
int ox_adj_read(__u32 pid, __u64 start_ns, int *ret);

/*
 * Puts one entry of the map "oomx_raised" back, if the value is still what was set, and takes it
 * out of the map; oom_score_adj_min becomes what it was. Errors as above; the entry stays only if
 * writing failed.
 */
int ox_restore_one(int map, __u32 pid, const struct oomx_raised *r);

/*
 * Those on record who shared the memory of this process when it was altered, after it was put back
 * or is gone: whoever still shares it has its own value again by that, and just goes off the
 * record.
 */
void ox_restore_sharers(int map, __u32 of);

/* All of them. The number that could not be put back. */
unsigned int ox_restore_all(int map);

#endif
