/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * crowd.h - thousands of tiny processes that do nothing, and some that the OOM killer will take
 * before anyone else.
 */
#ifndef SUITE_CROWD_H
#define SUITE_CROWD_H

#include <stdbool.h>

#define CROWD_CGROUPS_MAX 1000

struct crowd_spec {
	unsigned int n;
	unsigned int n_victims; /* with oom_score_adj 1000, started last */
	unsigned int n_cgroups; /* spread over so many, one after the other; 0: where we are */
};

/* Before suite_begin(): does not return where this process was started as the crowd's parent. */
void crowd_main(int argc, char **argv);

/* Returns when all of them are there; fatal if they never are. */
void crowd_start(const struct crowd_spec *spec);
void crowd_end(void);

#endif
