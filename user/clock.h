/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* clock.h - the time by which things become due, and what timers are set by. */
#ifndef OX_CLOCK_H
#define OX_CLOCK_H

#include <time.h>
#include <linux/types.h>

/* CLOCK_MONOTONIC, ns */
static inline __u64 ox_now_ns(void)
{
	struct timespec t = {};

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail on Linux */
	return (__u64)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
