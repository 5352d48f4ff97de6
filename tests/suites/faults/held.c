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

#include "../../bpf/hold.h"
#include "faults/faults.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/scene.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define RAISED_PIN "/sys/fs/bpf/oomx/oomx_raised"
#define FORKS 64     /* of lp's children, so many live */
#define CHILDREN 3   /* that have to be forked in that moment */
#define LIMIT_MIB 128 /* the scene's */
#define SHORT_MIB 136 /* room for some children, and too little for hp beside lp */
#define ROOMY_MIB 320 /* enough for everybody: it was a false alarm */

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

static struct scene scene;

/* ---- the moment ------------------------------------------------------------------------------ */

static struct {
	struct bpf_object *obj;
	struct bpf_link *kill, *fork, *look, *forked;
	struct hold *h;
	pid_t responder;
	unsigned int limit_mib; /* once it is over */
	unsigned int children;	/* to wait for, in it */
	void (*in_it)(void);	/* or NULL */
} moment;

static void open_moment(void)
{
	moment.obj = testbpf_load("hold", NULL);
	moment.h = testbpf_memory(moment.obj, "hold", sizeof(*moment.h));
	moment.kill = testbpf_attach(moment.obj, "hold_kill");
	moment.fork = testbpf_attach(moment.obj, "hold_fork");
	moment.look = testbpf_attach(moment.obj, "hold_look");
	moment.forked = testbpf_attach(moment.obj, "hold_forked");
}

static void close_moment(void)
{
	bpf_link__destroy(moment.kill);
	bpf_link__destroy(moment.fork);
	bpf_link__destroy(moment.look);
	bpf_link__destroy(moment.forked);
	munmap(moment.h, sizeof(*moment.h));
	bpf_object__close(moment.obj);
}

static void hold_next(unsigned int where, const char *comm)
{
	struct hold_at *at = &moment.h->at[where];

	*at = (struct hold_at){};
	snprintf(at->comm, sizeof(at->comm), "%s", comm);
	__atomic_store_n(&at->armed, 1, __ATOMIC_RELEASE);
}

static bool held(void *at)
{
	return __atomic_load_n(&((struct hold_at *)at)->held, __ATOMIC_ACQUIRE);
}

static void let_go(unsigned int where)
{
	struct hold_at *at = &moment.h->at[where];

	__atomic_store_n(&at->go, 1, __ATOMIC_RELEASE);
	if (at->gave_up)
		suite_fail("the moment ended by itself");
}

static bool raised(void *arg)
{
	(void)arg;
	return held(&moment.h->at[HOLD_KILL]) &&
	       proc_oom_score_adj(worker_pid(scene.lp)) == OOMX_ADJ_RAISED;
}

static bool have_children(void *arg)
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
			   proc_oom_score_adj(worker_pid(scene.lp)));
	stop_responder();
	cgroup_set_mib(SCENE_CGROUP, "memory.max", moment.limit_mib);
	if (moment.children) /* not before: it would soon need somebody killed itself */
		worker_grow(scene.lp, &fork);
	if (!suite_wait(have_children, NULL, SUITE_STEP_MS))
		suite_fail("expected %u children of lp while it is raised, got %u", moment.children,
			   moment.h->inherited);
	if (moment.in_it)
		moment.in_it();
	let_go(HOLD_KILL);
}

/* One OOM with such a moment in it. False: it did not come to its end. */
static bool play(unsigned int limit_mib, unsigned int children, void (*in_it)(void))
{
	*moment.h = (struct hold){};
	moment.responder = faults_responder();
	hold_next(HOLD_KILL, "hp");
	moment.limit_mib = limit_mib;
	moment.children = children;
	moment.in_it = in_it;
	scene.meanwhile = play_moment;
	daemon_clear();
	return scene_play(&scene);
}

static void end_run(void)
{
	if (suite_run_failed())
		daemon_complain_events();
	cgroup_set(SCENE_LP, "cgroup.kill", "1");
	scene_clear(&scene);
	cgroup_set_mib(SCENE_CGROUP, "memory.max", LIMIT_MIB);
	suite_run_end();
}

/* Enough for everybody, and nobody was killed. */
static void expect_nobody_killed(void)
{
	int64_t kills = proc_vmstat("oom_kill") - scene.vmstat_before;

	if (kills || kmsg_kills(NULL))
		suite_fail("expected no kill, /proc/vmstat counts %lld and the kernel logged %u",
			   (long long)kills, kmsg_kills(NULL));
	if (!worker_alive(scene.lp) || !worker_alive(scene.h2) || !worker_done(scene.hp))
		suite_fail("expected a false alarm; lp %s, h2 %s, hp %s", worker_fate(scene.lp),
			   worker_fate(scene.h2), worker_fate(scene.hp));
}

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
	const struct kmsg_kill *logged;
	unsigned int i, n = kmsg_kills(&logged);

	for (i = 0; i < n; i++)
		if (strcmp(logged[i].comm, "lp"))
			suite_fail("the kernel logged the kill of %s (%d)", logged[i].comm,
				   logged[i].pid);
	if (kmsg_kills_of(worker_pid(scene.lp)) != 1 || kmsg_signals_to(worker_pid(scene.lp)))
		suite_fail("expected one kill of lp, the kernel logged %u, and oomx %u",
			   kmsg_kills_of(worker_pid(scene.lp)),
			   kmsg_signals_to(worker_pid(scene.lp)));
	if (!worker_killed(scene.lp) || !worker_alive(scene.h2) || !worker_done(scene.hp))
		suite_fail("expected lp to be killed and only children of it besides; "
			   "lp %s, h2 %s, hp %s",
			   worker_fate(scene.lp), worker_fate(scene.h2), worker_fate(scene.hp));
}

static bool restored(void *arg)
{
	(void)arg;
	return proc_oom_score_adj(worker_pid(scene.lp)) == 0;
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

	if (!play(SHORT_MIB, CHILDREN, restore))
		return;
	expect_family_dead();
	scene_expect_others_unchanged(&scene);
	expect_children_clean(inherited);
}

/*
 * Not before hp goes on: where the kernel does not preempt itself, whoever is held keeps its CPU
 * from everybody else, and there are two.
 */
static void hold_a_fork(void)
{
	struct hold_at *at = &moment.h->at[HOLD_FORK];

	hold_next(HOLD_FORK, "lp");
	if (!suite_wait(held, at, SUITE_STEP_MS))
		suite_fail("lp has stopped forking");
	kill(moment.responder, SIGCONT);
}

/* oomx has put lp's value back, and has no record of it any more. */
static bool forgotten(void *arg)
{
	uint32_t pid = (uint32_t)worker_pid(scene.lp);
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

	if (!play(ROOMY_MIB, CHILDREN, NULL))
		return;
	expect_nobody_killed();
	hold_a_fork();
	if (!suite_wait(forgotten, NULL, SUITE_STEP_MS))
		suite_fail("lp has kept the raised oom_score_adj, or oomx the record of it");
	moment.children = moment.h->inherited + 1;
	let_go(HOLD_FORK);
	if (!suite_wait(have_children, NULL, SUITE_STEP_MS))
		suite_fail("the child that was held has not got the raised value");
	kill(worker_pid(scene.lp), SIGSTOP);
	expect_children_clean(inherited);
	alarms = daemon_counter("counters.false_alarms") - alarms;
	if (alarms != 1)
		suite_fail("expected one false alarm to be counted, got %lld", (long long)alarms);
	scene_expect_others_unchanged(&scene);
}

static void play_children(const char *what, void (*body)(void), unsigned int runs)
{
	unsigned int i, n = 0;

	for (i = 1; i <= runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		body();
		n += moment.h->inherited;
		end_run();
	}
	printf("faults %s: %u were forked with the raised value, in %u runs\n", what, n, runs);
}

void faults_children(unsigned int runs)
{
	scene_open(&scene, false, 1);
	open_moment(); /* first: oomx may put a child right before a later program sees it */
	daemon_start(enforce);
	play_children("children, killed", play_children_killed, runs);
	play_children("children, false alarm", play_children_of_false_alarm, runs);
	daemon_stop();
	close_moment();
	scene_close(&scene);
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
	hold_next(HOLD_LOOK, "hp");
	let_go(HOLD_KILL);
	if (!suite_wait(held, at, SUITE_STEP_MS))
		suite_fail("hp has not begun to choose");
	kill(moment.responder, SIGCONT);
	usleep(20000); /* real-time, it is at work by now; after a while it may put it back */
	let_go(HOLD_LOOK);
}

static void play_renewed(void)
{
	int64_t renewed = daemon_counter("counters.renewed");

	if (!play(SHORT_MIB, 0, look_on))
		return;
	scene_expect_victim(&scene, scene.lp);
	renewed = daemon_counter("counters.renewed") - renewed;
	if (renewed != 1)
		suite_fail("expected one request to be sent again, got %lld", (long long)renewed);
}

void faults_renewed(unsigned int runs)
{
	unsigned int i;

	scene_open(&scene, false, 1);
	open_moment();
	daemon_start(enforce);
	for (i = 1; i <= runs; i++) {
		suite_run_begin("raised long ago", i);
		daemon_require();
		play_renewed();
		end_run();
	}
	daemon_stop();
	close_moment();
	scene_close(&scene);
}

/* ---- a crash --------------------------------------------------------------------------------- */

/*
 * All of oomx dies at once: the daemon cannot start another responder, nor this one put back. Its
 * end is not waited for: its programs go after a grace period, and whoever is held may be what that
 * waits for.
 */
static void crash(void)
{
	kill(daemon_pid(), SIGSTOP);
	kill(moment.responder, SIGKILL);
	kill(daemon_pid(), SIGKILL);
}

/*
 * Whoever is left with a raised value is the kernel's next victim for ever after, unless
 * `oomx stop` or the next oomx gives him back his own.
 */
static void play_crash_raised(bool stop)
{
	static const char *const args[] = { "stop", NULL };

	daemon_start(enforce);
	if (!play(ROOMY_MIB, 0, crash))
		return;
	daemon_kill();
	expect_nobody_killed();
	if (proc_oom_score_adj(worker_pid(scene.lp)) != OOMX_ADJ_RAISED)
		suite_fail("expected lp to be left with the raised value, it has %d: nothing shown",
			   proc_oom_score_adj(worker_pid(scene.lp)));
	if (!stop)
		daemon_start(enforce);
	else if (command_run_oomx(args)->exit)
		suite_fail("oomx stop fails after a crash");
	if (proc_oom_score_adj(worker_pid(scene.lp)))
		suite_fail("lp was left with %d, not with its own 0",
			   proc_oom_score_adj(worker_pid(scene.lp)));
	scene_expect_others_unchanged(&scene);
	if (!stop)
		daemon_stop();
}

void faults_crash_raised(unsigned int runs)
{
	unsigned int i;

	scene_open(&scene, false, 1);
	open_moment();
	scene.oomx_ends = true;
	for (i = 1; i <= 2 * runs; i++) {
		suite_run_begin(i % 2 ? "crash, raised, then stop" : "crash, raised, then run",
				(i + 1) / 2);
		play_crash_raised(i % 2);
		end_run();
	}
	close_moment();
	scene_close(&scene);
}
