// SPDX-License-Identifier: GPL-2.0-only
/*
 * priority - the least important dies first: strictly by the priority of the cgroup (the nearest
 * ancestor that was given one), and by the kernel's badness among equals.
 *
 * A bad idea where the least important workload is always tiny: many small kills free little.
 */
#include <oomx/policy.h>

OOMX_POLICY_LEANEST(priority)
{
	return oomx_lexical(-(__s64)f->priority, oomx_badness(f));
}
