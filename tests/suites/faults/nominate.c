// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * nominate.c - what stands in the way of a nomination, and what is left when its parts fail: whom
 * it takes then, and what is said of it, to the letter.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/faults.h"
#include "lib/bpfcount.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/scene.h"
#include "lib/suite.h"

#define OWNER_UID 1234
#define RIVAL_MIB 40	  /* more than lp */
#define RIVAL_HP_MIB 70	  /* fits beside the rival, with lp gone */
#define LONG_WAIT_NS 10000000000LL /* instead of wait_ns (user/engine.c) */
#define IN_WAIT_MS 50 /* a hold ends after so many looks, too (OX_SPINS_MAX): 2 s and more */

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

static struct scene scene;

/* ---- what was told --------------------------------------------------------------------------- */

static const struct event *abstained(void)
{
	return daemon_find(OOMX_REC_ABSTAIN, 0, 0);
}

static bool told(void *type)
{
	return daemon_count(*(unsigned int *)type) > 0;
}

static void expect_told(unsigned int type)
{
	if (!suite_wait(told, &type, SUITE_STEP_MS))
		suite_fail("expected the event \"%s\"", event_name(type));
}

/* ---- one run --------------------------------------------------------------------------------- */

static void open_case(const char *const args[])
{
	scene_open(&scene, false, 1);
	daemon_start(args);
}

static void close_case(void)
{
	daemon_stop();
	scene_close(&scene);
}

static void begin_run(const char *what, unsigned int i)
{
	suite_run_begin(what, i);
	daemon_require();
}

static void end_run(void)
{
	if (suite_run_failed())
		daemon_complain_events();
	scene_clear(&scene);
	suite_run_end();
}

/* ---- one OOM and whom it takes --------------------------------------------------------------- */

static void expect_enforced(void)
{
	daemon_clear();
	if (!scene_play(&scene))
		return;
	scene_expect_victim(&scene, scene.lp);
	expect_told(OOMX_REC_KILL);
	scene_expect_others_unchanged(&scene);
	if (abstained())
		suite_fail("expected no \"abstain\", got %s", abstained()->reason);
}

/* The kernel's own choice, as if oomx were not there; `reason` as the event has it, NULL: none. */
static void expect_kernel(const char *reason)
{
	const struct event *e;

	daemon_clear();
	if (!scene_play(&scene))
		return;
	scene_expect_victim(&scene, scene.hp);
	expect_told(OOMX_REC_KERNEL_KILL);
	scene_expect_others_unchanged(&scene);
	e = abstained();
	if (!e != !reason || (e && strcmp(e->reason, reason)))
		suite_fail("expected \"abstain\": %s, got %s", reason ?: "none",
			   e ? e->reason : "none");
}

/* ---- rivals ---------------------------------------------------------------------------------- */

/* May the owner of h2 lower its oom_score_adj, as oom_score_adj_min allows? */
static bool owner_may_lower(void)
{
	char text[96];
	const char *argv[] = { "/bin/sh", "-c", text, NULL };

	snprintf(text, sizeof(text), "echo 999 >/proc/%d/oom_score_adj", worker_pid(scene.h2));
	return !command_run(argv, OWNER_UID, SUITE_STEP_MS)->exit;
}

/* h2 is larger than lp and has 1000 itself: the kernel would take it whatever lp is raised to. */
static void play_rival(const char *what, bool keeps_min, unsigned int runs)
{
	unsigned int i;

	open_case(enforce);
	scene.h2_spec = (struct worker_spec){ .adj = 1000, .uid = OWNER_UID,
					      .adj_keeps_min = keeps_min,
					      .anon_kib = RIVAL_MIB * 1024 };
	scene.hp_mib = RIVAL_HP_MIB;
	for (i = 1; i <= runs; i++) {
		begin_run(what, i);
		expect_enforced();
		if (owner_may_lower() != keeps_min)
			suite_fail("expected oom_score_adj_min of the rival as it was, but its "
				   "owner may%s lower the value", keeps_min ? " not" : "");
		end_run();
	}
	if (daemon_counter("counters.demoted") < runs)
		suite_fatal("rivals were lowered fewer than %u times", runs);
	close_case();
}

/* ---- the responder --------------------------------------------------------------------------- */

/* Stopped: one OOM waits in vain, the next does not wait at all; continued: as before. */
static void play_stopped(unsigned int runs)
{
	unsigned int i;
	pid_t pid;

	open_case(enforce);
	for (i = 1; i <= runs; i++) {
		begin_run("stopped", i);
		pid = faults_responder();
		kill(pid, SIGSTOP);
		expect_kernel("timeout");
		scene_clear(&scene);
		expect_kernel("no_responder");
		if (abstained() && abstained()->wait_ns)
			suite_fail("waited again for a responder that does not answer");
		if (!daemon_status_flag("degraded"))
			suite_fail("status does not say that enforcing is degraded");
		scene_clear(&scene);
		kill(pid, SIGCONT);
		expect_enforced();
		if (daemon_status_flag("degraded"))
			suite_fail("status says degraded when it no longer is");
		end_run();
	}
	close_case();
}

static void play_killed(unsigned int runs)
{
	unsigned int i;
	pid_t pid;

	open_case(enforce);
	for (i = 1; i <= runs; i++) {
		begin_run("killed", i);
		pid = faults_responder();
		kill(pid, SIGKILL);
		faults_await_other_responder(pid);
		expect_enforced();
		end_run();
	}
	close_case();
}

static bool bereft(void *arg)
{
	return daemon_status_flag("degraded");
}

/* Dead, and the daemon cannot replace it: nobody waits, and status says so. */
static void play_bereft(unsigned int runs)
{
	const struct event *e;
	int64_t waits;
	unsigned int i;
	pid_t pid;

	open_case(enforce);
	for (i = 1; i <= runs; i++) {
		begin_run("bereft", i);
		daemon_clear();
		pid = faults_responder();
		kill(daemon_pid(), SIGSTOP);
		kill(pid, SIGKILL);
		if (!suite_wait(bereft, NULL, SUITE_STEP_MS))
			suite_fail("status does not say that enforcing is degraded");
		waits = daemon_counter("counters.waits");
		if (scene_play(&scene))
			scene_expect_victim(&scene, scene.hp);
		if (daemon_counter("counters.waits") != waits)
			suite_fail("an OOM waited for a responder that is dead");
		kill(daemon_pid(), SIGCONT);
		expect_told(OOMX_REC_KERNEL_KILL);
		e = abstained();
		if (!e || strcmp(e->reason, "no_responder"))
			suite_fail("expected \"abstain\": no_responder, got %s",
				   e ? e->reason : "none");
		scene_clear(&scene);
		faults_await_other_responder(pid);
		expect_enforced();
		end_run();
	}
	close_case();
}

static struct last_words {
	pid_t responder;
	const struct oomx_stats *stats;
	uint64_t nominated;
} last_words;

static bool asked(void *arg)
{
	return __atomic_load_n(&last_words.stats->nominated, __ATOMIC_RELAXED) >
	       last_words.nominated;
}

static void keep_to_cpu(pid_t tid, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(tid, sizeof(one), &one); /* it may have ended */
}

/*
 * Whoever is held keeps its CPU from everybody else on some kernels: that is to be the CPU of the
 * responder's first thread, and not the suite's.
 */
static void kill_in_wait(void)
{
	pid_t tids[8];
	unsigned int i, n = proc_threads(worker_pid(scene.hp), tids, 8);

	for (i = 0; i < n && i < 8; i++)
		keep_to_cpu(tids[i], 0);
	keep_to_cpu(0, 1);
	if (!suite_wait(asked, NULL, SUITE_STEP_MS))
		suite_fail("expected lp to be nominated");
	suite_sleep(IN_WAIT_MS); /* by then the OOM is held for it */
	kill(last_words.responder, SIGKILL);
}

/* It is being waited for when it dies, and the daemon cannot replace it: no longer than that. */
static void play_died_waiting(void)
{
	int64_t waited_ns;
	cpu_set_t mine;

	(void)sched_getaffinity(0, sizeof(mine), &mine);
	last_words.responder = faults_responder();
	last_words.nominated = last_words.stats->nominated;
	kill(last_words.responder, SIGSTOP);
	kill(daemon_pid(), SIGSTOP);
	daemon_clear();
	scene.meanwhile = kill_in_wait;
	if (scene_play(&scene))
		scene_expect_victim(&scene, scene.hp);
	scene.meanwhile = NULL;
	(void)sched_setaffinity(0, sizeof(mine), &mine);
	kill(daemon_pid(), SIGCONT);
	expect_told(OOMX_REC_KERNEL_KILL);
	if (!abstained() || strcmp(abstained()->reason, "no_responder"))
		suite_fail("expected \"abstain\": no_responder, got %s",
			   abstained() ? abstained()->reason : "none");
	waited_ns = abstained() ? abstained()->wait_ns : 0;
	if (!waited_ns || waited_ns >= LONG_WAIT_NS)
		suite_fail("expected an OOM that waited until the responder died, it waited %lld ns",
			   (long long)waited_ns);
	scene_clear(&scene);
	faults_await_other_responder(last_words.responder);
	expect_enforced();
}

static void play_died(unsigned int runs)
{
	struct oomx_config *config;
	unsigned int i;

	open_case(enforce);
	config = bpf_map_values(FAULTS_PIN(oomx_config), sizeof(*config));
	config->wait_ns = LONG_WAIT_NS;
	config->hold_budget_ns = 2 * LONG_WAIT_NS;
	last_words.stats = bpf_map_values(FAULTS_PIN(oomx_stats), sizeof(*last_words.stats));
	for (i = 1; i <= runs; i++) {
		begin_run("died", i);
		play_died_waiting();
		end_run();
	}
	munmap((void *)last_words.stats, sizeof(*last_words.stats));
	munmap(config, sizeof(*config));
	close_case();
}

static void play_breaker(void)
{
	unsigned int i;
	pid_t pid;

	open_case(enforce);
	suite_run_begin("breaker", 1);
	pid = faults_responder();
	for (i = 1; i <= FAULTS_TRIP_AFTER; i++) {
		faults_expect_tripped(false);
		kill(pid, SIGSTOP);
		expect_kernel("timeout");
		scene_clear(&scene);
		kill(pid, SIGCONT);
	}
	faults_expect_tripped(true);
	expect_kernel(NULL); /* watching only: nothing to abstain from */
	end_run();
	close_case();
}

/* ---- scope ----------------------------------------------------------------------------------- */

static void play_scope(bool inside, unsigned int runs)
{
	const char *const args[] = { "--enforce", "--policy", "priority", "--priority",
				     SCENE_LP "=-100", "--scope",
				     inside ? SCENE_CGROUP : SCENE_H2, NULL };
	unsigned int i;

	open_case(args);
	for (i = 1; i <= runs; i++) {
		begin_run(inside ? "in scope" : "out of scope", i);
		if (inside)
			expect_enforced();
		else
			expect_kernel(NULL);
		end_run();
	}
	close_case();
}

/* An OOM of the machine is in no cgroup's scope. */
static void play_scope_global(unsigned int runs)
{
	static const char *const args[] = { "--enforce", "--policy", "priority", "--priority",
					    SCENE_LP "=-100", "--scope", SCENE_CGROUP, NULL };
	int64_t outside, nominated;
	unsigned int i;

	scene_open(&scene, true, 1);
	daemon_start(args);
	for (i = 1; i <= runs; i++) {
		begin_run("scope, global", i);
		outside = daemon_counter("counters.out_of_scope");
		nominated = daemon_counter("counters.nominated");
		expect_kernel(NULL);
		if (daemon_counter("counters.out_of_scope") == outside)
			suite_fail("expected the OOM to be counted as out of scope");
		if (daemon_counter("counters.nominated") != nominated)
			suite_fail("expected nobody to be nominated");
		end_run();
	}
	close_case();
}

/*
 * A daemon that is killed, and its responder cannot clean up: the kernel decides alone, and `oomx
 * stop` removes what is left. (Of one that dies with a value raised: held.c.)
 */
static void play_crash(unsigned int runs)
{
	static const char *const stop[] = { "stop", NULL };
	unsigned int i;
	pid_t pid;

	scene_open(&scene, false, 1);
	for (i = 1; i <= runs; i++) {
		suite_run_begin("crash", i);
		daemon_start(enforce);
		pid = faults_responder();
		kill(pid, SIGSTOP); /* nothing restores by itself */
		daemon_kill();
		if (scene_play(&scene)) {
			scene_expect_victim(&scene, scene.hp);
			if (command_run_oomx(stop)->exit)
				suite_fail("oomx stop fails after a crash");
			scene_expect_others_unchanged(&scene);
		}
		kill(pid, SIGCONT); /* it ends by itself */
		scene_clear(&scene);
		suite_run_end();
	}
	scene_close(&scene);
}

static void play_rival_of_root(unsigned int runs)
{
	play_rival("rival, set by root", false, runs);
}

static void play_rival_of_owner(unsigned int runs)
{
	play_rival("rival, set by its owner", true, runs);
}

static void play_breaker_once(unsigned int runs)
{
	play_breaker();
}

static void play_in_scope(unsigned int runs)
{
	play_scope(true, runs);
}

static void play_out_of_scope(unsigned int runs)
{
	play_scope(false, runs);
}

unsigned int faults_nominate(const struct suite_options *o)
{
	static const struct {
		const char *group, *name;
		void (*play)(unsigned int runs);
	} cases[] = {
		{ "nominate", "rival_of_root", play_rival_of_root },
		{ "nominate", "rival_of_owner", play_rival_of_owner },
		{ "held", "children", faults_children },
		{ "held", "renewed", faults_renewed },
		{ "held", "disobeyed", faults_disobeyed },
		{ "held", "sharers", faults_sharers },
		{ "held", "out_of_sight", faults_out_of_sight },
		{ "held", "nested", faults_nested },
		{ "held", "starved", faults_starved },
		{ "nominate", "stopped", play_stopped },
		{ "nominate", "killed", play_killed },
		{ "nominate", "bereft", play_bereft },
		{ "nominate", "died", play_died },
		{ "nominate", "breaker", play_breaker_once },
		{ "nominate", "self", faults_self },
		{ "nominate", "self_group", faults_self_group },
		{ "nominate", "self_untold", faults_self_untold },
		{ "held", "self_second", faults_self_second },
		{ "nominate", "in_scope", play_in_scope },
		{ "nominate", "out_of_scope", play_out_of_scope },
		{ "nominate", "scope_global", play_scope_global },
		{ "nominate", "crash", play_crash },
		{ "held", "crash_raised", faults_crash_raised },
		{ "held", "freed_memcg", faults_freed_memcg },
		{ "held", "freed_global", faults_freed_global },
		{ "held", "looked_for_memcg", faults_looked_for_memcg },
		{ "held", "looked_for_long", faults_looked_for_long },
		{ "held", "looked_for_global", faults_looked_for_global },
	};
	unsigned int played = 0;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (o->only && strcmp(o->only, cases[i].name) &&
		    strcmp(o->only, cases[i].group))
			continue;
		if (!o->only && !strcmp(cases[i].group, "held"))
			continue; /* two are held, and somebody needs a CPU: guest faults-held */
		cases[i].play(o->runs);
		suite_times(cases[i].name);
		played++;
	}
	if (!o->only)
		printf("faults: the cases of \"held\" are played by faults-held, on three CPUs\n");
	return played;
}
