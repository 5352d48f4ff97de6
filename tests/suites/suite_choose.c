// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_choose - the scene with oomx enforcing a lower priority for lp: lp dies, by the kernel's
 * own hand and once, and nobody else does or keeps a changed oom_score_adj.
 */
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/scene.h"
#include "lib/suite.h"

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

static void play(bool global, const struct suite_options *o)
{
	static const char *const args[] = { "--enforce", "--policy", "priority",
					    "--priority", SCENE_LP "=-100", NULL };
	const char *what = global ? "global" : "memcg";
	static struct scene s;
	unsigned int i;

	scene_open(&s, global, o->triggers);
	daemon_start(args);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		daemon_clear();
		if (scene_play(&s)) {
			scene_expect_victim(&s, s.lp);
			expect_events(&s);
			scene_expect_others_unchanged(&s);
		}
		if (suite_run_failed())
			daemon_complain_events();
		scene_clear(&s);
		suite_run_end();
	}
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
