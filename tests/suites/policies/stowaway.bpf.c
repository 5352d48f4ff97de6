// SPDX-License-Identifier: GPL-2.0-only
/* stowaway - a policy that brings a program of its own, to be attached along with the hook's. */
#include <oomx/policy.h>

OOMX_POLICY(stowaway)
{
	return oomx_badness(f);
}

__attribute__((section("fentry/oom_badness"), used)) int stowaway_program(void *ctx)
{
	return ctx == 0;
}
