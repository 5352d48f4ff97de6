// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_faults - never worse than the kernel alone, whatever fails or gets in the way: see
 * faults/faults.h. What the kernel alone makes of it is played first, in the same guest.
 */
#include "faults/faults.h"

#include <stdio.h>
#include <string.h>

#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "selftest.h"

struct faults faults;

void faults_start(void)
{
	const char *const args[] = { "--enforce",  "--hook",	 faults.hook,	   "--policy",
				     "priority",   "--priority", SCENE_LP "=-100", NULL };

	daemon_start(args);
}

pid_t faults_responder(void)
{
	pid_t pid = (pid_t)daemon_status("responder_pid");

	if (pid <= 0)
		suite_fatal("oomx has no responder");
	return pid;
}

static bool has_other(void *than)
{
	pid_t pid = (pid_t)daemon_status("responder_pid");

	return pid > 0 && pid != *(pid_t *)than;
}

void faults_await_other_responder(pid_t than)
{
	if (!suite_wait(has_other, &than, SUITE_STEP_MS))
		suite_fail("no other responder took over");
}

bool faults_kernel_hides(void)
{
	static bool known, hides;

	if (!known && ox_selftest_scan(&hides))
		suite_fatal("cannot find out whether the kernel loses sight of victims");
	known = true;
	return hides;
}

/* ---- one OOM, and whom it may take ----------------------------------------------------------- */

void faults_expect_one_of(struct worker *a, struct worker *b)
{
	struct worker *victim = worker_killed(a) || !b ? a : b;

	scene_expect_victim(&faults.scene, victim);
	scene_expect_others_unchanged(&faults.scene);
	if (suite_run_failed() && daemon_running())
		daemon_complain_events();
}

/* The kernel side has waited for the responder as long as it may: on a busy machine, it happens. */
static bool overrun(void)
{
	const struct event *e;
	unsigned int i, n = daemon_events(&e);

	for (i = 0; i < n; i++) {
		if (e[i].type == OOMX_REC_ABSTAIN && !strcmp(e[i].reason, "timeout"))
			return true;
	}
	return false;
}

static bool told(void *arg)
{
	return daemon_count(OOMX_REC_KILL) + daemon_count(OOMX_REC_KERNEL_KILL) > 0;
}

void faults_expect_played_lp(void)
{
	bool late = worker_killed(faults.scene.hp) && suite_wait(told, NULL, SUITE_STEP_MS) &&
		    overrun();

	faults.nominated++;
	faults.overruns += late;
	faults_expect_one_of(late ? faults.scene.hp : faults.scene.lp, NULL);
}

void faults_expect_lp(void)
{
	daemon_clear();
	if (scene_play(&faults.scene))
		faults_expect_played_lp();
	scene_clear(&faults.scene);
}

void faults_expect_hp(void)
{
	daemon_clear();
	if (scene_play(&faults.scene))
		faults_expect_one_of(faults.scene.hp, NULL);
	scene_clear(&faults.scene);
}

void faults_expect_either(void)
{
	daemon_clear();
	if (scene_play(&faults.scene))
		faults_expect_one_of(faults.scene.lp, faults.scene.hp);
	scene_clear(&faults.scene);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct fault_group {
	const char *name;
	const struct fault_case *cases;
} groups[] = {
	{ "broken", faults_broken },
	{ "full", faults_full },
	{ "around", faults_around },
};
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

static void play(const char *name, void (*body)(void), bool alone, unsigned int runs)
{
	char what[64];
	unsigned int i;

	snprintf(what, sizeof(what), "%s%s", name, alone ? ", kernel alone" : "");
	for (i = 1; i <= runs; i++) {
		suite_run_begin(what, i);
		if (!alone)
			daemon_require();
		body();
		suite_run_end();
	}
	suite_times(what);
}

/* --only has the name of a case or of a group. */
static unsigned int play_all(bool alone, const struct suite_options *o)
{
	const struct fault_case *c;
	unsigned int played = 0;
	size_t i;

	for (i = 0; i < N_GROUPS; i++) {
		for (c = groups[i].cases; c->name; c++) {
			if (o->only && strcmp(o->only, c->name) && strcmp(o->only, groups[i].name))
				continue;
			if (!alone)
				play(c->name, c->play, false, o->runs);
			else if (c->alone)
				play(c->name, c->alone, true, o->runs);
			played++;
		}
	}
	return played;
}

/* The kernel alone first; cases that have nothing of their own for that share the plain scene. */
static unsigned int play_groups(const struct suite_options *o)
{
	unsigned int played;

	scene_open(&faults.scene, false, 1);
	played = play_all(true, o);
	if (played) {
		play("the scene", faults_expect_hp, true, o->runs);
		faults_start();
		play_all(false, o);
		daemon_stop();
		printf("faults: of %u OOMs that lp was to die in, %u had no answer in time\n",
		       faults.nominated, faults.overruns);
		if (faults.overruns > 1 && faults.overruns * 4 > faults.nominated)
			suite_fail("one in four is no exception");
	}
	scene_close(&faults.scene);
	return played;
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 5 };
	unsigned int played;

	suite_begin("faults", argc, argv, &o);
	faults.hook = o.hook;
	bpf_count(&faults.at_rest);
	played = faults_nominate(&o);
	played += play_groups(&o);
	if (!played)
		suite_fatal("no case %s", o.only);
	return suite_end();
}
