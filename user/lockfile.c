// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lockfile.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MS 1000

int ox_lockfile_take(const char *path)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), i;

	for (i = 0; fd >= 0 && i < LOCK_MS; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		(void)nanosleep(&ms, NULL); /* interrupted: looks again a little earlier */
	}
	if (fd >= 0)
		(void)close(fd); /* nothing was written */
	return -1;
}
