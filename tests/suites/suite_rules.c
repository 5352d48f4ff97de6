// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_rules - rules in a file, in force: for cgroups that were there before oomx and for those
 * made while it runs; over reloads, good and bad; and in OOMs, where the one that the rules mark
 * dies, and nobody whom they protect.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules/cases.h"

#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/ruled.h"
#include "lib/suite.h"

#define DIR "/tmp/oomx-rules"
#define FILE_1 RULES_FILE
#define FILE_2 DIR "/oomx.d/10.yaml"
#define TOP RULES_TOP
#define LIMIT_MIB 96 /* who is there and what hp wants is some MiB more, without the victim less */
#define BURST 1000

struct cast rules_cast;
static const char *hook;
static char running[32]; /* the policy of the oomx that runs, where the next case may have it */

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NONE RULED_NONE

static bool newer_than(void *arg)
{
	return daemon_status("rules_generation") > *(int64_t *)arg;
}

/*
 * What the case has written is in force. Twice: a reading that had begun before that was written
 * may end after the first is asked for.
 */
static void read_anew(void)
{
	int64_t before;
	int i;

	for (i = 0; i < 2; i++) {
		before = daemon_status("rules_generation");
		if (kill(daemon_pid(), SIGHUP))
			suite_fail("SIGHUP: %m");
		if (!suite_wait(newer_than, &before, SUITE_STEP_MS))
			suite_fail("expected the rules to be read anew");
	}
	daemon_clear();
}

static void stop(void)
{
	daemon_stop();
	running[0] = '\0';
}

void rules_start(const char *policy)
{
	if (daemon_running() && !strcmp(running, policy)) {
		read_anew();
		return;
	}
	stop();
	daemon_start(ARGS("--enforce", "--hook", hook, "--policy", policy, "--rules", DIR));
	snprintf(running, sizeof(running), "%s", policy);
}

void rules_replace(const char *file)
{
	daemon_replace(ARGS("--enforce", "--hook", hook, file ? "--rules" : "--no-rules", file));
}

/* ---- without an OOM -------------------------------------------------------------------------- */

#define BASIC                                                                                      \
	"rules:\n"                                                                                 \
	"- name: cheap\n  match: {cgroup: /r/cheap*}\n  priority: -100\n"                          \
	"- name: deep\n  match: {cgroup: \"/r/**/deep\"}\n  class: 2\n"                            \
	"- name: db\n  match: {unit: \"db@*.service\", slice: r.slice}\n  never: true\n"

static void play_cgroups(void)
{
	ruled_write(FILE_1, BASIC);
	cgroup_make(TOP "/cheap");
	rules_start("priority");
	ruled_expect(TOP "/cheap", "cheap", TOP "/cheap"); /* was there */
	ruled_expect(TOP, NONE, "");
	cgroup_make(TOP "/cheap2"); /* is new */
	cgroup_make(TOP "/cheap2/x");
	cgroup_make(TOP "/cheap2/deep");
	ruled_expect(TOP "/cheap2", "cheap", TOP "/cheap2");
	ruled_expect(TOP "/cheap2/deep", "deep", TOP "/cheap2/deep");
	ruled_expect(TOP "/cheap2/x", "cheap", TOP "/cheap2");
	cgroup_make("/r.slice");
	cgroup_make("/r.slice/db@1.service");
	cgroup_make("/r.slice/user@0.service");
	cgroup_make("/r.slice/user@0.service/db@1.service"); /* its owner calls it so */
	ruled_expect("/r.slice/db@1.service", "db", "/r.slice/db@1.service");
	ruled_expect("/r.slice/user@0.service/db@1.service", NONE, "");
	cgroup_remove("/r.slice/user@0.service/db@1.service");
	cgroup_remove("/r.slice/user@0.service");
	cgroup_remove("/r.slice/db@1.service");
	cgroup_remove("/r.slice");
	cgroup_remove(TOP "/cheap2/deep");
	cgroup_remove(TOP "/cheap2/x");
	cgroup_remove(TOP "/cheap2");
}

static void play_by_hand(void)
{
	struct ruled p = {};

	ruled_write(FILE_1, BASIC);
	cgroup_make(TOP "/cheap");
	rules_start("priority");
	ruled_expect(TOP "/cheap", "cheap", TOP "/cheap");
	if (command_run_oomx(ARGS("priority", "rm", TOP "/cheap"))->exit != 1)
		suite_fail("priority rm took away what a rule gives");
	if (command_run_oomx(ARGS("priority", "set", TOP "/cheap", "7"))->exit)
		suite_fail("priority set failed");
	if (kill(daemon_pid(), SIGHUP))
		suite_fail("SIGHUP: %m");
	cgroup_make(TOP "/cheap3");
	ruled_expect(TOP "/cheap3", "cheap", TOP "/cheap3"); /* now the reload is done, too */
	if (!ruled_get(TOP "/cheap", &p) || p.priority != 7 || strcmp(p.rule, NONE))
		suite_fail("a rule overwrote what was set by hand: %lld by %s", p.priority, p.rule);
	if (command_run_oomx(ARGS("priority", "rm", TOP "/cheap"))->exit)
		suite_fail("priority rm failed");
	ruled_expect(TOP "/cheap", "cheap", TOP "/cheap"); /* the rule is back */
	cgroup_remove(TOP "/cheap3");
}

static bool rules_bad(void *arg)
{
	(void)arg;
	return daemon_status_flag("rules_bad");
}

static bool rules_good(void *arg)
{
	(void)arg;
	return !daemon_status_flag("rules_bad");
}

static void play_reload(void)
{
	ruled_write(FILE_1, BASIC);
	cgroup_make(TOP "/cheap");
	cgroup_make(TOP "/other");
	rules_start("priority");
	ruled_expect(TOP "/cheap", "cheap", TOP "/cheap");
	/* seen by itself: a file is replaced, a drop-in comes, is changed and goes */
	ruled_write(FILE_1, "rules:\n- name: new\n  match: {cgroup: /r/other}\n  class: 1\n");
	ruled_expect(TOP "/other", "new", TOP "/other");
	ruled_expect(TOP "/cheap", NONE, "");
	ruled_write(FILE_2, "rules:\n- name: all\n  match: {cgroup: \"/r/*\"}\n  avoid: 5\n");
	ruled_expect(TOP "/cheap", "all", TOP "/cheap");
	ruled_expect(TOP "/other", "new", TOP "/other"); /* oomx.yaml comes first */
	unlink(FILE_2);
	ruled_expect(TOP "/cheap", NONE, "");
	/* a mistake: the old rules stay, also for those to come */
	ruled_write(FILE_1, "rules:\n- name: new\n  match: {cgroup: \"/r/*\"}\n  clas: 1\n");
	if (!suite_wait(rules_bad, NULL, SUITE_STEP_MS))
		suite_fail("expected rules_bad");
	ruled_expect(TOP "/other", "new", TOP "/other");
	ruled_expect(TOP "/cheap", NONE, "");
	if (kill(daemon_pid(), SIGHUP))
		suite_fail("SIGHUP: %m");
	cgroup_remove(TOP "/other");
	cgroup_make(TOP "/other");
	ruled_expect(TOP "/other", "new", TOP "/other");
	ruled_write(FILE_1, BASIC);
	ruled_expect(TOP "/cheap", "cheap", TOP "/cheap");
	ruled_expect(TOP "/other", NONE, "");
	if (!suite_wait(rules_good, NULL, SUITE_STEP_MS))
		suite_fail("expected no rules_bad");
	cgroup_remove(TOP "/other");
}

static bool back_to(void *arg)
{
	return ruled_entries() == *(size_t *)arg;
}

/* Comes and goes, faster than anybody looks: nothing is left, and the next one is right. */
static void play_burst(void)
{
	char path[64];
	size_t before;
	int i;

	ruled_write(FILE_1, BASIC);
	cgroup_make(TOP "/cheap");
	rules_start("priority");
	ruled_expect(TOP "/cheap", "cheap", TOP "/cheap");
	before = ruled_entries();
	for (i = 0; i < BURST; i++) {
		snprintf(path, sizeof(path), CGROUP_ROOT TOP "/cheap-%d", i);
		if (mkdir(path, 0755))
			suite_fatal("%s: %m", path);
		if (i % 2 && rmdir(path))
			suite_fatal("%s: %m", path);
	}
	ruled_expect(TOP "/cheap-998", "cheap", TOP "/cheap-998");
	before += BURST / 2;
	if (!suite_wait(back_to, &before, SUITE_STEP_MS))
		suite_fail("expected %zu entries, found %zu", before, ruled_entries());
	before -= BURST / 2;
	for (i = 0; i < BURST; i += 2) {
		snprintf(path, sizeof(path), CGROUP_ROOT TOP "/cheap-%d", i);
		if (rmdir(path))
			suite_fatal("%s: %m", path);
	}
	if (!suite_wait(back_to, &before, SUITE_STEP_MS))
		suite_fail("expected %zu entries, found %zu", before, ruled_entries());
}

/* ---- with one -------------------------------------------------------------------------------- */

struct worker *rules_add(const char *cgroup, unsigned int mib, bool meant)
{
	struct worker_spec spec = { .comm = strrchr(cgroup, '/') + 1, .cgroup = cgroup,
				    .anon_kib = mib * 1024 };

	return cast_add(&rules_cast, &spec, meant);
}

/* Everybody is there; the last one to be added grows. */
void rules_starve(struct worker *trigger, unsigned int mib)
{
	const struct worker_growth g = { .mib = mib, .threads = 1 };

	cast_ready(&rules_cast);
	if (cast_starve(&rules_cast, trigger, &g))
		cast_expect_dead(&rules_cast);
}

/* The one who died was told with this rule. */
void rules_expect_told(const char *rule)
{
	const struct event *e = daemon_find(OOMX_REC_KILL, 0, 0);

	if (!e)
		suite_fail("expected a \"kill\"");
	else if (strcmp(e->rule, rule))
		suite_fail("expected the kill of %s to name rule %s, not %s", e->who.comm, rule,
			   e->rule);
	if (daemon_count(OOMX_REC_KERNEL_KILL))
		suite_fail("expected no \"kernel_kill\"");
	if (suite_run_failed())
		daemon_complain_events();
}

void rules_make_all(const char *const cgroups[])
{
	for (; *cgroups; cgroups++)
		cgroup_make(*cgroups);
}

void rules_remove_all(const char *const cgroups[])
{
	cast_close(&rules_cast);
	for (; *cgroups; cgroups++)
		cgroup_remove(*cgroups);
}

/* Cgroups made a moment ago, small and cheap against large. */
static void play_new(void)
{
	const char *const cgroups[] = { TOP "/lp-new", TOP "/hp", NULL };
	struct worker *hp;

	ruled_write(FILE_1, "rules:\n- name: batch\n  match: {cgroup: \"/r/lp*\"}\n"
			    "  priority: -100\n");
	rules_start("priority");
	rules_make_all(cgroups);
	rules_add(TOP "/lp-new", 24, true);
	hp = rules_add(TOP "/hp", 4, false);
	rules_starve(hp, 80);
	rules_expect_told("batch");
	rules_remove_all(cgroups);
}

static void play_never(void)
{
	const char *const cgroups[] = { TOP "/keep", TOP "/small", TOP "/hp", NULL };
	struct worker *hp;

	/* under the kernel's own policy: it is the rule that spares the large one */
	ruled_write(FILE_1, "rules:\n- name: keep\n  match: {cgroup: [/r/keep, /r/hp]}\n"
			    "  never: true\n");
	rules_start("kernel");
	rules_make_all(cgroups);
	rules_add(TOP "/keep", 40, false);
	rules_add(TOP "/small", 16, true);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 44);
	rules_expect_told(NONE);
	rules_remove_all(cgroups);
}

/* Nobody is left to be chosen: the kernel takes whom it likes, and that is said. */
static void play_never_all(void)
{
	const char *const cgroups[] = { TOP "/keep", TOP "/hp", NULL };
	const struct event *e;
	struct worker *hp;

	ruled_write(FILE_1, "rules:\n- name: keep\n  match: {cgroup: \"/r/*\"}\n  never: true\n");
	rules_start("priority");
	rules_make_all(cgroups);
	rules_add(TOP "/keep", 60, true);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 48);
	e = daemon_find(OOMX_REC_ABSTAIN, 0, 0);
	if (!e || strcmp(e->reason, "no_candidate"))
		suite_fail("expected an \"abstain\" with no_candidate, found %s",
			   e ? e->reason : "none");
	rules_remove_all(cgroups);
}

static void play_protect(void)
{
	const char *const cgroups[] = { TOP "/keep", TOP "/small", TOP "/hp", NULL };
	struct worker *hp;

	ruled_write(FILE_1, "rules:\n- name: keep\n  match: {cgroup: \"/r/keep\"}\n"
			    "  protect: true\n  priority: -1000\n"
			    "- name: hp\n  match: {cgroup: /r/hp}\n  never: true\n");
	rules_start("priority");
	rules_make_all(cgroups);
	rules_add(TOP "/keep", 40, false);
	rules_add(TOP "/small", 16, true);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 44);
	rules_expect_told(NONE);
	cast_close(&rules_cast);
	/* and once there is nobody else, the protected one is chosen */
	cast_open(&rules_cast);
	rules_add(TOP "/keep", 40, true);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 64);
	rules_expect_told("keep");
	rules_remove_all(cgroups);
}

static void play_weight(void)
{
	const char *const cgroups[] = { TOP "/liked", TOP "/big", TOP "/hp", NULL };
	struct worker *hp;

	/* a quarter of the domain is worth more than the 12 MiB between them */
	ruled_write(FILE_1, "rules:\n- name: liked\n  match: {cgroup: \"/r/liked\"}\n"
			    "  prefer: 250\n"
			    "- name: hp\n  match: {cgroup: /r/hp}\n  avoid: 1000\n");
	rules_start("priority");
	rules_make_all(cgroups);
	rules_add(TOP "/liked", 20, true);
	rules_add(TOP "/big", 32, false);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 54);
	rules_expect_told("liked");
	rules_remove_all(cgroups);
}

#define PROCESSES                                                                                  \
	"rules:\n"                                                                                 \
	"- name: tool\n  match: {exe: \"**/suite_rules\", cgroup: /r/one}\n  protect: true\n"       \
	"- name: nobody\n  match: {uid: 65534}\n  class: 2\n"                                      \
	"- name: named\n  match: {comm: cheap*}\n  class: 1\n"

static struct worker *add_as(const char *comm, unsigned int uid, const char *cgroup,
			     unsigned int mib, bool meant)
{
	struct worker_spec spec = { .comm = comm, .uid = uid, .cgroup = cgroup,
				    .anon_kib = mib * 1024 };

	return cast_add(&rules_cast, &spec, meant);
}

/* Who they are is known from what they become after they were started. */
static void play_processes(void)
{
	const char *const cgroups[] = { TOP "/one", TOP "/two", TOP "/hp", NULL };
	struct worker *tool, *nobody, *named, *hp;

	ruled_write(FILE_1, PROCESSES);
	rules_make_all(cgroups);
	rules_start("priority");
	tool = add_as("cheap-tool", 0, TOP "/one", 2, false);
	nobody = add_as("x", 65534, TOP "/two", 16, true);
	named = add_as("cheapo", 0, TOP "/two", 20, false);
	hp = rules_add(TOP "/hp", 2, false);
	cast_ready(&rules_cast);
	ruled_expect_process(tool, "tool");
	ruled_expect_process(nobody, "nobody");
	ruled_expect_process(named, "named");
	ruled_expect_process(hp, NONE);
	rules_starve(hp, 62);
	rules_expect_told("nobody");
	cast_close(&rules_cast);
	cast_open(&rules_cast);
	named = add_as("cheapo", 0, TOP "/two", 16, true);
	add_as("dear", 0, TOP "/two", 20, false);
	hp = rules_add(TOP "/hp", 2, false);
	cast_ready(&rules_cast);
	ruled_expect_process(named, "named");
	rules_starve(hp, 66);
	rules_expect_told("named");
	cast_close(&rules_cast);
	cast_open(&rules_cast);
	/* a rule about its cgroup goes before what it calls itself; without rules nothing stays */
	named = add_as("cheapo", 0, TOP "/two", 2, false);
	cast_ready(&rules_cast);
	ruled_expect_process(named, "named");
	ruled_write(FILE_2, "rules:\n- name: two\n  match: {cgroup: /r/two}\n  avoid: 1\n");
	ruled_expect_process(named, "two");
	ruled_write(FILE_1, "rules: []\n");
	unlink(FILE_2);
	ruled_expect_process(named, NONE);
	rules_remove_all(cgroups);
}

static int64_t oom_group(const char *cgroup)
{
	return cgroup_number(cgroup, "memory.oom.group");
}

/* All of a container that the rule says dies as one, or one of it; and what was, is put back. */
static void play_kill(void)
{
	const char *const cgroups[] = { TOP "/one", TOP "/two", TOP "/hp", NULL };
	struct worker *hp;

	ruled_write(FILE_1, "rules:\n- name: one\n  match: {cgroup: /r/one}\n  kill: group\n"
			    "  class: 2\n"
			    "- name: two\n  match: {cgroup: /r/two}\n  kill: task\n  class: 1\n");
	rules_make_all(cgroups);
	cgroup_set(TOP "/two", "memory.oom.group", "1");
	rules_start("priority");
	if (oom_group(TOP "/one") != 1 || oom_group(TOP "/two") != 0)
		suite_fail("expected memory.oom.group as the rules say");
	rules_add(TOP "/one", 16, true);
	rules_add(TOP "/one", 2, true);
	rules_add(TOP "/one", 2, true);
	rules_add(TOP "/two", 16, false);
	rules_add(TOP "/two", 2, false);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 66);
	rules_expect_told("one");
	cast_close(&rules_cast);
	cast_open(&rules_cast);
	rules_add(TOP "/two", 24, true);
	rules_add(TOP "/two", 2, false);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 78);
	rules_expect_told("two");
	cast_close(&rules_cast);
	ruled_write(FILE_1, "rules:\n- name: two\n  match: {cgroup: /r/two}\n  kill: task\n");
	ruled_expect(TOP "/one", NONE, "");
	if (oom_group(TOP "/one") != 0 || oom_group(TOP "/two") != 0)
		suite_fail("expected memory.oom.group put back where no rule is any more");
	daemon_kill();
	if (command_run_oomx(ARGS("stop"))->exit)
		suite_fail("oomx stop failed");
	if (oom_group(TOP "/two") != 1)
		suite_fail("expected memory.oom.group put back after a crash");
	rules_start("priority");
	if (oom_group(TOP "/two") != 0)
		suite_fail("expected memory.oom.group as the rule says");
	daemon_stop();
	if (oom_group(TOP "/two") != 1)
		suite_fail("expected memory.oom.group put back at the end");
	rules_remove_all(cgroups);
}

/* Six in three classes: of the highest class the largest, whatever else is larger. */
static void play_classes(void)
{
	const char *const cgroups[] = { TOP "/c2-a", TOP "/c2-b", TOP "/c1-a", TOP "/c1-b",
					TOP "/c0-a", TOP "/hp", NULL };
	unsigned int large = (unsigned int)suite_random(0, 1);
	struct worker *hp;

	ruled_write(FILE_1, "rules:\n"
			    "- name: third\n  match: {cgroup: \"/r/c2*\"}\n  class: 2\n"
			    "- name: second\n  match: {cgroup: \"/r/c1*\"}\n  class: 1\n"
			    "  priority: -1000\n");
	rules_start("priority");
	rules_make_all(cgroups);
	rules_add(TOP "/c2-a", large ? 16 : 8, large);
	rules_add(TOP "/c2-b", large ? 8 : 16, !large);
	rules_add(TOP "/c1-a", 16, false);
	rules_add(TOP "/c1-b", (unsigned int)suite_random(4, 8), false);
	rules_add(TOP "/c0-a", 8, false);
	hp = rules_add(TOP "/hp", 2, false);
	rules_starve(hp, 46);
	rules_expect_told("third");
	rules_remove_all(cgroups);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct rules_case cases[] = {
	{ .name = "cgroups", .play = play_cgroups, .alone = true },
	{ .name = "by-hand", .play = play_by_hand },
	{ .name = "reload", .play = play_reload },
	{ .name = "burst", .play = play_burst },
	{ .name = "new", .play = play_new },
	{ .name = "never-all", .play = play_never_all },
	{ .name = "protect", .play = play_protect },
	{ .name = "weight", .play = play_weight },
	{ .name = "classes", .play = play_classes },
	{ .name = "processes", .play = play_processes },
	{ .name = "shield", .play = rules_play_shield },
	{ .name = "preference", .play = rules_play_preference },
	{ .name = "reclaim", .play = rules_play_reclaim },
	{ .name = "reclaim-global", .play = rules_play_reclaim_global },
	{ .name = "never", .play = play_never },
	{ .name = "shipped", .play = rules_play_shipped, .alone = true },
	{ .name = "most", .play = rules_play_most, .alone = true },
	{ .name = "kill", .play = play_kill, .alone = true },
	{ .name = "shield-crash", .play = rules_play_shield_crash, .alone = true },
	{ .name = "shield-replace", .play = rules_play_shield_replace, .alone = true },
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static void play(size_t i, unsigned int runs)
{
	unsigned int run;

	for (run = 1; run <= runs; run++) {
		suite_run_begin(cases[i].name, run);
		if (cases[i].alone)
			stop();
		mkdir(DIR, 0755);
		mkdir(DIR "/oomx.d", 0755);
		unlink(FILE_2);
		cgroup_make(TOP);
		cgroup_set_mib(TOP, "memory.max", LIMIT_MIB);
		cast_open(&rules_cast);
		cases[i].play();
		if (cases[i].alone || suite_run_failed())
			stop();
		rmdir(CGROUP_ROOT TOP "/cheap");
		cgroup_remove(TOP);
		suite_run_end();
	}
	suite_times(cases[i].name);
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 3 };
	unsigned int played = 0;
	size_t i;

	suite_begin("rules", argc, argv, &o);
	hook = o.hook;
	for (i = 0; i < N_CASES; i++) {
		if (!o.only || !strcmp(o.only, cases[i].name)) {
			play(i, o.runs);
			played++;
		}
	}
	suite_run_begin("the end", 1);
	stop();
	suite_run_end();
	if (!played)
		suite_fatal("no case %s", o.only);
	return suite_end();
}
