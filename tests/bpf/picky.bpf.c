// SPDX-License-Identifier: GPL-2.0-only
/* picky - refuses everybody but those that carry a mark, which are all the same to it. */
#include <oomx/policy.h>

#include "runs.h"

OOMX_POLICY(picky)
{
	return f->oom_score_adj == RUN_MARK ? -5 : OOMX_NEVER;
}
