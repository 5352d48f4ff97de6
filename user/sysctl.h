/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* sysctl.h - settings of the kernel's OOM killer that must be known before anything is enforced. */
#ifndef OX_SYSCTL_H
#define OX_SYSCTL_H

#include <linux/types.h>

/* -ENOTSUP, logged: they cannot be read, so nobody knows what the kernel is about to do. */
int ox_sysctl_oom(__u32 *ret_panic_on_oom, __u32 *ret_kill_allocating_task);

/*
 * vm.panic_on_oom and vm.oom_kill_allocating_task keep their meaning: the kernel side stands down
 * for global OOMs where one is set, and this warns. Errors as above.
 */
int ox_sysctl_check(void);

#endif
