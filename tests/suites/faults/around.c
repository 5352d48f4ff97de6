// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* around.c - what others have set, attached or protected, and victims that cannot die. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <bpf/bpf.h>

#include "faults/faults.h"
#include "lib/cast.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/hang.h"
#include "lib/kmsg.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define OOMS 8 /* that take nobody */
#define OTHER "/other" /* cgroup with an OOM of its own */
#define OTHER_MIB 32

/* ---- whom nobody may kill -------------------------------------------------------------------- */

static void restart_with_policy(const char *name)
{
	const char *dir = getenv("OOMX_POLICIES");
	char path[512];
	const char *const args[] = { "--enforce", "--hook", faults.hook, "--policy", path, NULL };

	snprintf(path, sizeof(path), "%s/%s.bpf.o", dir ? dir : "", name);
	daemon_stop();
	daemon_start(args);
}

static void play_policy_never(void)
{
	restart_with_policy("never");
	faults_expect_abstained("no_candidate");
	daemon_stop();
	faults_start();
	faults_expect_lp();
}

struct repeated {
	int64_t ooms, of_ours; /* before */
};

/* The kernel has gone to kill somebody so often, and, with oomx there, has asked it each time. */
static bool came_again(void *arg)
{
	const struct repeated *r = arg;

	return cgroup_event(SCENE_CGROUP, "oom") >= r->ooms + OOMS &&
	       (!daemon_running() || daemon_counter("counters.ooms") >= r->of_ours + OOMS);
}

static bool told_nobody(void *arg)
{
	const struct event *e = daemon_find(OOMX_REC_ABSTAIN, 0, 0);

	(void)arg;
	return e && !strcmp(e->reason, "no_candidate");
}

/* Everybody has -1000: the kernel kills nobody, and the allocation is tried again and again. */
static void play_all_protected(void)
{
	struct repeated r = { .ooms = cgroup_event(SCENE_CGROUP, "oom") };
	const struct worker_growth g = { .mib = 64, .threads = 1 };
	struct worker_spec lp = { .comm = "lp", .cgroup = SCENE_LP, .adj = -1000,
				  .anon_kib = 48 << 10 };
	struct worker_spec hp = { .comm = "hp", .cgroup = SCENE_HP, .adj = -1000,
				  .anon_kib = 48 << 10 };
	static struct cast cast;
	struct worker *trigger;

	cast_open(&cast);
	cast_add(&cast, &lp, false);
	trigger = cast_add(&cast, &hp, false);
	cast_ready(&cast);
	if (daemon_running())
		r.of_ours = daemon_counter("counters.ooms");
	worker_grow(trigger, &g);
	if (!suite_wait(came_again, &r, SUITE_STEP_MS) || worker_done(trigger))
		suite_fail("expected %d OOMs and more, and no memory: hp %s", OOMS,
			   worker_fate(trigger));
	if (daemon_running() && !suite_wait(told_nobody, NULL, SUITE_STEP_MS))
		suite_fail("expected \"abstain\": no_candidate");
	cgroup_set(SCENE_CGROUP, "memory.max", "max"); /* else they go on and on */
	cast_expect_dead(&cast);
	cast_close(&cast);
	cgroup_set_mib(SCENE_CGROUP, "memory.max", SCENE_LIMIT_MIB);
}

/* lp sleeps where SIGKILL does not wake it: only its memory can be had, the process stays. */
static bool done(void *arg)
{
	return worker_done(arg) || !worker_alive(arg);
}

static void play_stuck(void)
{
	const struct worker_growth g = { .mib = 90, .threads = 1 };
	/* the kernel alone would take lp for its value, oomx for its priority */
	struct worker_spec lp = { .comm = "lp", .cgroup = SCENE_LP, .anon_kib = 32 << 10,
				  .stuck_at = HANG_FILE, .adj = daemon_running() ? 0 : 999 };
	struct worker_spec h2 = { .comm = "h2", .cgroup = SCENE_H2, .anon_kib = 24 << 10 };
	struct worker_spec hp = { .comm = "hp", .cgroup = SCENE_HP };
	static struct cast cast;
	struct worker *victim, *trigger;

	hang_open();
	cast_open(&cast);
	victim = cast_add(&cast, &lp, true);
	cast_add(&cast, &h2, false);
	trigger = cast_add(&cast, &hp, false);
	cast_ready(&cast);
	cast.trigger = trigger;
	worker_grow(trigger, &g);
	if (!suite_wait(done, trigger, SUITE_STEP_MS))
		suite_fail("hp waits for the memory of one that cannot die: %s",
			   worker_fate(trigger));
	if (proc_state(worker_pid(victim)) != 'D')
		suite_fail("lp is not stuck: it %s, in state %c", worker_fate(victim),
			   proc_state(worker_pid(victim)));
	hang_release();
	if (cast_await(&cast))
		cast_expect_dead(&cast);
	cast_close(&cast);
	cgroup_drain(SCENE_CGROUP, 8);
}

static bool logged(void *w)
{
	return kmsg_kills_of(worker_pid(w)) > 0;
}

static bool stuck(void *w)
{
	return proc_state(worker_pid(w)) == 'D';
}

/* A thread of oomx has asked for lp's memory. */
static bool oomx_waits(void *arg)
{
	pid_t tids[16];
	unsigned int i, n = proc_threads(daemon_pid(), tids, 16);
	char path[64], call[256];

	(void)arg;
	for (i = 0; i < n && i < 16; i++) {
		snprintf(path, sizeof(path), "/proc/%d/syscall", tids[i]);
		if (!proc_read(path, call, sizeof(call)) && atoi(call) == SYS_process_mrelease)
			return true;
	}
	return false;
}

static bool told_of_other(void *w)
{
	return daemon_find(OOMX_REC_KILL, 0, worker_pid(w)) != NULL;
}

/*
 * lp is stuck with its mmap_lock taken, so that not even its memory can be had: who asks for that
 * waits for as long. oomx does (process_mrelease()), and has to see the next OOM none the less.
 */
static void play_stuck_mapping(void)
{
	const struct worker_growth g = { .mib = 110, .threads = 1 };
	struct worker_spec lp = { .comm = "lp", .cgroup = SCENE_LP, .anon_kib = 32 << 10,
				  .stuck_at = HANG_FILE, .stuck_mapping = true };
	struct worker_spec hp = { .comm = "hp", .cgroup = SCENE_HP };
	struct worker_spec other = { .comm = "other", .cgroup = OTHER };
	static struct cast cast;
	struct worker *victim, *next;

	hang_open();
	cgroup_make(OTHER);
	cgroup_set_mib(OTHER, "memory.max", OTHER_MIB);
	cast_open(&cast);
	victim = cast_add(&cast, &lp, true);
	next = cast_add(&cast, &other, true);
	cast.trigger = cast_add(&cast, &hp, false);
	cast_ready(&cast);
	if (!suite_wait(stuck, victim, SUITE_STEP_MS))
		suite_fail("lp is not stuck: it %s", worker_fate(victim));
	worker_grow(cast.trigger, &g);
	if (!suite_wait(logged, victim, SUITE_STEP_MS))
		suite_fail("lp is not killed");
	cgroup_set(SCENE_CGROUP, "memory.max", "max"); /* nobody else has to die for hp */
	if (!suite_wait(oomx_waits, NULL, SUITE_STEP_MS))
		suite_fail("oomx does not ask for lp's memory, or got it");
	worker_grow(next, &g);
	if (!suite_wait(told_of_other, next, SUITE_STEP_MS))
		suite_fail("expected the next OOM to be told while oomx asks for lp's memory");
	hang_release();
	if (cast_await(&cast))
		cast_expect_dead(&cast);
	cast_close(&cast);
	cgroup_remove(OTHER);
	cgroup_drain(SCENE_CGROUP, 8);
	cgroup_set_mib(SCENE_CGROUP, "memory.max", SCENE_LIMIT_MIB);
}

/* ---- what the administrator has set ---------------------------------------------------------- */

static void sysctl_set(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	if (proc_write(path, value))
		suite_fatal("%s cannot be set to %s: %s", path, value, strerror(errno));
}

/* The cgroups are made anew, so they have no priority any more. */
static void reopen(bool global)
{
	static const char *const set[] = { "priority", "set", SCENE_LP, "-100", NULL };

	scene_close(&faults.scene);
	scene_open(&faults.scene, global, 1);
	if (daemon_running() && command_run_oomx(set)->exit)
		suite_fail("lp's priority cannot be set");
}

/*
 * Where the machine is out of memory the trigger dies then, whoever that is, and oomx says that it
 * stood back. Neither setting is about a memcg's limit (mm/oom_kill.c, 6.1 to 7.3): there oomx
 * decides as ever, and nobody panics.
 */
static void play_allocating_task(void)
{
	bool enforcing = daemon_running();

	reopen(true);
	sysctl_set("vm/oom_kill_allocating_task", "1");
	if (enforcing)
		faults_expect_abstained("sysctl");
	else
		faults_expect_hp();
	reopen(false);
	sysctl_set("vm/panic_on_oom", "1");
	if (enforcing)
		faults_expect_lp();
	else
		faults_expect_hp();
	sysctl_set("vm/panic_on_oom", "0");
	sysctl_set("vm/oom_kill_allocating_task", "0");
}

/* Who asks the kernel for an OOM kill by hand gets the kernel's choice. */
static void play_sysrq(void)
{
	struct worker_spec lp = { .comm = "lp", .cgroup = SCENE_LP, .anon_kib = 8 << 10 };
	struct worker_spec hp = { .comm = "hp", .cgroup = SCENE_HP, .anon_kib = 64 << 10 };
	static struct cast cast;

	cast_open(&cast);
	cast.kernels_own = true;
	cast_add(&cast, &lp, false);
	cast_add(&cast, &hp, true);
	cast_ready(&cast);
	if (proc_write("/proc/sysrq-trigger", "f"))
		suite_fail("sysrq-f: %s", strerror(errno));
	if (cast_await(&cast))
		cast_expect_dead(&cast);
	cast_close(&cast);
	cgroup_drain(SCENE_CGROUP, 8);
}

/*
 * Without ftrace the kernel calls no program of ours: it decides alone; with it, it is asked. 7.3
 * refuses to be without it (EOPNOTSUPP), and then nothing changes.
 */
static void play_ftrace_off(void)
{
	int err = proc_write("/proc/sys/kernel/ftrace_enabled", "0");

	if (err == -EOPNOTSUPP) {
		printf("faults: this kernel keeps kernel.ftrace_enabled at 1\n");
		faults_expect_lp();
		return;
	}
	if (err)
		suite_fail("kernel.ftrace_enabled cannot be set to 0: %s", strerror(-err));
	faults_expect_hp();
	sysctl_set("kernel/ftrace_enabled", "1");
	faults_expect_lp();
}

/* ---- who else is there ----------------------------------------------------------------------- */

static void play_neighbour(void)
{
	static const char *const programs[] = { "n_memcg",  "n_enter",	"n_leave",
						"n_chosen", "n_marked", "n_gone" };
	struct bpf_link *links[sizeof(programs) / sizeof(programs[0])];
	struct bpf_object *obj = testbpf_load("neighbour", NULL);
	__u32 zero = 0;
	__u64 calls = 0;
	size_t i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		links[i] = testbpf_attach(obj, programs[i]);
	faults_expect_lp();
	/* attached in the other order, too */
	daemon_stop();
	faults_start();
	faults_expect_lp();
	testbpf_get(obj, "neighbour_calls", &zero, &calls);
	if (!calls)
		suite_fail("the neighbour was never called");
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		bpf_link__destroy(links[i]);
	bpf_object__close(obj);
	faults_expect_lp();
}

const struct fault_case faults_around[] = {
	{ "policy_never", play_policy_never, NULL },
	{ "all_protected", play_all_protected, play_all_protected },
	{ "stuck", play_stuck, play_stuck },
	{ "stuck_mapping", play_stuck_mapping, NULL },
	{ "allocating_task", play_allocating_task, play_allocating_task },
	{ "sysrq", play_sysrq, play_sysrq },
	{ "ftrace_off", play_ftrace_off, NULL },
	{ "neighbour", play_neighbour, NULL },
	{ NULL, NULL, NULL },
};
