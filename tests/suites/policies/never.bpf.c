// SPDX-License-Identifier: GPL-2.0-only
/* never - has nobody to kill: then the kernel chooses. */
#include <oomx/policy.h>

OOMX_POLICY(never)
{
	return OOMX_NEVER;
}
