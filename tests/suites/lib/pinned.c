// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/pinned.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "lib/bpfcount.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/module.h"
#include "lib/proc.h"
#include "lib/ruled.h"
#include "lib/scene.h"

#define PIN_DIR "/sys/fs/bpf/oomx" /* user/paths.h */
#define LINKS_DIR PIN_DIR "/links"
#define IN_THE_WAY PIN_DIR "/oomx_shields_new" /* where the last of its maps is pinned first */
#define NOT_RUNNING 7 /* user/exit.h */
#define POLICY_REFUSED 5
#define IN_FORCE 6 /* "already running" */
#define SETTLE_MS 100 /* of a terminal, from writer to reader; only has it block a little later */
#define OTHER_ABI 99
#define MIDWAY 6
#define BUILD_LEN 17
#define RULES "/tmp/oomx-pinned.yaml"

static const char *const enforce[] = { "--enforce", "--hook", "struct_ops", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

static struct bpf_count bpf_before;

static bool bpf_as_before(void *arg)
{
	struct bpf_count now;

	(void)arg;
	bpf_count(&now);
	return bpf_count_equal(&bpf_before, &now);
}

static void expect_nothing_left(void)
{
	/* the kernel frees programs a little after it has detached them */
	if (!suite_wait(bpf_as_before, NULL, SUITE_STEP_MS))
		suite_fail("links, programs or maps are left");
	if (!access(PIN_DIR, F_OK))
		suite_fail(PIN_DIR " is left");
}

/* No daemon, and still: what oomx says of it. */
static void expect_in_force(int64_t kills)
{
	static const char *const text[] = { "status", NULL };
	const struct command_result *r = command_run_oomx(text);

	if (r->exit != NOT_RUNNING || !strstr(r->out, "no oomx is running") ||
	    !strstr(r->out, "its policy priority (") || !strstr(r->out, "in force, pinned") ||
	    !strstr(r->out, "struct_ops, enforcing"))
		suite_fail("expected status to say what is in force: %d, %s%s", r->exit, r->out,
			   r->err);
	if (daemon_status_flag("running") || !daemon_status_flag("pinned") ||
	    !daemon_status_flag("enforce") || daemon_status_flag("degraded") ||
	    daemon_status("counters.kills") != kills)
		suite_fail("expected status --json to say the same, and %lld kills, not %lld",
			   (long long)kills, (long long)daemon_status("counters.kills"));
}

static void expect_refused(const char *const args[], int status, const char *why)
{
	const struct command_result *r = command_run_oomx(args);

	if (r->exit != status || !strstr(r->err, why))
		suite_fail("expected oomx run to fail (%d, '%s'): %d, %s", status, why, r->exit,
			   r->err);
}

/* One OOM: whoever is to die dies, alone, and the module was told by somebody, or by nobody. */
static pid_t pinned_oom(struct scene *s, bool lp, bool chosen)
{
	struct module_counters before;
	pid_t pid = 0;

	module_counters(&before);
	if (scene_play(s)) {
		scene_expect_victim(s, lp ? s->lp : s->hp);
		if (chosen)
			module_expect_counted(&before, "chosen", 1);
		else if (module_number("asked") != before.n[MODULE_ASKED])
			suite_fail("expected nobody to be asked any more");
		scene_expect_others_unchanged(s);
		pid = worker_pid(lp ? s->lp : s->hp);
	}
	return pid;
}

static bool all_freed(void *arg)
{
	return !daemon_running() ||
	       daemon_count(OOMX_REC_FREED) >= *(const unsigned int *)arg;
}

/* It is told once, by the daemon that runs now; and nothing else is. */
static void expect_told_once(unsigned int type, const pid_t *pids, unsigned int n)
{
	unsigned int i;

	if (!suite_wait(all_freed, &n, SUITE_STEP_MS))
		suite_fail("expected %u \"freed\" events", n);
	for (i = 0; i < n; i++)
		if (!daemon_find(type, 0, pids[i]))
			suite_fail("expected to be told of %d", pids[i]);
	if (daemon_count(OOMX_REC_KILL) + daemon_count(OOMX_REC_KERNEL_KILL) != n)
		suite_fail("expected %u kills to be told", n);
	if (suite_run_failed())
		daemon_complain_events();
	daemon_clear();
}

/* An oomx that fails on its way leaves the old one in force. */
static void play_refusals(void)
{
	const char *dir = getenv("OOMX_POLICIES");
	static char bad[256];
	static const char *const policy[] = { "run", "--enforce", "--replace", "--policy", bad,
					      NULL };
	static const char *const cgroup[] = { "run", "--enforce", "--priority", "/not/there=1",
					      NULL };
	static const char *const other[] = { "run", "--enforce", "--policy", "kernel", NULL };

	snprintf(bad, sizeof(bad), "%s/out_of_bounds.bpf.o", dir ?: "build/tests/policies");
	expect_refused(other, IN_FORCE, "stays in force; --replace takes over from it");
	expect_refused(policy, POLICY_REFUSED, "verifier");
	expect_refused(cgroup, 1, "/not/there");
}

/* Killed; the next one, told to be of another policy, and without its priorities, takes over. */
static void pinned_adopted(struct scene *s)
{
	static char lowest[256];
	static const char *const next[] = { "--enforce", "--hook", "struct_ops", "--policy", lowest,
					    "--replace", NULL };
	const char *dir = getenv("OOMX_POLICIES");
	pid_t killed[2];

	snprintf(lowest, sizeof(lowest), "%s/lowest.bpf.o", dir ?: "build/tests/policies");
	daemon_start(enforce);
	daemon_kill();
	expect_in_force(0);
	killed[0] = pinned_oom(s, true, true);
	scene_clear(s);
	expect_in_force(1);
	play_refusals();
	expect_in_force(1);
	killed[1] = pinned_oom(s, true, true);
	scene_clear(s);
	expect_in_force(2);
	daemon_start(next);
	expect_told_once(OOMX_REC_KILL, killed, 2);
	if (!daemon_said("killed, whose policy priority (") || !daemon_said("hook struct_ops, enforcing"))
		suite_fail("expected oomx to say from whom it took over");
	killed[0] = pinned_oom(s, true, true);
	expect_told_once(OOMX_REC_KILL, killed, 1);
	scene_clear(s);
	if (daemon_status("pid") != daemon_pid() || daemon_status("counters.kills") != 1 ||
	    !daemon_status_flag("pinned"))
		suite_fail("expected status to tell of the new one");
	daemon_stop();
	expect_nothing_left();
}

/* Of the oomx that is used now, as `oomx --version` has it. */
static void get_build(char build[BUILD_LEN])
{
	static const char *const version[] = { "--version", NULL };
	const char *text = strstr(command_run_oomx(version)->out, "(build ");

	if (!text || sscanf(text, "(build %16[0-9a-f])", build) != 1)
		suite_fatal("oomx --version names no build");
}

/* Of what is in force, to the oomx that is used now. */
static void expect_build(const char *build, bool same)
{
	static const char *const text[] = { "status", NULL };
	char line[64];

	snprintf(line, sizeof(line), "  build     %s\n", build);
	if (!strstr(command_run_oomx(text)->out, line))
		suite_fail("expected status to tell of build %s", build);
	if (daemon_status_flag("same_build") != same)
		suite_fail("expected status to say that it is %s build", same ? "its own" : "another");
}

/* Killed, and upgraded: the old build stays in force until the new one is told to take over. */
static void pinned_upgraded(struct scene *s)
{
	static const char *const run[] = { "run", "--enforce", NULL };
	static const char *const replace[] = { "--enforce", "--hook", "struct_ops", "--replace",
					       NULL };
	char old[BUILD_LEN] = "", new[BUILD_LEN] = "", both[128];
	pid_t killed;

	get_build(old);
	daemon_start(enforce);
	daemon_kill();
	expect_build(old, true);
	command_use_other(true);
	get_build(new);
	if (!strcmp(old, new))
		suite_fail("two builds have the same name: %s", new);
	expect_build(old, false);
	expect_refused(run, IN_FORCE, "stays in force; --replace takes over from it");
	if (!strstr(command_run_oomx(run)->err, old) || !strstr(command_run_oomx(run)->err, new))
		suite_fail("expected the refusal to name both builds");
	expect_in_force(0);
	killed = pinned_oom(s, true, true);
	scene_clear(s);
	daemon_start(replace);
	expect_told_once(OOMX_REC_KILL, &killed, 1);
	snprintf(both, sizeof(both), "of build %s, hook struct_ops, enforcing", new);
	if (!daemon_said(both) || !daemon_said(old))
		suite_fail("expected oomx to say which build took over from which");
	expect_build(new, true);
	killed = pinned_oom(s, true, true);
	expect_told_once(OOMX_REC_KILL, &killed, 1);
	scene_clear(s);
	daemon_kill();
	expect_build(new, true);
	daemon_start(enforce); /* its own: needs not be told */
	daemon_stop();
	command_use_other(false);
	expect_nothing_left();
}

static bool is_dead(void *pid)
{
	return !proc_lives(*(pid_t *)pid);
}

/* Only a terminal makes oomx wait. */
static bool waits_for_reader(void *pid)
{
	char path[32], where[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/wchan", *(pid_t *)pid);
	return !proc_read(path, where, sizeof(where)) &&
	       (strstr(where, "wait_woken") || strstr(where, "tty"));
}

static bool is_in_force(void *pid)
{
	return daemon_status("pid") == *(pid_t *)pid && daemon_status_flag("pinned");
}

/* It has said that it is ready, and nothing more yet. */
static bool has_output(void *terminal)
{
	struct pollfd p = { .fd = *(int *)terminal, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* What is written to `path` can be read here, byte for byte. */
static int open_terminal(char *path, size_t size)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios t;

	if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, path, size) ||
	    tcgetattr(fd, &t))
		suite_fatal("no terminal to be had: %m");
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSANOW, &t))
		suite_fatal("a terminal that is not raw: %m");
	return fd;
}

/* Its writer has to wait for a reader with the very next event. */
static void fill_terminal(const char *path)
{
	static const char blank[4096] = { [0 ... 4094] = ' ', '\n' };
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), i;

	if (fd < 0)
		suite_fatal("%s: %m", path);
	for (i = 0; i < 5; i++) {
		while (write(fd, blank, sizeof(blank)) > 0)
			;
		suite_sleep(SETTLE_MS);
	}
	close(fd);
}

/* How many kills are in what it printed, up to where it was cut off. */
static unsigned int count_kills(int fd)
{
	static char text[1 << 18];
	size_t len = 0;
	unsigned int n = 0;
	ssize_t got;
	char *line, *end;

	while (len < sizeof(text) - 1 && (got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	for (line = text; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		n += strstr(line, "\"type\":\"kill\"") != NULL;
	}
	return n;
}

static unsigned int count_again(void)
{
	const struct event *events;
	unsigned int i, again = 0, n = daemon_events(&events);

	for (i = 0; i < n; i++)
		again += events[i].again;
	return again;
}

/* The kill, and something again. */
static bool is_all_told(void *kills_before)
{
	return !daemon_running() ||
	       (count_again() &&
		*(unsigned int *)kills_before + daemon_count(OOMX_REC_KILL));
}

/* Killed in the middle of telling: what it was telling is told again, and nothing else is. */
static void pinned_telling(struct scene *s)
{
	char terminal[64], script[512];
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	int out, err, reader = open_terminal(terminal, sizeof(terminal));
	unsigned int kills;
	pid_t pid;

	snprintf(script, sizeof(script), "exec %s run --json --enforce --priority " SCENE_LP "=-100 "
		 ">%s", command_oomx(), terminal);
	if (command_spawn(argv, 0, &pid, &out, &err))
		suite_fatal("cannot start oomx");
	if (!suite_wait(is_in_force, &pid, SUITE_START_MS) ||
	    !suite_wait(has_output, &reader, SUITE_STEP_MS))
		suite_fail("oomx does not start");
	fill_terminal(terminal);
	pinned_oom(s, true, true);
	scene_clear(s);
	if (!suite_wait(waits_for_reader, &pid, SUITE_STEP_MS))
		suite_fail("oomx has told all of an OOM to nobody");
	kill(pid, SIGKILL);
	if (!suite_wait(is_dead, &pid, SUITE_STEP_MS))
		suite_fatal("oomx survives SIGKILL");
	kills = count_kills(reader);
	close(reader);
	close(out);
	close(err);
	daemon_start(enforce);
	if (!suite_wait(is_all_told, &kills, SUITE_STEP_MS))
		suite_fail("expected to be told of a kill, and of something again");
	daemon_stop(); /* and its last words */
	kills += daemon_count(OOMX_REC_KILL);
	if (kills != 1 || count_again() != 1)
		suite_fail("expected 1 kill and 1 event that is told again, not %u and %u", kills,
			   count_again());
	if (suite_run_failed())
		daemon_complain_events();
	expect_nothing_left();
}

/* A successor that only watches takes over as well: what it was started for counts. */
static void pinned_observed(struct scene *s)
{
	static const char *const observe[] = { "--policy", "priority", NULL };
	pid_t killed;

	daemon_start(enforce);
	daemon_kill();
	daemon_start(observe);
	if (!daemon_said("hook observe, watching only"))
		suite_fail("expected oomx to say that nothing is enforced any more");
	if (!access(LINKS_DIR, F_OK))
		suite_fail(LINKS_DIR " is left");
	killed = pinned_oom(s, false, false);
	expect_told_once(OOMX_REC_KERNEL_KILL, &killed, 1);
	scene_clear(s);
	daemon_stop();
	expect_nothing_left();
}

/* So do rules, but not for one that is to have none. */
static void pinned_ruled(struct scene *s)
{
	static const char *const ruled[] = { "--enforce", "--rules", RULES, NULL };
	static const char *const unruled[] = { "--enforce", "--no-rules", NULL };
	pid_t killed[2];

	ruled_write(RULES, "rules:\n- name: batch\n  match: {cgroup: " SCENE_LP "}\n"
			   "  priority: -100\n  unshield: -5\n"); /* has pins of its own */
	daemon_start(ruled);
	daemon_kill();
	killed[0] = pinned_oom(s, true, true);
	scene_clear(s);
	daemon_start(unruled);
	killed[1] = pinned_oom(s, false, true);
	expect_told_once(OOMX_REC_KILL, killed, 2);
	scene_clear(s);
	daemon_stop();
	expect_nothing_left();
}

/* Killed at any instant of its taking over: one of the two is in force. */
static void pinned_killed_midway(struct scene *s)
{
	const char *argv[] = { command_oomx(), "run", "--quiet", "--enforce", NULL };
	static const char *const stop[] = { "stop", NULL };
	uint64_t start_ns = suite_now_ns();
	long start_ms;
	unsigned int i;
	int out, err;
	pid_t pid;

	daemon_start(enforce);
	start_ms = (long)((suite_now_ns() - start_ns) / 1000000);
	daemon_kill();
	for (i = 0; i < MIDWAY; i++) {
		if (command_spawn(argv, 0, &pid, &out, &err))
			suite_fatal("cannot start oomx");
		suite_sleep((unsigned int)suite_random(start_ms / 2, start_ms * 5 / 4));
		kill(pid, SIGKILL);
		if (!suite_wait(is_dead, &pid, SUITE_STEP_MS))
			suite_fatal("oomx survives SIGKILL");
		close(out);
		close(err);
		if (daemon_status_flag("running") || !daemon_status_flag("pinned") ||
		    !daemon_status_flag("enforce"))
			suite_fail("killed as it took over, no policy is left in force");
	}
	pinned_oom(s, true, true);
	scene_clear(s);
	if (command_run_oomx(stop)->exit)
		suite_fail("oomx stop fails");
	expect_nothing_left();
}

static __u32 config_id(void)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_obj_get(PIN_DIR "/oomx_config");

	if (fd < 0 || bpf_map_get_info_by_fd(fd, &info, &len))
		suite_fatal(PIN_DIR "/oomx_config cannot be read: %m");
	close(fd);
	return info.id;
}

/* One that takes over and cannot have all of its names has none of them. */
static void pinned_unpinnable(void)
{
	static const char *const run[] = { "run", "--enforce", NULL }, *const stop[] = { "stop", NULL };
	__u32 before;

	daemon_start(enforce);
	daemon_kill();
	before = config_id();
	if (mkdir(IN_THE_WAY, 0700))
		suite_fatal(IN_THE_WAY ": %m");
	expect_refused(run, 1, IN_THE_WAY);
	if (config_id() != before || daemon_status_flag("running") || !daemon_status_flag("pinned"))
		suite_fail("expected the old one's maps to keep their names");
	if (rmdir(IN_THE_WAY))
		suite_fail(IN_THE_WAY ": %m");
	if (command_run_oomx(stop)->exit)
		suite_fail("oomx stop fails");
	expect_nothing_left();
}

/* One of another version stays, untouched, until it is stopped. */
static void pinned_other_abi(struct scene *s)
{
	static const char *const run[] = { "run", NULL }, *const stop[] = { "stop", NULL };
	static const char *const status[] = { "status", NULL };
	const struct command_result *r;
	static struct oomx_config config;
	const __u32 zero = 0;
	int fd;

	daemon_start(enforce);
	daemon_kill();
	fd = bpf_obj_get(PIN_DIR "/oomx_config");
	if (fd < 0 || bpf_map_lookup_elem(fd, &zero, &config))
		suite_fatal(PIN_DIR "/oomx_config cannot be read");
	config.abi = OTHER_ABI;
	if (bpf_map_update_elem(fd, &zero, &config, BPF_ANY))
		suite_fatal(PIN_DIR "/oomx_config cannot be written");
	close(fd);
	expect_refused(run, 1, "stays in force; 'oomx stop' removes it");
	r = command_run_oomx(status);
	if (r->exit != NOT_RUNNING || !strstr(r->err, "has ABI 99"))
		suite_fail("expected status to tell of the other ABI: %d, %s", r->exit, r->err);
	pinned_oom(s, true, true);
	scene_clear(s);
	r = command_run_oomx(stop);
	if (r->exit || !strstr(r->err, "removed what an oomx of ABI 99"))
		suite_fail("expected oomx stop to say what it removes: %d, %s", r->exit, r->err);
	expect_nothing_left();
}

static void pinned_stopped(void)
{
	static const char *const stop[] = { "stop", NULL };
	const struct command_result *r;

	daemon_start(enforce);
	daemon_kill();
	r = command_run_oomx(stop);
	if (r->exit || !strstr(r->err, "removed the policy priority ("))
		suite_fail("expected oomx stop to say what it removes: %d, %s", r->exit, r->err);
	expect_nothing_left();
}

void pinned_play(bool global, const struct suite_options *o)
{
	const char *what = global ? "pinned global" : "pinned memcg";
	static struct scene s;
	unsigned int i;

	scene_open(&s, global, o->triggers);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		bpf_count(&bpf_before);
		pinned_adopted(&s);
		pinned_upgraded(&s);
		pinned_telling(&s);
		pinned_observed(&s);
		pinned_ruled(&s);
		pinned_killed_midway(&s);
		pinned_unpinnable();
		pinned_other_abi(&s);
		pinned_stopped();
		suite_run_end();
	}
	scene_close(&s);
	suite_times(what);
}
