// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_replace - one oomx takes over from another while OOM follows on OOM: every kill is told
 * exactly once, by one of them, and lp is the one that dies whoever decides.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/event.h"
#include "lib/kmsg.h"
#include "lib/suite.h"
#include "lib/worker.h"

#define STORM "/storm"
#define STORM_LP STORM "/lp"
#define STORM_HP STORM "/hp"
#define STORM_MIB 64
#define LP_MIB 24
#define HP_MIB 36
#define LP_MAX 4096 /* that ever lived */
#define OUT_DIR "/tmp/oomx-replace"
#define LINKS_DIR "/sys/fs/bpf/oomx/links"

/* ---- the storm: as soon as lp is dead, another one grows beside hp ----------------------- */

static struct {
	struct worker *lp, *hp;
	pid_t killed[LP_MAX]; /* by the OOM killer, in order */
	unsigned int n_killed;
} storm;

static void start_lp(void)
{
	const struct worker_spec spec = { .comm = "lp", .cgroup = STORM_LP };
	const struct worker_growth g = { .mib = LP_MIB * 2, .threads = 1 };

	storm.lp = worker_start(&spec);
	worker_wait_ready(storm.lp);
	worker_grow(storm.lp, &g);
}

static void start_storm(void)
{
	const struct worker_spec spec = { .comm = "hp", .cgroup = STORM_HP,
					  .anon_kib = HP_MIB * 1024 };

	cgroup_make(STORM);
	cgroup_make(STORM_LP);
	cgroup_make(STORM_HP);
	cgroup_set_mib(STORM, "memory.max", STORM_MIB);
	storm.hp = worker_start(&spec);
	worker_wait_ready(storm.hp);
	start_lp();
}

/* Keeps it going. True once `arg` more have died. */
static bool blown(void *arg)
{
	unsigned int *more = arg;

	if (!worker_alive(storm.hp))
		return true;
	if (worker_alive(storm.lp))
		return false;
	if (storm.n_killed < LP_MAX)
		storm.killed[storm.n_killed++] = worker_pid(storm.lp);
	worker_end(storm.lp);
	start_lp();
	if (*more)
		(*more)--;
	return !*more;
}

static void blow(unsigned int kills)
{
	if (!suite_wait(blown, &kills, SUITE_STEP_MS))
		suite_fail("the storm has died down: lp %s", worker_fate(storm.lp));
	if (!worker_alive(storm.hp))
		suite_fatal("hp was killed: an OOM that nobody decided");
}

static void end_storm(void)
{
	worker_end(storm.lp);
	worker_end(storm.hp);
	cgroup_remove(STORM_HP);
	cgroup_remove(STORM_LP);
	cgroup_remove(STORM);
}

/* ---- the daemons: each with a file of its own for its events ----------------------------- */

static char script[1024];
static const char *hook;

static pid_t start_oomx(unsigned int i, const char *by, bool replace)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	const char *dir = getenv("OOMX_POLICIES");
	char ours[256];
	int out, err;
	pid_t pid;

	/* every other one is a file: another policy, with another hash, that says the same here */
	snprintf(ours, sizeof(ours), "%s/lowest.bpf.o", dir ?: "build/tests/policies");
	snprintf(script, sizeof(script),
		 "exec %s run --json --enforce --hook %s --policy %s --priority " STORM_LP "=-100 %s"
		 " >" OUT_DIR "/%u 2>" OUT_DIR "/%u.err",
		 command_oomx(), by, i & 1 ? ours : "priority",
		 replace ? "--replace" : "", i, i);
	if (command_spawn(argv, 0, &pid, &out, &err))
		suite_fatal("cannot start oomx");
	close(out);
	close(err);
	return pid;
}

/* It says who it is a moment before it is armed. */
static bool started(void *pid)
{
	return daemon_status("pid") == *(pid_t *)pid && daemon_status_flag("enforce");
}

static bool in_force(void *pid)
{
	unsigned int more = 1;

	blown(&more);
	return daemon_status("pid") == *(pid_t *)pid;
}

/* ---- one that a stop has overtaken ------------------------------------------------------- */

/* Of the complete sets of pinned links; 0: there is none. */
static unsigned int highest_set(void)
{
	unsigned int highest = 0, n;
	DIR *dir = opendir(LINKS_DIR);
	struct dirent *d;
	char rest;

	while (dir && (d = readdir(dir)))
		if (sscanf(d->d_name, "%u%c", &n, &rest) == 1 && n > highest)
			highest = n;
	if (dir)
		closedir(dir);
	return highest;
}

static bool newer_set(void *set)
{
	return highest_set() > *(unsigned int *)set;
}

/*
 * `oomx stop` ends the old one and removes all that is pinned before the new one has the lock: the
 * new one's policy is to stay all the same, should it be killed. The old one is held meanwhile, and
 * we remove what a stop would.
 */
static void overtake(unsigned int i, pid_t old)
{
	unsigned int set = highest_set();
	char path[64];
	const char *const remove[] = { "/bin/rm", "-r", path, NULL };
	pid_t pid;

	if (kill(old, SIGSTOP))
		suite_fatal("no oomx %d", old);
	pid = start_oomx(i, hook, true);
	if (!suite_wait(newer_set, &set, SUITE_START_MS))
		suite_fatal("the new oomx pins nothing");
	snprintf(path, sizeof(path), LINKS_DIR "/%u", highest_set());
	if (command_run(remove, 0, SUITE_STEP_MS)->exit || kill(old, SIGCONT))
		suite_fatal("cannot remove %s", path);
	if (!suite_wait(started, &pid, SUITE_START_MS))
		suite_fail("no new oomx took over");
	if (access(path, F_OK))
		suite_fail("its policy would go with it: there is no %s", path);
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static unsigned int told_by[LP_MAX];

static void count_events(const char *path)
{
	struct event e, stood_back = {};
	static char line[65536];
	char why[128];
	unsigned int i;
	FILE *f = fopen(path, "re");

	if (!f)
		suite_fatal("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strstr(line, "\"type\":\"ready\""))
			continue;
		if (event_parse(line, &e, why, sizeof(why)) < 0 || !e.type) {
			suite_fail("not a proper event: %s: %.300s", why, line);
			continue;
		}
		if (e.type == OOMX_REC_ABSTAIN)
			stood_back = e;
		if (e.type == OOMX_REC_KERNEL_KILL)
			suite_fail("the kernel chose by itself: %s; why oomx stood back: %s",
				   e.who.comm, stood_back.decision == e.decision ?
				   stood_back.reason : "not told");
		if (e.type != OOMX_REC_KILL)
			continue;
		for (i = 0; i < storm.n_killed; i++)
			told_by[i] += storm.killed[i] == e.who.pid;
	}
	fclose(f);
}

static void judge(unsigned int daemons)
{
	char path[64];
	unsigned int i, none = 0, twice = 0;

	for (i = 0; i < daemons; i++) {
		snprintf(path, sizeof(path), OUT_DIR "/%u", i);
		count_events(path);
	}
	for (i = 0; i < storm.n_killed; i++) {
		none += !told_by[i];
		twice += told_by[i] > 1;
	}
	if (none || twice)
		suite_fail("of %u kills, %u were told by nobody and %u twice", storm.n_killed, none,
			   twice);
	printf("replaced %u times, %u kills\n", daemons - 1, storm.n_killed);
}

int main(int argc, char **argv)
{
	static const char *const stop[] = { "stop", NULL };
	struct suite_options o = { .runs = 20 };
	unsigned int i;
	pid_t pid;

	suite_begin("replace", argc, argv, &o);
	hook = o.hook;
	mkdir(OUT_DIR, 0755);
	cgroup_make(STORM);
	cgroup_make(STORM_LP);
	pid = start_oomx(0, hook, false);
	if (!suite_wait(started, &pid, SUITE_START_MS))
		suite_fatal("oomx does not start");
	start_storm();
	for (i = 1; i <= o.runs; i++) {
		suite_run_begin("replace", i);
		blow(2);
		/* every third goes by nominate in any case */
		pid = start_oomx(i, i % 3 == 2 ? "nominate" : hook, true);
		if (!suite_wait(in_force, &pid, SUITE_START_MS))
			suite_fail("no new oomx took over");
		blow(2);
		suite_run_end();
	}
	if (!strcmp(hook, "struct_ops")) {
		suite_run_begin("overtaken by a stop", 1);
		overtake(i++, pid);
		suite_run_end();
	}
	suite_run_begin("told", 1);
	end_storm();
	if (command_run_oomx(stop)->exit)
		suite_fail("oomx stop fails");
	judge(i);
	suite_run_end();
	return suite_end();
}
