// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * held.c - the moment between a nomination and the kill, made as long as it takes (hold.bpf.c): who
 * is forked in it keeps nothing, and a crash in it leaves nothing that is not put back.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "faults/faults.h"
#include "faults/moment.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/scene.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define CHILDREN 3 /* that have to be forked in that moment */

/* ---- children -------------------------------------------------------------------------------- */

static bool children_clean(void *arg)
{
	char path[64], *line, *save = NULL;
	static char procs[8192];

	snprintf(path, sizeof(path), CGROUP_ROOT SCENE_LP "/cgroup.procs");
	if (proc_read(path, procs, sizeof(procs)))
		return false;
	for (line = strtok_r(procs, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int adj = proc_oom_score_adj((pid_t)strtol(line, NULL, 10));

		if (adj != PROC_NO_ADJ && adj != 0)
			return false;
	}
	return true;
}

/* The kernel's own count of those forked with the raised value, and how many oomx knew of. */
static void expect_children_clean(int64_t inherited)
{
	if (!suite_wait(children_clean, NULL, SUITE_STEP_MS))
		suite_fail("a child of lp has kept the raised oom_score_adj");
	inherited = daemon_counter("counters.inherited") - inherited;
	if (inherited != moment.h->inherited)
		suite_fail("%u were forked with the raised value, oomx counts %lld",
			   moment.h->inherited, (long long)inherited);
}

/*
 * A child may have to go as well: forking on, they may use up what lp's death made free. Whoever is
 * killed is of lp's name, as its children are, and lp itself is, by the kernel, once.
 */
static void expect_family_dead(void)
{
	const struct scene *s = &moment_scene;
	pid_t lp = worker_pid(s->lp);
	const struct kmsg_kill *logged;
	unsigned int i, n = kmsg_kills(&logged);

	for (i = 0; i < n; i++)
		if (strcmp(logged[i].comm, "lp"))
			suite_fail("the kernel logged the kill of %s (%d)", logged[i].comm,
				   logged[i].pid);
	if (kmsg_kills_of(lp) != 1 || kmsg_signals_to(lp))
		suite_fail("expected one kill of lp, the kernel logged %u, and oomx %u",
			   kmsg_kills_of(lp), kmsg_signals_to(lp));
	if (!worker_killed(s->lp) || !worker_alive(s->h2) || !worker_done(s->hp))
		suite_fail("expected lp to be killed and only children of it besides; "
			   "lp %s, h2 %s, hp %s",
			   worker_fate(s->lp), worker_fate(s->h2), worker_fate(s->hp));
}

static bool restored(void *arg)
{
	(void)arg;
	return proc_oom_score_adj(worker_pid(moment_scene.lp)) == 0;
}

/* Late as it is: that it is raised again, and then killed, is not left to chance. */
static void restore(void)
{
	kill(moment.responder, SIGCONT);
	if (!suite_wait(restored, NULL, SUITE_STEP_MS))
		suite_fail("lp has kept the raised oom_score_adj");
}

/* lp forks while it is nominated, and is killed: no child keeps the value that lp had. */
static void play_children_killed(void)
{
	int64_t inherited = daemon_counter("counters.inherited");

	if (!moment_play(MOMENT_SHORT_MIB, CHILDREN, restore))
		return;
	expect_family_dead();
	scene_expect_others_unchanged(&moment_scene);
	expect_children_clean(inherited);
}

/*
 * Not before hp goes on: where the kernel does not preempt itself, whoever is held keeps its CPU
 * from everybody else, and there are two.
 */
static void hold_a_fork(void)
{
	struct hold_at *at = &moment.h->at[HOLD_FORK];

	moment_hold(HOLD_FORK, "lp");
	if (!suite_wait(moment_held, at, SUITE_STEP_MS))
		suite_fail("lp has stopped forking");
	kill(moment.responder, SIGCONT);
}

/* oomx has put lp's value back, and has no record of it any more. */
static bool forgotten(void *arg)
{
	uint32_t pid = (uint32_t)worker_pid(moment_scene.lp);
	int fd = bpf_obj_get(RAISED_PIN);
	struct oomx_raised r;
	bool known;

	(void)arg;
	if (fd < 0)
		suite_fatal(RAISED_PIN ": %s", strerror(errno));
	known = !bpf_map_lookup_elem(fd, &pid, &r);
	close(fd);
	return !known && restored(NULL);
}

/*
 * The same, but nobody has to die: lp gets its value back, forking on, and so do its children, one
 * of them having been on its way into life all the time. lp is stopped then: else whoever kept the
 * value would soon make room for a younger one.
 */
static void play_children_of_false_alarm(void)
{
	int64_t inherited = daemon_counter("counters.inherited");
	int64_t alarms = daemon_counter("counters.false_alarms");

	if (!moment_play(MOMENT_ROOMY_MIB, CHILDREN, NULL))
		return;
	moment_expect_nobody_killed();
	hold_a_fork();
	if (!suite_wait(forgotten, NULL, SUITE_STEP_MS))
		suite_fail("lp has kept the raised oom_score_adj, or oomx the record of it");
	moment.children = moment.h->inherited + 1;
	moment_let_go(HOLD_FORK);
	if (!suite_wait(moment_has_children, NULL, SUITE_STEP_MS))
		suite_fail("the child that was held has not got the raised value");
	kill(worker_pid(moment_scene.lp), SIGSTOP);
	expect_children_clean(inherited);
	alarms = daemon_counter("counters.false_alarms") - alarms;
	if (alarms != 1)
		suite_fail("expected one false alarm to be counted, got %lld", (long long)alarms);
	scene_expect_others_unchanged(&moment_scene);
}

static void play_children(const char *what, void (*body)(void), unsigned int runs)
{
	unsigned int i, n = 0;

	for (i = 1; i <= runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		body();
		n += moment.h->inherited;
		moment_end_run();
	}
	printf("faults %s: %u were forked with the raised value, in %u runs\n", what, n, runs);
}

void faults_children(unsigned int runs)
{
	scene_open(&moment_scene, false, 1);
	moment_open(); /* first: oomx may put a child right before a later program sees it */
	daemon_start(moment_enforce);
	play_children("children, killed", play_children_killed, runs);
	play_children("children, false alarm", play_children_of_false_alarm, runs);
	daemon_stop();
	moment_close();
	scene_close(&moment_scene);
}

/* ---- a kernel that is slow ------------------------------------------------------------------- */

/*
 * lp was raised so long ago that the responder, which was stopped, would put its value back at
 * once. It goes on when the kernel has begun to choose.
 */
static void look_on(void)
{
	struct hold_at *at = &moment.h->at[HOLD_LOOK];

	usleep(2 * OOMX_ALTERED_NS / 1000);
	moment_hold(HOLD_LOOK, "hp");
	moment_let_go(HOLD_KILL);
	if (!suite_wait(moment_held, at, SUITE_STEP_MS))
		suite_fail("hp has not begun to choose");
	kill(moment.responder, SIGCONT);
	/* it is at work by now, and has time to put it back: the kernel takes long to choose */
	usleep(2 * OOMX_ALTERED_NS / 1000);
	moment_let_go(HOLD_LOOK);
}

static void play_renewed(void)
{
	int64_t renewed = daemon_counter("counters.renewed");

	if (!moment_play(MOMENT_SHORT_MIB, 0, look_on))
		return;
	scene_expect_victim(&moment_scene, moment_scene.lp);
	renewed = daemon_counter("counters.renewed") - renewed;
	if (renewed != 1)
		suite_fail("expected one request to be sent again, got %lld", (long long)renewed);
}

void faults_renewed(unsigned int runs)
{
	unsigned int i;

	scene_open(&moment_scene, false, 1);
	moment_open();
	daemon_start(moment_enforce);
	for (i = 1; i <= runs; i++) {
		suite_run_begin("raised long ago", i);
		daemon_require();
		play_renewed();
		moment_end_run();
	}
	daemon_stop();
	moment_close();
	scene_close(&moment_scene);
}

/* ---- a kernel that chooses another ----------------------------------------------------------- */

static bool looking(void *arg)
{
	(void)arg;
	return moment_held(&moment.h->at[HOLD_SCAN]);
}

/* Somebody else lowers lp's value after the wait for it, before the kernel looks at anybody. */
static void lower_lp(void)
{
	pid_t lp = worker_pid(moment_scene.lp);
	char path[64];

	if (!suite_wait(looking, NULL, SUITE_STEP_MS))
		suite_fail("hp has not begun to choose");
	else if (proc_oom_score_adj(lp) != OOMX_ADJ_RAISED)
		suite_fail("expected lp to be raised when the kernel begins to choose, it has %d",
			   proc_oom_score_adj(lp));
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", lp);
	if (proc_write(path, "0"))
		suite_fail("lp's oom_score_adj cannot be lowered");
	moment_let_go(HOLD_SCAN);
}

static bool told_kernel_kill(void *arg)
{
	(void)arg;
	return daemon_count(OOMX_REC_KERNEL_KILL) > 0;
}

/* The kernel takes hp: told, and with which reason (NULL: none), hp being in the way. */
static void expect_disobeyed(const char *reason)
{
	const struct event *e;

	daemon_clear();
	if (!scene_play(&moment_scene))
		return;
	scene_expect_victim(&moment_scene, moment_scene.hp);
	if (!suite_wait(told_kernel_kill, NULL, SUITE_STEP_MS))
		suite_fail("expected the kernel's kill to be told");
	scene_expect_others_unchanged(&moment_scene);
	e = daemon_find(OOMX_REC_ABSTAIN, 0, 0);
	if (!e != !reason || (e && (strcmp(e->reason, reason) ||
				    e->rival_pid != worker_pid(moment_scene.hp) ||
				    e->pid != worker_pid(moment_scene.lp))))
		suite_fail("expected \"abstain\": %s, because of hp, got %s, because of %d",
			   reason ?: "none", e ? e->reason : "none", e ? e->rival_pid : 0);
}

/* That often in a row, whoever does it: enforcing ends. */
static void play_disobeyed(void)
{
	unsigned int i;

	for (i = 1; i <= FAULTS_TRIP_AFTER; i++) {
		faults_expect_tripped(false);
		*moment.h = (struct hold){};
		moment_hold(HOLD_SCAN, "hp");
		moment_scene.meanwhile = lower_lp;
		expect_disobeyed("disobeyed");
		scene_clear(&moment_scene);
	}
	faults_expect_tripped(true);
	moment_scene.meanwhile = NULL;
	expect_disobeyed(NULL); /* watching only */
}

/* Each with an oomx of its own: it enforces no more after that. */
void faults_disobeyed(unsigned int runs)
{
	unsigned int i;

	scene_open(&moment_scene, false, 1);
	moment_open();
	for (i = 1; i <= runs; i++) {
		suite_run_begin("disobeyed", i);
		daemon_start(moment_enforce);
		play_disobeyed();
		moment_end_run();
		daemon_stop();
	}
	moment_close();
	scene_close(&moment_scene);
}

/* ---- a crash --------------------------------------------------------------------------------- */

/*
 * Whoever is left with a raised value is the kernel's next victim for ever after, unless
 * `oomx stop` or the next oomx gives him back his own.
 */
static void play_crash_raised(bool stop)
{
	static const char *const args[] = { "stop", NULL };

	daemon_start(moment_enforce);
	if (!moment_play(MOMENT_ROOMY_MIB, 0, moment_crash))
		return;
	daemon_kill();
	moment_expect_nobody_killed();
	if (proc_oom_score_adj(worker_pid(moment_scene.lp)) != OOMX_ADJ_RAISED)
		suite_fail("expected lp to be left with the raised value, it has %d: nothing shown",
			   proc_oom_score_adj(worker_pid(moment_scene.lp)));
	if (!stop)
		daemon_start(moment_enforce);
	else if (command_run_oomx(args)->exit)
		suite_fail("oomx stop fails after a crash");
	if (proc_oom_score_adj(worker_pid(moment_scene.lp)))
		suite_fail("lp was left with %d, not with its own 0",
			   proc_oom_score_adj(worker_pid(moment_scene.lp)));
	scene_expect_others_unchanged(&moment_scene);
	if (!stop)
		daemon_stop();
}

void faults_crash_raised(unsigned int runs)
{
	unsigned int i;

	scene_open(&moment_scene, false, 1);
	moment_open();
	moment_scene.oomx_ends = true;
	for (i = 1; i <= 2 * runs; i++) {
		suite_run_begin(i % 2 ? "crash, raised, then stop" : "crash, raised, then run",
				(i + 1) / 2);
		play_crash_raised(i % 2);
		moment_end_run();
	}
	moment_close();
	scene_close(&moment_scene);
}
