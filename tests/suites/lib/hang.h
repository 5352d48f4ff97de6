/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * hang.h - a file that nobody can read: a FUSE file system of one file, served by a thread of the
 * suite, that never answers a read. Who reads it sleeps, and from SIGKILL on does so for good
 * (fs/fuse/dev.c, request_wait_answer(): a request that user space has seen is waited for). Who
 * opens it with O_NONBLOCK reads by way of the page cache.
 */
#ifndef SUITE_HANG_H
#define SUITE_HANG_H

#include <stdbool.h>

#define HANG_DIR "/tmp/hang"
#define HANG_FILE HANG_DIR "/file"

void hang_open(void);
bool hang_reading(void *arg); /* somebody does, and sleeps by now; for suite_wait() */
void hang_fail_read(void); /* the last read that has come fails; takes no grace period of RCU */
void hang_release(void);   /* all reads fail, and the file is gone */

#endif
