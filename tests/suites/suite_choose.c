// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_choose - the scene with oomx enforcing a lower priority for lp: lp dies, by the kernel's
 * own hand and once, and nobody else does or keeps a changed oom_score_adj. What went wrong where
 * something did is told apart: a second OOM after all that lp had was used up is no wrong choice.
 */
#include <stdio.h>

#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/scene.h"
#include "lib/suite.h"

/* What became of a run; the first is the only good one. */
enum outcome {
	OUTCOME_RIGHT,
	OUTCOME_WRONG_VICTIM,	/* the first to be killed was not lp */
	OUTCOME_SECOND_EARLY,	/* a second one was, before the memory of lp was free */
	OUTCOME_SECOND_ROOM,	/* ... with room for all by the kernel's own report */
	OUTCOME_SECOND_LATE,	/* ... after that: a second OOM, without lp to choose */
	OUTCOME_NO_END,		/* no OOM, or one without an end */
	OUTCOME_OTHER,		/* lp alone was killed, but told wrongly, or somebody was changed */
	_OUTCOMES,
};

static const char *const outcome_names[_OUTCOMES] = {
	[OUTCOME_RIGHT] = "lp alone",
	[OUTCOME_WRONG_VICTIM] = "wrong victim",
	[OUTCOME_SECOND_EARLY] = "second victim before the first was gone",
	[OUTCOME_SECOND_ROOM] = "second victim though there was room by then",
	[OUTCOME_SECOND_LATE] = "second OOM after the first victim's memory was used up",
	[OUTCOME_NO_END] = "no OOM, or no end of it",
	[OUTCOME_OTHER] = "right victim, something else wrong",
};

struct told {
	pid_t pid;
};

static bool told_freed(void *arg)
{
	const struct told *t = arg;

	return !daemon_running() || daemon_find(OOMX_REC_FREED, 0, t->pid);
}

static void expect_events(struct scene *s)
{
	struct told t = { .pid = worker_pid(s->lp) };
	const struct event *kill, *oom;

	if (worker_killed(s->lp) && !suite_wait(told_freed, &t, SUITE_STEP_MS))
		suite_fail("expected a \"freed\" event for lp (%d)", t.pid);
	if (!daemon_running())
		suite_fail("oomx has ended by itself");

	kill = daemon_find(OOMX_REC_KILL, 0, t.pid);
	if (!kill || daemon_count(OOMX_REC_KILL) != 1 || daemon_count(OOMX_REC_KERNEL_KILL)) {
		suite_fail("expected one \"kill\", of lp (%d), and no \"kernel_kill\": got %u and %u",
			   t.pid, daemon_count(OOMX_REC_KILL), daemon_count(OOMX_REC_KERNEL_KILL));
		return;
	}
	oom = daemon_find(OOMX_REC_OOM, kill->decision, 0);
	if (!oom)
		suite_fail("expected an \"oom\" with decision %lld", (long long)kill->decision);
	else if (oom->global != s->global)
		suite_fail("expected the \"oom\" to be %s", s->global ? "global" : "a memcg's");
}

/* By the kernel log, in its order, and by the time at which the events say that lp was gone. */
static enum outcome classify(const struct scene *s, bool over)
{
	const struct kmsg_kill *logged;
	const struct event *freed, *second;
	unsigned int n = kmsg_kills(&logged);

	if (!suite_run_failed())
		return OUTCOME_RIGHT;
	if (n && logged[0].pid != worker_pid(s->lp))
		return OUTCOME_WRONG_VICTIM;
	if (n > 1 && logged[1].free_kib >= 0 && logged[1].free_kib > logged[1].high_kib)
		return OUTCOME_SECOND_ROOM;
	if (n > 1) {
		freed = daemon_find(OOMX_REC_FREED, 0, worker_pid(s->lp));
		second = daemon_find(OOMX_REC_KERNEL_KILL, 0, logged[1].pid);
		if (!second)
			second = daemon_find(OOMX_REC_KILL, 0, logged[1].pid);
		return freed && second && freed->ktime_ns < second->ktime_ns ?
			       OUTCOME_SECOND_LATE : OUTCOME_SECOND_EARLY;
	}
	return over && n ? OUTCOME_OTHER : OUTCOME_NO_END;
}

static void print_outcomes(const char *what, const struct suite_options *o,
			   const unsigned int outcomes[_OUTCOMES])
{
	unsigned int i;

	printf("choose %s, %u triggers, %s:", what, o->triggers, daemon_hook());
	for (i = 0; i < _OUTCOMES; i++) {
		if (i == OUTCOME_RIGHT || outcomes[i])
			printf("%s %u x %s", i ? "," : "", outcomes[i], outcome_names[i]);
	}
	printf("; guards: %lld, overrun: %lld; exits held: %lld, overrun: %lld\n",
	       (long long)daemon_status("counters.guards"),
	       (long long)daemon_status("counters.guard_timeouts"),
	       (long long)daemon_status("counters.exits_held"),
	       (long long)daemon_status("counters.exit_timeouts"));
}

static void play(bool global, const struct suite_options *o)
{
	const char *const args[] = { "--enforce", "--hook", o->hook, "--policy", "priority",
				     "--priority", SCENE_LP "=-100", NULL };
	const char *what = global ? "global" : "memcg";
	unsigned int i, outcomes[_OUTCOMES] = { 0 };
	static struct scene s;
	enum outcome outcome;
	bool over;

	scene_open(&s, global, o->triggers);
	daemon_start(args);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		daemon_clear();
		over = scene_play(&s);
		if (over) {
			scene_expect_victim(&s, s.lp);
			expect_events(&s);
			scene_expect_others_unchanged(&s);
		}
		outcome = classify(&s, over);
		outcomes[outcome]++;
		if (suite_run_failed()) {
			suite_fail("this is: %s", outcome_names[outcome]);
			daemon_complain_events();
		}
		scene_clear(&s);
		suite_run_end();
	}
	print_outcomes(what, o, outcomes);
	daemon_stop();
	scene_close(&s);
	suite_times(what);
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 10, .domains = SUITE_DOMAIN_BOTH, .triggers = 1 };

	suite_begin("choose", argc, argv, &o);
	if (o.domains & SUITE_DOMAIN_MEMCG)
		play(false, &o);
	if (o.domains & SUITE_DOMAIN_GLOBAL)
		play(true, &o);
	return suite_end();
}
