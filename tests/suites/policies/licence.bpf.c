// SPDX-License-Identifier: GPL-2.0-only
/* licence - brings a second licence along, and hopes that the other one counts. */
#include <oomx/policy.h>

__attribute__((section("license"), used)) char other_licence[] = "Proprietary";

OOMX_POLICY(licence)
{
	return oomx_badness(f);
}
