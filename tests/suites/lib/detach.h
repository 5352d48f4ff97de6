/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * detach.h - what only ptrace can do to oomx from outside. Takes a BPF program of its off its hook,
 * and nothing else: has the daemon close the link's descriptor (x86-64). Stops a single thread.
 */
#ifndef SUITE_DETACH_H
#define SUITE_DETACH_H

#include <sys/types.h>

void detach_program(pid_t pid, const char *name); /* fatal if it is not attached */

/* One thread alone, which no signal can do; the others of its process go on. Fatal on failure. */
void thread_stop(pid_t tid);
void thread_go_on(pid_t tid);

#endif
