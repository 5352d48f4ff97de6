/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pairs.h - two ways to do the same, measured side by side: the median of the pairs' ratios, with
 * the interval that holds it with a probability of 95% or more.
 */
#ifndef SUITE_PAIRS_H
#define SUITE_PAIRS_H

#include <stdbool.h>

#define PAIRS_MAX 99

struct pairs {
	unsigned int n;
	double ours[PAIRS_MAX], theirs[PAIRS_MAX]; /* nanoseconds */
};

struct pairs_ratio {
	double median, low, high;
	bool interval; /* false: too few pairs, low and high are the smallest and the largest */
};

/* One pair. Those beyond PAIRS_MAX do not count. */
void pairs_add(struct pairs *p, double ours, double theirs);
double pairs_median(const double *v, unsigned int n);
/* Of ours to theirs, or the inverse. There must be one pair at least. */
struct pairs_ratio pairs_ratio(const struct pairs *p, bool inverse);

#endif
