/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Handles and ids: see name_to_handle_at(2). All paths handed in are looked up below the mount, by
 * its fd, so that a mount over it cannot lead elsewhere.
 */
#define _GNU_SOURCE 1 /* open_by_handle_at() */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"

#define LOST "…/"

/*
 * include/linux/exportfs.h, 5.5 and later: a handle that is nothing but the 64-bit id. Not in the
 * headers user space gets before 6.14.
 */
#define FILEID_KERNFS 0xfe

static struct {
	int fd; /* of the mount's directory; -1: not looked for yet */
	dev_t dev;
	char path[PATH_MAX];
	unsigned int above; /* cgroups between its root and that of our namespace; mostly 0 */
	char ours[PATH_MAX]; /* that root, once looked for; "": cannot be told */
	bool ours_known;
} root = { .fd = -1 };

static void cleanup_file(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* was only read */
}

/* "\040" -> ' ': mountinfo writes blanks, tabs, newlines and backslashes so. In place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/*
 * proc(5): "36 35 98:0 /root /mount options [tags...] - fstype source options".
 * Cuts `line` up. True if this is a cgroup v2 mount.
 */
static bool parse_mountinfo(char *line, const char **ret_root, const char **ret_mount)
{
	char *field[5], *type, *save = NULL;

	for (int i = 0; i < 5; i++) {
		field[i] = strtok_r(i ? NULL : line, " \n", &save);
		if (!field[i])
			return false;
	}
	do {
		type = strtok_r(NULL, " \n", &save);
		if (!type)
			return false;
	} while (strcmp(type, "-"));
	type = strtok_r(NULL, " \n", &save);
	if (!type || strcmp(type, "cgroup2"))
		return false;

	unescape(field[3]);
	unescape(field[4]);
	*ret_root = field[3];
	*ret_mount = field[4];
	return true;
}

/* "/../.." -> 2 */
static unsigned int count_above(const char *path)
{
	unsigned int n = 0;

	for (; !strncmp(path, "/..", 3) && (!path[3] || path[3] == '/'); path += 3)
		n++;
	return n;
}

/* As ox_cgroup_mount(). *ret_above: of the root that it shows, as root.above. */
static int find_mount(const char *mountinfo, char *buf, size_t size, unsigned int *ret_above)
{
	__attribute__((cleanup(cleanup_file))) FILE *f = NULL;
	_cleanup_free_ char *line = NULL, *best = NULL;
	size_t allocated = 0;

	f = fopen(mountinfo ? mountinfo : "/proc/self/mountinfo", "re");
	if (!f)
		return -errno;

	while (getline(&line, &allocated, f) > 0) {
		const char *shown, *mount;
		bool whole;

		if (!parse_mountinfo(line, &shown, &mount))
			continue;
		whole = !strcmp(shown, "/");
		if (best && !whole)
			continue;
		free(best);
		best = strdup(mount);
		if (!best)
			return -ENOMEM;
		*ret_above = count_above(shown);
		if (whole)
			break;
	}
	if (ferror(f))
		return -EIO;
	if (!best)
		return -ENOENT;
	if (strlen(best) >= size)
		return -ENAMETOOLONG;
	memcpy(buf, best, strlen(best) + 1);
	return 0;
}

int ox_cgroup_mount(const char *mountinfo, char *buf, size_t size)
{
	unsigned int above;

	return find_mount(mountinfo, buf, size, &above);
}

int ox_cgroup_setup(const char *mountinfo)
{
	_cleanup_close_ int fd = -1;
	unsigned int above;
	char path[PATH_MAX];
	struct stat st;
	int err;

	err = find_mount(mountinfo, path, sizeof(path), &above);
	if (err)
		return err;
	/* readable, not O_PATH: open_by_handle_at() wants a real one */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;

	ox_cgroup_done();
	root.fd = TAKE_FD(fd);
	root.dev = st.st_dev;
	memcpy(root.path, path, sizeof(path));
	root.above = above;
	root.ours_known = false;
	return 0;
}

void ox_cgroup_done(void)
{
	if (root.fd >= 0)
		(void)close(root.fd); /* a directory: nothing to lose */
	root.fd = -1;
}

static int need_root(void)
{
	return root.fd >= 0 ? 0 : ox_cgroup_setup(NULL);
}

/* What follows `prefix` in `path`, whole components only: "" or "/...". NULL: not under it. */
static const char *path_below(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	while (n && prefix[n - 1] == '/')
		n--;
	if (strncmp(path, prefix, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n;
}

static bool has_dotdot(const char *path)
{
	for (const char *p = strstr(path, ".."); p; p = strstr(p + 1, ".."))
		if ((p == path || p[-1] == '/') && (!p[2] || p[2] == '/'))
			return true;
	return false;
}

int ox_cgroup_id(const char *path, __u64 *ret_id)
{
	const char *below;
	struct stat st;
	int err;

	if (!path || !*path || has_dotdot(path))
		return -EINVAL;
	err = need_root();
	if (err)
		return err;

	below = path_below(path, root.path);
	if (!below)
		below = path;
	below += strspn(below, "/");
	if (fstatat(root.fd, *below ? below : ".", &st, 0) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_dev != root.dev)
		return -EXDEV;
	*ret_id = st.st_ino;
	return 0;
}

/* The cgroup's directory, which may be outside of the mount; or -errno */
static int open_id(__u64 id)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(id)];
	} h = { .handle = { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS } };
	int err, fd;

	/* to the kernel, 0 is no id at all, and a handle with it would be the root's */
	if (!id)
		return -EINVAL;
	err = need_root();
	if (err)
		return err;
	memcpy(h.space + offsetof(struct file_handle, f_handle), &id, sizeof(id));
	fd = open_by_handle_at(root.fd, &h.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ESTALE ? -ENOENT : -errno;
	return fd;
}

int ox_cgroup_open_by_id(__u64 id, const char *file, int flags)
{
	_cleanup_close_ int dir = open_id(id);
	int fd;

	if (dir < 0)
		return dir == -ENOENT ? -ESRCH : dir;
	fd = openat(dir, file, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int ox_cgroup_path_by_id(__u64 id, char *buf, size_t size)
{
	char link[sizeof("/proc/self/fd/") + 11], path[PATH_MAX];
	_cleanup_close_ int fd = open_id(id);
	const char *below;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* always fits */
	n = readlink(link, path, sizeof(path));
	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	path[n] = '\0';

	/* a directory removed since then reads "... (deleted)", one outside of the mount anything */
	if (stat(path, &st) < 0 || st.st_dev != root.dev || st.st_ino != id)
		return -ENOENT;
	below = path_below(path, root.path);
	if (!below)
		return -ENOENT;
	if (!*below)
		below = "/";
	if (strlen(below) >= size)
		return -ENAMETOOLONG;
	memcpy(buf, below, strlen(below) + 1);
	return 0;
}

struct walk {
	int (*visit)(void *ctx, const char *path, __u64 id);
	void *ctx;
	char path[PATH_MAX];
};

/* What is at path[0..len), open as fd, which it takes over. Calls itself, as deep as the tree. */
static int walk_down(struct walk *w, int fd, size_t len)
{
	struct dirent *d;
	struct stat st;
	int err, sub;
	size_t n;
	DIR *dir;

	if (fstat(fd, &st) < 0 || st.st_dev != root.dev) {
		(void)close(fd); /* gone, or something mounted over it */
		return 0;
	}
	err = w->visit(w->ctx, len ? w->path : "/", st.st_ino);
	dir = err ? NULL : fdopendir(fd);
	if (!dir) {
		err = err ? err : -errno;
		(void)close(fd); /* a directory: nothing to lose */
		return err;
	}
	while (!err && (d = readdir(dir))) {
		n = strlen(d->d_name);
		if (d->d_type != DT_DIR || !strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") ||
		    len + 1 + n >= sizeof(w->path))
			continue;
		sub = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0) {
			err = errno == ENOENT ? 0 : -errno;
			continue;
		}
		w->path[len] = '/';
		memcpy(w->path + len + 1, d->d_name, n + 1);
		err = walk_down(w, sub, len + 1 + n);
		w->path[len] = '\0';
	}
	(void)closedir(dir); /* read only; closes fd */
	return err;
}

int ox_cgroup_walk(int (*visit)(void *ctx, const char *path, __u64 id), void *ctx)
{
	struct walk w = { .visit = visit, .ctx = ctx };
	int err = need_root(), fd;

	if (err)
		return err;
	fd = openat(root.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : walk_down(&w, fd, 0);
}

/* Is this very process in that cgroup? */
static int visit_for_us(void *ctx, const char *path, __u64 id)
{
	__attribute__((cleanup(cleanup_file))) FILE *f = NULL;
	char file[PATH_MAX], line[16];
	int fd;

	(void)id;
	if (snprintf(file, sizeof(file), ".%s/cgroup.procs", path) >= (int)sizeof(file))
		return 0;
	fd = openat(root.fd, file, O_RDONLY | O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		if (fd >= 0)
			(void)close(fd); /* was not read */
		return 0;
	}
	while (fgets(line, sizeof(line), f)) {
		if (strtol(line, NULL, 10) == *(pid_t *)ctx) {
			(void)snprintf(root.ours, sizeof(root.ours), "%s", path); /* fits */
			return 1;
		}
	}
	return 0;
}

/*
 * Nothing but a cgroup's list of processes says where we are: looked for in all of them, once.
 * Our namespace begins somewhere above that; "" where that is not found.
 */
static const char *our_root(void)
{
	pid_t self = getpid();
	char *end = root.ours;
	unsigned int i;

	if (root.ours_known)
		return root.ours;
	root.ours_known = true;
	root.ours[0] = '\0';
	if (ox_cgroup_walk(visit_for_us, &self) != 1)
		root.ours[0] = '\0';
	for (i = 0; i < root.above && end[0] && end[1]; i++)
		end += 1 + strcspn(end + 1, "/");
	root.ours[i < root.above ? 0 : end - root.ours] = '\0';
	return root.ours;
}

int ox_cgroup_path_from_proc(const char *path, char *buf, size_t size)
{
	unsigned int up = count_above(path);
	const char *ours = "";
	size_t n = 0, rest;
	/* without a mount, nothing is known of our namespace */
	unsigned int above = need_root() ? 0 : root.above;

	if (above)
		ours = our_root();
	if (up > above || (above && !*ours))
		return -ENODATA;
	for (n = strlen(ours), path += 3 * up; up; up--)
		while (ours[--n] != '/')
			;
	rest = strcmp(path, "/") ? strlen(path) : 0;
	if (n + rest + 2 > size)
		return -ENAMETOOLONG;
	memmove(buf + n, path, rest); /* path may be buf */
	memcpy(buf, ours, n);
	if (!(n + rest))
		buf[n++] = '/';
	buf[n + rest] = '\0';
	return 0;
}

int ox_cgroup_path_from_record(const char leaf_first[OOMX_PATH_LEN], char *buf, size_t size)
{
	struct {
		const char *name;
		size_t len;
	} part[OOMX_PATH_LEN / 2 + 1];
	char path[OX_CGROUP_RECORD_LEN];
	bool whole = false;
	size_t n = 0, used = 0;

	for (size_t at = 0; at < OOMX_PATH_LEN; at += part[n++].len + 1) {
		part[n].name = leaf_first + at;
		part[n].len = strnlen(leaf_first + at, OOMX_PATH_LEN - at);
		if (!part[n].len) {
			whole = true;
			break;
		}
	}

	if (!whole) {
		memcpy(path, LOST, strlen(LOST));
		used = strlen(LOST);
		if (n > 1)
			n--;
	} else {
		path[used++] = '/';
	}
	while (n--) {
		memcpy(path + used, part[n].name, part[n].len);
		used += part[n].len;
		if (n)
			path[used++] = '/';
	}
	path[used++] = '\0';

	if (used > size)
		return -ENAMETOOLONG;
	memcpy(buf, path, used);
	return 0;
}
