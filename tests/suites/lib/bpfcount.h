/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpfcount.h - how many BPF objects the machine holds: what oomx leaves behind shows up here. */
#ifndef SUITE_BPFCOUNT_H
#define SUITE_BPFCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bpf_count {
	unsigned int programs, maps, links;
};

void bpf_count(struct bpf_count *ret);
bool bpf_count_equal(const struct bpf_count *a, const struct bpf_count *b);

/*
 * How often the kernel's recursion guard has left out programs whose names begin so, all together,
 * as the kernel itself tells it.
 */
int64_t bpf_recursion_misses(const char *prefix);

/* Writes one value into a pinned map; 0 or -errno. */
int bpf_map_put(const char *pin, const void *key, const void *value);

/* The values of a pinned array map (BPF_F_MMAPABLE), or it is fatal; the caller's to munmap(). */
void *bpf_map_values(const char *pin, size_t size);

/* How many entries a pinned hash map has whose keys are of at most 8 bytes; -errno. */
int bpf_map_entries(const char *pin);

#endif
