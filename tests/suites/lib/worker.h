/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * worker.h - the processes that use memory, and die.
 *
 * A worker is this program started anew (posix_spawn, so no page of the suite becomes
 * copy-on-write when memory is short); it takes its orders from, and reports by, shared memory.
 * All are started before memory is short.
 */
#ifndef SUITE_WORKER_H
#define SUITE_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/cgroup.h"

#define WORKERS_MAX 48
#define WORKER_THREADS_MAX 64
#define WORKER_SHARERS_MAX 4

/* What it is and what it holds once it is ready. */
struct worker_spec {
	const char *comm;
	const char *cgroup; /* NULL: where the suite is */
	int adj;
	unsigned int anon_kib, file_kib, shmem_kib; /* touched; never huge pages */
	unsigned int pgtables_kib;		    /* page tables that map nothing but zeroes */
	unsigned int threads;			    /* idle ones besides the first */
	unsigned int uid;
	bool leader_exits; /* the first thread ends, another lives on (threads >= 1) */
	bool adj_keeps_min; /* adj as an owner sets it, not root: oom_score_adj_min stays 0 */
	unsigned int sharers; /* processes besides it that share its address space (CLONE_VM) */
	bool pid_ns; /* it is init of a pid namespace, below a process that only waits for it */
	unsigned int nodes; /* bit mask: NUMA nodes that its memory is bound to; 0: any */
	bool nodes_preferred; /* ... which it rather has than others, no more than that */
	const char *exe; /* a copy of this program to run in its place; NULL: this one */
	const char *stuck_at; /* once ready, it reads this file, and is stuck there if that is */
	bool stuck_mapping; /* ... maps it, holding its mmap_lock (of HANG_FILE) */
	unsigned int room_kib; /* mapped, and never touched by itself: see `into` */
};

/* What it does when told to grow. */
struct worker_growth {
	unsigned int mib;     /* touch so much more anonymous memory ... */
	unsigned int threads; /* ... shared among so many threads, the allocations that trigger */
	/*
	 * Grow only until some process was killed for lack of memory, and after_mib more, which
	 * must come from its death; `mib` is then where it gives up.
	 */
	bool until_kill;
	unsigned int after_mib;
	unsigned int forks; /* ever after: new children, of which the youngest so many live on */
	unsigned int fork_kib; /* ... or, not 0: so many children, once, each touching so much */
	bool by_sharer; /* the first sharer grows, not the worker itself; threads is 1 */
	bool no_io; /* its allocations may do no I/O and use no file system: GFP_NOIO */
	/* Not its own memory, but the room of this one, whose cgroup is charged; NULL: its own */
	const struct worker *into;
	const char *device; /* written to, by direct I/O, instead of memory; or NULL */
	/* Of its room, a byte is read, to a mapping of this file, and nothing written; or NULL */
	const char *reads_to;
};

enum worker_state {
	WORKER_STARTING,
	WORKER_READY,
	WORKER_GROWING,
	WORKER_DONE,
	WORKER_FAILED,
};

struct worker;

void worker_init(void);
bool worker_asked(int argc, char **argv);
void worker_main(int argc, char **argv) __attribute__((noreturn));

struct worker *worker_start(const struct worker_spec *spec);
void worker_wait_ready(struct worker *w); /* fatal if it does not get there */
void worker_grow(struct worker *w, const struct worker_growth *g);

pid_t worker_pid(const struct worker *w);
pid_t worker_victim_pid(const struct worker *w); /* the same, but for pid_ns: of the init */
unsigned int worker_sharers(const struct worker *w, const uint32_t **ret_pids);
unsigned long worker_grown_kib(const struct worker *w);
const char *worker_comm(const struct worker *w);
const char *worker_cgroup(const struct worker *w);
bool worker_alive(const struct worker *w); /* not reaped, that is */
bool worker_killed(const struct worker *w); /* ended by SIGKILL */
bool worker_ready(const struct worker *w);  /* and has not been told to grow */
bool worker_done(const struct worker *w);   /* reached what it had to grow to */
bool worker_failed(const struct worker *w, const char **ret_why);
const char *worker_fate(const struct worker *w); /* in words */
struct worker *worker_by_pid(pid_t pid);	 /* of those not ended yet */
pid_t worker_process_of(pid_t tid);		 /* a thread of a worker: its process id */

void worker_end(struct worker *w); /* SIGKILL, reaped, forgotten; NULL is fine */
void worker_end_all(void);

/* For suite_pump(): was it one of ours? */
bool worker_reaped(pid_t pid, int status);

#endif
