// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "programs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "cleanup.h"
#include "parse.h"

#define ID_KEY "\nprog_id:\t"

/* The id in one file of /proc/PID/fdinfo; 0: it is not of a program (a link has an id, too). */
static __u32 id_of(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char buf[1024], *at;
	__u32 id = 0;
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return 0; /* closed meanwhile */
	buf[n] = '\0';
	at = strstr(buf, "\nprog_type:\t") ? strstr(buf, ID_KEY) : NULL;
	if (!at)
		return 0;
	at += strlen(ID_KEY);
	at[strcspn(at, "\n")] = '\0';
	return ox_parse_u32(at, 1, ~0u, &id) ? 0 : id;
}

/* 1, or 0 if it was unloaded meanwhile, or -errno */
static int look_at(__u32 id, struct ox_program *ret)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int err;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = bpf_prog_get_info_by_fd(fd, &info, &len);
	if (err)
		return err;
	*ret = (struct ox_program){ .id = id, .recursion_misses = info.recursion_misses };
	memcpy(ret->name, info.name, sizeof(ret->name) - 1);
	return 1;
}

static int by_id(const void *a, const void *b)
{
	const struct ox_program *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

int ox_programs_of(pid_t pid, struct ox_program ret[OX_PROGRAMS_MAX])
{
	struct dirent *d;
	char path[32];
	int n = 0, i, got = 0;
	__u32 id;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid); /* fits */
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (got >= 0 && n < OX_PROGRAMS_MAX && (d = readdir(dir))) {
		id = d->d_name[0] == '.' ? 0 : id_of(dirfd(dir), d->d_name);
		for (i = 0; i < n && ret[i].id != id; i++)
			;
		if (!id || i < n)
			continue;
		got = look_at(id, &ret[n]);
		n += got > 0;
	}
	(void)closedir(dir); /* read only */
	if (got < 0)
		return got;
	qsort(ret, n, sizeof(ret[0]), by_id);
	return n;
}
