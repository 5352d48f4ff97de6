// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* broken.c - processes of oomx stopped and killed at any moment; a start that gets nowhere. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "faults/faults.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/detach.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define MOMENT_MAX_US 30000 /* after the limit was first hit */
#define TIGHT "/tight"
#define TIGHT_MAX_MIB 16 /* loading takes about that much */
#define LOAD_MAX_MS 4000
#define ANSWERING 2 /* threads of the responder */
#define THREADS_MAX 8

/* ---- a moment in the middle of the OOM ------------------------------------------------------- */

static struct {
	pid_t pid;
	int signal;
	long us; /* after the limit was first hit */
	pthread_t thread;
	bool stop;
} moment;

static void *send_then(void *arg)
{
	const struct timespec tick = { .tv_nsec = 200000 };
	struct timespec wait = { .tv_nsec = moment.us * 1000 };
	int64_t before = cgroup_event(SCENE_CGROUP, "max");

	while (!__atomic_load_n(&moment.stop, __ATOMIC_ACQUIRE) &&
	       cgroup_event(SCENE_CGROUP, "max") == before)
		nanosleep(&tick, NULL);
	nanosleep(&wait, NULL);
	kill(moment.pid, moment.signal);
	return arg;
}

/* Some time after the next OOM has begun, the process gets the signal. */
static void arrange_moment(pid_t pid, int sig)
{
	moment.pid = pid;
	moment.signal = sig;
	moment.us = suite_random(0, MOMENT_MAX_US);
	moment.stop = false;
	if (pthread_create(&moment.thread, NULL, send_then, NULL))
		suite_fatal("no thread");
}

static void await_moment(void)
{
	__atomic_store_n(&moment.stop, true, __ATOMIC_RELEASE);
	pthread_join(moment.thread, NULL);
}

/* ---- what is stopped or killed --------------------------------------------------------------- */

/* Nobody reads events: the choice needs no reader, and nothing is lost. */
static void play_daemon_stopped(void)
{
	bool over;

	daemon_clear();
	kill(daemon_pid(), SIGSTOP);
	over = scene_play(&faults.scene);
	kill(daemon_pid(), SIGCONT);
	if (over)
		faults_expect_played_lp();
	scene_clear(&faults.scene);
}

/* Those that answer, in real time. */
static void answering_threads(pid_t ret[ANSWERING])
{
	pid_t tids[THREADS_MAX];
	unsigned int i, n = proc_threads(faults_responder(), tids, THREADS_MAX), found = 0;

	for (i = 0; i < n && i < THREADS_MAX; i++)
		if (sched_getscheduler(tids[i]) == SCHED_FIFO && found++ < ANSWERING)
			ret[found - 1] = tids[i];
	if (found != ANSWERING)
		suite_fatal("expected %d threads that answer, got %u: a guest with one CPU?",
			    ANSWERING, found);
}

/* The other one answers, unless it has the trigger's own CPU: lp, or the kernel's choice. */
static void play_thread_stopped(void)
{
	pid_t tids[ANSWERING];
	unsigned int i;

	answering_threads(tids);
	for (i = 0; i < ANSWERING; i++) {
		thread_stop(tids[i]);
		faults_expect_either();
		thread_go_on(tids[i]);
		faults_expect_lp();
	}
}

static void play_responder_stops(void)
{
	pid_t pid = faults_responder();

	arrange_moment(pid, SIGSTOP);
	faults_expect_either();
	await_moment();
	kill(pid, SIGCONT);
	faults_expect_lp();
}

static void play_responder_dies(void)
{
	pid_t pid = faults_responder();

	arrange_moment(pid, SIGKILL);
	faults.scene.oomx_ends = true;
	faults_expect_either();
	faults.scene.oomx_ends = false;
	await_moment();
	faults_await_other_responder(pid);
	faults_expect_lp();
}

static void play_daemon_dies(void)
{
	static const char *const stop[] = { "stop", NULL };

	arrange_moment(daemon_pid(), SIGKILL);
	faults.scene.oomx_ends = true;
	daemon_clear();
	if (scene_play(&faults.scene)) {
		await_moment();
		daemon_kill();
		/* by `oomx stop`, or by the next start */
		if (!suite_random(0, 1))
			faults_start();
		else if (command_run_oomx(stop)->exit)
			suite_fail("oomx stop fails after a crash");
		faults_expect_one_of(faults.scene.lp, faults.scene.hp);
	} else {
		await_moment();
		daemon_kill();
	}
	scene_clear(&faults.scene);
	faults.scene.oomx_ends = false;
	if (!daemon_running())
		faults_start();
	faults_expect_lp();
}

static struct bpf_count counted;

static bool nothing_left(void *arg)
{
	bpf_count(&counted);
	return bpf_count_equal(&faults.at_rest, &counted);
}

/* Whatever is left of a start that ended early goes by a stop, or with the next start. */
static void end_early(const char *script)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	static const char *const stop[] = { "stop", NULL };

	(void)command_run(argv, 0, SUITE_START_MS);
	(void)command_run_oomx(stop);
	if (!suite_wait(nothing_left, NULL, SUITE_STEP_MS)) /* the kernel frees some time after */
		suite_fail("%u programs, %u maps, %u links are left, there were %u, %u, %u, after: "
			   "%s", counted.programs, counted.maps, counted.links,
			   faults.at_rest.programs, faults.at_rest.maps, faults.at_rest.links,
			   script);
}

/* Starting ends for want of memory, or is killed, earlier or later. */
static void play_half_loaded(void)
{
	char script[256];
	long ms = suite_random(1, LOAD_MAX_MS);

	daemon_stop();
	cgroup_make(TIGHT);
	cgroup_set_mib(TIGHT, "memory.max", (unsigned int)suite_random(2, TIGHT_MAX_MIB));
	snprintf(script, sizeof(script),
		 "echo $$ >" CGROUP_ROOT TIGHT "/cgroup.procs; exec timeout 8 %s run --enforce -q",
		 command_oomx());
	end_early(script);
	cgroup_remove(TIGHT);
	snprintf(script, sizeof(script), "exec timeout -s KILL %ld.%03ld %s run --enforce -q",
		 ms / 1000, ms % 1000, command_oomx());
	end_early(script);
	kmsg_clear();
	faults_expect_hp(); /* no oomx here */
	faults_start();
	faults_expect_lp();
}

/* ---- a program that is not there ------------------------------------------------------------- */

/*
 * Where oomx cannot see the kill, or whose memory is full, nobody keeps kernels that lose sight of
 * a dying victim (7.2, 7.3) from killing a second one: they do so alone, too, whenever the first is
 * not the trigger.
 */
static void expect_one_or_both(void)
{
	const struct worker *lp, *hp;

	daemon_clear();
	if (scene_play(&faults.scene)) {
		lp = faults.scene.lp;
		hp = faults.scene.hp;
		if (!worker_killed(lp) || !worker_killed(hp))
			faults_expect_one_of(faults.scene.lp, faults.scene.hp);
		else if (!worker_alive(faults.scene.h2) || kmsg_kills(NULL) != 2)
			suite_fail("expected nobody but lp and hp to be killed; h2 %s",
				   worker_fate(faults.scene.h2));
	}
	scene_clear(&faults.scene);
}

#define BOTH 1u	   /* may die */
#define MACHINE 2u /* it has to do with OOMs of the machine, and one of those is played */

/* Another program every time, those first whose loss hurts most. */
static void play_detached(void)
{
	static const struct {
		const char *name;
		unsigned int flags;
	} programs[] = {
		{ "ox_oom_enter", BOTH },	{ "ox_kill_enter", BOTH },
		{ "ox_locked", BOTH },		{ "ox_memcg_failed", BOTH },
		{ "ox_marked", BOTH },		{ "ox_oom_leave", 0 },
		{ "ox_oom_chosen", 0 },		{ "ox_mm_gone", 0 },
		{ "ox_memcg_early", 0 },	{ "ox_kill_leave", 0 },
		{ "ox_task_exit", 0 },		{ "ox_forked", 0 },
		{ "ox_reaped", 0 },		{ "ox_mm_gone_missed", 0 },
		{ "ox_mm_unmapped", 0 },	{ "ox_mm_unmapped", MACHINE },
		{ "ox_reclaimed", MACHINE },	{ "ox_global_failing", MACHINE },
		{ "ox_global_failed", MACHINE },
	};
	static unsigned int next;
	unsigned int i = next++ % (sizeof(programs) / sizeof(programs[0]));

	scene_set_global(&faults.scene, programs[i].flags & MACHINE);
	detach_program(daemon_pid(), programs[i].name);
	if (programs[i].flags & BOTH && faults_kernel_hides())
		expect_one_or_both();
	else
		faults_expect_either_untold();
	daemon_stop();
	if (suite_run_failed())
		suite_fail("this was without %s", programs[i].name);
	faults_start();
	faults_expect_lp();
	scene_set_global(&faults.scene, false);
}

/* ---- the whole machine ----------------------------------------------------------------------- */

static void play_machine_alone(void)
{
	scene_set_global(&faults.scene, true);
	faults_expect_hp();
	scene_set_global(&faults.scene, false);
}

static void play_machine_stopped(void)
{
	pid_t pid = faults_responder();

	scene_set_global(&faults.scene, true);
	kill(pid, SIGSTOP);
	faults_expect_abstained("timeout");
	faults_expect_abstained("no_responder");
	kill(pid, SIGCONT);
	faults_expect_lp();
	scene_set_global(&faults.scene, false);
}

static void play_machine_dies(void)
{
	scene_set_global(&faults.scene, true);
	daemon_kill();
	faults_expect_hp();
	faults_start();
	faults_expect_lp();
	scene_set_global(&faults.scene, false);
}

const struct fault_case faults_broken[] = {
	{ "daemon_stopped", play_daemon_stopped, NULL },
	{ "thread_stopped", play_thread_stopped, NULL },
	{ "responder_stops", play_responder_stops, NULL },
	{ "responder_dies", play_responder_dies, NULL },
	{ "daemon_dies", play_daemon_dies, NULL },
	{ "half_loaded", play_half_loaded, NULL },
	{ "detached", play_detached, NULL },
	{ "machine_stopped", play_machine_stopped, play_machine_alone },
	{ "machine_dies", play_machine_dies, play_machine_alone },
	{ NULL, NULL, NULL },
};
