// SPDX-License-Identifier: GPL-2.0-only
/* helper - calls the kernel: to kill the task that runs, of all things. */
#include <oomx/policy.h>

static long (*const send_signal)(__u32 signal) = (void *)109;

OOMX_POLICY(helper)
{
	send_signal(9);
	return oomx_badness(f);
}
