/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tree.h - files below a directory of the test's own, in place of "/". Include after cmocka.h. */
#ifndef OX_TEST_TREE_H
#define OX_TEST_TREE_H

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[] = "/tmp/oomx-test-tree.XXXXXX";

static inline int tree_remove_one(const char *path, const struct stat *st, int type,
				  struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* 0 or -1, as cmocka wants it */
static inline int tree_make(void)
{
	strcpy(root + strlen(root) - 6, "XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static inline int tree_remove(void)
{
	return nftw(root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes the directories of a path below the root, and returns it as the host has it. */
static inline const char *place(const char *path)
{
	static char full[PATH_MAX];

	assert_true((size_t)snprintf(full, sizeof(full), "%s%s", root, path) < sizeof(full));
	for (char *c = full + strlen(root) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		if (mkdir(full, 0700) < 0)
			assert_int_equal(errno, EEXIST);
		*c = '/';
	}
	return full;
}

static inline void put(const char *path, const char *text)
{
	FILE *f = fopen(place(path), "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

#endif
