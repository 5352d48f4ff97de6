// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/pairs.h"

#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void pairs_add(struct pairs *p, double ours, double theirs)
{
	if (p->n == PAIRS_MAX)
		return;
	p->ours[p->n] = ours;
	p->theirs[p->n++] = theirs;
}

double pairs_median(const double *v, unsigned int n)
{
	double sorted[PAIRS_MAX];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/*
 * How many of the n values in order to leave out at either end, so that what is left holds the
 * median with a probability of 95% or more: the binomial distribution's tail. -1: too few values.
 */
static int outside(unsigned int n)
{
	double p = 1, tail = 0;
	unsigned int k;

	for (k = 0; k < n; k++)
		p /= 2;
	for (k = 0; k < n; k++) {
		tail += p;
		if (tail > 0.025)
			break;
		p = p * (n - k) / (k + 1);
	}
	return (int)k - 1;
}

struct pairs_ratio pairs_ratio(const struct pairs *p, bool inverse)
{
	int k = outside(p->n);
	unsigned int i, out = k < 0 ? 0 : (unsigned int)k;
	double ratio[PAIRS_MAX];

	for (i = 0; i < p->n; i++)
		ratio[i] = inverse ? p->theirs[i] / p->ours[i] : p->ours[i] / p->theirs[i];
	qsort(ratio, p->n, sizeof(*ratio), by_value);
	return (struct pairs_ratio){ .median = pairs_median(ratio, p->n), .low = ratio[out],
				     .high = ratio[p->n - 1 - out], .interval = k >= 0 };
}
