/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* struct_ops.h - the kernel module (kmod/) as user space finds and uses it. */
#ifndef OX_STRUCT_OPS_H
#define OX_STRUCT_OPS_H

#include <stddef.h>

#include "engine.h"

/*
 * 0: the module is loaded and offers its type. -ENOENT, -ENOTSUP: it does not; -EPERM: not to us;
 * and why, in words that go on "..., because". Loads nothing.
 */
int ox_struct_ops_offered(char *ret_why, size_t size);

/*
 * Makes the engine's program the one that chooses. beside: another oomx is running; if its program
 * does, ours takes its place, and at no instant is there none. The link is the engine's. Logs.
 * -EBUSY: somebody else's program does already; other -errno.
 */
int ox_struct_ops_attach(struct ox_engine *e, bool beside);

#endif
