// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_systemd - the service of examples/systemd as it is, under systemd as PID 1 (guest option
 * oomx_systemd): it starts with the rights it has there, says when it is in force, chooses among
 * real units by their names and by ManagedOOMPreference, reads its rules anew, comes back after a
 * sudden death, is not started over and over where that cannot help, and leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bpfcount.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/proc.h"
#include "lib/ruled.h"
#include "lib/suite.h"

#define SLICE "oomxtest.slice"
#define DIR "/run/oomx-test"
#define RULES "/etc/oomx/oomx.yaml"
#define OPTIONS "/etc/default/oomx"
#define MODULE_CONF "/etc/systemd/system/oomx.service.d/kernel-module.conf"
#define NOT_PERMITTED "3"
#define LINKS_DIR "/sys/fs/bpf/oomx/links" /* of a policy that outlives its oomx (struct_ops) */
#define BAD_RULES "8" /* user/exit.h: RestartPreventExitStatus of the service has it, too */
#define DB_MIB 40     /* as much again when it is told to */
#define OTHER_MIB 30
#define LIMIT "96M"

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const char *hook;
static bool outlives;

static const struct command_result *systemctl(const char *what, const char *unit, const char *more)
{
	const char *const argv[] = { "/bin/systemctl", what, unit, more, NULL };

	return command_run(argv, 0, SUITE_START_MS);
}

/* Has to succeed. */
static void control(const char *what, const char *unit)
{
	const struct command_result *r = systemctl(what, unit, NULL);

	if (r->exit)
		suite_fail("systemctl %s %s: exit status %d: %s", what, unit, r->exit, r->err);
}

/* What `systemctl show` has of a unit; good until the next command. */
static const char *property(const char *unit, const char *name)
{
	const char *const argv[] = { "/bin/systemctl", "show", "--value", "-p", name, unit, NULL };
	struct command_result *r = (struct command_result *)command_run(argv, 0, SUITE_STEP_MS);

	r->out[strcspn(r->out, "\n")] = '\0';
	return r->out;
}

struct want {
	const char *unit, *name, *value;
};

static bool has_value(void *arg)
{
	const struct want *w = arg;

	return !strcmp(property(w->unit, w->name), w->value);
}

static void expect(const char *unit, const char *name, const char *value)
{
	struct want w = { unit, name, value };

	if (!suite_wait(has_value, &w, SUITE_STEP_MS))
		suite_fail("expected %s of %s to be '%s', it is '%s'", name, unit, value,
			   property(unit, name));
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static void must(const char *const argv[])
{
	const struct command_result *r = command_run(argv, 0, SUITE_STEP_MS);

	if (r->exit)
		suite_fatal("%s: exit status %d: %s", argv[0], r->exit, r->err);
}

/* A file that lies beside this program. */
static void install_file(const char *name, const char *to)
{
	char self[PATH_MAX] = "", path[PATH_MAX + 32];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		suite_fatal("/proc/self/exe: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	must(ARGS("/usr/bin/install", "-D", "-m", "644", path, to));
}

static void set_options(const char *its_hook)
{
	char options[128];

	snprintf(options, sizeof(options), "OOMX_OPTIONS=--enforce --hook %s --policy priority\n",
		 its_hook);
	ruled_write(OPTIONS, options);
}

/* As `make install` and the head of the service's file have it. */
static void install(void)
{
	must(ARGS("/usr/bin/install", "-D", command_oomx(), "/usr/local/sbin/oomx"));
	install_file("protections.yaml", "/usr/local/share/oomx/protections.yaml");
	install_file("oomx.service", "/etc/systemd/system/oomx.service");
	must(ARGS("/bin/mkdir", "-p", "/etc/oomx", DIR));
	set_options(hook);
	must(ARGS("/usr/bin/mkfifo", DIR "/go", DIR "/never"));
	must(ARGS("/bin/systemctl", "daemon-reload"));
	must(ARGS("/bin/systemctl", "set-property", "--runtime", SLICE, "MemoryMax=" LIMIT));
}

static void rule_for(const char *name, const char *units)
{
	char text[256];

	snprintf(text, sizeof(text), "rules:\n- name: %s\n  match: {unit: \"%s\"}\n  priority: -100\n",
		 name, units);
	ruled_write(RULES, text);
}

/* ---- two services run out of memory ---------------------------------------------------------- */

/*
 * A service that holds so much; with `grows`, as much again when it is told to. Its memory is
 * tail's, which keeps what it has read until its input ends, and that never does.
 */
static void start_unit(const char *name, unsigned int mib, bool grows, const char *preference)
{
	char unit[64], script[256], managed[64];

	snprintf(unit, sizeof(unit), "--unit=%s", name);
	snprintf(managed, sizeof(managed), "-pManagedOOMPreference=%s", preference);
	snprintf(script, sizeof(script),
		 "{ head -c %um /dev/zero; %s cat <>" DIR "/never; } | tail -c %um >/dev/null", mib,
		 grows ? "cat <" DIR "/go; head -c 40m /dev/zero;" : "", 2 * mib);
	must(ARGS("/usr/bin/systemd-run", unit, "--slice=" SLICE, managed, "/bin/sh", "-c", script));
}

struct size {
	const char *cgroup;
	unsigned int mib;
};

static bool holds(void *arg)
{
	const struct size *s = arg;

	return cgroup_number(s->cgroup, "memory.current") >= (int64_t)s->mib << 20;
}

static void expect_size(const char *cgroup, unsigned int mib)
{
	struct size s = { cgroup, mib };

	if (!suite_wait(holds, &s, SUITE_STEP_MS))
		suite_fail("expected %s to have %u MiB, it has %lld bytes", cgroup, mib,
			   (long long)cgroup_number(cgroup, "memory.current"));
}

static bool gone_on(void *arg)
{
	int fd = open(DIR "/go", O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	(void)arg;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The last kill that oomx tells of was in this cgroup, by this rule (NULL: by none). */
static void expect_told(const char *cgroup, const char *rule)
{
	const struct command_result *r = command_run_oomx(ARGS("events", "--json"));
	const char *type, *got = "", *its = "", *line;
	json_t *o = NULL, *kill = NULL;

	for (line = r->out; *line; line += strcspn(line, "\n") + 1) {
		o = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
		type = json_string_value(json_object_get(o, "type"));
		if (type && !strcmp(type, "kill")) {
			json_decref(kill);
			kill = json_incref(o);
		}
		json_decref(o);
		if (!line[strcspn(line, "\n")])
			break;
	}
	got = json_string_value(json_object_get(json_object_get(kill, "victim"), "cgroup"));
	its = json_string_value(json_object_get(kill, "rule_name"));
	if (!got || strcmp(got, cgroup) || strcmp(its ? its : "", rule ? rule : ""))
		suite_fail("expected a kill in %s by rule %s, got %s by %s", cgroup,
			   rule ? rule : "(none)", got ? got : "none", its ? its : "(none)");
	json_decref(kill);
}

/*
 * db, the larger one, grows beyond their slice's limit: the other one dies, and systemd has it of
 * the kernel that this was an OOM.
 */
static void play_oom(const char *other, const char *preference, const char *rule)
{
	char cgroup[CGROUP_PATH_LEN], unit[64];

	snprintf(unit, sizeof(unit), "%s.service", other);
	snprintf(cgroup, sizeof(cgroup), "/" SLICE "/%s", unit);
	start_unit("db", DB_MIB, true, preference);
	start_unit(other, OTHER_MIB, false, "none");
	expect_size("/" SLICE "/db.service", DB_MIB);
	expect_size(cgroup, OTHER_MIB);
	if (!suite_wait(gone_on, NULL, SUITE_STEP_MS))
		suite_fatal("nobody reads " DIR "/go");
	expect(unit, "Result", "oom-kill");
	expect_size("/" SLICE "/db.service", 2 * DB_MIB);
	expect("db.service", "ActiveState", "active");
	if (cgroup_event("/" SLICE, "oom_kill") < 1)
		suite_fail("memory.events of " SLICE " has no oom_kill");
	expect_told(cgroup, rule);
	control("stop", "db.service");
	control("reset-failed", unit);
}

/* ---- cases ----------------------------------------------------------------------------------- */

/* No waiting: what systemctl says is started is in force. */
static void play_start(void)
{
	const struct command_result *r;
	char wanted[64];
	pid_t pid;

	control("start", "oomx");
	r = command_run_oomx(ARGS("status"));
	if (r->exit)
		suite_fail("started, but oomx status exits with %d: %s", r->exit, r->err);
	pid = atoi(property("oomx", "MainPID"));
	if (proc_oom_score_adj(pid) != -1000)
		suite_fail("expected oom_score_adj -1000 of process %d, it has %d", pid,
			   proc_oom_score_adj(pid));
	snprintf(wanted, sizeof(wanted), "hook %s, policy priority", hook);
	if (!strstr(property("oomx", "StatusText"), wanted) ||
	    !strstr(property("oomx", "StatusText"), ", enforcing"))
		suite_fail("its status is '%s'", property("oomx", "StatusText"));
	expect("oomx", "NRestarts", "0");
}

/* It goes by the other hook where it may choose, and is not tried again where it may not. */
static void play_without_right(void)
{
	set_options("auto");
	control("start", "oomx");
	if (!strstr(property("oomx", "StatusText"), "hook nominate"))
		suite_fail("its status is '%s'", property("oomx", "StatusText"));
	control("stop", "oomx");
	set_options("struct_ops");
	if (!systemctl("start", "oomx", NULL)->exit)
		suite_fail("expected systemctl start to fail");
	expect("oomx", "ActiveState", "failed");
	expect("oomx", "ExecMainStatus", NOT_PERMITTED);
	expect("oomx", "NRestarts", "0");
	install_file("kernel-module.conf", MODULE_CONF);
	must(ARGS("/bin/systemctl", "daemon-reload"));
}

static void play_by_name(void)
{
	play_oom("batch-1", "none", "batch");
}

/* Nobody has a rule, and the kernel's own choice would be db. */
static void play_preference(void)
{
	play_oom("other", "omit", NULL);
}

static void play_reload(void)
{
	rule_for("late", "late-*.service");
	control("reload", "oomx");
	play_oom("late-1", "none", "late");
}

static bool another(void *arg)
{
	pid_t pid = atoi(property("oomx", "MainPID"));

	return pid > 0 && pid != *(pid_t *)arg && !command_run_oomx(ARGS("status"))->exit;
}

/* Its ExecStopPost is over as well then. */
static bool another_result(void *arg)
{
	(void)arg;
	return strcmp(property("oomx", "NRestarts"), "0");
}

static void play_killed(void)
{
	pid_t pid = atoi(property("oomx", "MainPID"));

	if (pid <= 0 || kill(pid, SIGKILL))
		suite_fatal("no process %d", pid);
	if (!suite_wait(another_result, NULL, SUITE_STEP_MS))
		suite_fail("systemd does not see that it was killed");
	if (outlives && access(LINKS_DIR, F_OK))
		suite_fail("expected its policy to stay in force until the next one takes over");
	if (!suite_wait(another, &pid, SUITE_START_MS))
		suite_fail("expected it to be started again: %s", property("oomx", "ActiveState"));
	expect("oomx", "NRestarts", "1");
	play_oom("late-2", "none", "late");
}

/* Started again and again it would fail again and again. */
static void play_mistake(void)
{
	ruled_write(RULES, "rules:\n- name: wrong\n  match: {unit: x}\n  priorty: 5\n");
	if (!systemctl("restart", "oomx", NULL)->exit)
		suite_fail("expected systemctl restart to fail");
	expect("oomx", "ActiveState", "failed");
	expect("oomx", "ExecMainStatus", BAD_RULES);
	expect("oomx", "NRestarts", "0");
	rule_for("batch", "batch-*.service");
	control("start", "oomx");
	play_oom("batch-2", "none", "batch");
}

static struct bpf_count before;

static bool nothing_left(void *arg)
{
	struct bpf_count now;

	(void)arg;
	bpf_count(&now);
	return access("/sys/fs/bpf/oomx", F_OK) && bpf_count_equal(&now, &before);
}

static void play_stop(void)
{
	control("stop", "oomx");
	expect("oomx", "ActiveState", "inactive");
	if (!suite_wait(nothing_left, NULL, SUITE_STEP_MS))
		suite_fail("expected nothing of it to be left");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*play)(void);
	} cases[] = {
		{ "start", play_start },     { "by name", play_by_name },
		{ "preference", play_preference }, { "reload", play_reload },
		{ "killed", play_killed },   { "mistake", play_mistake },
		{ "stop", play_stop },
	};
	struct suite_options o = { .runs = 1 };
	unsigned int run;
	size_t i;

	suite_begin("systemd", argc, argv, &o);
	if (access("/run/systemd/system", F_OK)) {
		suite_skip("there is no systemd on the host, or it is not PID 1 (tests/vm/README.md)");
		return suite_end();
	}
	hook = o.hook;
	outlives = !strcmp(hook, "struct_ops");
	install();
	bpf_count(&before);
	rule_for("batch", "batch-*.service");
	if (outlives) {
		suite_run_begin("without CAP_SYS_ADMIN", 1);
		play_without_right();
		suite_run_end();
	}
	for (run = 1; run <= o.runs; run++) {
		rule_for("batch", "batch-*.service");
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			suite_run_begin(cases[i].name, run);
			cases[i].play();
			suite_run_end();
		}
	}
	return suite_end();
}
