// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_cli - bad input, bad luck and bad manners: each ends with the documented exit status and
 * a short explanation, and leaves the machine as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
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
	cli_case_error("usage: no arguments", USAGE, 0, none);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "usage:");
		for (j = 0; bad[i][j] && strlen(name) < 50; j++)
			snprintf(name + strlen(name), sizeof(name) - strlen(name), " '%.20s'",
				 bad[i][j]);
		cli_case_error(name, USAGE, 0, bad[i]);
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
		cli_begin(i ? commands[i - 1] : "--help");
		r = i ? command_run_oomx(ARGS(commands[i - 1], "--help")) :
			command_run_oomx(ARGS("--help"));
		if (r->exit != OK || !r->out[0] || r->err[0]) {
			suite_fail("expected --help on stdout and exit status 0, got %d", r->exit);
			cli_show(r);
		}
		suite_run_end();
	}
}

static void cases_unprivileged(void)
{
	cli_case_error("unprivileged: run", NOT_PERMITTED, NOBODY, ARGS("run"));
	cli_case_error("unprivileged: run --enforce", NOT_PERMITTED, NOBODY, ARGS("run", "--enforce"));
	cli_case_error("unprivileged: stop", NOT_PERMITTED, NOBODY, ARGS("stop"));
	cli_case_error("unprivileged: score", NOT_PERMITTED, NOBODY, ARGS("score"));
	cli_case_error("unprivileged: explain", NOT_PERMITTED, NOBODY, ARGS("explain", "1"));
	cli_case_error("unprivileged: doctor", NOT_PERMITTED, NOBODY, ARGS("doctor"));
	cli_case_error("unprivileged: demo", NOT_PERMITTED, NOBODY, ARGS("demo", "--i-know"));
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

/* Says what there is to say, and that it is not all. */
static void case_explain_mistake(const char *rules)
{
	const struct command_result *r;

	cli_begin("rules: a mistake, explain");
	cli_remember();
	r = command_run_oomx(ARGS("explain", "--rules", rules, "1"));
	if (r->exit != BAD_RULES || !strstr(r->out, "process 1\n") || !strstr(r->err, rules)) {
		suite_fail("expected process 1, the mistake and exit status %d, got %d", BAD_RULES,
			   r->exit);
		cli_show(r);
	}
	cli_expect_as_before();
	suite_run_end();
}

static void cases_rules(void)
{
	static const char bad[] = "rules:\n- match: {cgroup: /a}\n  priorty: 5\n";
	const char *path = make_file("bad.yaml", NULL, bad, sizeof(bad) - 1);

	cli_case_error("rules: a mistake, check-config", BAD_RULES, 0, ARGS("check-config", path));
	cli_case_error("rules: a mistake, run", BAD_RULES, 0, ARGS("run", "--rules", path));
	cli_case_error("rules: none there", BAD_RULES, 0, ARGS("run", "--rules", "/nonexistent"));
	case_explain_mistake(path);
	cli_case_error("rules: a directory without any", BAD_RULES, 0, ARGS("run", "--rules", "/usr"));
}

static void cases_not_running(void)
{
	cli_case_error("none runs: events", NOT_RUNNING, 0, ARGS("events"));
	cli_case_error("none runs: events --follow", NOT_RUNNING, 0, ARGS("events", "--follow"));
	cli_case_error("none runs: status", NOT_RUNNING, 0, ARGS("status"));
	cli_case_error("none runs: status --json", NOT_RUNNING, 0, ARGS("status", "--json"));
	cli_case_error("none runs: stop", NOT_RUNNING, 0, ARGS("stop"));
	cli_case_error("none runs: priority set", NOT_RUNNING, 0, ARGS("priority", "set", "/", "5"));
	cli_case_error("none runs: priority list", NOT_RUNNING, 0, ARGS("priority", "list"));
}

/*
 * One that is just starting has the lock and has not said yet who it is: what is there is its, and
 * left alone.
 */
static void case_stop_at_start(void)
{
	const char *socket = "/run/oomx/events.sock";
	int lock, fd;

	mkdir("/run/oomx", 0755);
	lock = open("/run/oomx/lock", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fd = open(socket, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || fd < 0 || flock(lock, LOCK_EX | LOCK_NB))
		suite_fatal("/run/oomx: %s", strerror(errno));
	cli_case_error("stop while another starts", ALREADY, 0, ARGS("stop"));
	cli_begin("stop while another starts: its socket");
	if (access(socket, F_OK))
		suite_fail("expected it to stay: %s", strerror(errno));
	suite_run_end();
	unlink(socket);
	close(fd);
	close(lock);
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
	cli_case_error(label, REFUSED, 0, ARGS("run", "--policy", path));
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
	if (mkfifo("/tmp/fifo.bpf.o", 0600))
		suite_fatal("/tmp/fifo.bpf.o: %s", strerror(errno));
	case_policy("FIFO that nobody writes to", "/tmp/fifo.bpf.o");
	(void)unlink("/tmp/fifo.bpf.o");
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
	cli_begin("policy: a stranger's good one");
	cli_remember();
	daemon_start(ARGS("--policy", policy_path("good")));
	daemon_stop();
	cli_expect_as_before();
	suite_run_end();
}

/* ---- while one runs ------------------------------------------------------------------------- */

static void expect_json(const char *const args[])
{
	const struct command_result *r = command_run_oomx(args);
	json_t *o = json_loads(r->out, 0, NULL);

	if (r->exit != OK || !o) {
		suite_fail("expected JSON and exit status 0 of oomx %s, got %d", args[0], r->exit);
		cli_show(r);
	}
	json_decref(o);
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

/* Refused, and no harm to the first. */
static void expect_no_second(void)
{
	cli_expect_error(command_run_oomx(ARGS("run")), ALREADY);
	cli_expect_error(command_run_oomx(ARGS("run", "--enforce", "--json")), ALREADY);
	if (!daemon_running())
		suite_fail("the first has ended by it");
}

static void expect_priorities(void)
{
	cli_expect_error(command_run_oomx(ARGS("priority", "set", "/t", "-7")), FAILURE);
	cgroup_make("/t");
	if (command_run_oomx(ARGS("priority", "set", "/t", "-7"))->exit != OK ||
	    !strstr(command_run_oomx(ARGS("priority", "get", "/t"))->out, "-7") ||
	    !strstr(command_run_oomx(ARGS("priority", "list"))->out, "/t"))
		suite_fail("expected priority set, get and list to agree on /t and -7");
	if (command_run_oomx(ARGS("priority", "rm", "/t"))->exit != OK ||
	    strstr(command_run_oomx(ARGS("priority", "list"))->out, "/t"))
		suite_fail("expected priority rm to take /t off the list");
	cgroup_remove("/t");
}

static bool ended(void *arg)
{
	(void)arg;
	return !daemon_running();
}

static void expect_stops(void)
{
	const struct command_result *r = command_run_oomx(ARGS("stop"));

	if (r->exit != OK) {
		suite_fail("expected exit status 0 of oomx stop, got %d", r->exit);
		cli_show(r);
	}
	if (!suite_wait(ended, NULL, SUITE_STEP_MS))
		suite_fail("expected the daemon to end");
	daemon_abandon();
}

/* One daemon for all of it: starting one is what takes long in an emulated guest. */
static void case_running(void)
{
	cli_begin("while one runs");
	cli_remember();
	daemon_start(ARGS("--enforce", "--policy", "priority"));
	expect_no_second();
	expect_json(ARGS("status", "--json"));
	expect_misses();
	expect_json(ARGS("doctor", "--json"));
	expect_json(ARGS("score", "--json"));
	expect_priorities();
	expect_no_second();
	expect_stops();
	cli_expect_as_before();
	suite_run_end();
}

/* ---- while nobody reads what it says -------------------------------------------------------- */

#define UNREAD "/tmp/unread"

/* A pipe without any room; nobody reads it, but it has a reader. */
static int open_unread(void)
{
	static const char filler[4096];
	int fd;

	(void)unlink(UNREAD);
	fd = mkfifo(UNREAD, 0600) ? -1 : open(UNREAD, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		suite_fatal(UNREAD ": %s", strerror(errno));
	while (write(fd, filler, sizeof(filler)) > 0)
		;
	return fd;
}

static bool feeds(void *arg)
{
	(void)arg;
	suite_sleep(500); /* each look takes from the time that starting oomx takes */
	return command_run_oomx(ARGS("events"))->exit == OK;
}

static void case_unread(void)
{
	char script[PATH_MAX + 64];
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const struct command_result *r;
	int fd = open_unread();

	cli_begin("while nobody reads what it says");
	cli_remember();
	snprintf(script, sizeof(script), "exec %s run --json --enforce >" UNREAD " 2>&1 &",
		 command_oomx());
	command_run(argv, 0, SUITE_START_MS);
	if (!suite_wait(feeds, NULL, SUITE_START_MS))
		suite_fail("expected it to hand out events all the same");
	r = command_run_oomx(ARGS("stop"));
	if (r->exit != OK || r->err[0]) {
		suite_fail("expected it to end when it is told to, oomx stop exits with %d", r->exit);
		cli_show(r);
	}
	cli_expect_as_before();
	close(fd);
	unlink(UNREAD);
	suite_run_end();
}

/* ---- after a sudden death ------------------------------------------------------------------- */

static void stop_the_dead(void)
{
	const struct command_result *r = command_run_oomx(ARGS("stop"));

	/* Its pinned maps outlive it, so there is something to undo; after that, nothing. */
	if (r->exit != OK) {
		suite_fail("expected exit status 0 of oomx stop, got %d", r->exit);
		cli_show(r);
	}
	cli_expect_error(command_run_oomx(ARGS("stop")), NOT_RUNNING);
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

	cli_begin("killed with a value raised, then stop");
	w = worker_start(&spec);
	worker_wait_ready(w);
	cli_remember();
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
	cli_expect_as_before();
	worker_end(w);
	suite_run_end();
}

/* With oomx dead the kernel's own choice dies, once. Then oomx is run again, or stopped. */
static void case_killed_then_oom(bool global, bool run_again)
{
	static struct scene s;
	char name[64];

	snprintf(name, sizeof(name), "killed, then a %s OOM, then %s", global ? "global" : "memcg",
		 run_again ? "run" : "stop");
	cli_begin(name);
	scene_open(&s, global, 1);
	cli_remember();
	daemon_start(ARGS("--enforce", "--policy", "priority", "--priority", SCENE_LP "=-100"));
	daemon_kill();
	cli_expect_detached();
	if (scene_play(&s))
		scene_expect_victim(&s, s.hp);
	scene_clear(&s);
	if (run_again) {
		daemon_start(ARGS("--enforce", "--policy", "priority"));
		daemon_stop();
	} else {
		stop_the_dead();
	}
	cli_expect_as_before();
	scene_close(&s);
	suite_run_end();
}

static void cases_errors(void)
{
	cases_help();
	cases_usage();
	cases_unprivileged();
	cases_not_running();
	case_stop_at_start();
	cases_rules();
	cases_policy_files();
	cases_hostile_policies();
}

static void case_memcg(void)
{
	case_killed_then_oom(/* global= */ false, /* run_again= */ true);
}

static void case_global(void)
{
	case_killed_then_oom(/* global= */ true, /* run_again= */ false);
}

/* --only takes "errors", which are as many commands, or "running", or the name of one of those. */
int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*play)(void);
	} parts[] = {
		{ "errors", cases_errors },
		{ "doctor", cli_doctor },
		{ "settings", cli_settings },
		{ "good-policy", case_good_policy },
		{ "commands", case_running },
		{ "unread", case_unread },
		{ "raised", case_killed_while_raised },
		{ "memcg", case_memcg },
		{ "global", case_global },
	};
	struct suite_options o = { .runs = 1, .domains = SUITE_DOMAIN_BOTH };
	unsigned int run, played = 0;
	size_t i;

	suite_begin("cli", argc, argv, &o);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (o.only && strcmp(o.only, parts[i].name) &&
		    (strcmp(o.only, "running") || !strcmp(parts[i].name, "errors")))
			continue;
		for (run = 1; run <= o.runs; run++) {
			cli_set_run(run);
			parts[i].play();
		}
		suite_times(parts[i].name);
		played++;
	}
	if (!played)
		suite_fatal("no part %s", o.only);
	return suite_end();
}
