/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* lockfile.h - who looks at an entry of a shared map, and then writes it, is alone meanwhile. */
#ifndef OX_LOCKFILE_H
#define OX_LOCKFILE_H

/*
 * Locks the file, which is made if it is not there. Waits for a second at most, since the holder
 * may have been stopped, then goes ahead without: -1. Else an fd; closing it ends the lock.
 */
int ox_lockfile_take(const char *path);

#endif
