/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cgroups: mount tables of every kind, a tree that is none, and the real one where there is one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "cgroup.h"
#include "cleanup.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static char dir[64];	    /* a tree that looks like a hierarchy */
static char mountinfo[128]; /* one that says that it is */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void in_dir(char *buf, size_t size, const char *name)
{
	assert_true((size_t)snprintf(buf, size, "%s/%s", dir, name) < size);
}

static int setup(void **state)
{
	char path[128], text[256];

	(void)state;
	strcpy(dir, "/tmp/oomx-test-cgroup.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	in_dir(path, sizeof(path), "a");
	assert_int_equal(mkdir(path, 0700), 0);
	in_dir(path, sizeof(path), "a/b..c");
	assert_int_equal(mkdir(path, 0700), 0);
	in_dir(path, sizeof(path), "cgroup.procs");
	write_file(path, "");
	in_dir(mountinfo, sizeof(mountinfo), "mountinfo");
	(void)snprintf(text, sizeof(text), "30 23 0:26 / %s rw - cgroup2 cgroup2 rw\n", dir);
	write_file(mountinfo, text);
	return 0;
}

static int teardown(void **state)
{
	static const char *const dirs[] = { "a/b..c", "a", "." };
	char path[128];

	(void)state;
	ox_cgroup_done();
	in_dir(path, sizeof(path), "cgroup.procs");
	(void)unlink(path);
	(void)unlink(mountinfo);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		in_dir(path, sizeof(path), dirs[i]);
		(void)rmdir(path);
	}
	return rmdir(dir);
}

static void mount_tables(void **state)
{
	static const struct {
		const char *table, *mount;
		int err;
	} row[] = {
		{ "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
		  "/sys/fs/cgroup", 0 },
		{ "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		  "32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
		  "/sys/fs/cgroup/unified", 0 },
		{ "30 23 0:26 / /a\\040b\\134c rw master:1 shared:4 - cgroup2 none rw\n", "/a b\\c", 0 },
		{ "30 23 0:26 /docker/x /first rw - cgroup2 c rw\n"
		  "31 23 0:26 / /whole rw - cgroup2 c rw\n"
		  "32 23 0:26 / /later rw - cgroup2 c rw\n", "/whole", 0 },
		{ "30 23 0:26 /x /first rw - cgroup2 c rw\n"
		  "31 23 0:26 /y /second rw - cgroup2 c rw\n", "/first", 0 },
		{ "30 23 0:26 / /no-newline rw - cgroup2 c rw", "/no-newline", 0 },
		/* the word in any other place */
		{ "30 23 0:26 /cgroup2 /cgroup2 rw - tmpfs cgroup2 cgroup2\n", NULL, -ENOENT },
		{ "30 23 0:26 / /x rw cgroup2 - tmpfs tmpfs rw\n", NULL, -ENOENT },
		{ "", NULL, -ENOENT },
		{ "\n\n \n", NULL, -ENOENT },
		{ "30 23 0:26 / /x rw -\n", NULL, -ENOENT },
		{ "30 23 0:26 / /x rw cgroup2\n", NULL, -ENOENT },
		{ "cgroup2", NULL, -ENOENT },
		{ "30 23 0:26 / /\\0 rw - cgroup2 c rw\n", "/\\0", 0 },
		{ "30 23 0:26 / /0123456789012345678901234567890123456789 rw - cgroup2 c rw\n",
		  NULL, -ENAMETOOLONG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		char buf[32] = "untouched", path[128];
		int err;

		in_dir(path, sizeof(path), "mountinfo");
		write_file(path, row[i].table);
		err = ox_cgroup_mount(path, buf, sizeof(buf));
		if (err != row[i].err)
			fail_msg("row %zu: %d, not %d", i, err, row[i].err);
		assert_string_equal(buf, row[i].mount ? row[i].mount : "untouched");
	}
	assert_int_equal(ox_cgroup_mount("/nonexistent", NULL, 0), -ENOENT);
}

/* A container's view: its own cgroup is /a/b..c, or something below, and the mount shows all. */
static void own_namespace(void **state)
{
	static const struct {
		const char *root, *proc, *path;
		int err;
	} row[] = {
		{ "/", "/", "/", 0 },
		{ "/", "/x/y", "/x/y", 0 },
		{ "/", "/..", NULL, -ENODATA },
		{ "/..", "/", "/a", 0 },
		{ "/..", "/b..c", "/a/b..c", 0 },
		{ "/..", "/..", "/", 0 },
		{ "/..", "/../x", "/x", 0 },
		{ "/..", "/../..x", "/..x", 0 },
		{ "/..", "/../..", NULL, -ENODATA },
		{ "/../..", "/", "/a/b..c", 0 },
		{ "/../..", "/x", "/a/b..c/x", 0 },
		{ "/../..", "/../x", "/a/x", 0 },
		{ "/../..", "/../../x/y", "/x/y", 0 },
		{ "/../..", "/../../x/0123456789/0123456789/0123456789", NULL, -ENAMETOOLONG },
		{ "/../../..", "/../../..", NULL, -ENODATA }, /* we are not that deep */
	};
	char procs[128], text[256], pid[32], buf[32];

	(void)state;
	in_dir(procs, sizeof(procs), "a/b..c/cgroup.procs");
	snprintf(pid, sizeof(pid), "1\n%d\n", getpid());
	write_file(procs, pid);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		strcpy(buf, "untouched");
		(void)snprintf(text, sizeof(text), "30 23 0:26 %s %s rw - cgroup2 cgroup2 rw\n",
			       row[i].root, dir);
		write_file(mountinfo, text);
		assert_int_equal(ox_cgroup_setup(mountinfo), 0);
		if (ox_cgroup_path_from_proc(row[i].proc, buf, sizeof(buf)) != row[i].err ||
		    strcmp(buf, row[i].path ? row[i].path : "untouched"))
			fail_msg("row %zu: %s is %s", i, row[i].proc, buf);
	}
	assert_int_equal(unlink(procs), 0); /* nobody is in it: it cannot be told */
	(void)snprintf(text, sizeof(text), "30 23 0:26 /.. %s rw - cgroup2 cgroup2 rw\n", dir);
	write_file(mountinfo, text);
	assert_int_equal(ox_cgroup_setup(mountinfo), 0);
	assert_int_equal(ox_cgroup_path_from_proc("/", buf, sizeof(buf)), -ENODATA);
}

static void huge_mount_table(void **state)
{
	FILE *f = fopen(mountinfo, "we");
	char buf[32];

	(void)state;
	assert_non_null(f);
	fputs("1 1 0:1 / /", f);
	for (int i = 0; i < 1000000; i++)
		fputc('x', f);
	fputs(" rw - tmpfs t rw\n2 2 0:1 / /found rw - cgroup2 c rw\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(ox_cgroup_mount(mountinfo, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "/found");
}

static __u64 inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void ids(void **state)
{
	static const struct {
		const char *path;
		int err;
	} bad[] = {
		{ NULL, -EINVAL },   { "", -EINVAL },	      { "..", -EINVAL },
		{ "/..", -EINVAL },  { "a/../..", -EINVAL },  { "/a/..", -EINVAL },
		{ "none", -ENOENT }, { "/cgroup.procs", -ENOTDIR }, { "a/none", -ENOENT },
		{ "cgroup.procs/a", -ENOTDIR }, { "/etc", -ENOENT },
	};
	char full[128], longer[256];
	__u64 id = 1, want;

	(void)state;
	assert_int_equal(ox_cgroup_setup(mountinfo), 0);
	in_dir(full, sizeof(full), "a/b..c");
	want = inode(full);
	assert_int_equal(ox_cgroup_id("a/b..c", &id), 0);
	assert_true(id == want);
	assert_int_equal(ox_cgroup_id("/a/b..c/", &id), 0);
	assert_true(id == want);
	assert_int_equal(ox_cgroup_id("//a//b..c", &id), 0);
	assert_true(id == want);
	assert_int_equal(ox_cgroup_id(full, &id), 0);
	assert_true(id == want);
	assert_int_equal(ox_cgroup_id(dir, &id), 0);
	assert_true(id == inode(dir));
	assert_int_equal(ox_cgroup_id("/", &id), 0);
	assert_true(id == inode(dir));

	id = 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (ox_cgroup_id(bad[i].path, &id) != bad[i].err)
			fail_msg("'%s': %d, not %d", bad[i].path ? bad[i].path : "(null)",
				 ox_cgroup_id(bad[i].path, &id), bad[i].err);
	/* begins like the mount, but is not below it */
	(void)snprintf(longer, sizeof(longer), "%sx/a", dir);
	assert_int_equal(ox_cgroup_id(longer, &id), -ENOENT);
	assert_int_equal(id, 1);
}

static void endless_path(void **state)
{
	enum { N = 2 * PATH_MAX };
	_cleanup_free_ char *path = malloc(N + 1);
	__u64 id;

	(void)state;
	assert_non_null(path);
	memset(path, 'x', N);
	path[N] = '\0';
	assert_int_equal(ox_cgroup_setup(mountinfo), 0);
	assert_int_equal(ox_cgroup_id(path, &id), -ENAMETOOLONG);
}

static void setup_keeps_what_works(void **state)
{
	__u64 id;

	(void)state;
	assert_int_equal(ox_cgroup_setup(mountinfo), 0);
	assert_int_equal(ox_cgroup_setup("/nonexistent"), -ENOENT);
	assert_int_equal(ox_cgroup_id("a", &id), 0);
	ox_cgroup_done();
	ox_cgroup_done();
}

/* The real one: a cgroup is made, found both ways, removed, and found no more. */
static void real_hierarchy(void **state)
{
	char mount[256], path[512], rel[64], buf[300], tiny[4] = "abc";
	__u64 id, root_id;

	(void)state;
	ox_cgroup_done();
	if (ox_cgroup_mount(NULL, mount, sizeof(mount)))
		skip();
	(void)snprintf(rel, sizeof(rel), "/oomx-test-%d", (int)getpid());
	(void)snprintf(path, sizeof(path), "%s%s", mount, rel);
	if (mkdir(path, 0700) < 0)
		skip();
	assert_int_equal(ox_cgroup_id(rel, &id), 0);
	assert_int_equal(ox_cgroup_id("/", &root_id), 0);
	if (ox_cgroup_path_by_id(id, buf, sizeof(buf)) == -EPERM) {
		(void)rmdir(path);
		skip();
	}
	assert_string_equal(buf, rel);
	assert_int_equal(ox_cgroup_path_by_id(root_id, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "/");
	assert_int_equal(ox_cgroup_path_by_id(id, tiny, sizeof(tiny)), -ENAMETOOLONG);
	assert_string_equal(tiny, "abc");

	assert_int_equal(rmdir(path), 0);
	assert_int_equal(ox_cgroup_path_by_id(id, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(ox_cgroup_id(rel, &id), -ENOENT);
	assert_int_equal(ox_cgroup_path_by_id(~0ull, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(ox_cgroup_path_by_id(0, buf, sizeof(buf)), -EINVAL);
}

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X250 X50 X50 X50 X50 X50

static void paths_from_records(void **state)
{
	static const struct {
		const char *raw;
		size_t size;
		const char *path;
	} row[] = {
		{ "", 0, "/" },
		{ "leaf", 4, "/leaf" },
		{ "leaf\0b\0a", 8, "/a/b/leaf" },
		{ "leaf\0\0stale", 12, "/leaf" },			/* what follows the end is not looked at */
		{ "\0stale", 6, "/" },
		{ "leaf\0" X250 "x", 256, "…/leaf" },			/* the topmost one runs over */
		{ "leaf\0" X250, 255, "…/leaf" },			/* or just fits: cannot be told apart */
		{ "leaf\0" X50 X50 X50 X50 "x\0" X10 X10 X10 X10 "yyyyyyyyy", 256,
		  "…/" X50 X50 X50 X50 "x/leaf" },
		{ X250 "abcdef", 256, "…/" X250 "abcdef" },		/* all there is */
		{ X250 "abcd", 254, "/" X250 "abcd" },
		{ X250 "abcde", 255, "…/" X250 "abcde" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		_cleanup_free_ char *raw = calloc(1, OOMX_PATH_LEN);
		char buf[OX_CGROUP_RECORD_LEN], small[OX_CGROUP_RECORD_LEN];
		size_t need = strlen(row[i].path) + 1;

		memcpy(raw, row[i].raw, row[i].size);
		assert_int_equal(ox_cgroup_path_from_record(raw, buf, sizeof(buf)), 0);
		assert_string_equal(buf, row[i].path);
		assert_int_equal(ox_cgroup_path_from_record(raw, buf, need), 0);
		memset(small, 0x55, sizeof(small));
		assert_int_equal(ox_cgroup_path_from_record(raw, small, need - 1), -ENAMETOOLONG);
		assert_int_equal(small[0], 0x55);
	}
}

/* All of it names: the most components there can be, and no end. */
static void path_of_garbage(void **state)
{
	char raw[OOMX_PATH_LEN], buf[OX_CGROUP_RECORD_LEN];

	(void)state;
	for (int i = 0; i < OOMX_PATH_LEN; i++)
		raw[i] = i % 2 ? '\0' : 'x';
	assert_int_equal(ox_cgroup_path_from_record(raw, buf, sizeof(buf)), 0);
	assert_int_equal(strlen(buf), strlen("…/") + 2 * 127 - 1);
	memset(raw, 0xff, sizeof(raw));
	assert_int_equal(ox_cgroup_path_from_record(raw, buf, sizeof(buf)), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mount_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(own_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_mount_table, setup, teardown),
		cmocka_unit_test_setup_teardown(ids, setup, teardown),
		cmocka_unit_test_setup_teardown(endless_path, setup, teardown),
		cmocka_unit_test_setup_teardown(setup_keeps_what_works, setup, teardown),
		cmocka_unit_test(real_hierarchy),
		cmocka_unit_test(paths_from_records),
		cmocka_unit_test(path_of_garbage),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
