/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* series.h - times of ours, each next to one of something else in the same moment. */
#ifndef SUITE_SCALE_SERIES_H
#define SUITE_SCALE_SERIES_H

#include <stdint.h>

#define SERIES_MAX 200

struct series {
	const char *measure, *what, *theirs_are; /* next to what */
	unsigned int n;
	double ours[SERIES_MAX], theirs[SERIES_MAX];
};

void series_add(struct series *s, uint64_t ours_ns, uint64_t theirs_ns);

/* As a line for people, and one in JSON; `context` is a part of the latter. */
void series_tell(const struct series *s, const char *context);

#endif
