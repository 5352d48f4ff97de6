/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* selftest.h - what of this kernel's OOM behaviour is found out by trying. */
#ifndef OX_SELFTEST_H
#define OX_SELFTEST_H

#include <stdbool.h>

/*
 * Whether a memcg's OOM loses sight of a victim that is exiting, and would kill a second one (seen
 * on 7.2 and 7.3). Starts a child in a cgroup of its own, holds it at the end of its address space
 * for 100 ms at most, and has the kernel iterate that cgroup. Where that comes to nothing (one CPU
 * that does not preempt, no cgroup), *ret is what the kernel's types say. Logs. 0; -ENOTSUP or
 * -EPERM: its programs cannot be loaded.
 */
int ox_selftest_scan(bool *ret);

#endif
