/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * moment.h - the moment between a nomination and the kill, made as long as it takes (hold.bpf.c).
 */
#ifndef SUITE_FAULTS_MOMENT_H
#define SUITE_FAULTS_MOMENT_H

#include "../../bpf/hold.h"
#include "lib/scene.h"

#define RAISED_PIN "/sys/fs/bpf/oomx/oomx_raised"
#define MOMENT_SHORT_MIB 136 /* room for some children, and too little for hp beside lp */
#define MOMENT_ROOMY_MIB 320 /* enough for everybody: it was a false alarm */

extern const char *const moment_enforce[]; /* arguments of oomx */
extern struct scene moment_scene;

extern struct moment {
	struct bpf_object *obj;
	struct bpf_link *kill, *fork, *look, *scan, *forked;
	struct hold *h;
	pid_t responder;
	unsigned int limit_mib; /* once it is over */
	unsigned int children;	/* to wait for, in it */
	void (*in_it)(void);	/* or NULL */
} moment;

void moment_open(void);
void moment_close(void);

/* Holds the next one of that name at that place. */
void moment_hold(unsigned int where, const char *comm);
bool moment_held(void *at); /* a struct hold_at: somebody is */
void moment_let_go(unsigned int where);

/*
 * One OOM with such a moment in it: lp is raised and the responder stopped, hp is held, and the
 * limit becomes this; it ends when so many children were forked and in_it() is through. False: the
 * OOM did not come to its end.
 */
bool moment_play(unsigned int limit_mib, unsigned int children, void (*in_it)(void));
bool moment_has_children(void *arg); /* so many were forked */
void moment_end_run(void);

/* Enough for everybody, and nobody was killed. */
void moment_expect_nobody_killed(void);

/* For in_it(): all of oomx dies at once. */
void moment_crash(void);

#endif
