/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* proc.h - files of /proc and /sys, and a census of the processes before and after. */
#ifndef SUITE_PROC_H
#define SUITE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* 0 or -errno. A read is cut to size and NUL-terminated. */
int proc_read(const char *path, char *buf, size_t size);
int proc_write(const char *path, const char *text);

/* The number after "key" at the start of a line, -1 if there is none. */
int64_t proc_keyed(const char *path, const char *key);

int64_t proc_vmstat(const char *key); /* such as "oom_kill" */
int64_t proc_mem_mib(const char *key);   /* of /proc/meminfo, such as "MemFree" */

/*
 * Throws away every file page and inode that nobody uses. Before the machine is made to run out
 * of memory: the rig's guests have their root on virtiofs, whose inodes cannot be evicted by an
 * allocation that reclaims (virtio_fs_send_forget() allocates with __GFP_NOFAIL, at which 7.2
 * warns: mm/page_alloc.c, "PF_MEMALLOC request from this context"). None is left to evict then.
 */
void proc_drop_caches(void);

#define PROC_NO_ADJ (-9999)
int proc_oom_score_adj(pid_t pid); /* PROC_NO_ADJ: no such process */

unsigned int proc_threads(pid_t pid, pid_t *ret_tids, unsigned int max); /* how many it has */

/* Every user process: who it is and what its oom_score_adj is. */
uint64_t proc_start_ns(pid_t pid); /* CLOCK_BOOTTIME, to a clock tick; 0: no such process */

/* As in field 3 of /proc/PID/stat; 0: no such process. */
char proc_state(pid_t pid);
/* It is there, and not merely waiting to be reaped. */
bool proc_lives(pid_t pid);

#define PROC_CENSUS_MAX 512
struct proc_census {
	unsigned int n;
	struct proc_entry {
		pid_t pid;
		uint64_t start;
		int adj;
		char comm[16];
	} entries[PROC_CENSUS_MAX];
};

void proc_census(struct proc_census *ret);
void proc_census_leave_out(struct proc_census *c, const char *exe); /* those who run this file */

/*
 * Is everybody of `before` still there with the same oom_score_adj, but for `except` (n_except
 * pids)? If not, ret_what says who differs.
 */
bool proc_census_holds(const struct proc_census *before, const pid_t *except, unsigned int n_except,
		       char *ret_what, size_t size);

#endif
