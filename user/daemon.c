// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "engine.h"
#include "log.h"
#include "oom_group.h"
#include "parse.h"
#include "paths.h"
#include "pinned.h"
#include "restore.h"
#include "shields.h"

#define TICK_MS 10
#define LOOK_MS 200   /* who only looks whether one is running has the lock for a moment */
#define UNDO_MS 10000 /* who undoes has it for longer: links go after grace periods */

static pid_t read_pid(int fd)
{
	char buf[16] = {};
	__s32 pid;
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		return 0;
	buf[strcspn(buf, "\n")] = '\0';
	return ox_parse_s32(buf, 1, 1 << 22, &pid) ? 0 : pid;
}

/* `own`: the process id to write; 0: none */
static int lock_as(pid_t own, pid_t *ret_other)
{
	_cleanup_close_ int fd = -1;

	if (mkdir(OX_RUN_DIR, 0755) && errno != EEXIST)
		return ox_err_r(-errno, "cannot make " OX_RUN_DIR ": %m");
	fd = open(OX_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ox_err_r(-errno, "cannot open " OX_LOCK ": %m");
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return ox_err_r(-errno, "cannot lock " OX_LOCK ": %m");
		*ret_other = read_pid(fd);
		return -EBUSY;
	}
	/* who can open it, if only to read, can lock it; one that was there may be open to all */
	if (fchmod(fd, 0600))
		ox_warn("cannot close " OX_LOCK " to others (%m), ignoring");
	if (ftruncate(fd, 0) || (own && dprintf(fd, "%d\n", own) < 0))
		return ox_err_r(-errno, "cannot write " OX_LOCK ": %m");
	return TAKE_FD(fd);
}

int ox_daemon_lock(pid_t *ret_other)
{
	return lock_as(getpid(), ret_other);
}

int ox_daemon_wait_lock(bool to_undo, pid_t *ret_other)
{
	const struct timespec tick = { .tv_nsec = TICK_MS * 1000000 };
	pid_t own = to_undo ? 0 : getpid(), other = 0;
	int fd = lock_as(own, &other), ms;

	for (ms = 0; fd == -EBUSY && ms < (other ? LOOK_MS : UNDO_MS); ms += TICK_MS) {
		(void)nanosleep(&tick, NULL); /* interrupted: tries again a little earlier */
		other = 0;
		fd = lock_as(own, &other);
	}
	*ret_other = other;
	return fd;
}

pid_t ox_daemon_pid(void)
{
	_cleanup_close_ int fd = open(OX_LOCK, O_RDONLY | O_CLOEXEC);

	/* who may not look sees by its socket that there is one, or was until it was killed */
	if (fd < 0 && errno == EACCES)
		return access(OX_SOCK, F_OK) && errno == ENOENT ? 0 : -EACCES;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!flock(fd, LOCK_SH | LOCK_NB))
		return 0;
	return errno == EWOULDBLOCK ? read_pid(fd) : -errno;
}

/* Removes the files below a directory of ours, and then itself. */
static int remove_tree(const char *path, int depth, int *ret_found)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	char sub[512];
	int err = 0, last;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	*ret_found = 1;
	while ((d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", path, d->d_name) >= (int)sizeof(sub))
			continue;
		if (!unlink(sub))
			continue;
		if (errno == EISDIR && depth < 4)
			last = remove_tree(sub, depth + 1, ret_found);
		else
			last = ox_err_r(-errno, "cannot remove %s: %m", sub);
		err = last ? last : err;
	}
	(void)closedir(dir); /* read only */
	if (rmdir(path) && !err)
		err = ox_err_r(-errno, "cannot remove %s: %m", path);
	return err;
}

int ox_daemon_undo(int *ret_found)
{
	_cleanup_close_ int raised = ox_engine_pinned("oomx_raised");
	_cleanup_close_ int groups = ox_engine_pinned("oomx_groups");
	_cleanup_close_ int shields = ox_engine_pinned("oomx_shields");
	unsigned int failed = raised >= 0 ? ox_restore_all(raised) : 0;
	unsigned int failed_groups = groups >= 0 ? ox_oom_group_restore(groups) : 0;
	/* after those that were raised in an OOM, which have what a rule has written again now */
	unsigned int failed_shields = shields >= 0 ? ox_shields_restore(shields, raised) : 0;
	int err;

	*ret_found = 0;
	if (failed)
		ox_err("%u raised oom_score_adj could not be put back", failed);
	if (failed_groups)
		ox_err("%u memory.oom.group could not be put back", failed_groups);
	if (failed_shields)
		ox_err("%u oom_score_adj could not be set to -1000 again", failed_shields);
	failed += failed_groups + failed_shields;
	ox_pinned_remove_others(0);
	err = remove_tree(OX_PIN_DIR, 0, ret_found);
	if (unlink(OX_SOCK) && errno != ENOENT)
		err = ox_err_r(-errno, "cannot remove " OX_SOCK ": %m");
	return failed ? -EIO : err;
}
