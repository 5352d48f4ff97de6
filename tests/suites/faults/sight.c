// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sight.c - an earlier victim that oomx still sees, and the kernel, a moment later, not any more
 * (hold.bpf.c): the kernel kills a second one then, and that has to be the policy's choice.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faults/faults.h"
#include "faults/moment.h"
#include "lib/cast.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/hang.h"
#include "lib/kmsg.h"
#include "lib/testbpf.h"

#define NESTED_LIMIT_MIB 32
#define NESTED_WAIT_US 200000 /* within guard_ns (user/engine.c) */

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100",
				       "--priority", SCENE_H2 "=-50", NULL };

static bool victim_logged(void *lp)
{
	return kmsg_kills_of(worker_pid(lp)) > 0;
}

static bool ended(void *w)
{
	return !worker_alive(w);
}

/*
 * lp is killed, and cannot die: hp is held back for its sake, and asks again after a second. It has
 * a second more, in which the kernel waits for lp; after that it takes lp's memory by itself.
 */
static void lose_sight(struct worker *lp)
{
	struct hold_at *at = &moment.h->at[HOLD_SCAN];

	if (!suite_wait(victim_logged, lp, SUITE_STEP_MS)) {
		suite_fail("lp is not killed, it %s", worker_fate(lp));
		return;
	}
	moment_hold(HOLD_SCAN, "hp");
	if (!suite_wait(moment_held, at, SUITE_STEP_MS))
		suite_fail("hp has not asked again while lp was dying");
	if (ended(lp))
		suite_fail("lp has died already: nothing shown");
	hang_fail_read();
	if (!suite_wait(ended, lp, SUITE_STEP_MS))
		suite_fail("lp does not die, though nothing keeps it: state %c",
			   proc_state(worker_pid(lp)));
	moment_let_go(HOLD_SCAN);
}

static void play(void)
{
	const struct worker_growth g = { .mib = 90, .threads = 1 };
	struct worker_spec lp = { .comm = "lp", .cgroup = SCENE_LP, .anon_kib = 32 << 10,
				  .stuck_at = HANG_FILE };
	struct worker_spec h2 = { .comm = "h2", .cgroup = SCENE_H2, .anon_kib = 24 << 10 };
	struct worker_spec hp = { .comm = "hp", .cgroup = SCENE_HP };
	static struct cast cast;
	struct worker *victim;

	*moment.h = (struct hold){};
	hang_open();
	cast_open(&cast);
	victim = cast_add(&cast, &lp, true);
	cast_add(&cast, &h2, true);
	cast.trigger = cast_add(&cast, &hp, false);
	cast_ready(&cast);
	worker_grow(cast.trigger, &g);
	lose_sight(victim);
	hang_release();
	if (cast_await(&cast))
		cast_expect_dead(&cast);
	cast_close(&cast);
	cgroup_drain(SCENE_CGROUP, 8);
}

/* ---- in a cgroup below ----------------------------------------------------------------------- */

/*
 * lp dies for a limit of its own cgroup's, the only one there. What it leaves is room in the cgroup
 * above, too, where hp finds none in the meantime: nobody has to die for that.
 */
static void have_hp_wait(struct worker *lp, struct worker *hp)
{
	const struct worker_growth too_much = { .mib = NESTED_LIMIT_MIB, .threads = 1 };
	const struct worker_growth g = { .mib = 90, .threads = 1 };

	moment_hold(HOLD_UNMAP, "lp");
	moment_hold(HOLD_KILL, "hp");
	worker_grow(lp, &too_much);
	if (!suite_wait(moment_held, &moment.h->at[HOLD_UNMAP], SUITE_STEP_MS))
		suite_fail("lp does not die for its cgroup's limit, it %s", worker_fate(lp));
	worker_grow(hp, &g);
	if (!suite_wait(moment_held, &moment.h->at[HOLD_KILL], SUITE_STEP_MS))
		suite_fail("hp has found room, or does not look for it: it %s", worker_fate(hp));
	moment_let_go(HOLD_KILL);
	usleep(NESTED_WAIT_US);
	moment_let_go(HOLD_UNMAP);
}

static void play_nested(void)
{
	struct worker_spec lp = { .comm = "lp", .cgroup = SCENE_LP, .anon_kib = 24 << 10 };
	struct worker_spec h2 = { .comm = "h2", .cgroup = SCENE_H2, .anon_kib = 24 << 10 };
	struct worker_spec hp = { .comm = "hp", .cgroup = SCENE_HP };
	int64_t guards = daemon_counter("counters.guards");
	static struct cast cast;
	struct worker *victim;

	*moment.h = (struct hold){};
	cast_open(&cast);
	victim = cast_add(&cast, &lp, true);
	cast_add(&cast, &h2, false);
	cast.trigger = cast_add(&cast, &hp, false);
	cast_ready(&cast);
	have_hp_wait(victim, cast.trigger);
	if (cast_await(&cast))
		cast_expect_dead(&cast);
	if (faults_kernel_hides() && daemon_counter("counters.guards") == guards)
		suite_fail("expected hp to be held until lp's memory was back");
	cast_close(&cast);
	cgroup_drain(SCENE_CGROUP, 8);
}

void faults_nested(unsigned int runs)
{
	struct bpf_link *unmap;
	unsigned int i;

	scene_open(&moment_scene, false, 1);
	cgroup_set_mib(SCENE_LP, "memory.max", NESTED_LIMIT_MIB);
	moment_open();
	unmap = testbpf_attach(moment.obj, "hold_unmap");
	daemon_start(enforce);
	for (i = 1; i <= runs; i++) {
		suite_run_begin("nested", i);
		daemon_require();
		play_nested();
		if (suite_run_failed())
			daemon_complain_events();
		suite_run_end();
	}
	daemon_stop();
	bpf_link__destroy(unmap);
	moment_close();
	cgroup_set(SCENE_LP, "memory.max", "max");
	scene_close(&moment_scene);
}

/* ---- in the same one ------------------------------------------------------------------------- */

void faults_out_of_sight(unsigned int runs)
{
	unsigned int i;

	if (!faults_kernel_hides()) {
		printf("faults out of sight: nothing to play, the kernel sees who is exiting\n");
		return;
	}
	scene_open(&moment_scene, false, 1);
	moment_open();
	daemon_start(enforce);
	for (i = 1; i <= runs; i++) {
		suite_run_begin("out of sight", i);
		daemon_require();
		play();
		if (suite_run_failed())
			daemon_complain_events();
		suite_run_end();
	}
	daemon_stop();
	moment_close();
	scene_close(&moment_scene);
}
