/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cleanup.h - owned locals: released when they go out of scope, by whichever way.
 *
 *	_cleanup_free_ char *line = NULL;
 *	_cleanup_close_ int fd = -1;
 *
 * They start at NULL or -1. Ownership leaves only by TAKE_PTR() or TAKE_FD().
 */
#ifndef OX_CLEANUP_H
#define OX_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Both preserve errno: it often is what the function is about to return. */
static inline void ox_cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

static inline void ox_cleanup_close(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing was written that a failing close() could lose */
	errno = saved;
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(ox_cleanup_free)
#define _cleanup_close_ _cleanup_(ox_cleanup_close)

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *_taken_at = &(p);                                                   \
		__typeof__(p) _taken = *_taken_at;                                                 \
		*_taken_at = NULL;                                                                 \
		_taken;                                                                            \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *_taken_at = &(fd);                                                            \
		int _taken = *_taken_at;                                                           \
		*_taken_at = -1;                                                                   \
		_taken;                                                                            \
	})

#endif
