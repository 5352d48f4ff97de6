/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* demo.h - the parts of `oomx demo`: a workload too large for its cgroup, and an oomx to judge. */
#ifndef OX_DEMO_H
#define OX_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>
#include <oomx/abi.h>

#define OX_DEMO_CGROUP "/oomx-demo"
#define OX_DEMO_LIMIT_MIB 128

/* ---- the workload: demo_play.c -------------------------------------------------------------- */

enum ox_demo_role { OX_DEMO_DATABASE, OX_DEMO_BATCH, OX_DEMO_HELPER, _OX_DEMO_MAX };

/* What each wants: together more than the limit, without the batch job less. */
extern const struct ox_demo_part {
	const char *name; /* its comm, and its cgroup below OX_DEMO_CGROUP */
	unsigned int mib;
} ox_demo_parts[_OX_DEMO_MAX];

struct ox_demo_fate {
	pid_t pid;
	unsigned int mib; /* it got */
	bool finished;	  /* got all it wanted, and lives */
	int signal;	  /* that ended it; 0: lives */
};

struct ox_demo_round {
	struct ox_demo_fate fate[_OX_DEMO_MAX];
	__u64 oom_kill; /* of memory.events, in this round */
};

/* Makes the cgroups, with the limit and without swap, anew. Logs. 0 or -errno. */
int ox_demo_cgroups_make(void);
void ox_demo_cgroups_remove(void);

/*
 * Runs the workload once, until the database has finished or died; then goes on until over(arg)
 * says so, too (NULL: a while). Leaves no process. over() is called every few milliseconds from
 * the start. Logs. 0 or -errno.
 */
int ox_demo_play(struct ox_demo_round *r, bool (*over)(void *arg), void *arg);

/* ---- `oomx run` as a child: demo_daemon.c --------------------------------------------------- */

#define OX_DEMO_RECORDS 64

struct ox_demo_daemon {
	pid_t pid;
	int out;  /* its standard output */
	int feed; /* its events */
	unsigned int n;
	struct {
		void *data;
		size_t size;
	} rec[OX_DEMO_RECORDS]; /* those that came, but for too many */
};

/* Starts it, enforcing, and waits until it is ready. Logs. 0 or -errno; nothing is left then. */
int ox_demo_daemon_start(struct ox_demo_daemon *d);
/* Takes what has come, without waiting. */
void ox_demo_daemon_read(struct ox_demo_daemon *d);
/* The first record of this type about this process (0: any), or NULL. */
const void *ox_demo_daemon_find(const struct ox_demo_daemon *d, __u32 type, pid_t pid);
/* Ends it as `oomx stop` would. 0; -EIO: it failed. Logs. The records stay. */
int ox_demo_daemon_stop(struct ox_demo_daemon *d);
void ox_demo_daemon_free(struct ox_demo_daemon *d);

#endif
