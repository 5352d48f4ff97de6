/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * loop.h - a block device that is a file in memory: what is written to it is written to that file
 * by a worker thread of the kernel's, and the writer's memory cgroup pays for the pages.
 */
#ifndef SUITE_LOOP_H
#define SUITE_LOOP_H

/* One at a time. Returns the device's path; fatal where that is not to be had. */
const char *loop_open(unsigned int mib);
void loop_close(void); /* what was written is gone */

#endif
