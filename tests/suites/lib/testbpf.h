/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* testbpf.h - the test programs of tests/bpf: loaded, attached, run. All of it fatal on failure. */
#ifndef SUITE_TESTBPF_H
#define SUITE_TESTBPF_H

#include <stddef.h>
#include <bpf/libbpf.h>

#include "policy.h"

/*
 * Opens and loads tests/bpf/NAME.bpf.o, which the build leaves beside the suite's own program,
 * linked with the policy (NULL: with none). The caller's to bpf_object__close().
 */
struct bpf_object *testbpf_load(const char *name, const struct ox_policy *policy);

/* Attaches one of its programs. The caller's to bpf_link__destroy(). */
struct bpf_link *testbpf_attach(struct bpf_object *obj, const char *program);

int testbpf_map(struct bpf_object *obj, const char *name);
int testbpf_program(struct bpf_object *obj, const char *name);
void testbpf_put(struct bpf_object *obj, const char *map, const void *key, const void *value);
void testbpf_get(struct bpf_object *obj, const char *map, const void *key, void *ret_value);

/* Runs a SEC("syscall") program once with its context; returns what it returned. */
int testbpf_run(int program_fd, void *ctx, size_t size);

#endif
