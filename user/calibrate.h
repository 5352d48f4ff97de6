/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* calibrate.h - which form of the mm counters this kernel's oom_badness() reads. */
#ifndef OX_CALIBRATE_H
#define OX_CALIBRATE_H

#include <stdbool.h>
#include <linux/types.h>

/*
 * Starts a child whose shared and exact counts differ, has the kernel compute its badness, and
 * takes the form that agrees: asked of the kernel's code, never of its version. Logs.
 * 0 and OOMX_RSS_*; -ENOTSUP: this kernel cannot be watched, or no form agrees; -EPERM: it may be
 * watched by others.
 */
int ox_calibrate(__u32 *ret_rss_mode);

/*
 * What comes of a calibration (OOMX_RSS_* or -errno) where so many CPUs are possible: counts of
 * more than OOMX_CPUS_MAX are not added up, and a sum of some would choose by numbers that are
 * wrong. `found`, or -ENOTSUP. Logs.
 */
int ox_calibrate_judge(int found, int n_cpus);

#endif
