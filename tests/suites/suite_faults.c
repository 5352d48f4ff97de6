// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_faults - never worse than the kernel alone, whatever fails or gets in the way: see
 * faults/faults.h. What the kernel alone makes of it is played first, in the same guest.
 */
#include "faults/faults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
}

/* ---- and what is said of it ------------------------------------------------------------------ */

static bool told(void *arg)
{
	(void)arg;
	return daemon_count(OOMX_REC_KILL) + daemon_count(OOMX_REC_KERNEL_KILL) > 0;
}

static bool told_freed(void *arg)
{
	return daemon_find(OOMX_REC_FREED, 0, *(pid_t *)arg);
}

/*
 * The death is told, once: as oomx's choice, or as the kernel's together with why oomx stood back.
 * The kernel may still have chosen lp then, whose value was raised when nobody waited any more.
 */
static const struct event *expect_told(void)
{
	struct worker *victim = worker_killed(faults.scene.lp) ? faults.scene.lp : faults.scene.hp;
	const struct event *e, *why;
	pid_t pid = worker_pid(victim);

	if (!suite_wait(told, NULL, SUITE_STEP_MS) ||
	    !suite_wait(told_freed, &pid, SUITE_STEP_MS)) {
		suite_fail("expected the death of %s to be told, and its end", worker_comm(victim));
		return NULL;
	}
	e = daemon_find(OOMX_REC_KILL, 0, pid) ?: daemon_find(OOMX_REC_KERNEL_KILL, 0, pid);
	if (!e || daemon_count(OOMX_REC_KILL) + daemon_count(OOMX_REC_KERNEL_KILL) != 1) {
		suite_fail("expected one death to be told, that of %s", worker_comm(victim));
		return NULL;
	}
	why = daemon_find(OOMX_REC_ABSTAIN, e->decision, 0);
	if (e->type == OOMX_REC_KILL && (why || victim != faults.scene.lp))
		suite_fail("%s is told as oomx's choice, though %s", worker_comm(victim),
			   why ? why->reason : "that was lp");
	if (e->type == OOMX_REC_KERNEL_KILL && !why)
		suite_fail("%s is told as the kernel's choice, and not why", worker_comm(victim));
	return e;
}

/* The same, and which of the two it has to be: oomx's own, or the kernel's for this reason. */
static void expect_told_as(const char *reason)
{
	const struct event *e = expect_told(), *why;

	if (!e)
		return;
	why = daemon_find(OOMX_REC_ABSTAIN, 0, 0);
	if (!reason && (e->type != OOMX_REC_KILL || why))
		suite_fail("expected a \"kill\" and no \"abstain\", got \"%s\" and %s",
			   event_name(e->type), why ? why->reason : "none");
	if (reason && (!why || strcmp(why->reason, reason)))
		suite_fail("expected \"abstain\": %s, got %s", reason, why ? why->reason : "none");
}

static unsigned int count_breaker(void)
{
	const struct event *e;
	unsigned int i, n = daemon_events(&e), found = 0;

	for (i = 0; i < n; i++)
		found += e[i].type == OOMX_REC_ABSTAIN && !strcmp(e[i].reason, "breaker");
	return found;
}

static bool told_breaker(void *arg)
{
	(void)arg;
	return count_breaker() > 0;
}

void faults_expect_tripped(bool tripped)
{
	if (tripped && !suite_wait(told_breaker, NULL, SUITE_STEP_MS))
		suite_fail("expected \"abstain\": breaker, got none");
	if (count_breaker() != tripped)
		suite_fail("expected %d \"abstain\": breaker, got %u", tripped, count_breaker());
	if (daemon_status_flag("enforce") == tripped)
		suite_fail("status says that enforcing has%s ended", tripped ? " not" : "");
	if (tripped && !daemon_status_flag("degraded"))
		suite_fail("status does not say that enforcing is degraded");
}

void faults_expect_played_lp(void)
{
	faults_expect_one_of(faults.scene.lp, NULL);
	expect_told_as(NULL);
}

static void play_scene(struct worker *const *a, struct worker *const *b)
{
	daemon_clear();
	if (scene_play(&faults.scene))
		faults_expect_one_of(*a, b ? *b : NULL);
}

static void end_scene(void)
{
	if (suite_run_failed() && daemon_running())
		daemon_complain_events();
	scene_clear(&faults.scene);
}

void faults_expect_lp(void)
{
	play_scene(&faults.scene.lp, NULL);
	expect_told_as(NULL);
	end_scene();
}

void faults_expect_lp_untold(void)
{
	play_scene(&faults.scene.lp, NULL);
	scene_clear(&faults.scene);
}

void faults_expect_hp(void)
{
	play_scene(&faults.scene.hp, NULL);
	scene_clear(&faults.scene);
}

void faults_expect_abstained(const char *reason)
{
	play_scene(&faults.scene.hp, NULL);
	expect_told_as(reason);
	end_scene();
}

void faults_expect_either(void)
{
	play_scene(&faults.scene.lp, &faults.scene.hp);
	(void)expect_told(); /* either as well */
	end_scene();
}

void faults_expect_either_untold(void)
{
	play_scene(&faults.scene.lp, &faults.scene.hp);
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
