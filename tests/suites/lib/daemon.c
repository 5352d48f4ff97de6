// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/command.h"
#include "lib/kmsg.h"
#include "lib/suite.h"

#define PIPE_BYTES (1 << 20)

static struct {
	pid_t pid;
	bool started, running, ready;
	int status;
	int out, err;
	char hook[16];

	size_t len, errors_len;
	unsigned int n_events, n_lost;
	unsigned int totals[OOMX_REC_MAX];
} d = { .out = -1, .err = -1 };

/* The one that is being replaced, as long as it has not ended. */
static struct {
	pid_t pid;
	bool running;
	int status;
	int out, err;
	size_t len;
	char buffer[65536];
} old = { .out = -1, .err = -1 };

static char buffer[65536];
static char errors[4096];
static struct event events[DAEMON_EVENTS_MAX];

nfds_t daemon_poll_fds(struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = d.out, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = d.err, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = old.out, .events = POLLIN };
	return DAEMON_FDS;
}

bool daemon_reaped(pid_t pid, int status)
{
	if (old.running && pid == old.pid) {
		old.running = false;
		old.status = status;
		return true;
	}
	if (!d.running || pid != d.pid)
		return false;
	d.running = false;
	d.status = status;
	return true;
}

/* The only line that is no event. */
static bool take_ready(const char *line)
{
	json_t *o = json_loads(line, 0, NULL);
	const char *type = json_string_value(json_object_get(o, "type"));
	const char *hook = json_string_value(json_object_get(o, "hook"));
	bool ready = type && !strcmp(type, "ready");

	if (ready && d.ready)
		suite_fail("oomx says twice that it is ready");
	if (ready) {
		if (!hook || json_integer_value(json_object_get(o, "pid")) != d.pid)
			suite_fail("ready line without hook, or with a wrong pid: %s", line);
		snprintf(d.hook, sizeof(d.hook), "%s", hook ? hook : "");
		d.ready = true;
	}
	json_decref(o);
	return ready;
}

static void take_line(const char *line)
{
	char why[160];
	struct event *e;

	if (d.n_events == DAEMON_EVENTS_MAX) {
		d.n_lost++;
		return;
	}
	e = &events[d.n_events];
	if (event_parse(line, e, why, sizeof(why))) {
		suite_fail("not a proper event: %s: %.300s", why, line);
	} else if (e->type) {
		d.totals[e->type]++;
		d.n_events++;
	} else if (!take_ready(line)) {
		suite_fail("event of unknown type: %.300s", line);
	}
}

static void read_events(int *fd, char buf[sizeof(buffer)], size_t *len)
{
	char *start, *end;
	ssize_t n;

	while (*fd >= 0) {
		n = read(*fd, buf + *len, sizeof(buffer) - 1 - *len);
		if (n < 0)
			return;
		if (!n) {
			if (*len)
				suite_fail("oomx's output ends inside a line: %.80s", buf);
			close(*fd);
			*fd = -1;
			return;
		}
		*len += (size_t)n;
		buf[*len] = '\0';
		for (start = buf; (end = strchr(start, '\n')); start = end + 1) {
			*end = '\0';
			take_line(start);
		}
		*len -= (size_t)(start - buf);
		memmove(buf, start, *len + 1);
		if (*len == sizeof(buffer) - 1) {
			suite_fail("an event of more than %zu bytes", *len);
			*len = 0;
		}
	}
}

static void read_errors(void)
{
	char rest[1024];
	ssize_t n;

	while (d.err >= 0) {
		size_t room = sizeof(errors) - 1 - d.errors_len;

		n = room ? read(d.err, errors + d.errors_len, room) :
			   read(d.err, rest, sizeof(rest));
		if (n < 0)
			return;
		if (!n) {
			close(d.err);
			d.err = -1;
		} else if (room) {
			d.errors_len += (size_t)n;
			errors[d.errors_len] = '\0';
		}
	}
}

void daemon_read(void)
{
	read_events(&old.out, old.buffer, &old.len);
	read_events(&d.out, buffer, &d.len);
	read_errors();
}

static bool settled(void *arg)
{
	(void)arg;
	return d.ready || !d.running;
}

static void start(const char *const args[], bool replace)
{
	const char *argv[COMMAND_ARGS_MAX + 1] = { command_oomx(), "run", "--json", "--replace" };
	size_t n, first = replace ? 4 : 3;
	int err;

	argv[first] = NULL;
	for (n = 0; args && args[n] && n + first + 1 < COMMAND_ARGS_MAX; n++)
		argv[first + n] = args[n];
	d.ready = false;
	d.hook[0] = '\0';
	d.len = d.errors_len = 0;
	errors[0] = '\0';

	err = command_spawn(argv, 0, &d.pid, &d.out, &d.err);
	if (err)
		suite_fatal("cannot start %s: %s", argv[0], strerror(-err));
	d.started = d.running = true;
	fcntl(d.out, F_SETPIPE_SZ, PIPE_BYTES); /* as large as it gets: not vital */
	if (!suite_wait(settled, NULL, SUITE_START_MS) || !d.ready)
		suite_fatal("oomx run: expected a \"ready\" line, it %s (%d); it says: %s",
			    d.running		    ? "has none" :
			    WIFSIGNALED(d.status) ? "was killed by a signal" :
						    "has ended",
			    WIFSIGNALED(d.status) ? WTERMSIG(d.status) : WEXITSTATUS(d.status),
			    errors);
}

void daemon_start(const char *const args[])
{
	memset(d.totals, 0, sizeof(d.totals));
	daemon_clear();
	start(args, false);
}

static bool old_gone(void *arg)
{
	(void)arg;
	return !old.running && old.out < 0;
}

void daemon_replace(const char *const args[])
{
	old.pid = d.pid;
	old.running = d.running;
	old.out = d.out;
	old.err = d.err;
	old.len = d.len;
	memcpy(old.buffer, buffer, d.len);
	start(args, true);
	if (!suite_wait(old_gone, NULL, SUITE_STEP_MS))
		suite_fatal("the oomx that was replaced does not end");
	if (!WIFEXITED(old.status) || WEXITSTATUS(old.status))
		suite_fail("expected the oomx that was replaced to exit 0, got wait status %#x",
			   (unsigned int)old.status);
	close(old.err); /* what it had to say there would be of interest in a failure only */
	old.err = -1;
}

bool daemon_running(void)
{
	return d.running;
}

void daemon_require(void)
{
	if (!d.running)
		suite_fatal("oomx has ended by itself (wait status %#x); it says: %s",
			    (unsigned int)d.status, errors);
}

pid_t daemon_pid(void)
{
	return d.pid;
}

bool daemon_said(const char *what)
{
	return strstr(errors, what);
}

const char *daemon_hook(void)
{
	return d.hook;
}

static bool over(void *arg)
{
	(void)arg;
	return !d.running && d.out < 0 && d.err < 0;
}

static bool gone(void *arg)
{
	(void)arg;
	return !d.running;
}

void daemon_stop(void)
{
	if (!d.started)
		return;
	d.started = false;
	if (!d.running) {
		suite_fail("oomx ended before it was stopped (%s %d); it says: %s",
			   WIFSIGNALED(d.status) ? "signal" : "status",
			   WIFSIGNALED(d.status) ? WTERMSIG(d.status) : WEXITSTATUS(d.status),
			   errors);
		return;
	}
	kill(d.pid, SIGTERM);
	if (!suite_wait(over, NULL, SUITE_START_MS)) {
		suite_fail("oomx %s after SIGTERM",
			   d.running ? "still runs" : "leaves a process that holds its output");
		daemon_abandon();
		return;
	}
	if (!WIFEXITED(d.status) || WEXITSTATUS(d.status))
		suite_fail("expected oomx to exit 0 on SIGTERM, got wait status %#x; it says: %s",
			   (unsigned int)d.status, errors);
	if (d.n_lost)
		suite_fail("%u events more than the suite can keep", d.n_lost);
	d.n_lost = 0;
}

void daemon_kill(void)
{
	if (d.running)
		kill(d.pid, SIGKILL);
	if (!suite_wait(gone, NULL, SUITE_STEP_MS))
		suite_fatal("oomx survives SIGKILL");
	daemon_abandon();
}

void daemon_abandon(void)
{
	if (d.running)
		kill(d.pid, SIGKILL);
	if (d.out >= 0)
		close(d.out);
	if (d.err >= 0)
		close(d.err);
	d.out = d.err = -1;
	d.started = false;
}

/* ---- events --------------------------------------------------------------------------------- */

void daemon_clear(void)
{
	d.n_events = 0;
}

unsigned int daemon_events(const struct event **ret_events)
{
	*ret_events = events;
	return d.n_events;
}

unsigned int daemon_count(unsigned int type)
{
	unsigned int i, n = 0;

	for (i = 0; i < d.n_events; i++)
		n += events[i].type == type;
	return n;
}

unsigned int daemon_total(unsigned int type)
{
	return d.totals[type];
}

const struct event *daemon_find(unsigned int type, int64_t decision, pid_t pid)
{
	const struct event *e;
	unsigned int i;

	for (i = 0; i < d.n_events; i++) {
		e = &events[i];
		if (e->type == type && (!decision || e->decision == decision) &&
		    (!pid || e->pid == pid || e->who.pid == pid))
			return e;
	}
	return NULL;
}

/* Of `oomx status --json`, or NULL; borrowed from *ret_status, which the caller frees. */
static const json_t *status_value(const char *key, json_t **ret_status)
{
	static const char *const args[] = { "status", "--json", NULL };
	const struct command_result *r = command_run_oomx(args);
	const json_t *o = *ret_status = json_loads(r->out, 0, NULL);

	if (!strncmp(key, "counters.", strlen("counters."))) {
		o = json_object_get(o, "counters");
		key += strlen("counters.");
	}
	return json_object_get(o, key);
}

int64_t daemon_status(const char *key)
{
	json_t *status;
	const json_t *v = status_value(key, &status);
	int64_t n = json_is_integer(v) ? json_integer_value(v) : -1;

	json_decref(status);
	return n;
}

int64_t daemon_counter(const char *name)
{
	int64_t n = daemon_status(name);

	if (n < 0)
		suite_fail("oomx status --json has no number '%s'", name);
	return n;
}

int64_t daemon_recursion_misses(void)
{
	json_t *status, *n;
	const json_t *misses = status_value("recursion_misses", &status);
	int64_t sum = 0;
	const char *name;

	json_object_foreach((json_t *)misses, name, n)
		sum += json_integer_value(n);
	json_decref(status);
	return sum;
}

bool daemon_status_flag(const char *key)
{
	json_t *status;
	const json_t *v = status_value(key, &status);
	bool on = json_is_true(v);

	if (!json_is_boolean(v))
		suite_fail("oomx status --json has no '%s' that is true or false", key);
	json_decref(status);
	return on;
}

/* What the kernel left out, how often the OOM killer was held: a failed run is explained by it. */
static void complain_counters(void)
{
	json_t *status = NULL;
	const json_t *misses = d.running ? status_value("recursion_misses", &status) : NULL;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)misses, key, value) {
		if (json_integer_value(value))
			suite_fail("%s: %lld calls left out by the recursion guard", key,
				   (long long)json_integer_value(value));
	}
	json_decref(status);
	if (misses)
		suite_fail("%lld guards of %lld us in all, %lld timed out; "
			   "%lld exits held, %lld too long",
			   (long long)daemon_status("counters.guards"),
			   (long long)daemon_status("counters.guard_ns") / 1000,
			   (long long)daemon_status("counters.guard_timeouts"),
			   (long long)daemon_status("counters.exits_held"),
			   (long long)daemon_status("counters.exit_timeouts"));
}

void daemon_complain_events(void)
{
	char text[256];
	unsigned int i;

	for (i = 0; i < d.n_events; i++) {
		event_describe(&events[i], text, sizeof(text));
		suite_fail("event %lld at %lld us: %s", (long long)events[i].decision,
			   (long long)events[i].ktime_ns / 1000, text);
	}
	kmsg_complain_reports();
	complain_counters();
	if (d.errors_len)
		suite_fail("oomx says: %s", errors);
}

bool daemon_counters(struct daemon_counters *ret)
{
	static const char *const args[] = { "status", "--json", NULL };
	const struct command_result *r = command_run_oomx(args);
	const json_t *counters, *sent, *dropped, *s, *x;
	json_t *o = json_loads(r->out, 0, NULL);
	bool ok = !r->exit && o;
	unsigned int i;

	counters = json_object_get(o, "counters");
	sent = json_object_get(counters, "sent");
	dropped = json_object_get(counters, "dropped");
	for (i = 1; i < OOMX_REC_MAX; i++) {
		s = json_object_get(sent, event_name(i));
		x = json_object_get(dropped, event_name(i));
		if (!json_is_integer(s) || !json_is_integer(x))
			ok = false;
		ret->sent[i] = json_integer_value(s);
		ret->dropped[i] = json_integer_value(x);
	}
	if (!ok)
		suite_fail("oomx status --json: exit %d, no counters in: %.300s%.300s", r->exit,
			   r->out, r->err);
	json_decref(o);
	return ok;
}
