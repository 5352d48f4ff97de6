// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "scale/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/suite.h"

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* By nearest rank. */
static double percentile(const double *v, unsigned int n, unsigned int p)
{
	double sorted[SERIES_MAX];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return sorted[(n * p + 99) / 100 - 1];
}

void series_add(struct series *s, uint64_t ours_ns, uint64_t theirs_ns)
{
	if (s->n == SERIES_MAX)
		suite_fatal("%s: more than %d times", s->measure, SERIES_MAX);
	s->ours[s->n] = (double)ours_ns;
	s->theirs[s->n++] = (double)theirs_ns;
}

void series_tell(const struct series *s, const char *context)
{
	double ratio[SERIES_MAX], ours, theirs, ours_99, theirs_99;
	unsigned int i, n = s->n;

	if (!n)
		return;
	for (i = 0; i < n; i++)
		ratio[i] = s->ours[i] / s->theirs[i];
	ours = percentile(s->ours, n, 50);
	theirs = percentile(s->theirs, n, 50);
	ours_99 = percentile(s->ours, n, 99);
	theirs_99 = percentile(s->theirs, n, 99);
	printf("%s: %.2f times %s (medians of %u: %.3f and %.3f ms; 99%% within %.3f and %.3f)\n",
	       s->what, percentile(ratio, n, 50), s->theirs_are, n, ours / 1e6, theirs / 1e6,
	       ours_99 / 1e6, theirs_99 / 1e6);
	printf("{\"measure\":\"%s\",%s,\"n\":%u,\"ours_ns\":%.0f,\"theirs_ns\":%.0f,"
	       "\"ours_p99_ns\":%.0f,\"theirs_p99_ns\":%.0f,\"ratio\":%.3f}\n", s->measure, context,
	       n, ours, theirs, ours_99, theirs_99, percentile(ratio, n, 50));
}
