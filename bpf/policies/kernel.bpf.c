// SPDX-License-Identifier: GPL-2.0-only
/*
 * kernel - mainline's own ranking: the task whose death frees the most memory, shifted by
 * oom_score_adj thousandths of the OOM domain. In observe mode it shows that oomx sees what the
 * kernel sees; enforced, it changes nothing. Cost: a few additions per candidate.
 */
#include <oomx/policy.h>

OOMX_POLICY_LEANEST(kernel)
{
	return oomx_badness(f);
}
