/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* calibrate.h - which form of the mm counters this kernel's oom_badness() reads. */
#ifndef OX_CALIBRATE_H
#define OX_CALIBRATE_H

#include <linux/types.h>

/*
 * Starts a child whose shared and exact counts differ, has the kernel compute its badness, and
 * takes the form that agrees: asked of the kernel's code, never of its version. Logs.
 * 0 and OOMX_RSS_*; -ENOTSUP: this kernel cannot be watched, or no form agrees.
 */
int ox_calibrate(__u32 *ret_rss_mode);

#endif
