// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/suite.h"

#define ARG "--as-command"

static struct {
	pid_t pid;
	bool running;
	int status;
	int out, err;
	size_t out_len, err_len;
} cmd = { .out = -1, .err = -1 };

static struct command_result result;

extern char **environ;

static bool use_other;

const char *command_oomx(void)
{
	const char *path = getenv("OOMX");
	static char beside[4096];

	path = path ? path : "build/oomx";
	if (!use_other)
		return path;
	snprintf(beside, sizeof(beside), "%.*stests/oomx-other",
		 (int)(strrchr(path, '/') ? strrchr(path, '/') + 1 - path : 0), path);
	return beside;
}

void command_use_other(bool other)
{
	use_other = other;
}

bool command_asked(int argc, char **argv)
{
	return argc > 3 && !strcmp(argv[1], ARG);
}

/* argv: self --as-command UID PROGRAM ARGS... */
void command_main(int argc, char **argv)
{
	unsigned int uid = (unsigned int)strtoul(argv[2], NULL, 10);

	(void)argc;
	signal(SIGPIPE, SIG_DFL);
	if (proc_write("/proc/self/oom_score_adj", "0"))
		_exit(126);
	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
		_exit(126);
	execv(argv[3], argv + 3);
	fprintf(stderr, "cannot start %s: %s\n", argv[3], strerror(errno));
	_exit(127);
}

int command_spawn(const char *const argv[], unsigned int uid, pid_t *ret_pid, int *ret_out,
		  int *ret_err)
{
	const char *self[COMMAND_ARGS_MAX + 4];
	posix_spawn_file_actions_t actions;
	int out[2], err[2], rc;
	char id[16];
	size_t n;

	snprintf(id, sizeof(id), "%u", uid);
	self[0] = "suite";
	self[1] = ARG;
	self[2] = id;
	for (n = 0; argv[n]; n++) {
		if (n == COMMAND_ARGS_MAX)
			return -E2BIG;
		self[3 + n] = argv[n];
	}
	self[3 + n] = NULL;

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	rc = posix_spawn(ret_pid, "/proc/self/exe", &actions, NULL, (char **)self, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	close(err[1]);
	if (rc) {
		close(out[0]);
		close(err[0]);
		return -rc;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	*ret_out = out[0];
	*ret_err = err[0];
	return 0;
}

nfds_t command_poll_fds(struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = cmd.out, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = cmd.err, .events = POLLIN };
	return COMMAND_FDS;
}

/* Takes what fits, throws away the rest; closes at the end. */
static void drain(int *fd, char *buf, size_t size, size_t *len)
{
	char rest[4096];
	ssize_t n;

	while (*fd >= 0) {
		bool full = *len == size - 1;

		n = full ? read(*fd, rest, sizeof(rest)) : read(*fd, buf + *len, size - 1 - *len);
		if (n < 0)
			return;
		if (!n) {
			close(*fd);
			*fd = -1;
		} else if (!full) {
			*len += (size_t)n;
		}
	}
}

void command_read(void)
{
	drain(&cmd.out, result.out, sizeof(result.out), &cmd.out_len);
	drain(&cmd.err, result.err, sizeof(result.err), &cmd.err_len);
}

bool command_reaped(pid_t pid, int status)
{
	if (!cmd.running || pid != cmd.pid)
		return false;
	cmd.running = false;
	cmd.status = status;
	return true;
}

static bool ended(void *arg)
{
	(void)arg;
	return !cmd.running;
}

const struct command_result *command_run(const char *const argv[], unsigned int uid,
					 unsigned int ms)
{
	struct command_result *r = &result;
	int rc;

	cmd.out_len = cmd.err_len = 0;
	rc = command_spawn(argv, uid, &cmd.pid, &cmd.out, &cmd.err);
	if (rc)
		suite_fatal("cannot start %s: %s", argv[0], strerror(-rc));
	cmd.running = true;
	r->exit = 0;
	if (!suite_wait(ended, NULL, ms)) {
		r->exit = COMMAND_TIMED_OUT;
		kill(cmd.pid, SIGKILL);
		if (!suite_wait(ended, NULL, SUITE_STEP_MS))
			suite_fatal("%s survives SIGKILL", argv[0]);
	} else if (WIFSIGNALED(cmd.status)) {
		r->exit = COMMAND_SIGNALLED;
	} else {
		r->exit = WEXITSTATUS(cmd.status);
	}

	/* What it left running may still hold the pipes: their end is not waited for. */
	command_read();
	if (cmd.out >= 0)
		close(cmd.out);
	if (cmd.err >= 0)
		close(cmd.err);
	cmd.out = cmd.err = -1;
	r->out[cmd.out_len] = '\0';
	r->err[cmd.err_len] = '\0';
	return r;
}

const struct command_result *command_run_oomx(const char *const args[])
{
	const char *argv[COMMAND_ARGS_MAX + 1] = { command_oomx() };
	size_t n;

	for (n = 0; args[n] && n + 1 < COMMAND_ARGS_MAX; n++)
		argv[n + 1] = args[n];
	return command_run(argv, 0, SUITE_START_MS);
}

unsigned int command_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n' || !text[1];
	return n;
}
