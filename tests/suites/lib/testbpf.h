/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* testbpf.h - the test programs of tests/bpf: loaded, attached, run. All of it fatal on failure. */
#ifndef SUITE_TESTBPF_H
#define SUITE_TESTBPF_H

#include <limits.h>
#include <stddef.h>
#include <bpf/libbpf.h>

#include "policy.h"

#define TESTBPF_PATH_LEN PATH_MAX

/* Of tests/bpf/NAME.bpf.o, which the build leaves beside the suite's own program. */
void testbpf_path(const char *name, char path[TESTBPF_PATH_LEN]);

/*
 * Opens and loads it, linked with the policy (NULL: with none). The caller's to
 * bpf_object__close().
 */
struct bpf_object *testbpf_load(const char *name, const struct ox_policy *policy);

/* Attaches one of its programs. The caller's to bpf_link__destroy(). */
struct bpf_link *testbpf_attach(struct bpf_object *obj, const char *program);

/* Its "oomx_config", as oomx itself fills it, with the rss_mode that was calibrated. */
void testbpf_configure(struct bpf_object *obj, __u32 rss_mode);

int testbpf_map(struct bpf_object *obj, const char *name);
int testbpf_program(struct bpf_object *obj, const char *name);
void testbpf_put(struct bpf_object *obj, const char *map, const void *key, const void *value);
void testbpf_get(struct bpf_object *obj, const char *map, const void *key, void *ret_value);

/* The values of an array map (BPF_F_MMAPABLE); the caller's to munmap(). */
void *testbpf_memory(struct bpf_object *obj, const char *map, size_t size);

/* Runs a SEC("syscall") program once with its context; returns what it returned. */
int testbpf_run(int program_fd, void *ctx, size_t size);

/* Has it go through the first n cases (tests/bpf/runs.h), and sees to it that it did. */
void testbpf_run_cases(struct bpf_object *obj, const char *program, unsigned int n);

#endif
