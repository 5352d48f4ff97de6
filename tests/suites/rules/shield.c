// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs with oom_score_adj -1000, which the kernel never kills, under a rule that does not let
 * them: eligible long before the OOM, and shielded again when the rule or oomx is gone.
 */
#include "rules/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/adjtrace.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/event.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define UNSHIELD                                                                                   \
	"rules:\n- name: no-shield\n  match: {cgroup: \"/r/s*\"}\n  unshield: -5\n  class: 2\n"    \
	"- name: hp\n  match: {cgroup: /r/hp}\n  never: true\n"

static struct worker *add_shielded(const char *cgroup, unsigned int mib, bool meant)
{
	struct worker_spec spec = { .comm = strrchr(cgroup, '/') + 1, .cgroup = cgroup,
				    .adj = -1000, .anon_kib = mib * 1024 };

	return cast_add(&rules_cast, &spec, meant);
}

struct want_adj {
	pid_t pid;
	int adj;
};

static bool has_adj(void *arg)
{
	const struct want_adj *w = arg;

	return proc_oom_score_adj(w->pid) == w->adj;
}

static void expect_adj(const char *when, pid_t pid, int adj)
{
	struct want_adj w = { pid, adj };

	if (!suite_wait(has_adj, &w, SUITE_STEP_MS))
		suite_fail("%s: expected oom_score_adj %d of process %d, found %d", when, adj, pid,
			   proc_oom_score_adj(pid));
}

/* oom_score_adj_min: what it may lower itself to. Only a test without CAP_SYS_RESOURCE tells. */
static void expect_may_shield_itself(pid_t pid)
{
	char text[96], path[48];

	/* the suite is root, with the capability: what it writes would raise the minimum */
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	snprintf(text, sizeof(text), "echo -1000 >%s", path);
	if (command_run(ARGS("/usr/bin/setpriv", "--bounding-set=-sys_resource",
			     "--inh-caps=-sys_resource", "/bin/sh", "-c", text), 0,
			SUITE_STEP_MS)->exit)
		suite_fail("oom_score_adj_min of process %d was raised", pid);
}

/* The one besides `parent` who is in its cgroup; 0: nobody. */
static pid_t child_in(const char *cgroup, pid_t parent)
{
	char path[256], text[256], *at, *end;
	long pid;

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/cgroup.procs", cgroup);
	if (proc_read(path, text, sizeof(text)))
		return 0;
	for (at = text; (pid = strtol(at, &end, 10)); at = end)
		if (pid != parent)
			return (pid_t)pid;
	return 0;
}

struct want_child {
	const char *cgroup;
	pid_t parent, child;
};

static bool has_child(void *arg)
{
	struct want_child *w = arg;

	w->child = child_in(w->cgroup, w->parent);
	return w->child;
}

static pid_t fork_one(struct worker *w, const char *cgroup)
{
	const struct worker_growth g = { .mib = 1, .threads = 1, .forks = 1, .fork_kib = 64 };
	struct want_child want = { .cgroup = cgroup, .parent = worker_pid(w) };

	worker_grow(w, &g);
	if (!suite_wait(has_child, &want, SUITE_STEP_MS))
		suite_fail("no child of %d", want.parent);
	return want.child;
}

/* Without the rule, somebody else dies; with it, the shielded one does, as its class says. */
void rules_play_shield(void)
{
	const char *const cgroups[] = { RULES_TOP "/s", RULES_TOP "/s2", RULES_TOP "/lp",
					RULES_TOP "/hp", NULL };
	struct worker *s, *s2, *hp;

	ruled_write(RULES_FILE, "rules:\n- name: hp\n  match: {cgroup: /r/hp}\n  never: true\n"
				"- name: s\n  match: {cgroup: \"/r/s*\"}\n  class: 2\n");
	rules_make_all(cgroups);
	rules_start("priority");
	s = add_shielded(RULES_TOP "/s", 24, false);
	rules_add(RULES_TOP "/lp", 12, true);
	hp = rules_add(RULES_TOP "/hp", 2, false);
	rules_starve(hp, 60);
	expect_adj("without the rule", worker_pid(s), -1000);
	cast_close(&rules_cast);

	cast_open(&rules_cast);
	s = add_shielded(RULES_TOP "/s", 24, true); /* was there before the rule */
	cast_ready(&rules_cast);
	ruled_write(RULES_FILE, UNSHIELD);
	expect_adj("by a new rule", worker_pid(s), -5);
	s2 = add_shielded(RULES_TOP "/s2", 4, false); /* shields itself under the rule */
	rules_add(RULES_TOP "/lp", 30, false);
	hp = rules_add(RULES_TOP "/hp", 2, false);
	worker_wait_ready(s2);
	expect_adj("while it is in force", worker_pid(s2), -5);
	expect_may_shield_itself(worker_pid(s2));
	expect_adj("after another try", worker_pid(s2), -5);
	rules_starve(hp, 48);
	rules_expect_told("no-shield");
	ruled_write(RULES_FILE, "rules: []\n");
	expect_adj("without the rule again", worker_pid(s2), -1000);
	rules_remove_all(cgroups);
}

static void expect_all(const char *when, struct worker *s, pid_t child, int adj)
{
	expect_adj(when, worker_pid(s), adj);
	expect_adj(when, child, adj);
}

/* What survives is shielded again, however oomx ends; children that inherited our value, too. */
void rules_play_shield_crash(void)
{
	const char *const cgroups[] = { RULES_TOP "/s", RULES_TOP "/s2", RULES_TOP "/o", NULL };
	struct worker *s, *s2, *own;
	pid_t child, late;
	char pid[16];

	ruled_write(RULES_FILE, UNSHIELD);
	rules_make_all(cgroups);
	s = add_shielded(RULES_TOP "/s", 2, false);
	s2 = add_shielded(RULES_TOP "/s2", 2, false);
	own = add_shielded(RULES_TOP "/o", 2, false); /* no rule is about it */
	cast_ready(&rules_cast);
	rules_start("priority");
	expect_adj("at the start", worker_pid(s), -5);
	expect_adj("of one without a rule", worker_pid(own), -1000);
	child = fork_one(s, RULES_TOP "/s");
	expect_all("of a child", s, child, -5);
	daemon_stop();
	expect_all("after the end", s, child, -1000);
	rules_start("priority");
	expect_all("after another start", s, child, -5);
	expect_adj("after another start", worker_pid(s2), -5);
	daemon_kill();
	expect_all("after a crash", s, child, -5);
	late = fork_one(s2, RULES_TOP "/s2");
	expect_all("after a crash", s2, late, -5);
	if (command_run_oomx(ARGS("stop"))->exit)
		suite_fail("oomx stop failed");
	expect_all("after oomx stop", s, child, -1000);
	expect_all("after oomx stop", s2, late, -1000);
	rules_start("priority"); /* for the end of the case */
	expect_all("after the last start", s, child, -5);
	/* moved to where no rule is about it */
	snprintf(pid, sizeof(pid), "%d", child);
	cgroup_set(RULES_TOP "/o", "cgroup.procs", pid);
	expect_adj("in another cgroup", child, -1000);
	rules_remove_all(cgroups);
}

/* ---- one oomx after another ------------------------------------------------------------------ */

#define OTHERS_RULES "/tmp/oomx-rules/others.yaml"

/*
 * What one oomx has rewritten stays so while another takes over, if that one's rules say the same,
 * and is put back if they do not, or when the last one ends. oomx itself is left alone by both,
 * also by one of another build.
 */
void rules_play_shield_replace(void)
{
	const char *const cgroups[] = { RULES_TOP "/s", RULES_TOP "/s2", NULL };
	static const char same[] = UNSHIELD "- name: us\n  match: {comm: oomx-other}\n"
					    "  unshield: -5\n";
	struct worker *s, *s2;
	pid_t child, late;

	ruled_write(RULES_FILE, same);
	ruled_write(OTHERS_RULES, "rules: []\n");
	rules_make_all(cgroups);
	s = add_shielded(RULES_TOP "/s", 2, false);
	s2 = add_shielded(RULES_TOP "/s2", 2, false);
	cast_ready(&rules_cast);
	rules_start("priority");
	child = fork_one(s, RULES_TOP "/s");
	expect_all("at the start", s, child, -5);

	adjtrace_begin();
	rules_replace(RULES_FILE);
	expect_all("after replacing", s, child, -5);
	command_use_other(true);
	rules_replace(RULES_FILE);
	adjtrace_end();
	expect_all("after replacing by another build", s, child, -5);
	adjtrace_expect_never("while replacing", worker_pid(s), -1000);
	adjtrace_expect_never("while replacing", child, -1000);
	expect_adj("of oomx itself", daemon_pid(), -1000);
	command_use_other(false);

	rules_replace(OTHERS_RULES);
	expect_all("after replacing by one whose rules do not say so", s, child, -1000);
	rules_replace(RULES_FILE);
	expect_all("after replacing by one whose rules do", s, child, -5);
	rules_replace(NULL);
	expect_all("after replacing by one without rules", s, child, -1000);
	command_use_other(true);
	rules_replace(RULES_FILE);
	late = fork_one(s2, RULES_TOP "/s2");
	expect_all("of a child, at last", s2, late, -5);
	daemon_stop();
	expect_all("at the end", s, child, -1000);
	expect_all("at the end", s2, late, -1000);
	command_use_other(false);
	rules_remove_all(cgroups);
}
