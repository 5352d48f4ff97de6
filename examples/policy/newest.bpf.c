// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * newest - last in, first out: the youngest process dies first, by whole minutes; among those of
 * the same minute the one whose death frees the most.
 *
 * A good idea where what was started last is what tipped the balance: interactive machines, build
 * hosts. A bad one where a service that crashes and restarts is always the youngest, while an old
 * process leaks.
 */
#include <oomx/policy.h>

#define NS_PER_MINUTE 60000000000ULL
#define MINUTES_MAX ((1 << 22) - 1) /* what oomx_lexical() can hold: eight years */

OOMX_POLICY(newest)
{
	__u64 minutes = f->age_ns / NS_PER_MINUTE;

	if (minutes > MINUTES_MAX)
		minutes = MINUTES_MAX;
	return oomx_lexical(-(__s64)minutes, oomx_badness(f));
}
