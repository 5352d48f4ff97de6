/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* worker_slot.h - what a suite and one of its workers share. */
#ifndef SUITE_WORKER_SLOT_H
#define SUITE_WORKER_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/cgroup.h"
#include "lib/worker.h"

#define WORKER_ARG "--as-worker"
#define WORKER_FD 3
#define WORKER_TIDS_MAX (2 * WORKER_THREADS_MAX)

struct worker_slot {
	/* written by the suite before the worker starts */
	char comm[16];
	char cgroup[CGROUP_PATH_LEN];
	int adj;
	unsigned int anon_kib, file_kib, shmem_kib, pgtables_kib, threads, uid;
	bool leader_exits, adj_keeps_min, pid_ns, nodes_preferred, stuck_mapping;
	unsigned int sharers, nodes;
	char stuck_at[64]; /* "": nowhere */
	unsigned int room_kib;

	/* written by the suite before it sets `go` */
	struct worker_growth growth; /* but for .into, .device and .reads_to, which are these: */
	pid_t into_pid; /* 0: its own memory */
	uint64_t into_base;
	char device[32], reads_to[32]; /* "": none */
	uint32_t go; /* futex */

	/* written by the worker */
	uint32_t state; /* enum worker_state */
	unsigned long grown_kib;
	uint64_t room_base;
	uint32_t n_tids;
	uint32_t tids[WORKER_TIDS_MAX];
	uint32_t inner_pid; /* of the init of its pid namespace */
	uint32_t n_sharers;
	uint32_t sharer_pids[WORKER_SHARERS_MAX];
	char why[96];
};

void worker_live(struct worker_slot *s) __attribute__((noreturn));

#endif
