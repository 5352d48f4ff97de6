// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * self.c - the trigger is itself the policy's choice, and nobody answers nominations: it gets
 * SIGKILL from oomx and the OOM is over; but only where the kernel would kill nobody else with it,
 * and where it can be told.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/faults.h"
#include "faults/moment.h"
#include "lib/bpfcount.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define BIG_MIB 90
#define MATE_MIB 8
#define FIRST_MIB 16
#define GROW_MIB 48 /* of lp, the trigger: too much beside the big one */

static const char *const enforce_lp[] = { "--enforce", "--policy", "priority",
					  "--priority", SCENE_LP "=-100", NULL };

static struct self {
	struct scene scene;
	struct worker *big, *lp, *mate;
	int64_t kills; /* of the scene's cgroup, before */
} self;

static struct worker *start(const char *comm, const char *cgroup, unsigned int mib)
{
	const struct worker_spec spec = {
		.comm = comm,
		.cgroup = cgroup,
		.anon_kib = mib * 1024,
	};

	return worker_start(&spec);
}

static void begin_run(const char *what, unsigned int i)
{
	suite_run_begin(what, i);
	daemon_require();
	daemon_clear();
	kmsg_clear();
	self.big = start("big", SCENE_H2, BIG_MIB);
	self.mate = start("mate", SCENE_LP, MATE_MIB);
	self.lp = start("lp", SCENE_LP, 0);
	worker_wait_ready(self.big);
	worker_wait_ready(self.mate);
	worker_wait_ready(self.lp);
	self.kills = cgroup_event(SCENE_CGROUP, "oom_kill");
}

static void trigger(void)
{
	const struct worker_growth g = { .mib = GROW_MIB, .threads = 1 };

	worker_grow(self.lp, &g);
}

static void end_run(void)
{
	if (suite_run_failed())
		daemon_complain_events();
	worker_end(self.lp);
	worker_end(self.mate);
	worker_end(self.big);
	scene_clear(&self.scene);
	suite_run_end();
}

static bool dead(void *w)
{
	return !worker_alive(w);
}

static bool logged_signal(void *w)
{
	return kmsg_signals_to(worker_pid(w)) > 0;
}

static bool freed(void *w)
{
	return daemon_find(OOMX_REC_FREED, 0, worker_pid(w));
}

static void expect_signalled(void)
{
	const struct kmsg_kill *logged;
	const struct event *e;

	if (!suite_wait(dead, self.lp, SUITE_STEP_MS)) {
		suite_fail("expected lp to be killed, it %s", worker_fate(self.lp));
		return;
	}
	if (!suite_wait(freed, self.lp, SUITE_STEP_MS))
		suite_fail("expected a \"freed\" event for lp");
	e = daemon_find(OOMX_REC_KILL, 0, worker_pid(self.lp));
	if (!e || !e->signalled)
		suite_fail("expected a \"kill\" of lp by oomx's own signal, got %s",
			   e ? "the kernel's" : "none");
	if (!worker_alive(self.big) || !worker_alive(self.mate))
		suite_fail("of the bystanders, big %s, mate %s", worker_fate(self.big),
			   worker_fate(self.mate));
	if (kmsg_kills(&logged) || cgroup_event(SCENE_CGROUP, "oom_kill") != self.kills)
		suite_fail("expected the kernel to count and log no kill");
	if (!suite_wait(logged_signal, self.lp, SUITE_STEP_MS) ||
	    kmsg_signals_to(worker_pid(self.lp)) != 1)
		suite_fail("expected one line of oomx's own in the kernel's log");
}

/* The kernel's own choice, and its alone. */
static void expect_big(void)
{
	if (!suite_wait(dead, self.big, SUITE_STEP_MS))
		suite_fail("expected big to be killed, it %s", worker_fate(self.big));
	if (!worker_alive(self.lp) || !worker_alive(self.mate))
		suite_fail("expected nobody else to be: lp %s, mate %s", worker_fate(self.lp),
			   worker_fate(self.mate));
	if (cgroup_event(SCENE_CGROUP, "oom_kill") != self.kills + 1)
		suite_fail("expected the kernel to count one kill");
	if (kmsg_signals_to(worker_pid(self.lp)))
		suite_fail("oomx has sent a signal itself");
}

static pid_t open_stopped(const char *const args[])
{
	pid_t pid;

	scene_open(&self.scene, false, 1);
	daemon_start(args);
	pid = faults_responder();
	kill(pid, SIGSTOP);
	return pid;
}

static void close_stopped(pid_t responder)
{
	kill(responder, SIGCONT);
	daemon_stop();
	scene_close(&self.scene);
}

void faults_self(unsigned int runs)
{
	pid_t responder = open_stopped(enforce_lp);
	unsigned int i;

	for (i = 1; i <= runs; i++) {
		begin_run("self", i);
		trigger();
		expect_signalled();
		end_run();
	}
	close_stopped(responder);
}

/* The kernel would kill lp's group, too; of a task that is dying anyway it only takes note. */
void faults_self_group(unsigned int runs)
{
	pid_t responder = open_stopped(enforce_lp);
	unsigned int i;

	cgroup_set(SCENE_LP, "memory.oom.group", "1");
	for (i = 1; i <= runs; i++) {
		begin_run("self, in a group", i);
		trigger();
		expect_big();
		end_run();
	}
	cgroup_set(SCENE_LP, "memory.oom.group", "0");
	close_stopped(responder);
}

/*
 * An earlier victim is on its way out. oomx has waited for it as long as it may, and the kernel
 * does not know of it any more: the next one is the kernel's choice.
 */
static void play_second(void)
{
	struct worker_spec spec = { .comm = "first", .cgroup = SCENE_HP, .adj = 1000,
				    .anon_kib = FIRST_MIB << 10 };
	struct worker *first = worker_start(&spec);

	worker_wait_ready(first);
	*moment.h = (struct hold){};
	moment_hold(HOLD_UNMAP, "first");
	trigger();
	if (!suite_wait(moment_held, &moment.h->at[HOLD_UNMAP], SUITE_STEP_MS))
		suite_fail("expected the first to be killed, it %s", worker_fate(first));
	if (!suite_wait(dead, self.big, SUITE_STEP_MS))
		suite_fail("expected big to be killed as well, it %s", worker_fate(self.big));
	moment_let_go(HOLD_UNMAP);
	if (!suite_wait(dead, first, SUITE_STEP_MS))
		suite_fail("the first is not dead in the end, it %s", worker_fate(first));
	self.kills++; /* that one */
	expect_big();
	worker_end(first);
}

/* Each with an oomx of its own, and with all of its budget. */
void faults_self_second(unsigned int runs)
{
	static const char *const enforce[] = { "--enforce", "--policy", "priority",
					       "--priority", SCENE_LP "=-100",
					       "--priority", SCENE_HP "=-200", NULL };
	struct oomx_config *config;
	struct bpf_link *unmap;
	unsigned int i;
	pid_t responder;

	if (!faults_kernel_hides()) {
		printf("faults self_second: nothing to play, the kernel waits for the first\n");
		return;
	}
	moment_open();
	unmap = testbpf_attach(moment.obj, "hold_unmap");
	for (i = 1; i <= runs; i++) {
		responder = open_stopped(enforce);
		config = bpf_map_values(FAULTS_PIN(oomx_config), sizeof(*config));
		config->hold_budget_ns = 2 * config->guard_ns; /* for big, too, it is to be held */
		begin_run("self, a second one", i);
		play_second();
		end_run();
		munmap(config, sizeof(*config));
		close_stopped(responder);
	}
	bpf_link__destroy(unmap);
	moment_close();
}

/* No room to tell it: then it is not done. */
void faults_self_untold(unsigned int runs)
{
	pid_t responder = open_stopped(enforce_lp);
	unsigned int i;

	for (i = 1; i <= runs; i++) {
		begin_run("self, untold", i);
		kill(daemon_pid(), SIGSTOP);
		faults_fill_ring("oomx_vital");
		trigger();
		expect_big();
		kill(daemon_pid(), SIGCONT);
		end_run();
	}
	close_stopped(responder);
}
