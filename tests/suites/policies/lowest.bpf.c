// SPDX-License-Identifier: GPL-2.0-only
/* lowest - by priority alone; of equals the youngest. */
#include <oomx/policy.h>

OOMX_POLICY(lowest)
{
	return -(__s64)f->priority;
}
