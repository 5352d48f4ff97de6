// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What has no rule of its own is covered by its nearest ancestor's, with nothing done for it: not
 * by the daemon, which stands still, nor by an entry of its own.
 */
#include "scale/scale.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>

#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/suite.h"
#include "lib/worker.h"
#include "score.h"

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define AMONG 3 /* the parent below which that is */
#define BY_HAND 77

/* What the kernel side goes by for the process, as it would in an OOM now. */
static void expect_resolved(struct worker *w, __s32 priority)
{
	struct ox_score_args args = { .policy = "priority", .ineligible = true };
	struct ox_policy policy = {};
	struct ox_scores s = {};
	size_t i;

	if (ox_score(&args, &policy, &s))
		suite_fatal("the processes cannot be ranked");
	for (i = 0; i < s.n && s.rec[i].who.pid != (__u32)worker_pid(w); i++)
		;
	if (i == s.n)
		suite_fail("%s is not ranked", worker_comm(w));
	else if (s.rec[i].facts.priority != priority)
		suite_fail("expected priority %d for %s in %s, found %d", priority, worker_comm(w),
			   worker_cgroup(w), s.rec[i].facts.priority);
	free(s.rec);
	ox_policy_done(&policy);
}

static struct worker *live_in(const char *comm, const char *cgroup)
{
	struct worker_spec spec = { .comm = comm, .cgroup = cgroup, .anon_kib = 256 };
	struct worker *w = worker_start(&spec);

	worker_wait_ready(w);
	return w;
}

static void expect_no_entry(__u64 id, const char *cgroup)
{
	struct oomx_prio p;

	if (scale_entry(id, &p))
		suite_fail("%s has an entry of its own: priority %d", cgroup, p.priority);
}

static bool has_entry(void *arg)
{
	struct oomx_prio p;

	return scale_entry(*(__u64 *)arg, &p);
}

static bool parent_is_ruled(void *arg)
{
	(void)arg;
	return scale_is(scale.ids[AMONG * (scale.each + 1)], scale_wanted(AMONG, true));
}

/*
 * The daemon stands still: what is covered is covered by the kernel side alone. Nothing but the
 * parent's entry is written.
 */
static void play_still(struct worker *old, struct worker *new, struct worker *own)
{
	char parent[CGROUP_PATH_LEN];

	scale_path(AMONG, 0, parent);
	expect_resolved(old, scale_wanted(AMONG, true));
	expect_resolved(new, scale_wanted(AMONG, true));
	expect_resolved(own, scale_wanted(AMONG, false));
	if (command_run_oomx(ARGS("priority", "set", parent, "77"))->exit)
		suite_fatal("'oomx priority set' fails");
	expect_resolved(old, BY_HAND);
	expect_resolved(new, BY_HAND);
	expect_resolved(own, scale_wanted(AMONG, false));
}

void scale_play_inherit(unsigned int run)
{
	static const char first[] = SCALE_TOP "/p03/inew", deep[] = SCALE_TOP "/p03/inew/deep",
			  last[] = SCALE_TOP "/p03/wlast";
	char parent[CGROUP_PATH_LEN], there[CGROUP_PATH_LEN], ruled[CGROUP_PATH_LEN];
	struct worker *old, *new, *own;
	__u64 ids[3];
	pid_t pid = daemon_pid();

	suite_run_begin("inherit", run);
	scale_path(AMONG, 0, parent);
	scale_path(AMONG, scale.each, there);
	scale_path(AMONG, 1, ruled);
	old = live_in("old", there);
	own = live_in("own", ruled);
	if (kill(pid, SIGSTOP))
		suite_fatal("SIGSTOP: %m");
	scale_make(first, &ids[0]);
	scale_make(deep, &ids[1]);
	new = live_in("new", deep);
	play_still(old, new, own);
	if (kill(pid, SIGCONT))
		suite_fatal("SIGCONT: %m");
	/* once a later one has its rule, these two have been looked at, too */
	scale_make(last, &ids[2]);
	if (!suite_wait(has_entry, &ids[2], SCALE_ALL_MS))
		suite_fail("%s is not under its rule", last);
	expect_no_entry(ids[0], first);
	expect_no_entry(ids[1], deep);
	expect_no_entry(scale.ids[AMONG * (scale.each + 1) + scale.each], there);
	if (command_run_oomx(ARGS("priority", "rm", parent))->exit)
		suite_fail("'oomx priority rm' fails");
	if (!suite_wait(parent_is_ruled, NULL, SCALE_ALL_MS))
		suite_fail("the rule is not back for %s", parent);
	scale_write_rules(!scale.turn); /* seen by itself */
	if (!suite_wait(parent_is_ruled, NULL, SCALE_ALL_MS))
		suite_fail("the new rule is not in force for %s", parent);
	expect_resolved(old, scale_wanted(AMONG, true));
	expect_resolved(new, scale_wanted(AMONG, true));
	expect_no_entry(ids[1], deep);
	worker_end(old);
	worker_end(own);
	worker_end(new);
	cgroup_remove(deep);
	cgroup_remove(first);
	cgroup_remove(last);
	scale_wait_for_all();
	scale_expect_all();
	suite_run_end();
}
