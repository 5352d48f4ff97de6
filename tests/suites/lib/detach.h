/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * detach.h - takes a BPF program of oomx's off its hook, and nothing else: has the daemon close the
 * link's descriptor, by ptrace (x86-64). The kernel has no call to do that from outside.
 */
#ifndef SUITE_DETACH_H
#define SUITE_DETACH_H

#include <sys/types.h>

void detach_program(pid_t pid, const char *name); /* fatal if it is not attached */

#endif
