// SPDX-License-Identifier: GPL-2.0-only
/* wrong_abi - says that it was built for an ABI that nobody has. */
#include <oomx/policy.h>

#undef OOMX_POLICY_ABI
#define OOMX_POLICY_ABI 99

OOMX_POLICY(wrong_abi)
{
	return oomx_badness(f);
}
