// SPDX-License-Identifier: GPL-2.0-only
/* out_of_bounds - reads behind the facts: the verifier has to refuse it. */
#include <oomx/policy.h>

OOMX_POLICY(out_of_bounds)
{
	return *(const volatile __u64 *)((const char *)f + 4096);
}
