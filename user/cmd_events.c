/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oomx events: what the daemon has seen, and with --follow what it sees from now on. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>

#include "cleanup.h"
#include "cmd.h"
#include "exit.h"
#include "feed.h"
#include "log.h"
#include "paths.h"
#include "record.h"

static const char usage[] =
	"Usage: oomx events [--follow] [--json] [--socket PATH]\n"
	"\n"
	"Prints the last out-of-memory events that the running oomx remembers.\n"
	"\n"
	"  -f, --follow       then go on with new ones as they happen\n"
	"  -j, --json         one JSON object per line: see docs/events.md\n"
	"      --socket PATH  of the daemon (" OX_SOCK ")\n"
	"  -h, --help         print this\n";

struct options {
	bool follow;
	bool json;
	const char *socket;
};

/* -1: go on; else the exit status */
static int parse_options(int argc, char **argv, struct options *opt)
{
	enum { OPT_SOCKET = 256 };
	static const struct option table[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	static const char shorts[] = ":fjh";
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		switch (c) {
		case 'f':
			opt->follow = true;
			break;
		case 'j':
			opt->json = true;
			break;
		case OPT_SOCKET:
			opt->socket = optarg;
			break;
		case 'h':
			return ox_help(usage);
		default:
			return ox_bad_option(c, shorts, argv);
		}
	}
	return ox_no_words(argc, argv);
}

static int print_json(const void *rec, size_t size)
{
	json_t *json = ox_record_json(rec, size);
	int err;

	if (!json)
		return -ENOMEM; /* the record itself has been checked */
	err = json_dumpf(json, stdout, JSON_COMPACT);
	json_decref(json);
	return err || fputc('\n', stdout) == EOF ? -EIO : 0;
}

/* 0; or -errno of the output. Records this build cannot read are named and passed over. */
static int print_event(const struct options *opt, const void *rec, size_t size)
{
	int err;

	err = ox_record_check(rec, size);
	if (err) {
		ox_warn("cannot read an event of %zu bytes (%s), ignoring", size,
			err == -EPROTONOSUPPORT ? "the running oomx has another version" :
			err == -ENOMSG		? "of a type this oomx does not know" :
						  "malformed");
		return 0;
	}
	errno = 0;
	err = opt->json ? print_json(rec, size) : ox_record_print(stdout, rec, size);
	if (err == -ENOMEM)
		return err;
	/* per event: whoever reads a pipe wants it now */
	if (err || fflush(stdout))
		return errno ? -errno : -EIO;
	return 0;
}

/* Waits for a message. 1: there is one; 0: nobody reads our output any more; or -errno. */
static int wait_message(int fd)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO }, /* POLLERR: `oomx events -f | head -1` */
	};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return !(p[1].revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* Returns the exit status. */
static int hung_up(const struct options *opt, int fd)
{
	if (!ox_feed_listens_still(fd, opt->socket))
		return ox_err_r(OX_EXIT_NOT_RUNNING, "oomx has stopped");
	return ox_err_r(OX_EXIT_TOO_SLOW, "this reader was too slow, and events are missing: 'oomx "
			"events' has the last ones");
}

static int stream(const struct options *opt, int fd)
{
	static char buf[OX_RECORD_MAX];
	bool live = false;

	for (;;) {
		ssize_t n;
		int err;

		err = wait_message(fd);
		if (err < 0)
			return ox_err_r(OX_EXIT_FAILURE, "cannot wait for events: %s",
					strerror(-err));
		if (!err)
			return OX_EXIT_OK;

		n = ox_feed_next(fd, buf, sizeof(buf));
		if (n == 0 && !opt->follow)
			return OX_EXIT_OK;
		live |= n == 0;
		if (n == -ENOTCONN && live)
			return hung_up(opt, fd);
		if (n == -ENOTCONN)
			return ox_err_r(OX_EXIT_FAILURE,
					"oomx hung up: it stopped, or already has %d readers",
					OX_FEED_CLIENTS_MAX);
		if (n < 0 && n != -EMSGSIZE)
			return ox_err_r(OX_EXIT_FAILURE, "cannot read events: %s",
					strerror((int)-n));
		if (n == -EMSGSIZE)
			ox_warn("an event is longer than any this oomx knows, ignoring");
		if (n <= 0)
			continue;

		err = print_event(opt, buf, n);
		if (err == -EPIPE)
			return OX_EXIT_OK;
		if (err)
			return ox_err_r(OX_EXIT_FAILURE, "cannot write events: %s", strerror(-err));
	}
}

static int connect_error(const char *path, int err)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		return ox_err_r(OX_EXIT_NOT_RUNNING, "no oomx is running: nobody listens at '%s'",
				path);
	case -EACCES:
	case -EPERM:
		return ox_err_r(OX_EXIT_NOT_PERMITTED, "not permitted to read %s: be root", path);
	case -ENAMETOOLONG:
		return ox_err_r(OX_EXIT_USAGE, "'%s' is too long for a socket's path", path);
	default:
		return ox_err_r(OX_EXIT_FAILURE, "cannot connect to %s: %s", path, strerror(-err));
	}
}

int ox_cmd_events(int argc, char **argv)
{
	struct options opt = { .socket = OX_SOCK };
	_cleanup_close_ int fd = -1;
	sigset_t pipe_set;
	int status;

	status = parse_options(argc, argv, &opt);
	if (status >= 0)
		return status;

	fd = ox_feed_connect(opt.socket);
	if (fd < 0)
		return connect_error(opt.socket, fd);

	/* blocked, so that writing says EPIPE: a reader that has had enough is no failure */
	(void)sigemptyset(&pipe_set);
	(void)sigaddset(&pipe_set, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &pipe_set, NULL);
	return stream(&opt, fd);
}
