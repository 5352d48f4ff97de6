/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * capability.h - CAP_SYS_RESOURCE, on and off.
 *
 * Whoever writes an oom_score_adj with it moves oom_score_adj_min as well, below which the
 * process's owner cannot lower the value any more. What oomx puts back must leave that alone.
 */
#ifndef OX_CAPABILITY_H
#define OX_CAPABILITY_H

#include <stdbool.h>

/* Of the calling thread, for good. 0 or -errno. */
int ox_cap_resource_drop(void);

/*
 * Makes it effective or not, of the calling thread. *ret_was: as it was before; may be NULL. 0;
 * -EPERM: it has been dropped; other -errno.
 */
int ox_cap_resource_use(bool on, bool *ret_was);

#endif
