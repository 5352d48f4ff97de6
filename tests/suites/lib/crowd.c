// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/cgroup.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define ARG "--as-crowd"
#define READY_FD 3
#define CGROUP "/crowd"
#define SIZES 61 /* that they may have, in pages above the smallest */
#define START_MS 3600000 /* 10,000 forks, emulated, on a busy host: a minute */

static struct {
	pid_t parent;
	int ready; /* end of file: all are there, or the parent has failed */
	bool told;
} crowd;

extern char **environ;

/* ---- their parent, this program started anew: small, so that its forks are ------------------- */

static void __attribute__((noreturn)) give_up(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* Straight into the cgroup: moving a process there takes the kernel milliseconds. */
static pid_t fork_into(int cgroup)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (cgroup >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (__u64)cgroup;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/*
 * As processes are, they differ in size: were they all equal, each would be the best so far. In no
 * order, so that few are.
 */
static void grow(unsigned int i)
{
	static char pages[SIZES * 4096];
	unsigned int n = i * 2654435761u % SIZES;

	while (n--)
		((volatile char *)pages)[n * 4096] = 1;
}

static void start_one(bool victim, int cgroup, unsigned int i)
{
	pid_t pid = fork_into(cgroup);

	if (pid < 0)
		give_up("fork");
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (victim && proc_write("/proc/self/oom_score_adj", "1000"))
		_exit(1);
	grow(i);
	close(READY_FD);
	for (;;)
		pause();
}

static int open_cgroup(unsigned int i)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), CGROUP_ROOT CGROUP "/%u", i);
	if (mkdir(path, 0755) && errno != EEXIST)
		give_up(path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		give_up(path);
	return fd;
}

static void __attribute__((noreturn)) start_all(const struct crowd_spec *spec)
{
	static int cgroups[CROWD_CGROUPS_MAX];
	unsigned int i;
	char c = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "crowd");
	signal(SIGCHLD, SIG_IGN); /* they leave no zombies */
	for (i = 0; i < spec->n_cgroups; i++)
		cgroups[i] = open_cgroup(i);
	if (proc_write("/proc/self/oom_score_adj", "0"))
		give_up("oom_score_adj");
	for (i = 0; i < spec->n; i++)
		start_one(false, spec->n_cgroups ? cgroups[i % spec->n_cgroups] : -1, i);
	for (i = 0; i < spec->n_victims; i++)
		start_one(true, -1, i);
	if (proc_write("/proc/self/oom_score_adj", "-1000") || write(READY_FD, &c, 1) != 1)
		give_up("ready");
	close(READY_FD);
	for (;;)
		pause();
}

void crowd_main(int argc, char **argv)
{
	struct crowd_spec spec;

	if (argc != 5 || strcmp(argv[1], ARG))
		return;
	spec.n = (unsigned int)strtoul(argv[2], NULL, 10);
	spec.n_victims = (unsigned int)strtoul(argv[3], NULL, 10);
	spec.n_cgroups = (unsigned int)strtoul(argv[4], NULL, 10);
	start_all(&spec);
}

/* ---- the suite's side ------------------------------------------------------------------------ */

static bool is_ready(void *arg)
{
	ssize_t n;
	char c;

	n = read(crowd.ready, &c, 1);
	if (n == 1)
		crowd.told = true;
	return n >= 0;
}

void crowd_start(const struct crowd_spec *spec)
{
	posix_spawn_file_actions_t actions;
	char numbers[3][16];
	char *argv[] = { (char *)"crowd", (char *)ARG, numbers[0], numbers[1], numbers[2], NULL };
	int err, ready[2];

	if (spec->n_cgroups > CROWD_CGROUPS_MAX)
		suite_fatal("more than %d cgroups", CROWD_CGROUPS_MAX);
	if (spec->n_cgroups)
		cgroup_make(CGROUP);
	snprintf(numbers[0], sizeof(numbers[0]), "%u", spec->n);
	snprintf(numbers[1], sizeof(numbers[1]), "%u", spec->n_victims);
	snprintf(numbers[2], sizeof(numbers[2]), "%u", spec->n_cgroups);
	if (pipe2(ready, O_CLOEXEC))
		suite_fatal("pipe: %s", strerror(errno));
	fcntl(ready[0], F_SETFL, O_NONBLOCK);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ready[1], READY_FD);
	err = posix_spawn(&crowd.parent, "/proc/self/exe", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		suite_fatal("cannot start the crowd: %s", strerror(err));
	close(ready[1]);
	crowd.ready = ready[0];
	crowd.told = false;
	if (!suite_wait(is_ready, NULL, START_MS) || !crowd.told)
		suite_fatal("the crowd of %u did not get there", spec->n);
	close(crowd.ready);
}

static bool gone(void *arg)
{
	return kill(crowd.parent, 0) && errno == ESRCH;
}

void crowd_end(void)
{
	/* The others follow by their parent-death signals. */
	kill(crowd.parent, SIGKILL);
	if (!suite_wait(gone, NULL, SUITE_STEP_MS))
		suite_fail("the crowd's parent survives SIGKILL");
}
