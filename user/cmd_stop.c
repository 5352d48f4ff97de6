// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* oomx stop: ends the running one and takes back what any, even a dead one, has left. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "cmd.h"
#include "daemon.h"
#include "exit.h"
#include "log.h"
#include "pinned.h"

#define STOP_MS 30000 /* detaching waits for the kernel's grace periods */
#define KILL_MS 5000

static const char usage[] =
	"Usage: oomx stop\n"
	"\n"
	"Ends the running oomx and undoes all it did: programs detached, raised\n"
	"oom_score_adj put back, what is pinned removed. Undoes what a killed one left, too:\n"
	"with the hook struct_ops its policy is in force until then.\n";

static int wait_gone(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : -ETIMEDOUT;
}

static int end_daemon(pid_t pid)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return errno == ESRCH ? 0 : ox_err_r(-errno, "cannot reach process %d: %m", pid);
	if (ox_daemon_pid() != pid) /* it ended while we opened it, and the id may be another's */
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) && errno != ESRCH)
		return ox_err_r(-errno, "cannot end process %d: %m", pid);
	if (!wait_gone(pidfd, STOP_MS))
		return 0;
	ox_warn("process %d does not end, killing it", pid);
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) && errno != ESRCH)
		return ox_err_r(-errno, "cannot kill process %d: %m", pid);
	return wait_gone(pidfd, KILL_MS) ?
		       ox_err_r(-ETIMEDOUT, "process %d cannot be killed", pid) : 0;
}

static void tell_removed(int left, const struct oomx_config *c)
{
	if (left > 0)
		ox_info("removed the policy %s (%016llx) that an oomx %s that was killed had left in "
			"force", c->policy, (unsigned long long)c->policy_hash, c->version);
	else if (left == -EPROTO)
		ox_info("removed what an oomx of ABI %u that was killed had left in force", c->abi);
}

/* Of the one that has been ended, or of one before. Returns the exit status. */
static int undo(pid_t ended)
{
	_cleanup_close_ int lock = -1;
	struct ox_pinned killed;
	int found = 0, left;
	pid_t other = 0;

	lock = ox_daemon_wait_lock(/* to_undo= */ true, &other);
	if (lock == -EBUSY) /* what is there is its own */
		return ox_err_r(OX_EXIT_ALREADY_RUNNING, "another oomx has been started meanwhile "
				"(process %d), or another 'oomx stop' is at work: try again", other);
	if (lock < 0)
		return OX_EXIT_FAILURE;
	left = ox_pinned_find(&killed);
	if (ox_daemon_undo(&found))
		return OX_EXIT_FAILURE;
	tell_removed(left, &killed.config);
	if (!ended && !found)
		return ox_info_r(OX_EXIT_NOT_RUNNING, "no oomx is running, and none has left anything");
	return OX_EXIT_OK;
}

int ox_cmd_stop(int argc, char **argv)
{
	static const struct option table[] = { { "help", no_argument, NULL, 'h' }, {} };
	static const char shorts[] = ":h";
	pid_t pid;
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		if (c != 'h')
			return ox_bad_option(c, shorts, argv);
		return ox_help(usage);
	}
	c = ox_no_words(argc, argv);
	if (c >= 0)
		return c;
	c = ox_need_root("stop");
	if (c)
		return c;
	pid = ox_daemon_pid();
	if (pid < 0)
		return ox_err_r(ox_exit_status(pid), "cannot tell whether an oomx is running: %s",
				strerror(-pid));
	if (pid && end_daemon(pid))
		return OX_EXIT_FAILURE;
	return undo(pid);
}
