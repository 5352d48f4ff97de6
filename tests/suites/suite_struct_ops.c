// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_struct_ops - oomx enforcing through the kernel module. --only takes one part:
 *
 *   offered  without the module, oomx says so and --hook struct_ops fails; with it, it is preferred
 *   choose   the scene: lp dies, by the kernel's own hand and once, and nobody else
 *   group    memory.oom.group: lp's whole group dies, and nobody else
 *   pinned   the daemon is killed: the policy goes on deciding, the next oomx takes over from it
 *   slow     a policy that takes too long: the kernel's own victim, and an event that says so;
 *            eleven OOMs in a row, so only where it is asked for
 *
 * Where the kernel has no struct_ops types for modules there is no module ($OOMX_KMOD), and only
 * the first part, without it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bpfcount.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/module.h"
#include "lib/pinned.h"
#include "lib/scene.h"
#include "lib/suite.h"

#define GROUP_MIB 8

static const char *const enforce[] = { "--enforce", "--hook", "struct_ops", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

/* ---- offered --------------------------------------------------------------------------------- */

#define UNFIT_KERNEL 4 /* user/exit.h */

static void expect_doctor(bool offered)
{
	static const char *const json[] = { "doctor", "--json", NULL };
	static const char *const text[] = { "doctor", NULL };
	const struct command_result *r = command_run_oomx(json);

	if (r->exit || !strstr(r->out, offered ? "\"struct_ops\":true" : "\"struct_ops\":false") ||
	    !strstr(r->out, offered ? "\"enforce\":\"struct_ops\"" : "\"enforce\":\"nominate\""))
		suite_fail("expected doctor to %s struct_ops: status %d, %s", offered ? "offer" :
			   "do without", r->exit, r->out);
	r = command_run_oomx(text);
	if (!strstr(r->out, offered ? "struct_ops for --enforce" :
				      "not struct_ops, because the kernel module oomx is not loaded"))
		suite_fail("expected doctor to say why: %s", r->out);
}

static void play_not_offered(unsigned int turn)
{
	static const char *const run[] = { "run", "--enforce", "--hook", "struct_ops", NULL };
	static const char *const best[] = { "--enforce", NULL };
	const struct command_result *r;

	suite_run_begin("not offered", turn);
	expect_doctor(false);
	r = command_run_oomx(run);
	if (r->exit != UNFIT_KERNEL || r->out[0] || command_lines(r->err) != 1 ||
	    !strstr(r->err, "the kernel module oomx is not loaded"))
		suite_fail("expected --hook struct_ops to say that there is no module: status %d, "
			   "%s%s", r->exit, r->out, r->err);
	daemon_start(best);
	if (strcmp(daemon_hook(), "nominate"))
		suite_fail("expected --enforce to go by nominate, is %s", daemon_hook());
	daemon_stop();
	suite_run_end();
}

static void play_offered(void)
{
	static const char *const best[] = { "--enforce", NULL };
	static const char *const status[] = { "status", NULL };
	const char *out;

	suite_run_begin("offered", 1);
	module_load();
	expect_doctor(true);
	daemon_start(best);
	out = command_run_oomx(status)->out;
	if (strcmp(daemon_hook(), "struct_ops") || !strstr(out, "struct_ops, enforcing") ||
	    daemon_status_flag("degraded"))
		suite_fail("expected --enforce to go by struct_ops, is %s: %s", daemon_hook(), out);
	daemon_stop();
	module_unload();
	suite_run_end();
}

/* ---- choose, group --------------------------------------------------------------------------- */

static bool all_freed(void *arg)
{
	return !daemon_running() ||
	       daemon_count(OOMX_REC_FREED) >= *(const unsigned int *)arg;
}

static void expect_events(struct scene *s, unsigned int kills)
{
	const struct event *e;
	unsigned int i, n;

	if (!suite_wait(all_freed, &kills, SUITE_STEP_MS))
		suite_fail("expected %u \"freed\" events", kills);
	if (!daemon_running())
		suite_fail("oomx has ended by itself");
	n = daemon_events(&e);
	for (i = 0; i < n; i++)
		if (strcmp(e[i].hook, "struct_ops"))
			suite_fail("an event says that it is from hook '%s'", e[i].hook);
	e = daemon_find(OOMX_REC_KILL, 0, worker_pid(s->lp));
	if (!e || daemon_count(OOMX_REC_KILL) != kills || daemon_count(OOMX_REC_KERNEL_KILL) ||
	    daemon_count(OOMX_REC_ABSTAIN))
		suite_fail("expected %u \"kill\", one of lp (%d), and none by the kernel's choice",
			   kills, worker_pid(s->lp));
	else if (!daemon_find(OOMX_REC_OOM, e->decision, 0))
		suite_fail("expected an \"oom\" with decision %lld", (long long)e->decision);
}

static void play_choose(bool global, const struct suite_options *o)
{
	const char *what = global ? "choose global" : "choose memcg";
	struct module_counters before;
	static struct scene s;
	unsigned int i;

	scene_open(&s, global, o->triggers);
	daemon_start(enforce);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		daemon_clear();
		module_counters(&before);
		if (scene_play(&s)) {
			scene_expect_victim(&s, s.lp);
			expect_events(&s, 1);
			module_expect_counted(&before, "chosen", 1);
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

/* lp has company in its cgroup, which is one group; who dies is that group. */
static void group_run(struct scene *s)
{
	const struct worker_spec spec = { .comm = "lp2", .cgroup = SCENE_LP,
					  .anon_kib = GROUP_MIB * 1024 };
	struct worker *lp2 = worker_start(&spec);
	unsigned int n;

	worker_wait_ready(lp2);
	if (scene_play(s)) {
		n = kmsg_kills(NULL);
		if (!worker_killed(s->lp) || !worker_killed(lp2) || !worker_alive(s->h2) ||
		    !worker_done(s->hp) || !worker_alive(s->hp))
			suite_fail("expected lp and lp2 to be killed: lp %s, lp2 %s, h2 %s, hp %s",
				   worker_fate(s->lp), worker_fate(lp2), worker_fate(s->h2),
				   worker_fate(s->hp));
		if (!kmsg_kills_of(worker_pid(s->lp)) || kmsg_kills_of(worker_pid(lp2)) != 1 ||
		    kmsg_kills_of(worker_pid(s->lp)) + 1 != n)
			suite_fail("expected the kernel to log the kills of lp and lp2 alone: %u", n);
		/* the first one the kernel goes over twice; it counts it twice if it is there */
		n = (unsigned int)(cgroup_event(SCENE_CGROUP, "oom_kill") - s->oom_kill_before);
		if (n != 2 && n != 3)
			suite_fail("expected oom_kill + 2 or 3 in memory.events, it has + %u", n);
		expect_events(s, 2);
	}
	worker_end(lp2);
}

static void play_group(const struct suite_options *o)
{
	static struct scene s;
	unsigned int i;

	scene_open(&s, false, o->triggers);
	cgroup_set(SCENE_LP, "memory.oom.group", "1");
	daemon_start(enforce);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin("group", i);
		daemon_require();
		daemon_clear();
		group_run(&s);
		if (suite_run_failed())
			daemon_complain_events();
		scene_clear(&s);
		suite_run_end();
	}
	daemon_stop();
	scene_close(&s);
	suite_times("group");
}

/* ---- slow ------------------------------------------------------------------------------------ */

#define SLOW_MAX 10 /* failures in a row until enforcing ends */

/* From now on every choice takes too long. */
static void allow_no_time(void)
{
	struct oomx_config *cfg = bpf_map_values("/sys/fs/bpf/oomx/oomx_config", sizeof(*cfg));

	cfg->rank_ns = 0;
	munmap(cfg, sizeof(*cfg));
}

static bool told_kill(void *arg)
{
	return !daemon_running() || daemon_count(OOMX_REC_KERNEL_KILL);
}

/* A policy that is too slow: the kernel's own victim, an event that says so, and not for ever. */
static void play_slow(void)
{
	const struct event *e;
	struct module_counters before;
	static struct scene s;
	unsigned int i;

	scene_open(&s, false, 1);
	daemon_start(enforce);
	allow_no_time();
	suite_run_begin("slow", 1);
	for (i = 1; i <= SLOW_MAX + 1; i++) {
		daemon_clear();
		module_counters(&before);
		if (scene_play(&s))
			scene_expect_victim(&s, s.hp);
		module_expect_counted(&before, "abstained", 1);
		if (!suite_wait(told_kill, NULL, SUITE_STEP_MS))
			suite_fail("expected a \"kernel_kill\"");
		e = daemon_find(OOMX_REC_ABSTAIN, 0, 0);
		if (!e != (i > SLOW_MAX) || (e && strcmp(e->reason, "slow")))
			suite_fail("expected %s, got %s", i > SLOW_MAX ? "no \"abstain\"" :
				   "\"abstain\": slow", e ? e->reason : "none");
		scene_clear(&s);
	}
	if (daemon_status_flag("enforce") || !daemon_status_flag("degraded"))
		suite_fail("enforcing goes on after %d failures", SLOW_MAX);
	if (suite_run_failed())
		daemon_complain_events();
	suite_run_end();
	daemon_stop();
	scene_close(&s);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool part(const struct suite_options *o, const char *name)
{
	return !o->only || !strcmp(o->only, name);
}

static void play_loaded(const struct suite_options *o)
{
	bool memcg = o->domains & SUITE_DOMAIN_MEMCG, global = o->domains & SUITE_DOMAIN_GLOBAL;

	module_load();
	if (part(o, "choose") && memcg)
		play_choose(false, o);
	if (part(o, "choose") && global)
		play_choose(true, o);
	if (part(o, "group"))
		play_group(o);
	if (part(o, "pinned") && memcg)
		pinned_play(false, o);
	if (part(o, "pinned") && global)
		pinned_play(true, o);
	if (o->only && part(o, "slow"))
		play_slow();
	module_unload();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 3, .domains = SUITE_DOMAIN_BOTH, .triggers = 1 };
	unsigned int run;

	suite_begin("struct_ops", argc, argv, &o);
	for (run = 1; part(&o, "offered") && run <= o.runs; run++)
		play_not_offered(run);
	if (!module_known())
		return suite_end();
	if (part(&o, "offered"))
		play_offered();
	if (part(&o, "choose") || part(&o, "group") || part(&o, "pinned") ||
	    part(&o, "slow"))
		play_loaded(&o);
	return suite_end();
}
