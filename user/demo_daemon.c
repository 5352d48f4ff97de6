/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <jansson.h>

#include "feed.h"
#include "log.h"
#include "paths.h"
#include "record.h"

#define READY_MS 120000 /* emulated, the verifier takes its time */
#define STOP_STEPS 1200 /* of 50 ms */
#define LINE_LEN 1024

static void __attribute__((noreturn)) run(int out)
{
	/* it ends cleanly, should we be killed */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || dup2(out, STDOUT_FILENO) < 0)
		_exit(1);
	(void)execl("/proc/self/exe", "oomx", "run", "--enforce", "--policy", "priority",
		    "--priority", OX_DEMO_CGROUP "/batch=-100", "--json", NULL);
	ox_err("demo: cannot start /proc/self/exe: %m");
	_exit(1);
}

/* The first line, byte by byte: what follows is not ours yet. */
static int read_line(int fd, char line[LINE_LEN])
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	ssize_t got;

	while (n < LINE_LEN - 1) {
		if (poll(&p, 1, READY_MS) <= 0)
			return -ETIMEDOUT;
		got = read(fd, line + n, 1);
		if (got <= 0)
			return got ? -errno : -EPIPE;
		if (line[n] == '\n') {
			line[n] = '\0';
			return 0;
		}
		n++;
	}
	return -EMSGSIZE;
}

static int wait_ready(int out)
{
	const char *type = "", *hook = "";
	char line[LINE_LEN];
	int enforce = 0;
	json_t *o;
	int err = read_line(out, line);

	if (err)
		return ox_err_r(err, "demo: 'oomx run' does not get ready: %s", strerror(-err));
	o = json_loads(line, 0, NULL);
	if (!o || json_unpack(o, "{s:s, s:s, s:b}", "type", &type, "hook", &hook, "enforce",
			      &enforce) || strcmp(type, "ready") || !enforce)
		err = ox_err_r(-EPROTO, "demo: 'oomx run' says, instead of being ready: %s", line);
	else
		printf("oomx is ready: %s\n", line);
	json_decref(o);
	return err;
}

static int connect_feed(struct ox_demo_daemon *d)
{
	static char buf[OX_RECORD_MAX];
	ssize_t n;

	d->feed = ox_feed_connect(OX_SOCK);
	if (d->feed < 0)
		return ox_err_r(d->feed, "demo: cannot connect to " OX_SOCK ": %s",
				strerror(-d->feed));
	do
		n = ox_feed_next(d->feed, buf, sizeof(buf));
	while (n > 0); /* the backlog, if any, is of no interest */
	return n ? ox_err_r((int)n, "demo: no events: %s", strerror((int)-n)) : 0;
}

int ox_demo_daemon_start(struct ox_demo_daemon *d)
{
	int fd[2], err;

	*d = (struct ox_demo_daemon){ .out = -1, .feed = -1, .pid = -1 };
	if (pipe2(fd, O_CLOEXEC))
		return ox_err_r(-errno, "demo: %m");
	(void)fflush(stdout); /* or the child would have it, too */
	d->pid = fork();
	if (!d->pid)
		run(fd[1]);
	err = d->pid < 0 ? ox_err_r(-errno, "demo: %m") : 0;
	(void)close(fd[1]); /* the child has its own */
	d->out = fd[0];
	if (!err)
		err = wait_ready(d->out);
	if (!err)
		err = connect_feed(d);
	if (!err)
		return 0;
	(void)ox_demo_daemon_stop(d); /* it has failed already */
	ox_demo_daemon_free(d);
	return err;
}

static __u64 time_of(const void *rec)
{
	struct oomx_rec_hdr hdr;

	memcpy(&hdr, rec, sizeof(hdr)); /* it has been checked: it has a header */
	return hdr.ktime_ns;
}

/* In the order in which they happened: they come from two rings. */
static void keep(struct ox_demo_daemon *d, const void *rec, size_t size)
{
	void *copy = d->n < OX_DEMO_RECORDS && !ox_record_check(rec, size) ? malloc(size) : NULL;
	unsigned int i;

	if (!copy)
		return;
	memcpy(copy, rec, size);
	for (i = d->n++; i && time_of(d->rec[i - 1].data) > time_of(copy); i--)
		d->rec[i] = d->rec[i - 1];
	d->rec[i].data = copy;
	d->rec[i].size = size;
}

void ox_demo_daemon_read(struct ox_demo_daemon *d)
{
	static char buf[OX_RECORD_MAX];
	struct pollfd p[] = { { .fd = d->feed, .events = POLLIN },
			      { .fd = d->out, .events = POLLIN } };
	ssize_t n;

	while (poll(p, 2, 0) > 0) {
		/* the same events as JSON, which is not needed: but a full pipe would stop it */
		if ((p[1].revents & POLLIN) && read(d->out, buf, sizeof(buf)) <= 0)
			return;
		if (p[0].revents & POLLIN) {
			n = ox_feed_next(d->feed, buf, sizeof(buf));
			if (n < 0)
				return;
			keep(d, buf, n);
		}
		if (!((p[0].revents | p[1].revents) & POLLIN))
			return; /* it has ended */
	}
}

const void *ox_demo_daemon_find(const struct ox_demo_daemon *d, __u32 type, pid_t pid)
{
	union ox_record r;
	unsigned int i;

	for (i = 0; i < d->n; i++) {
		if (ox_record_load(d->rec[i].data, d->rec[i].size, &r) || r.hdr.type != type)
			continue;
		if (!pid || (type == OOMX_REC_KILL && r.kill.victim.pid == (__u32)pid) ||
		    (type == OOMX_REC_FREED && r.freed.pid == (__u32)pid))
			return d->rec[i].data;
	}
	return NULL;
}

int ox_demo_daemon_stop(struct ox_demo_daemon *d)
{
	const struct timespec step = { .tv_nsec = 50000000 };
	int status = 0, i;
	pid_t got = 0;

	if (d->pid <= 0)
		return 0;
	(void)kill(d->pid, SIGTERM); /* our child, not waited for: the id is its own */
	for (i = 0; i < STOP_STEPS && !got; i++) {
		got = waitpid(d->pid, &status, WNOHANG);
		if (got)
			break;
		if (d->feed >= 0)
			ox_demo_daemon_read(d); /* its last words */
		(void)nanosleep(&step, NULL);
	}
	if (!got) {
		(void)kill(d->pid, SIGKILL);
		(void)waitpid(d->pid, &status, 0);
	}
	d->pid = -1;
	if (!got || !WIFEXITED(status) || WEXITSTATUS(status))
		return ox_err_r(-EIO, "demo: 'oomx run' did not end well (status %#x)%s", status,
				got ? "" : ": killed");
	return 0;
}

void ox_demo_daemon_free(struct ox_demo_daemon *d)
{
	if (d->out >= 0)
		(void)close(d->out);
	if (d->feed >= 0)
		(void)close(d->feed);
	while (d->n)
		free(d->rec[--d->n].data);
	d->out = d->feed = -1;
}
