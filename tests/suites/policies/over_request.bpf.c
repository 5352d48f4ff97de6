// SPDX-License-Identifier: GPL-2.0-only
/*
 * over_request - the container that has most beyond what it was promised (memory.low or
 * memory.min, as the kubelet's MemoryQoS has it) dies.
 */
#include <oomx/policy.h>

OOMX_POLICY(over_request)
{
	__u64 promised = f->memcg_low_pages > f->memcg_min_pages ? f->memcg_low_pages :
								   f->memcg_min_pages;

	return (__s64)(f->memcg_usage_pages - promised);
}
