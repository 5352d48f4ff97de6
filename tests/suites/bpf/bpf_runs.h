/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpf_runs.h - the parts of suite_bpf that have files of their own, and what all of them share. */
#ifndef SUITE_BPF_RUNS_H
#define SUITE_BPF_RUNS_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/libbpf.h>

void bpf_begin(const char *what); /* a run */

/* true: to be complained about; the first few of a run are. */
bool bpf_differs(__s64 found, __s64 expected);

/* A program of tests/bpf, linked with this policy. The caller's to bpf_object__close(). */
struct bpf_object *bpf_load_policy(const char *program, const char *policy);

void bpf_play_hold(void);
void bpf_play_queued(void);

#endif
