// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

ssize_t ox_output_write(int fd, const void *buf, size_t size)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	ssize_t n = send(fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	struct stat st;

	if (n >= 0 || errno != ENOTSOCK)
		return n < 0 ? -errno : n;
	if (!fstat(fd, &st) && S_ISFIFO(st.st_mode)) {
		/* then so much does not block (pipe(7)), as long as nobody else writes to it */
		if (!poll(&room, 1, 0))
			return -EAGAIN;
		size = size < PIPE_BUF ? size : PIPE_BUF;
	}
	n = write(fd, buf, size);
	return n < 0 ? -errno : n;
}

/* What stdio hands on of a line; all of it is taken, or the line is lost. */
static ssize_t take(void *cookie, const char *buf, size_t size)
{
	struct ox_output *o = cookie;

	if (o->overflow || size > sizeof(o->waiting) - o->used) {
		o->overflow = true;
		return (ssize_t)size;
	}
	memcpy(o->waiting + o->used, buf, size);
	o->used += size;
	return (ssize_t)size;
}

int ox_output_open(struct ox_output *o, int fd, int epoll)
{
	o->fd = fd;
	o->epoll = epoll;
	o->used = o->line = 0;
	o->overflow = false;
	o->lost = 0;
	memset(o->waiting, 0xff, sizeof(o->waiting)); /* touched now, not when memory is short */
	o->file = fopencookie(o, "w", (cookie_io_functions_t){ .write = take });
	return o->file ? 0 : -errno;
}

/* Once: a reader that goes, or stays away, must not keep us busy. */
static void ask_for_room(struct ox_output *o)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLONESHOT, .data.fd = o->fd };

	if (o->epoll < 0 || !epoll_ctl(o->epoll, EPOLL_CTL_MOD, o->fd, &ev))
		return;
	if (epoll_ctl(o->epoll, EPOLL_CTL_ADD, o->fd, &ev))
		ox_debug("output: epoll: %m"); /* goes on with the next line */
}

static void tell_lost(struct ox_output *o)
{
	if (o->lost)
		ox_warn("%llu lines were not printed: nobody was reading standard output", o->lost);
	o->lost = 0;
}

/* 0: all is sent; -EAGAIN: not yet */
static int send_waiting(struct ox_output *o)
{
	size_t sent = 0;
	ssize_t n = 0;

	while (sent < o->line && (n >= 0 || n == -EINTR)) {
		n = ox_output_write(o->fd, o->waiting + sent, o->line - sent);
		sent += n > 0 ? (size_t)n : 0;
	}
	if (n < 0 && n != -EAGAIN)
		sent = o->line; /* a closed output is for nobody, and no reason to end */
	o->used -= sent;
	o->line -= sent;
	memmove(o->waiting, o->waiting + sent, o->used);
	return o->line ? -EAGAIN : 0;
}

void ox_output_send(struct ox_output *o)
{
	if (send_waiting(o))
		ask_for_room(o);
	else
		tell_lost(o);
}

void ox_output_end_line(struct ox_output *o)
{
	(void)fflush(o->file); /* take() does not fail */
	if (o->overflow)
		o->lost++;
	else
		o->line = o->used;
	o->used = o->line;
	o->overflow = false;
	ox_output_send(o);
}

static unsigned int count_lines(const struct ox_output *o)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < o->line; i++)
		n += o->waiting[i] == '\n';
	return n;
}

void ox_output_close(struct ox_output *o, int ms)
{
	struct pollfd room = { .fd = o->fd, .events = POLLOUT };

	if (!o->file)
		return;
	for (; send_waiting(o) && ms > 0; ms -= 10)
		(void)poll(&room, 1, 10); /* interrupted: a little less time */
	o->lost += count_lines(o);
	tell_lost(o);
	(void)fclose(o->file); /* all of it has been taken */
	o->file = NULL;
}
