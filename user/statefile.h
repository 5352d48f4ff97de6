/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * statefile.h - files that container runtimes keep, below a directory that stands for "/".
 *
 * What they say decides who is protected. So only what root (or whoever runs this) owns is read,
 * only regular files, no more of them than a limit, without waiting; symbolic links do not lead
 * out of the directory.
 */
#ifndef OX_STATEFILE_H
#define OX_STATEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

/*
 * The whole file at `path`, ended by a NUL that *ret_size does not count; the caller's to free.
 * -ENOENT: there is none, nor a directory that should have it; -EPERM: it is somebody else's;
 * -EFBIG: longer than `max` bytes; -EINVAL: not a regular file; others of open() and read().
 */
int ox_statefile_read(int root, const char *path, size_t max, char **ret, size_t *ret_size);

/* The same, parsed. -EBADMSG: not JSON. The caller owns the one reference. */
int ox_statefile_json(int root, const char *path, size_t max, json_t **ret);

/* A socket of root's, or whoever runs this: an fd to connect to by /proc/self/fd, or -errno. */
int ox_statefile_socket(int root, const char *path);

/* Is there anything of that name? A link is not followed. */
bool ox_statefile_exists(int root, const char *path);

#endif
