/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * scenarios.h - what suite_scenarios is made of: tables of who is there, which rules an operator
 * would write, and who is to die. Each is one cgroup that runs out of memory.
 */
#ifndef SUITE_SCENARIOS_H
#define SUITE_SCENARIOS_H

#include <stdbool.h>

#include "lib/suite.h"

#define PLAYERS_MAX 16
#define PATHS_MAX 32

/* player.is, any of them */
#define DIES 1	  /* with oomx; of several, all */
#define KERNELS 2 /* whom the kernel alone kills first; of several, one of them */
#define GROWS 4	  /* and has the cgroup run out; without such a one, "grow" is added */
#define LATE 8	  /* comes long after the others */

struct player {
	const char *comm;
	const char *cgroup; /* below the scenario's, or with a '/' in front anywhere */
	unsigned int mib;
	unsigned int is;
	const char *rule; /* that is about it, checked before the OOM; NULL: not checked */
	int adj;
	unsigned int uid;
	unsigned int request_mib; /* memory.low of its cgroup */
};

struct scenario {
	const char *name; /* "M5/growth": of a scenario in several parts, the one before the '/' */
	const char *top;  /* the cgroup that runs out; NULL: /s */
	const char *policy; /* NULL: priority; else one of tests/suites/policies */
	const char *rules;  /* the operator's file */
	const char *rule;   /* which of them the kill names; NULL: none */
	const char *group;  /* a cgroup with memory.oom.group */
	bool processes;	    /* the rules are about processes, which are new every time */
	struct player players[PLAYERS_MAX];
};

/* Up to no name. */
extern const struct scenario scenarios_oomd[], scenarios_systemd[], scenarios_users[],
	scenarios_vendors[];

/* Once by the kernel alone, then with oomx. */
void scenario_play(const struct scenario *s, const struct suite_options *o);

/* oomx, enforcing by these rules, and with this policy of tests/suites/policies (NULL: priority) */
void scenario_start_oomx(const char *hook, const char *policy, const char *rules);

/* Makes a cgroup with all above it, and removes all that were made. */
void scenario_make(const char *path);
void scenario_remove_all(void);

/* Groups of their own. */
void node_play(const struct suite_options *o);
void churn_play(const struct suite_options *o, unsigned int runs);

/* A pod's cgroup and that of a container in it, as the kubelet and containerd make them. */
#define KUBE "/kubepods.slice"
#define POD_UID(n) "7d5b0c6e_9f3a_4c1d_8e2f_0a1b2c3d4e5" #n
#define CRI(n)                                                                                     \
	"/cri-containerd-a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9" #n ".scope"
#define GUARANTEED_POD(n) KUBE "/kubepods-pod" POD_UID(n) ".slice"
#define BURSTABLE_POD(n)                                                                           \
	KUBE "/kubepods-burstable.slice/kubepods-burstable-pod" POD_UID(n) ".slice"
#define BESTEFFORT_POD(n)                                                                          \
	KUBE "/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_UID(n) ".slice"

#endif
