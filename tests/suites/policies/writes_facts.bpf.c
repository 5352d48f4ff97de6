// SPDX-License-Identifier: GPL-2.0-only
/* writes_facts - writes in front of the facts: the verifier has to refuse it. */
#include <oomx/policy.h>

OOMX_POLICY(writes_facts)
{
	*(volatile __u64 *)((const char *)f - 8) = 1;
	return 0;
}
