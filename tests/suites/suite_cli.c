// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_cli - bad input, bad luck and bad manners: each ends with the documented exit status and
 * a short explanation, and leaves the machine as it was.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
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
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/scene.h"
#include "lib/suite.h"

#define PIN_DIR "/sys/fs/bpf/oomx"
#define RAISED_PIN PIN_DIR "/oomx_raised"
#define NOBODY 65534
#define ERROR_LINES_MAX 25

/* Documented in the manual page (user/exit.h): scripts branch on them. */
enum { OK = 0, FAILURE, USAGE, NOT_PERMITTED, UNFIT, REFUSED, ALREADY, NOT_RUNNING, BAD_RULES };

/* ---- the machine is as before --------------------------------------------------------------- */

static struct {
	struct bpf_count bpf;
	struct proc_census census;
	char what[160];
} before;

static void remember(void)
{
	bpf_count(&before.bpf);
	proc_census(&before.census);
}

/* Processes of the oomx under test, by their executable. */
static unsigned int count_oomx(void)
{
	char path[64], exe[PATH_MAX], ours[PATH_MAX];
	unsigned int n = 0;
	struct dirent *d;
	ssize_t len;
	DIR *dir;

	if (!realpath(command_oomx(), ours))
		suite_fatal("%s: %s", command_oomx(), strerror(errno));
	dir = opendir("/proc");
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/exe", d->d_name);
		len = readlink(path, exe, sizeof(exe) - 1);
		if (len < 0)
			continue;
		exe[len] = '\0';
		n += !strcmp(exe, ours);
	}
	if (dir)
		closedir(dir);
	return n;
}

static bool pins_left(void)
{
	struct dirent *d;
	bool found = false;
	DIR *dir = opendir(PIN_DIR);

	while (dir && (d = readdir(dir)))
		found |= d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

/* BPF objects go after a grace period, so this is waited for. */
static bool as_before(void *arg)
{
	struct bpf_count now;
	unsigned int n = count_oomx();

	(void)arg;
	bpf_count(&now);
	before.what[0] = '\0';
	if (n)
		snprintf(before.what, sizeof(before.what), "%u processes of oomx", n);
	else if (pins_left())
		snprintf(before.what, sizeof(before.what), "files in " PIN_DIR);
	else if (!bpf_count_equal(&now, &before.bpf))
		snprintf(before.what, sizeof(before.what),
			 "%u programs, %u maps, %u links; before %u, %u, %u", now.programs,
			 now.maps, now.links, before.bpf.programs, before.bpf.maps,
			 before.bpf.links);
	else
		return proc_census_holds(&before.census, NULL, 0, before.what,
					 sizeof(before.what));
	return false;
}

static void expect_as_before(void)
{
	if (!suite_wait(as_before, NULL, SUITE_STEP_MS))
		suite_fail("expected the machine as before; left: %s", before.what);
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- one command ---------------------------------------------------------------------------- */

static void show(const struct command_result *r)
{
	if (r->exit == COMMAND_TIMED_OUT)
		suite_fail("it did not end, and was killed");
	suite_fail("stdout: %.400s", r->out);
	suite_fail("stderr: %.1200s", r->err);
}

/* Expects an exit status, an explanation on stderr and only there, and no more than a screen. */
static void expect_error(const struct command_result *r, int exit)
{
	unsigned int lines = command_lines(r->err);

	if (r->exit != exit)
		suite_fail("expected exit status %d, got %d", exit, r->exit);
	if (!lines || lines > ERROR_LINES_MAX)
		suite_fail("expected 1 to %d lines on stderr, got %u", ERROR_LINES_MAX, lines);
	if (r->out[0])
		suite_fail("expected nothing on stdout");
	if (suite_run_failed())
		show(r);
}

static void case_error(const char *name, int exit, unsigned int uid, const char *const args[])
{
	const char *argv[COMMAND_ARGS_MAX + 1] = { command_oomx() };
	const struct command_result *r;
	size_t n;

	for (n = 0; args[n]; n++)
		argv[n + 1] = args[n];
	suite_run_begin(name, 1);
	remember();
	r = command_run(argv, uid, SUITE_START_MS);
	expect_error(r, exit);
	/* One that should have been refused and runs instead must not spoil the other cases. */
	if (r->exit == COMMAND_TIMED_OUT)
		command_run_oomx(ARGS("stop"));
	expect_as_before();
	suite_run_end();
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void cases_usage(void)
{
	static char long_name[5000];
	const char *const *const bad[] = {
		ARGS("nonsense"),
		ARGS("--nonsense"),
		ARGS(""),
		ARGS("run", "--nonsense"),
		ARGS("run", "surplus"),
		ARGS("run", "--policy"),
		ARGS("run", "--policy", ""),
		ARGS("run", "--policy", "no-such-policy"),
		ARGS("run", "--hook", "nonsense"),
		ARGS("run", "--hook", ""),
		ARGS("run", "--priority", ""),
		ARGS("run", "--priority", "/t"),
		ARGS("run", "--priority", "/t="),
		ARGS("run", "--priority", "=5"),
		ARGS("run", "--priority", "/t=five"),
		ARGS("run", "--priority", "/t=1001"),
		ARGS("run", "--priority", "/t=-1001"),
		ARGS("run", "--priority", "/t=99999999999999999999"),
		ARGS("run", "--priority", "/t=5x"),
		ARGS("priority"),
		ARGS("priority", "nonsense"),
		ARGS("priority", "set"),
		ARGS("priority", "set", "/t"),
		ARGS("priority", "set", "/t", "many"),
		ARGS("priority", "get"),
		ARGS("score", "--cgroup"),
		ARGS("score", "surplus"),
		ARGS("events", "surplus"),
		ARGS("status", "--nonsense"),
		ARGS("stop", "surplus"),
		ARGS("doctor", "--nonsense"),
		ARGS("run", "--rules"),
		ARGS("run", "--rules", "/tmp", "--no-rules"),
		ARGS("check-config", "--nonsense"),
		ARGS("rules"),
		ARGS("rules", "test"),
		ARGS("explain"),
		ARGS(long_name),
		ARGS("run", "--policy", "\x1b[31mred\xff"),
	};
	const char *const none[] = { NULL };
	char name[64];
	size_t i, j;

	memset(long_name, 'x', sizeof(long_name) - 1);
	case_error("usage: no arguments", USAGE, 0, none);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "usage:");
		for (j = 0; bad[i][j] && strlen(name) < 50; j++)
			snprintf(name + strlen(name), sizeof(name) - strlen(name), " '%.20s'",
				 bad[i][j]);
		case_error(name, USAGE, 0, bad[i]);
	}
}

static void cases_help(void)
{
	static const char *const commands[] = { "run", "stop", "events", "status", "score",
						"priority", "doctor", "explain", "rules",
						"check-config", "demo" };
	const struct command_result *r;
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]) + 1; i++) {
		suite_run_begin(i ? commands[i - 1] : "--help", 1);
		r = i ? command_run_oomx(ARGS(commands[i - 1], "--help")) :
			command_run_oomx(ARGS("--help"));
		if (r->exit != OK || !r->out[0] || r->err[0]) {
			suite_fail("expected --help on stdout and exit status 0, got %d", r->exit);
			show(r);
		}
		suite_run_end();
	}
}

static void cases_unprivileged(void)
{
	case_error("unprivileged: run", NOT_PERMITTED, NOBODY, ARGS("run"));
	case_error("unprivileged: run --enforce", NOT_PERMITTED, NOBODY, ARGS("run", "--enforce"));
	case_error("unprivileged: stop", NOT_PERMITTED, NOBODY, ARGS("stop"));
	case_error("unprivileged: score", NOT_PERMITTED, NOBODY, ARGS("score"));
	case_error("unprivileged: explain", NOT_PERMITTED, NOBODY, ARGS("explain", "1"));
	case_error("unprivileged: doctor", NOT_PERMITTED, NOBODY, ARGS("doctor"));
	case_error("unprivileged: demo", NOT_PERMITTED, NOBODY, ARGS("demo", "--i-know"));
}

/* The first `bytes` of a file, or of a text, under a name in /tmp. */
static const char *make_file(const char *name, const char *from, const char *text, size_t bytes)
{
	static char path[PATH_MAX];
	static char buf[65536];
	ssize_t n = 0;
	int fd;

	if (from) {
		fd = open(from, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, buf, bytes < sizeof(buf) ? bytes : sizeof(buf));
		if (n < 0)
			suite_fatal("%s: %s", from, strerror(errno));
		close(fd);
	} else {
		n = (ssize_t)bytes;
		memcpy(buf, text, bytes);
	}
	snprintf(path, sizeof(path), "/tmp/%s", name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, buf, (size_t)n) != n)
		suite_fatal("%s: %s", path, strerror(errno));
	close(fd);
	return path;
}

static void cases_rules(void)
{
	static const char bad[] = "rules:\n- match: {cgroup: /a}\n  priorty: 5\n";
	const char *path = make_file("bad.yaml", NULL, bad, sizeof(bad) - 1);

	case_error("rules: a mistake, check-config", BAD_RULES, 0, ARGS("check-config", path));
	case_error("rules: a mistake, run", BAD_RULES, 0, ARGS("run", "--rules", path));
	case_error("rules: none there", BAD_RULES, 0, ARGS("run", "--rules", "/nonexistent"));
	case_error("rules: a directory without any", BAD_RULES, 0, ARGS("run", "--rules", "/usr"));
}

static void cases_not_running(void)
{
	case_error("none runs: events", NOT_RUNNING, 0, ARGS("events"));
	case_error("none runs: events --follow", NOT_RUNNING, 0, ARGS("events", "--follow"));
	case_error("none runs: status", NOT_RUNNING, 0, ARGS("status"));
	case_error("none runs: status --json", NOT_RUNNING, 0, ARGS("status", "--json"));
	case_error("none runs: stop", NOT_RUNNING, 0, ARGS("stop"));
	case_error("none runs: priority set", NOT_RUNNING, 0, ARGS("priority", "set", "/", "5"));
	case_error("none runs: priority list", NOT_RUNNING, 0, ARGS("priority", "list"));
}

/* ---- policies ------------------------------------------------------------------------------- */

static const char *policy_path(const char *name)
{
	static char path[2][PATH_MAX];
	static unsigned int turn;
	const char *dir = getenv("OOMX_POLICIES");
	char *p = path[turn++ % 2];

	snprintf(p, PATH_MAX, "%s/%s.bpf.o", dir ? dir : "build/tests/policies", name);
	return p;
}

static void case_policy(const char *name, const char *path)
{
	char label[64];

	snprintf(label, sizeof(label), "policy: %s", name);
	case_error(label, REFUSED, 0, ARGS("run", "--policy", path));
}

static void cases_policy_files(void)
{
	static const char text[] = "OOMX_POLICY(text) { return 1; }\n";
	const char *good = policy_path("good");
	struct stat st;
	size_t cut;
	char name[32];

	if (stat(good, &st))
		suite_fatal("%s: %s", good, strerror(errno));
	case_policy("text file", make_file("text.bpf.o", NULL, text, sizeof(text) - 1));
	case_policy("empty file", make_file("empty.bpf.o", NULL, "", 0));
	case_policy("x86 program", "/bin/true");
	case_policy("device without an end", "/dev/zero");
	case_policy("directory", "/usr/lib/");
	for (cut = 1; cut < 10; cut++) {
		snprintf(name, sizeof(name), "%zu tenths of a file", cut);
		case_policy(name, make_file("cut.bpf.o", good, NULL,
					    (size_t)st.st_size * cut / 10));
	}
}

static void cases_hostile_policies(void)
{
	static const char *const names[] = { "out_of_bounds", "writes_facts", "endless",
					     "wrong_abi", "long_facts", "no_note", "stowaway",
					     "own_map", "licence", "recursion", "helper" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		case_policy(names[i], policy_path(names[i]));
}

static void case_good_policy(void)
{
	suite_run_begin("policy: a stranger's good one", 1);
	remember();
	daemon_start(ARGS("--policy", policy_path("good")));
	daemon_stop();
	expect_as_before();
	suite_run_end();
}

/* ---- while one runs ------------------------------------------------------------------------- */

static void expect_json(const char *const args[])
{
	const struct command_result *r = command_run_oomx(args);
	json_t *o = json_loads(r->out, 0, NULL);

	if (r->exit != OK || !o) {
		suite_fail("expected JSON and exit status 0 of oomx %s, got %d", args[0], r->exit);
		show(r);
	}
	json_decref(o);
}

static void case_second(void)
{
	suite_run_begin("a second one", 1);
	remember();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	expect_error(command_run_oomx(ARGS("run")), ALREADY);
	expect_error(command_run_oomx(ARGS("run", "--enforce", "--json")), ALREADY);
	if (!daemon_running())
		suite_fail("the first has ended by it");
	expect_json(ARGS("status", "--json"));
	daemon_stop();
	expect_as_before();
	suite_run_end();
}

/* Of each program that the running oomx has attached, and of nobody else's. */
static void expect_misses(void)
{
	const struct command_result *r = command_run_oomx(ARGS("status", "--json"));
	json_t *o = json_loads(r->out, 0, NULL), *v;
	const json_t *misses = json_object_get(o, "recursion_misses");
	const char *name;

	if (json_object_size(misses) < 10 ||
	    !json_is_integer(json_object_get(misses, "ox_oom_enter")))
		suite_fail("expected a number for each program, got: %.400s", r->out);
	json_object_foreach((json_t *)misses, name, v)
		if (strncmp(name, "ox_", 3) || !json_is_integer(v))
			suite_fail("expected a number of oomx's own program, got %s", name);
	json_decref(o);
}

static void case_answers(void)
{
	suite_run_begin("answers while it runs", 1);
	remember();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	expect_json(ARGS("status", "--json"));
	expect_misses();
	expect_json(ARGS("doctor", "--json"));
	expect_json(ARGS("score", "--json"));
	expect_error(command_run_oomx(ARGS("priority", "set", "/t", "-7")), FAILURE);
	cgroup_make("/t");
	if (command_run_oomx(ARGS("priority", "set", "/t", "-7"))->exit != OK ||
	    !strstr(command_run_oomx(ARGS("priority", "get", "/t"))->out, "-7") ||
	    !strstr(command_run_oomx(ARGS("priority", "list"))->out, "/t"))
		suite_fail("expected priority set, get and list to agree on /t and -7");
	if (command_run_oomx(ARGS("priority", "rm", "/t"))->exit != OK ||
	    strstr(command_run_oomx(ARGS("priority", "list"))->out, "/t"))
		suite_fail("expected priority rm to take /t off the list");
	cgroup_remove("/t");
	daemon_stop();
	expect_as_before();
	suite_run_end();
}

static bool ended(void *arg)
{
	(void)arg;
	return !daemon_running();
}

static void case_stop(void)
{
	const struct command_result *r;

	suite_run_begin("stop", 1);
	remember();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	r = command_run_oomx(ARGS("stop"));
	if (r->exit != OK) {
		suite_fail("expected exit status 0 of oomx stop, got %d", r->exit);
		show(r);
	}
	if (!suite_wait(ended, NULL, SUITE_STEP_MS))
		suite_fail("expected the daemon to end");
	daemon_abandon();
	expect_as_before();
	suite_run_end();
}

/* ---- after a sudden death ------------------------------------------------------------------- */

static void stop_the_dead(void)
{
	const struct command_result *r = command_run_oomx(ARGS("stop"));

	/* Its pinned maps outlive it, so there is something to undo; after that, nothing. */
	if (r->exit != OK) {
		suite_fail("expected exit status 0 of oomx stop, got %d", r->exit);
		show(r);
	}
	expect_error(command_run_oomx(ARGS("stop")), NOT_RUNNING);
}

static void case_killed(void)
{
	suite_run_begin("killed, then stop", 1);
	remember();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	daemon_kill();
	stop_the_dead();
	expect_as_before();
	suite_run_end();
}

static void case_killed_then_run(void)
{
	suite_run_begin("killed, then run", 1);
	remember();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	daemon_kill();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	daemon_stop();
	expect_as_before();
	suite_run_end();
}

/* As a daemon leaves it that dies between raising a value and putting it back. */
static void case_killed_while_raised(void)
{
	const struct worker_spec spec = { .comm = "raised", .adj = 17 };
	struct oomx_raised raised = { .old_adj = 17, .set_adj = OOMX_ADJ_RAISED };
	struct worker *w;
	uint32_t pid;
	char path[64];
	int err;

	suite_run_begin("killed with a value raised, then stop", 1);
	w = worker_start(&spec);
	worker_wait_ready(w);
	remember();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	pid = (uint32_t)worker_pid(w);
	raised.start_ns = proc_start_ns(worker_pid(w));
	raised.ktime_ns = suite_now_ns();
	err = bpf_map_put(RAISED_PIN, &pid, &raised);
	if (err)
		suite_fail("cannot write to " RAISED_PIN ": %s", strerror(-err));
	daemon_kill();
	snprintf(path, sizeof(path), "/proc/%u/oom_score_adj", pid);
	if (!err && proc_write(path, "1000"))
		suite_fail("cannot write to %s", path);
	stop_the_dead();
	expect_as_before();
	worker_end(w);
	suite_run_end();
}

/* oomx dead or dying, the kernel still decides: somebody dies once, and memory is there again. */
static void case_killed_then_oom(bool global)
{
	static struct scene s;
	bool lp;

	suite_run_begin(global ? "killed, then a global OOM" : "killed, then a memcg OOM", 1);
	scene_open(&s, global, 1);
	remember();
	daemon_start(ARGS("--enforce", "--policy", "priority", "--priority", SCENE_LP "=-100"));
	daemon_kill();
	if (scene_play(&s)) {
		lp = worker_killed(s.lp);
		scene_expect_victim(&s, lp ? s.lp : s.hp);
	}
	scene_clear(&s);
	stop_the_dead();
	expect_as_before();
	scene_close(&s);
	suite_run_end();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 1, .domains = SUITE_DOMAIN_BOTH };
	unsigned int run;

	suite_begin("cli", argc, argv, &o);
	for (run = 0; run < o.runs; run++) {
		cases_help();
		cases_usage();
		cases_unprivileged();
		cases_not_running();
		cases_rules();
		cases_policy_files();
		cases_hostile_policies();
		suite_times("errors");
		case_good_policy();
		case_second();
		case_answers();
		case_stop();
		case_killed();
		case_killed_then_run();
		case_killed_while_raised();
		case_killed_then_oom(false);
		case_killed_then_oom(true);
		suite_times("running");
	}
	return suite_end();
}
