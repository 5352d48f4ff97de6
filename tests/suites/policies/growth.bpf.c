// SPDX-License-Identifier: GPL-2.0-only
/* growth - who has gained memory fastest, over the whole of its life, dies. */
#include <oomx/policy.h>

#define NS_PER_MS 1000000

OOMX_POLICY(growth)
{
	return (__s64)((__u64)oomx_pages(f) * 1000 / (f->age_ns / NS_PER_MS + 1));
}
