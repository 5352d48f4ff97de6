// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "faults/moment.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults/faults.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define FORKS 8 /* of lp's children, so many live: more would need somebody killed themselves */

const char *const moment_enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

struct scene moment_scene;

struct moment moment;

void moment_open(void)
{
	moment.obj = testbpf_load("hold", NULL);
	moment.h = testbpf_memory(moment.obj, "hold", sizeof(*moment.h));
	moment.kill = testbpf_attach(moment.obj, "hold_kill");
	moment.fork = testbpf_attach(moment.obj, "hold_fork");
	moment.look = testbpf_attach(moment.obj, "hold_look");
	moment.scan = testbpf_attach(moment.obj, "hold_scan");
	moment.forked = testbpf_attach(moment.obj, "hold_forked");
}

void moment_close(void)
{
	bpf_link__destroy(moment.kill);
	bpf_link__destroy(moment.fork);
	bpf_link__destroy(moment.look);
	bpf_link__destroy(moment.scan);
	bpf_link__destroy(moment.forked);
	munmap(moment.h, sizeof(*moment.h));
	bpf_object__close(moment.obj);
}

void moment_hold(unsigned int where, const char *comm)
{
	struct hold_at *at = &moment.h->at[where];

	*at = (struct hold_at){};
	snprintf(at->comm, sizeof(at->comm), "%s", comm);
	__atomic_store_n(&at->armed, 1, __ATOMIC_RELEASE);
}

bool moment_held(void *at)
{
	return __atomic_load_n(&((struct hold_at *)at)->held, __ATOMIC_ACQUIRE);
}

void moment_let_go(unsigned int where)
{
	struct hold_at *at = &moment.h->at[where];

	__atomic_store_n(&at->go, 1, __ATOMIC_RELEASE);
	if (at->gave_up)
		suite_fail("the moment ended by itself");
}

static bool raised(void *arg)
{
	(void)arg;
	return moment_held(&moment.h->at[HOLD_KILL]) &&
	       proc_oom_score_adj(worker_pid(moment_scene.lp)) == OOMX_ADJ_RAISED;
}

bool moment_has_children(void *arg)
{
	(void)arg;
	return __atomic_load_n(&moment.h->inherited, __ATOMIC_ACQUIRE) >= moment.children;
}

/*
 * A signal to a process is for one of its threads, which may be waiting for the very CPU that
 * whoever is held has: the others would go on.
 */
static void stop_responder(void)
{
	pid_t tids[8];
	unsigned int i, n = proc_threads(moment.responder, tids, 8);

	for (i = 0; i < n && i < 8; i++)
		(void)tgkill(moment.responder, tids[i], SIGSTOP); /* it may have ended */
}

/*
 * hp has asked for a kill and is held, lp is raised; memory.max is what the rest of it needs. The
 * responder would put the value back after a while, whether or not there are children by then.
 */
static void play_moment(void)
{
	const struct worker_growth fork = { .mib = 1, .threads = 1, .forks = FORKS };

	if (!suite_wait(raised, NULL, SUITE_STEP_MS))
		suite_fail("expected lp to be raised before the OOM killer is at work: hp is%s "
			   "held, lp has %d", moment.h->at[HOLD_KILL].held ? "" : " not",
			   proc_oom_score_adj(worker_pid(moment_scene.lp)));
	stop_responder();
	cgroup_set_mib(SCENE_CGROUP, "memory.max", moment.limit_mib);
	if (moment.children) /* not before: it would soon need somebody killed itself */
		worker_grow(moment_scene.lp, &fork);
	if (!suite_wait(moment_has_children, NULL, SUITE_STEP_MS))
		suite_fail("expected %u children of lp while it is raised, got %u", moment.children,
			   moment.h->inherited);
	if (moment.in_it)
		moment.in_it();
	moment_let_go(HOLD_KILL);
}

/* One OOM with such a moment in it. False: it did not come to its end. */
bool moment_play(unsigned int limit_mib, unsigned int children, void (*in_it)(void))
{
	*moment.h = (struct hold){};
	moment.responder = faults_responder();
	moment_hold(HOLD_KILL, "hp");
	moment.limit_mib = limit_mib;
	moment.children = children;
	moment.in_it = in_it;
	moment_scene.meanwhile = play_moment;
	daemon_clear();
	return scene_play(&moment_scene);
}

void moment_end_run(void)
{
	if (suite_run_failed())
		daemon_complain_events();
	cgroup_set(SCENE_LP, "cgroup.kill", "1");
	scene_clear(&moment_scene);
	cgroup_set_mib(SCENE_CGROUP, "memory.max", SCENE_LIMIT_MIB);
	suite_run_end();
}

void moment_expect_nobody_killed(void)
{
	const struct scene *s = &moment_scene;
	int64_t kills = proc_vmstat("oom_kill") - s->vmstat_before;

	if (kills || kmsg_kills(NULL))
		suite_fail("expected no kill, /proc/vmstat counts %lld and the kernel logged %u",
			   (long long)kills, kmsg_kills(NULL));
	if (!worker_alive(s->lp) || !worker_alive(s->h2) || !worker_done(s->hp))
		suite_fail("expected a false alarm; lp %s, h2 %s, hp %s", worker_fate(s->lp),
			   worker_fate(s->h2), worker_fate(s->hp));
}

/*
 * All of oomx dies at once: the daemon cannot start another responder, nor this one put back. Its
 * end is not waited for: its programs go after a grace period, and whoever is held may be what that
 * waits for.
 */
void moment_crash(void)
{
	kill(daemon_pid(), SIGSTOP);
	kill(moment.responder, SIGKILL);
	kill(daemon_pid(), SIGKILL);
}
