// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/suite.h"

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h, in field 9 of /proc/PID/stat */

int proc_read(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buf + len, size - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < size - 1);
	if (n < 0)
		err = -errno;
	close(fd);
	buf[len] = '\0';
	return err;
}

int proc_write(const char *path, const char *text)
{
	int err = 0, fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int64_t proc_keyed(const char *path, const char *key)
{
	char buf[16384]; /* threads ask as well */
	size_t len = strlen(key);
	const char *line;

	if (proc_read(path, buf, sizeof(buf)))
		return -1;
	for (line = buf; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && (line[len] == ' ' || line[len] == ':'))
			return strtoll(line + len + 1, NULL, 10);
	}
	return -1;
}

int64_t proc_vmstat(const char *key)
{
	return proc_keyed("/proc/vmstat", key);
}

int64_t proc_mem_mib(const char *key)
{
	int64_t kib = proc_keyed("/proc/meminfo", key);

	return kib < 0 ? -1 : kib / 1024;
}

void proc_drop_caches(void)
{
	int err = proc_write("/proc/sys/vm/drop_caches", "3");

	if (err)
		suite_fatal("/proc/sys/vm/drop_caches: %s", strerror(-err));
}

int proc_oom_score_adj(pid_t pid)
{
	char path[64], buf[32];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	if (proc_read(path, buf, sizeof(buf)) || !buf[0])
		return PROC_NO_ADJ;
	return (int)strtol(buf, NULL, 10);
}

unsigned int proc_threads(pid_t pid, pid_t *ret_tids, unsigned int max)
{
	unsigned int n = 0;
	struct dirent *d;
	char path[64];
	DIR *dir;
	pid_t tid;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		tid = (pid_t)strtol(d->d_name, NULL, 10);
		if (tid > 0 && n++ < max)
			ret_tids[n - 1] = tid;
	}
	if (dir)
		closedir(dir);
	return n;
}

/* Fields 9 (flags) and 22 (starttime) of /proc/PID/stat, and the comm. */
static int read_stat(pid_t pid, struct proc_entry *ret, unsigned long *ret_flags, char *ret_state)
{
	char path[64], buf[1024], *open, *close;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	err = proc_read(path, buf, sizeof(buf));
	if (err)
		return err;
	open = strchr(buf, '(');
	close = strrchr(buf, ')');
	if (!open || !close || close < open)
		return -EINVAL;
	*close = '\0';
	snprintf(ret->comm, sizeof(ret->comm), "%s", open + 1);
	if (sscanf(close + 2,
		   "%c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lu",
		   ret_state, ret_flags, &ret->start) != 3)
		return -EINVAL;
	ret->pid = pid;
	return 0;
}

uint64_t proc_start_ns(pid_t pid)
{
	struct proc_entry e;
	unsigned long flags;
	char state;

	if (read_stat(pid, &e, &flags, &state))
		return 0;
	return e.start * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

char proc_state(pid_t pid)
{
	struct proc_entry e;
	unsigned long flags;
	char state;

	return read_stat(pid, &e, &flags, &state) ? 0 : state;
}

bool proc_lives(pid_t pid)
{
	char state = proc_state(pid);

	return state && state != 'Z' && state != 'X';
}

void proc_census(struct proc_census *ret)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	struct proc_entry *e;
	unsigned long flags;
	char state;

	if (!dir)
		suite_fatal("/proc: %s", strerror(errno));
	ret->n = 0;
	while ((d = readdir(dir)) && ret->n < PROC_CENSUS_MAX) {
		e = &ret->entries[ret->n];
		if (d->d_name[0] < '1' || d->d_name[0] > '9' ||
		    read_stat((pid_t)strtol(d->d_name, NULL, 10), e, &flags, &state))
			continue;
		if (flags & PF_KTHREAD || state == 'Z' || state == 'X')
			continue;
		e->adj = proc_oom_score_adj(e->pid);
		if (e->adj != PROC_NO_ADJ)
			ret->n++;
	}
	closedir(dir);
}

void proc_census_leave_out(struct proc_census *c, const char *exe)
{
	char path[64], to[PATH_MAX];
	unsigned int i, n = 0;
	ssize_t len;

	for (i = 0; i < c->n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/exe", c->entries[i].pid);
		len = readlink(path, to, sizeof(to) - 1);
		to[len > 0 ? len : 0] = '\0';
		if (strcmp(to, exe))
			c->entries[n++] = c->entries[i];
	}
	c->n = n;
}

static bool excepted(pid_t pid, const pid_t *except, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (except[i] == pid)
			return true;
	}
	return false;
}

bool proc_census_holds(const struct proc_census *before, const pid_t *except, unsigned int n_except,
		       char *ret_what, size_t size)
{
	const struct proc_entry *e;
	struct proc_entry now;
	unsigned long flags;
	char state;
	unsigned int i;
	int adj;

	for (i = 0; i < before->n; i++) {
		e = &before->entries[i];
		if (excepted(e->pid, except, n_except))
			continue;
		if (read_stat(e->pid, &now, &flags, &state) || now.start != e->start ||
		    state == 'Z' || state == 'X') {
			snprintf(ret_what, size, "%s (pid %d) is gone", e->comm, e->pid);
			return false;
		}
		adj = proc_oom_score_adj(e->pid);
		if (adj != e->adj) {
			snprintf(ret_what, size, "oom_score_adj of %s (pid %d) was %d, now %d",
				 e->comm, e->pid, e->adj, adj);
			return false;
		}
	}
	return true;
}
