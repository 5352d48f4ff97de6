/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * output.h - lines for whoever reads our output, if he does. Who is to act in an OOM waits for no
 * reader: the journal, or what collects a container's log, may be stuck in the same one.
 */
#ifndef OX_OUTPUT_H
#define OX_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#define OX_OUTPUT_BYTES (256U << 10) /* that may wait: no line is longer */

/*
 * write() of a part, as far as a pipe or a socket takes it now: the number of bytes, -EAGAIN: none,
 * or another -errno. A file or a terminal is written to as ever. The description, which may be
 * shared with others, stays as it is. Never raises SIGPIPE for a socket; for a pipe it may.
 */
ssize_t ox_output_write(int fd, const void *buf, size_t size);

struct ox_output {
	FILE *file;
	int fd;
	int epoll;
	size_t used;	   /* bytes that wait */
	size_t line;	   /* where the one that is not ended yet begins */
	bool overflow;	   /* it does not fit */
	unsigned long long lost; /* lines, not told of yet */
	char waiting[OX_OUTPUT_BYTES];
};

/*
 * `fd` is the caller's. What has to wait is sent when `epoll` (-1: none) says that there is room at
 * `fd`: call ox_output_send() then. 0 or -errno
 */
int ox_output_open(struct ox_output *o, int fd, int epoll);

/*
 * Ends the line that was written to o->file, and sends what there is room for. A line that cannot
 * wait any more is lost as a whole, and counted.
 */
void ox_output_end_line(struct ox_output *o);

/* Once all has been sent, people are told how many lines were lost, if any. */
void ox_output_send(struct ox_output *o);

/* Gives a reader that is there `ms` in all, tells what is lost then, and closes o->file. */
void ox_output_close(struct ox_output *o, int ms);

#endif
