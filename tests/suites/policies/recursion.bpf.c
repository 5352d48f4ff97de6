// SPDX-License-Identifier: GPL-2.0-only
/* recursion - calls itself, on facts that are not there: the verifier has to refuse it. */
#include <oomx/policy.h>

OOMX_POLICY(recursion)
{
	return f->anon_pages ? oomx_policy_rank(f + 1) + 1 : 0;
}
