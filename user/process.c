// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "parse.h"
#include "restore.h"

#define STATUS_MAX 4096

/* What fits, ended by NUL; the number of bytes, or -errno */
static ssize_t read_file(int dir, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n, used = 0;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	do {
		n = read(fd, buf + used, size - 1 - used);
		used += n > 0 ? n : 0;
	} while (n > 0 && used < (ssize_t)size - 1);
	buf[used] = '\0';
	return n < 0 ? -errno : used;
}

/* Field 22 of "stat"; the comm before it may hold anything. */
int ox_process_start_ticks(int dir, __u64 *ret)
{
	char buf[1024], *p;
	ssize_t n = read_file(dir, "stat", buf, sizeof(buf));
	int field;

	if (n <= 0)
		return n ? (int)n : -ESRCH;
	p = strrchr(buf, ')');
	for (field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	if (p)
		p[strcspn(p, " ")] = '\0';
	return !p || ox_parse_u64(p, 0, UINT64_MAX, ret) ? -EPROTO : 0;
}

static int read_comm(int dir, struct ox_process *p)
{
	ssize_t n = read_file(dir, "comm", p->comm, sizeof(p->comm));

	if (n < 0)
		return n;
	p->comm[strcspn(p->comm, "\n")] = '\0';
	return 0;
}

static bool same_mounts(int dir)
{
	char its[64], ours[64];
	ssize_t n = readlinkat(dir, "ns/mnt", its, sizeof(its));

	return n > 0 && n == readlink("/proc/self/ns/mnt", ours, sizeof(ours)) &&
	       !memcmp(its, ours, n);
}

/* Whoever has mounts of his own can have any file under any name. */
static bool is_foreign(int dir, const char *exe)
{
	struct stat its, ours;

	if (same_mounts(dir))
		return false;
	return fstatat(dir, "exe", &its, 0) || stat(exe, &ours) || its.st_dev != ours.st_dev ||
	       its.st_ino != ours.st_ino;
}

/* None is no failure: a kernel thread, or one that is exiting. */
static void read_exe(int dir, struct ox_process *p)
{
	static const char gone[] = " (deleted)";
	ssize_t n = readlinkat(dir, "exe", p->exe, sizeof(p->exe) - 1);

	p->exe_hidden = n < 0 && (errno == EACCES || errno == EPERM);
	p->exe[n > 0 ? n : 0] = '\0';
	n -= sizeof(gone) - 1;
	if (n > 0 && !strcmp(p->exe + n, gone))
		p->exe[n] = '\0'; /* replaced since: it still is what runs */
	p->exe_foreign = p->exe[0] && is_foreign(dir, p->exe);
}

static int read_cmdline(int dir, struct ox_process *p)
{
	ssize_t n = read_file(dir, "cmdline", p->cmdline, sizeof(p->cmdline)), i;

	if (n < 0)
		return n;
	while (n && !p->cmdline[n - 1])
		n--;
	for (i = 0; i < n; i++)
		if (!p->cmdline[i])
			p->cmdline[i] = ' ';
	return 0;
}

static int read_uid(int dir, struct ox_process *p)
{
	char status[STATUS_MAX], *uid;
	ssize_t n = read_file(dir, "status", status, sizeof(status));
	size_t len;

	if (n < 0)
		return n;
	uid = strstr(status, "\nUid:\t"); /* a newline in the name is written "\n" there */
	if (!uid)
		return -EPROTO;
	uid += 6;
	len = strspn(uid, "0123456789");
	if (!len || len >= sizeof(p->uid))
		return -EPROTO;
	memcpy(p->uid, uid, len);
	p->uid[len] = '\0';
	return 0;
}

static int read_cgroup(int dir, struct ox_process *p)
{
	char text[PATH_MAX + 1024], *line;
	ssize_t n = read_file(dir, "cgroup", text, sizeof(text));
	size_t len;

	if (n < 0)
		return n;
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return -ENODATA;
	line = strchr(line, '/');
	len = line ? strcspn(line, "\n") : 0;
	if (!len)
		return -ENODATA;
	line[len] = '\0';
	return ox_cgroup_path_from_proc(line, p->cgroup, sizeof(p->cgroup));
}

int ox_process_read(__u32 pid, __u64 start_ns, bool cmdline, struct ox_process *ret)
{
	_cleanup_close_ int dir = ox_process_open(pid, start_ns);
	int err;

	if (dir < 0)
		return dir;
	read_exe(dir, ret);
	err = read_comm(dir, ret);
	ret->cmdline[0] = '\0';
	if (!err && cmdline)
		err = read_cmdline(dir, ret);
	if (!err)
		err = read_uid(dir, ret);
	return err ? err : read_cgroup(dir, ret);
}
