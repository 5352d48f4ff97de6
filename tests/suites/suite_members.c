// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_members - a memcg's processes are found from its cgroups: all of them, wherever below it
 * they are and whatever state they are in, nobody else, and also while they come, go and move.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <bpf/bpf.h>

#include "calibrate.h"
#include "lib/cgroup.h"
#include "lib/nested.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/testbpf.h"
#include "lib/worker.h"
#include "policy.h"

#include "../bpf/runs.h"

#define TOP "/members"
#define N_WORKERS 12
#define RANKINGS 500 /* while a process moves */

/*
 * Where they live: leaves of the tree of memcgs, and cgroups below one, which have no memory
 * controller and count as its own. The last one is outside.
 */
static const char *const groups[] = { TOP "/a/b/c", TOP "/a/d", TOP "/e", TOP "/e/x", TOP "/e/x/y",
				      TOP "/f/g", TOP "-not" };
static const char *const memcgs[] = { TOP, TOP "/a", TOP "/a/b", TOP "/a/b/c", TOP "/a/d",
				      TOP "/e", TOP "/f", TOP "/f/g", TOP "-not" };
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))
#define N_MEMCGS (sizeof(memcgs) / sizeof(memcgs[0]))
#define N_INSIDE (N_GROUPS - 1)

static struct bpf_object *obj;

static struct run_rank rank(void)
{
	struct run_rank_args args = { .domain_id = cgroup_id(TOP) };
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct run_rank r = {};
	__u32 zero = 0;

	nested_enter(groups[0]); /* the program looks for the domain above its caller */
	testbpf_put(obj, "rank_args", &zero, &args);
	testbpf_put(obj, "rank_result", &zero, &r);
	if (bpf_prog_test_run_opts(testbpf_program(obj, "rank_run"), &opts))
		suite_fatal("rank_run: %s", strerror(errno));
	testbpf_get(obj, "rank_result", &zero, &r);
	nested_enter("");
	return r;
}

static void start(struct worker *w[N_WORKERS], bool inside_only)
{
	struct worker_spec spec = { .comm = "member", .anon_kib = 64 };
	unsigned int i;

	for (i = 0; i < N_WORKERS; i++) {
		spec.cgroup = groups[i % (inside_only ? N_INSIDE : N_GROUPS)];
		spec.threads = i % 3;
		spec.leader_exits = i % 3 == 2;
		w[i] = worker_start(&spec);
		worker_wait_ready(w[i]);
	}
}

static void play_still(unsigned int run)
{
	struct worker *w[N_WORKERS];
	unsigned int i, outside;
	struct run_rank r;

	suite_run_begin("still", run);
	start(w, false);
	outside = N_WORKERS / N_GROUPS;
	r = rank();
	if (!r.done || r.torn)
		suite_fail("the walk %s", r.torn ? "was torn with nobody moving" : "has no end");
	/* the suite itself is there, and is not to be killed */
	if (r.n_tasks != N_WORKERS - outside + 1 || r.n_offered != N_WORKERS - outside)
		suite_fail("expected %u processes and %u candidates, found %u and %u",
			   N_WORKERS - outside + 1, N_WORKERS - outside, r.n_tasks, r.n_offered);
	for (i = 0; i < N_WORKERS; i++)
		worker_end(w[i]);
	suite_run_end();
}

/* ---- while one of them moves about ----------------------------------------------------------- */

static struct {
	pid_t pid;
	bool stop;
	unsigned int moves;
} mover;

static void *keep_moving(void *arg)
{
	char path[128], text[16];
	unsigned int i = 0;

	snprintf(text, sizeof(text), "%d", mover.pid);
	while (!__atomic_load_n(&mover.stop, __ATOMIC_ACQUIRE)) {
		snprintf(path, sizeof(path), CGROUP_ROOT "%s/cgroup.procs",
			 groups[i++ % N_INSIDE]);
		if (!proc_write(path, text))
			__atomic_fetch_add(&mover.moves, 1, __ATOMIC_RELAXED);
	}
	return arg;
}

/*
 * Every walk ends, finds those who stay where they are, once each, and the one that moves as often
 * as it was met, or not at all.
 */
static void play_moving(unsigned int run)
{
	struct worker *w[N_WORKERS];
	unsigned int i, torn = 0;
	struct run_rank r;
	pthread_t thread;

	suite_run_begin("moving", run);
	start(w, true);
	mover.pid = worker_pid(w[0]);
	mover.stop = false;
	mover.moves = 0;
	if (pthread_create(&thread, NULL, keep_moving, NULL))
		suite_fatal("no thread");
	for (i = 0; i < RANKINGS && !suite_run_failed(); i++) {
		r = rank();
		torn += r.torn;
		if (!r.done || r.n_offered < N_WORKERS - 1 ||
		    r.n_offered > N_WORKERS - 1 + N_INSIDE)
			suite_fail("ranking %u: %s, %u candidates of %u", i,
				   r.torn ? "torn" : "whole", r.n_offered, N_WORKERS);
	}
	__atomic_store_n(&mover.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	if (!mover.moves)
		suite_fail("nobody has moved");
	printf("%u rankings during %u moves, %u of them torn\n", i, mover.moves, torn);
	for (i = 0; i < N_WORKERS; i++)
		worker_end(w[i]);
	suite_run_end();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 10 };
	struct ox_policy policy;
	struct bpf_link *link;
	unsigned int i;
	__u32 mode;

	suite_begin("members", argc, argv, &o);
	if (ox_calibrate(&mode) || ox_policy_load("kernel", &policy))
		suite_fatal("no calibration, or no policy");
	obj = testbpf_load("rank_run", &policy);
	testbpf_configure(obj, mode);
	link = testbpf_attach(obj, "rank_run");
	for (i = 0; i < N_MEMCGS; i++)
		cgroup_make(memcgs[i]);
	if (mkdir(CGROUP_ROOT TOP "/e/x", 0755) || mkdir(CGROUP_ROOT TOP "/e/x/y", 0755))
		suite_fatal("mkdir: %s", strerror(errno));
	for (i = 1; i <= o.runs; i++) {
		play_still(i);
		play_moving(i);
	}
	cgroup_remove(TOP "/e/x/y");
	cgroup_remove(TOP "/e/x");
	for (i = N_MEMCGS; i-- > 0;)
		cgroup_remove(memcgs[i]);
	bpf_link__destroy(link);
	bpf_object__close(obj);
	ox_policy_done(&policy);
	suite_times("members");
	return suite_end();
}
