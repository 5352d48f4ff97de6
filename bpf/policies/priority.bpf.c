// SPDX-License-Identifier: GPL-2.0-only
/*
 * priority - the least important dies first: strictly by the class of the cgroup (the highest
 * first), then strictly by its priority (the lowest first), both of the nearest ancestor that was
 * given one, and by the kernel's badness among equals, where a rule's weight counts like
 * oom_score_adj, and what memory.min and memory.low protect does not count.
 *
 * A bad idea where the least important workload is always tiny: many small kills free little.
 */
#include <oomx/policy.h>

OOMX_POLICY_LEANEST(priority)
{
	const __s64 priorities = OOMX_PRIO_MAX - OOMX_PRIO_MIN + 1;

	return oomx_lexical(f->class * priorities - f->priority,
			    oomx_badness(f) - oomx_protected_pages(f) +
				    f->weight * (__s64)(f->domain_pages / 1000));
}
