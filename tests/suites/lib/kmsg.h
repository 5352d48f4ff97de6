/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kmsg.h - the kernel log as a witness: whom the OOM killer killed, and whether anything broke. */
#ifndef SUITE_KMSG_H
#define SUITE_KMSG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/proc.h"

#define KMSG_KILLS_MAX 64

struct kmsg_kill {
	pid_t pid; /* of the process; the log may name one of its threads */
	char comm[16];
	char trigger[16]; /* "": the report, see below, is not there */
	int order; /* of the allocation that failed; as the report has it */
	bool memcg; /* "Memory cgroup out of memory", else the machine was */
	/*
	 * What the kernel reported right before, of the zone with most of the memory. -1: no report
	 * of the machine's memory was new, as for all but the first who die in one OOM.
	 */
	int64_t free_kib, high_kib;
	int64_t pcp_kib; /* freed, but on the lists of CPUs: watermarks do not count it */
};

void kmsg_open(void); /* from now on */
int kmsg_fd(void);
/* Into the log, for whoever looks at the console of a guest that hangs. */
void kmsg_say(const char *text);
void kmsg_read(void);
void kmsg_clear(void); /* forget the kills so far */
unsigned int kmsg_take(struct kmsg_kill *ret, unsigned int max); /* those read so far, once each */

/* "Killed process PID (COMM)" lines since the last clear, in order. */
unsigned int kmsg_kills(const struct kmsg_kill **ret_kills);
unsigned int kmsg_kills_of(pid_t pid);
/* How often oomx has written here that it sent a SIGKILL to this process, since the last clear. */
unsigned int kmsg_signals_to(pid_t pid);
/* Fails if some of the kernel log since the last clear was not read: it is no witness then. */
void kmsg_expect_complete(void);
/* Fails unless all but those killed, by the kernel or by oomx, soon are as they were. */
void kmsg_expect_others_unchanged(const struct proc_census *before);

/*
 * As lines of a complaint, what the kernel reported before it killed each of them. A second one who
 * dies though the first one's memory lies on the lists of CPUs was killed by a second OOM: those
 * who allocate do not look there where reclaim has found nothing (__alloc_pages_direct_reclaim(),
 * mm/page_alloc.c, 6.1 to 7.3).
 */
void kmsg_complain_reports(void);

/* The first warning, oops or stall since the last call; NULL if none. */
const char *kmsg_trouble(void);
unsigned int kmsg_lost(void);

#endif
