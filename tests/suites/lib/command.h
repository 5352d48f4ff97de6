/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * command.h - starts other programs: oomx itself, once in the background (daemon.h) and any
 * number of times to its end (here).
 *
 * They are started through this program (--as-command), which first gives up what a suite has
 * and an operator's command has not: oom_score_adj -1000, an ignored SIGPIPE, and, if asked, root.
 */
#ifndef SUITE_COMMAND_H
#define SUITE_COMMAND_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define COMMAND_ARGS_MAX 32
#define COMMAND_FDS 2
#define COMMAND_TIMED_OUT (-1)
#define COMMAND_SIGNALLED (-2)

struct command_result {
	int exit; /* status, or one of the above */
	char out[65536], err[16384]; /* NUL-terminated, cut */
};

/* Path of the oomx under test: $OOMX, or build/oomx. */
const char *command_oomx(void);

/*
 * From now on that is tests/oomx-other beside it: another build, as after an upgrade. false: the
 * usual one again.
 */
void command_use_other(bool other);

/* Starts argv as uid with both outputs piped. 0 or -errno. */
int command_spawn(const char *const argv[], unsigned int uid, pid_t *ret_pid, int *ret_out,
		  int *ret_err);

/* argv as for execv; waits for its end. The result is good until the next call. */
const struct command_result *command_run(const char *const argv[], unsigned int uid,
					 unsigned int ms);

/* The same for `oomx ARGS...`, as root. NULL-terminated. */
const struct command_result *command_run_oomx(const char *const args[]);

unsigned int command_lines(const char *text);

bool command_asked(int argc, char **argv);
void command_main(int argc, char **argv) __attribute__((noreturn));

/* For suite_pump(). */
nfds_t command_poll_fds(struct pollfd *fds);
bool command_reaped(pid_t pid, int status);
void command_read(void);

#endif
