/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/openat2.h>

#include "cleanup.h"

static int open_below(int root, const char *path, int flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	long fd;

	do
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR)); /* a rename went by */
	return fd < 0 ? (errno == ENOTDIR ? -ENOENT : -errno) : (int)fd;
}

static bool trusted(const struct stat *st)
{
	return (!st->st_uid || st->st_uid == geteuid()) && !(st->st_mode & S_IWOTH);
}

int ox_statefile_read(int root, const char *path, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *buf = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t used = 0, size;

	/* a FIFO must not make us wait */
	fd = open_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (!trusted(&st))
		return -EPERM;
	if ((__u64)st.st_size > max)
		return -EFBIG;

	size = st.st_size + 1; /* what it grows by meanwhile is not wanted */
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	while (used < size - 1) {
		ssize_t n = read(fd, buf + used, size - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		used += n;
	}
	buf[used] = '\0';
	*ret = TAKE_PTR(buf);
	*ret_size = used;
	return 0;
}

int ox_statefile_json(int root, const char *path, size_t max, json_t **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int err = ox_statefile_read(root, path, max, &text, &size);

	if (err)
		return err;
	*ret = json_loadb(text, size, 0, NULL);
	return *ret ? 0 : -EBADMSG;
}

int ox_statefile_socket(int root, const char *path)
{
	_cleanup_close_ int fd = open_below(root, path, O_PATH);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EINVAL;
	return trusted(&st) ? TAKE_FD(fd) : -EPERM;
}

bool ox_statefile_exists(int root, const char *path)
{
	_cleanup_close_ int fd = open_below(root, path, O_PATH | O_NOFOLLOW);

	return fd >= 0;
}
