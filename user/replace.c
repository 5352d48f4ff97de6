// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "replace.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "build.h"
#include "cleanup.h"
#include "daemon.h"
#include "log.h"

#define OOM_MS 5000  /* one may take longer: a slow console, to which all tasks are dumped */
#define END_MS 10000 /* for the other one, which restores and detaches */
#define LOCK_MS 1000

int ox_replace_find(pid_t *ret_pid)
{
	_cleanup_close_ int fd = -1;
	const struct oomx_config *c;
	pid_t pid = ox_daemon_pid();
	__u32 abi;

	*ret_pid = 0;
	if (pid <= 0)
		return pid < 0 ? ox_err_r(pid, "cannot tell whether an oomx is running: %s",
					  strerror(-pid)) : 0;
	fd = ox_engine_pinned("oomx_config");
	if (fd < 0)
		return ox_err_r(-EAGAIN, "the running oomx (process %d) is just starting or ending: "
					 "try again", pid);
	c = mmap(NULL, sizeof(*c), PROT_READ, MAP_SHARED, fd, 0);
	if (c == MAP_FAILED)
		return ox_err_r(-errno, "cannot look at the running oomx (process %d): %m", pid);
	abi = c->abi;
	(void)munmap((void *)c, sizeof(*c));
	if (abi != OOMX_ABI)
		return ox_err_r(-EPROTO, "the running oomx (process %d) has ABI %u, this one %u: it "
					 "stays in force; 'oomx stop' first", pid, abi, OOMX_ABI);
	*ret_pid = pid;
	return 0;
}

static void sleep_ms(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	(void)nanosleep(&ms, NULL); /* interrupted: the caller looks again */
}

static int end_other(pid_t pid)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	/* once the pidfd is there, the lock tells whether the id is still its own */
	if (pidfd < 0 || ox_daemon_pid() != pid)
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) && errno != ESRCH)
		return ox_err_r(-errno, "cannot end process %d: %m", pid);
	if (poll(&p, 1, END_MS) > 0)
		return 0;
	ox_warn("process %d does not end, killing it", pid);
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0); /* ESRCH: it is gone */
	return poll(&p, 1, END_MS) > 0 ? 0 :
					 ox_err_r(-ETIMEDOUT, "process %d cannot be killed", pid);
}

static void take_turn(struct ox_engine *e)
{
	int i;

	ox_engine_take_turn(e);
	for (i = 0; ox_engine_others_busy(e) && i < OOM_MS; i++)
		sleep_ms();
}

int ox_replace_finish(struct ox_engine *e, pid_t pid, int *ret_lock)
{
	pid_t other = 0;
	int i, err;

	take_turn(e);
	err = end_other(pid);
	if (err)
		return err;
	for (i = 0; i < LOCK_MS; i++) {
		*ret_lock = ox_daemon_lock(&other);
		if (*ret_lock != -EBUSY)
			break;
		sleep_ms();
	}
	if (*ret_lock == -EBUSY)
		return ox_err_r(-EBUSY, "another oomx has been started meanwhile (process %d)", other);
	if (*ret_lock < 0)
		return *ret_lock;
	/* an 'oomx stop' that was given the lock before us has removed all that was pinned */
	return e->stays ? ox_engine_stay(e) : 0;
}

bool ox_replace_continues(const struct oomx_config *in_force, const struct ox_policy *policy)
{
	return in_force->build == ox_build() && in_force->policy_hash == policy->hash;
}

static int refuse(const struct oomx_config *c, const struct ox_policy *policy)
{
	char its[OX_BUILD_LEN], ours[OX_BUILD_LEN];

	return ox_err_r(-EBUSY, "an oomx %s (build %s) that was killed left its policy %s (%016llx) in "
				"force, and this is oomx %s (build %s) with policy %s (%016llx): the old "
				"one stays in force; --replace takes over from it, 'oomx stop' removes it",
			c->version, ox_build_text(c->build, its), c->policy,
			(unsigned long long)c->policy_hash, OX_VERSION,
			ox_build_text(ox_build(), ours), policy->name,
			(unsigned long long)policy->hash);
}

int ox_replace_find_killed(const struct ox_policy *policy, bool asked, struct ox_pinned *ret)
{
	int found = ox_pinned_find(ret);

	if (found > 0 && !asked && !ox_replace_continues(&ret->config, policy))
		return refuse(&ret->config, policy);

	if (found == -EPROTO)
		return ox_err_r(found, "an oomx that was killed left its policy in force, and has ABI "
				       "%u, this one %u: it stays in force; 'oomx stop' removes it",
				ret->config.abi, OOMX_ABI);
	return found < 0 ? ox_err_r(found, "cannot look at what an oomx that was killed has left: %s",
				    strerror(-found)) : found;
}

int ox_replace_killed(struct ox_engine *e)
{
	int err = ox_engine_pin(e); /* what can fail comes first */

	if (!err)
		take_turn(e);
	return err;
}
