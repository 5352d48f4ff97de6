/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* adjtrace.h - every write of an oom_score_adj for some time, by the kernel's own tracepoints. */
#ifndef ADJTRACE_H
#define ADJTRACE_H

#include <stdbool.h>
#include <sys/types.h>

void adjtrace_begin(void);
void adjtrace_end(void);

/* Meanwhile, this process was never given this value: not for a moment either. */
void adjtrace_expect_never(const char *when, pid_t pid, int adj);

/* The same of all processes with this name, until the kernel's first kill. */
void adjtrace_expect_never_before_kill(const char *comm, int adj);

#endif
