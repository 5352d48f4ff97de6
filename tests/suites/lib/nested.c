// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/nested.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cgroup.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define FILE_LEN (NESTED_PATH_LEN + 64)

void nested_enter(const char *path)
{
	char file[FILE_LEN];
	int err;

	snprintf(file, sizeof(file), CGROUP_ROOT "%s/cgroup.procs", path);
	err = proc_write(file, "0");
	if (err)
		suite_fatal("%s: %s", file, strerror(-err));
}

void nested_make(char path[NESTED_PATH_LEN], unsigned int depth, unsigned int name_len)
{
	char file[FILE_LEN];
	unsigned int i, len = 0;

	if (depth * (name_len + 1) >= NESTED_PATH_LEN)
		suite_fatal("%u levels of %u are too long", depth, name_len);
	path[0] = '\0';
	for (i = 0; i < depth; i++) {
		path[len++] = '/';
		memset(path + len, 'a' + (int)(i % 26), name_len);
		len += name_len;
		path[len] = '\0';
		snprintf(file, sizeof(file), CGROUP_ROOT "%s", path);
		if (mkdir(file, 0755) && errno != EEXIST)
			suite_fatal("cannot make %s: %s", file, strerror(errno));
	}
}

void nested_remove(char path[NESTED_PATH_LEN])
{
	char file[FILE_LEN];

	for (; path[0]; *strrchr(path, '/') = '\0') {
		snprintf(file, sizeof(file), CGROUP_ROOT "%s", path);
		if (rmdir(file))
			suite_fatal("cannot remove %s: %s", file, strerror(errno));
	}
}
