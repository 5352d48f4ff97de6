// SPDX-License-Identifier: GPL-2.0-only
/*
 * largest_cgroup - the container that has most dies, however many processes it is spread over.
 * With "kill: group" it dies as a whole.
 */
#include <oomx/policy.h>

OOMX_POLICY(largest_cgroup)
{
	return f->memcg_usage_pages;
}
