// SPDX-License-Identifier: GPL-2.0-only
/* endless - never returns: the verifier has to refuse it, and within a time that people wait. */
#include <oomx/policy.h>

OOMX_POLICY(endless)
{
	volatile __u64 n = f->anon_pages;

	while (n != 1)
		n = n & 1 ? 3 * n + 1 : n / 2 + f->file_pages;
	return (__s64)n;
}
