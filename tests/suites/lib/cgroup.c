// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/suite.h"

#define FILE_LEN (sizeof(CGROUP_ROOT) + CGROUP_PATH_LEN + 32)

static const char *file_of(char buf[FILE_LEN], const char *path, const char *file)
{
	snprintf(buf, FILE_LEN, "%s%s%s%s", CGROUP_ROOT, path, file ? "/" : "", file ? file : "");
	return buf;
}

void cgroup_set(const char *path, const char *file, const char *value)
{
	char name[FILE_LEN];
	int err = proc_write(file_of(name, path, file), value);

	if (err)
		suite_fatal("cannot write '%s' to %s: %s", value, name, strerror(-err));
}

void cgroup_set_mib(const char *path, const char *file, unsigned int mib)
{
	char value[32];

	snprintf(value, sizeof(value), "%llu", (unsigned long long)mib << 20);
	cgroup_set(path, file, value);
}

void cgroup_make(const char *path)
{
	char name[FILE_LEN], parent[CGROUP_PATH_LEN];

	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	cgroup_set(parent, "cgroup.subtree_control", "+memory");
	if (mkdir(file_of(name, path, NULL), 0755) && errno != EEXIST)
		suite_fatal("cannot make %s: %s", name, strerror(errno));
}

static bool removed(void *name)
{
	return !rmdir(name) || errno == ENOENT;
}

void cgroup_remove(const char *path)
{
	char name[FILE_LEN];

	file_of(name, path, NULL);
	if (!suite_wait(removed, name, SUITE_STEP_MS))
		suite_fatal("cannot remove %s: %s", name, strerror(errno));
}

int64_t cgroup_event(const char *path, const char *key)
{
	char name[FILE_LEN];

	return proc_keyed(file_of(name, path, "memory.events"), key);
}

int64_t cgroup_number(const char *path, const char *file)
{
	char name[FILE_LEN], buf[32];

	if (proc_read(file_of(name, path, file), buf, sizeof(buf)))
		return -1;
	return strtoll(buf, NULL, 10);
}

uint64_t cgroup_id(const char *path)
{
	char name[FILE_LEN];
	struct stat st;

	if (stat(file_of(name, path, NULL), &st))
		return 0;
	return st.st_ino;
}

struct drain {
	const char *path;
	int64_t bytes, now;
};

static bool drained(void *arg)
{
	struct drain *d = arg;

	d->now = cgroup_number(d->path, "memory.current");
	return d->now >= 0 && d->now <= d->bytes;
}

void cgroup_drain(const char *path, unsigned int mib)
{
	struct drain d = { .path = path, .bytes = (int64_t)mib << 20 };

	if (!suite_wait(drained, &d, SUITE_STEP_MS))
		suite_fatal("%s still has %lld KiB charged", path, (long long)d.now / 1024);
}
