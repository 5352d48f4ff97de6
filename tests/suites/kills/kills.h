/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kills.h - the parts of suite_kills that have files of their own, and what all of them share. */
#ifndef SUITE_KILLS_H
#define SUITE_KILLS_H

#include "lib/cast.h"

#define TOP "/k"
#define LP TOP "/lp" /* dies first */
#define H2 TOP "/h2"
#define HP TOP "/hp"
#define OUT "/kout" /* outside, and cheaper than all of them */

/*
 * Without lp's 24 MiB, h2 and hp have room; with it, hp would be the kernel's own choice. Page
 * tables and kernel memory are some MiB more.
 */
#define LIMIT_MIB 80
#define LP_MIB 24
#define H2_MIB 8
#define HP_MIB 50

extern struct cast kills_cast; /* of the run */

struct worker_spec kills_spec(const char *comm, const char *cgroup, unsigned int mib);
struct worker *kills_add(const char *comm, const char *cgroup, unsigned int mib, bool meant);

struct kills_count {
	unsigned int runs, second; /* of them, with one victim too many */
};

/* Those meant to die have, and nobody else; but the kernel alone may kill one too many. */
void kills_expect_dead(void);

/*
 * A run of its own: with oomx, not more runs with one victim too many than with the kernel alone,
 * but for what may be chance (some three standard deviations, where it is one in seven for both).
 * Nothing where one of the two was not played.
 */
void kills_compare(const char *what, const struct kills_count *with_oomx,
		   const struct kills_count *alone);

/* Cases: each plays a run. */
void kills_kernel_thread(void);
void kills_kernel_thread_alone(void);
void kills_kernel_thread_late(void);
void kills_rivals_eight(void);
void kills_rivals_nine(void);
void kills_reader(void);
void kills_shortfall_global(void);
void kills_cpuset(void);
void kills_mempolicy(void);
void kills_lists(void);
void kills_lists_alone(void);

/* The same, of all runs of a case. */
void kills_compare_threads(void);
void kills_compare_lists(void);

#endif
