/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup.h - names and ids of cgroups in the version 2 hierarchy.
 *
 * A cgroup's id is what BPF calls kn->id and file systems the inode number of its directory; the
 * two are the same on 64-bit machines, the only ones oomx runs on. Ids are not reused while the
 * machine is up. Paths given out are relative to the hierarchy: "/", "/a/b".
 *
 * Not thread-safe: the mount is found once and kept open.
 */
#ifndef OX_CGROUP_H
#define OX_CGROUP_H

#include <stddef.h>
#include <linux/types.h>
#include <oomx/abi.h>

/* Enough for every ox_cgroup_path_from_record(). */
#define OX_CGROUP_RECORD_LEN (OOMX_PATH_LEN + 8)

/*
 * Where the cgroup v2 hierarchy is mounted, read from `mountinfo` (NULL: /proc/self/mountinfo).
 * If it is mounted more than once, the first mount that shows its root wins, else the first.
 * -ENOENT: not mounted. -ENAMETOOLONG: does not fit. buf is untouched on failure.
 */
int ox_cgroup_mount(const char *mountinfo, char *buf, size_t size);

/*
 * Finds and opens the mount that the functions below use, in place of an earlier one. They do it
 * themselves when first called; tests call it with a mountinfo of their own. Errors as above, and
 * those of open(); what was in use stays in use then.
 */
int ox_cgroup_setup(const char *mountinfo);

/* Closes the mount; the next call finds it anew. */
void ox_cgroup_done(void);

/*
 * Path -> id. The path is one in the file system ("/sys/fs/cgroup/a/b") or in the hierarchy
 * ("/a/b", "a/b"). -ENOENT: no such cgroup. -ENOTDIR: a file. -EXDEV: not in the hierarchy.
 * -EINVAL: empty, or with a ".." in it.
 */
int ox_cgroup_id(const char *path, __u64 *ret_id);

/*
 * Id -> path. Needs CAP_DAC_READ_SEARCH (-EPERM). -ENOENT: no such cgroup, or no longer.
 * -ENAMETOOLONG: does not fit. -EINVAL: the id 0, which the kernel gives to none and oomx uses
 * for the whole machine. buf is untouched on failure.
 */
int ox_cgroup_path_by_id(__u64 id, char *buf, size_t size);

/*
 * Opens a file of the cgroup with this id, the caller's to close. -ESRCH: no such cgroup; -ENOENT:
 * it has no such file; other -errno.
 */
int ox_cgroup_open_by_id(__u64 id, const char *file, int flags);

/*
 * Calls visit() for the root and every cgroup below it, parents before children, until it returns
 * something but 0, which is then returned. Cgroups that go meanwhile are left out; those that come
 * may be. -ENOMEM, and others of opendir().
 */
int ox_cgroup_walk(int (*visit)(void *ctx, const char *path, __u64 id), void *ctx);

/*
 * What /proc/PID/cgroup says -> the path in the hierarchy. The two differ where we have a cgroup
 * namespace of our own, as in most containers: "/../../a" is what lies beside it. path may be buf.
 * -ENODATA: outside of the mount, or it cannot be told where our namespace is. -ENAMETOOLONG: does
 * not fit. buf is untouched on failure.
 */
int ox_cgroup_path_from_proc(const char *path, char *buf, size_t size);

/*
 * The path in an event record -> "/a/b/leaf"; "/" for the root. A path whose topmost parts were
 * lost begins with "…/"; then the topmost part that is left may itself be cut and is not shown,
 * unless it is all there is. Takes any 256 bytes. -ENAMETOOLONG: does not fit; buf is untouched.
 */
int ox_cgroup_path_from_record(const char leaf_first[OOMX_PATH_LEN], char *buf, size_t size);

#endif
