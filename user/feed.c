/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ring holds the last records; a reader is a position in it. Replaying the backlog, sending
 * what is new and catching up after a pause are thus one thing: send from the position to the
 * head, until the socket is full. There is no queue per reader that could grow.
 *
 * All epoll registrations are edge-triggered: publishing then needs no epoll_ctl() to ask for
 * EPOLLOUT, and a condition that cannot be dealt with now (no memory, no fd) does not spin.
 */
#define _GNU_SOURCE 1 /* accept4() */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <oomx/abi.h>

#include "cleanup.h"
#include "feed.h"
#include "record.h"

#define LISTENER OX_FEED_CLIENTS_MAX /* epoll data: not a client's index */
#define CONNECT_TIMEOUT_S 5

/* In front of each record in the ring. Whole ones never wrap: the ring is a multiple of them. */
struct entry {
	__u32 size; /* of the record, bytes */
	__u32 _pad;
};

struct client {
	int fd;	     /* -1: free */
	bool marked; /* has been told that the backlog is over */
	__u64 at;    /* next to be sent */
	__u64 mark;  /* the head when it connected */
};

struct ox_feed {
	int epoll_fd;
	int listen_fd;
	char *ring;
	size_t size;
	__u64 head; /* bytes ever written; the index is the remainder by size */
	__u64 tail; /* the oldest record that is still there */
	struct sockaddr_un addr;
	dev_t dev; /* of the socket's file, to remove no other */
	ino_t ino; /* 0: none made */
	struct ox_feed_stats stats;
	struct client clients[OX_FEED_CLIENTS_MAX];
};

static size_t entry_bytes(size_t record)
{
	return sizeof(struct entry) + ((record + 7) & ~(size_t)7);
}

static __u64 entry_next(const struct ox_feed *feed, __u64 at)
{
	struct entry e;

	memcpy(&e, feed->ring + at % feed->size, sizeof(e));
	return at + entry_bytes(e.size);
}

/* The record at `at`, in one or, around the end, two pieces. Returns their number. */
static int entry_pieces(struct ox_feed *feed, __u64 at, struct iovec piece[2])
{
	size_t from = (at + sizeof(struct entry)) % feed->size, whole = feed->size - from;
	struct entry e;

	memcpy(&e, feed->ring + at % feed->size, sizeof(e));
	piece[0] = (struct iovec){ feed->ring + from, e.size };
	if (e.size <= whole)
		return 1;
	piece[0].iov_len = whole;
	piece[1] = (struct iovec){ feed->ring, e.size - whole };
	return 2;
}

static void disconnect(struct ox_feed *feed, struct client *c)
{
	(void)close(c->fd); /* also takes it out of the epoll set */
	c->fd = -1;
	feed->stats.clients--;
}

static int send_pieces(int fd, struct iovec *piece, int n)
{
	struct msghdr msg = { .msg_iov = piece, .msg_iovlen = n };

	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_marker(int fd)
{
	struct oomx_rec_hdr marker = { .size = sizeof(marker), .abi = OOMX_ABI };
	struct iovec piece = { &marker, sizeof(marker) };

	return send_pieces(fd, &piece, 1);
}

/* Sends the client all that its socket takes; disconnects it if it is gone. */
static void pump(struct ox_feed *feed, struct client *c)
{
	struct iovec piece[2];
	int err = 0;

	while (!err) {
		if (!c->marked && c->at >= c->mark) {
			err = send_marker(c->fd);
			c->marked = !err;
		} else if (c->at < feed->head) {
			err = send_pieces(c->fd, piece, entry_pieces(feed, c->at, piece));
			if (!err)
				c->at = entry_next(feed, c->at);
		} else {
			return;
		}
	}
	/* short of memory is no reason to lose a reader, least of all here: at the next event */
	if (err != -EAGAIN && err != -EINTR && err != -ENOBUFS && err != -ENOMEM)
		disconnect(feed, c);
}

/* Gives up the oldest records until `bytes` fit, and the readers that still wanted one. */
static void make_room(struct ox_feed *feed, size_t bytes)
{
	__u64 tail = feed->tail;
	__u32 lost = 0;

	for (; feed->head + bytes - tail > feed->size; lost++)
		tail = entry_next(feed, tail);

	for (int i = 0; lost && i < OX_FEED_CLIENTS_MAX; i++) {
		struct client *c = &feed->clients[i];

		if (c->fd >= 0 && c->at < tail)
			pump(feed, c); /* it may have read since */
		if (c->fd < 0 || c->at >= tail)
			continue;
		if (!c->marked && tail <= c->mark) {
			c->at = tail; /* older than its connection: a shorter backlog, no loss */
			continue;
		}
		feed->stats.slow++;
		disconnect(feed, c);
	}
	feed->tail = tail;
	feed->stats.backlog -= lost;
}

int ox_feed_publish(struct ox_feed *feed, const void *rec, size_t size)
{
	struct entry e = { .size = size };
	struct iovec piece[2];
	int n;

	if (!size || size > OX_RECORD_MAX)
		return -EMSGSIZE;

	make_room(feed, entry_bytes(size));
	memcpy(feed->ring + feed->head % feed->size, &e, sizeof(e));
	n = entry_pieces(feed, feed->head, piece);
	memcpy(piece[0].iov_base, rec, piece[0].iov_len);
	if (n == 2)
		memcpy(piece[1].iov_base, (const char *)rec + piece[0].iov_len, piece[1].iov_len);
	feed->head += entry_bytes(size);
	feed->stats.published++;
	feed->stats.backlog++;

	for (int i = 0; i < OX_FEED_CLIENTS_MAX; i++)
		if (feed->clients[i].fd >= 0)
			pump(feed, &feed->clients[i]);
	return 0;
}

static struct client *free_client(struct ox_feed *feed)
{
	for (int i = 0; i < OX_FEED_CLIENTS_MAX; i++)
		if (feed->clients[i].fd < 0)
			return &feed->clients[i];
	return NULL;
}

static void welcome(struct ox_feed *feed, int fd)
{
	struct client *c = free_client(feed);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

	if (c)
		ev.data.u32 = c - feed->clients;
	if (!c || epoll_ctl(feed->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		feed->stats.refused++;
		(void)close(fd); /* the client sees the end at once */
		return;
	}
	*c = (struct client){ .fd = fd, .at = feed->tail, .mark = feed->head };
	feed->stats.clients++;
	pump(feed, c);
}

static void accept_all(struct ox_feed *feed)
{
	for (;;) {
		int fd = accept4(feed->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			welcome(feed, fd);
		else if (errno != EINTR && errno != ECONNABORTED)
			return; /* EAGAIN; or out of fds or memory: tried again at the next call */
	}
}

/* Readers do not talk: whatever can be read, the end included, is the end. */
static bool has_left(const struct client *c)
{
	char byte;

	return recv(c->fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 ||
	       (errno != EAGAIN && errno != EINTR);
}

int ox_feed_work(struct ox_feed *feed)
{
	struct epoll_event ev[OX_FEED_CLIENTS_MAX + 1];
	int n;

	n = epoll_wait(feed->epoll_fd, ev, OX_FEED_CLIENTS_MAX + 1, 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;

	for (int i = 0; i < n; i++) {
		struct client *c;

		if (ev[i].data.u32 >= LISTENER)
			continue;
		c = &feed->clients[ev[i].data.u32];
		if (c->fd < 0)
			continue;
		if (has_left(c))
			disconnect(feed, c);
		else
			pump(feed, c);
	}
	/* last: those that left have made room */
	accept_all(feed);
	return 0;
}

int ox_feed_fd(const struct ox_feed *feed)
{
	return feed->epoll_fd;
}

void ox_feed_stats(const struct ox_feed *feed, struct ox_feed_stats *ret)
{
	*ret = feed->stats;
}

/* ---- opening and closing -------------------------------------------------------------------- */

static int fill_addr(const char *path, struct sockaddr_un *ret)
{
	size_t n = strlen(path);

	if (!n)
		return -ENOENT; /* bind() would take it as "any abstract name" */
	if (n >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, n + 1);
	return 0;
}

/* Removes a socket that nobody listens on any more. */
static int remove_stale(const struct sockaddr_un *addr)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: somebody listens, with a full queue */
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return errno == EPROTOTYPE ? -EADDRINUSE : -errno;
	return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int feed_listen(struct ox_feed *feed)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = LISTENER };
	struct stat st;

	feed->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (feed->epoll_fd < 0)
		return -errno;
	feed->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (feed->listen_fd < 0)
		return -errno;
	/*
	 * bind() gives the file the socket's own mode: never open to others, not for a moment, and
	 * without an umask, which other threads would share.
	 */
	if (fchmod(feed->listen_fd, 0600) < 0)
		return -errno;
	if (bind(feed->listen_fd, (struct sockaddr *)&feed->addr, sizeof(feed->addr)) < 0)
		return -errno;
	if (lstat(feed->addr.sun_path, &st) < 0)
		return -errno;
	feed->dev = st.st_dev;
	feed->ino = st.st_ino;
	if (listen(feed->listen_fd, OX_FEED_CLIENTS_MAX) < 0)
		return -errno;
	if (epoll_ctl(feed->epoll_fd, EPOLL_CTL_ADD, feed->listen_fd, &ev) < 0)
		return -errno;
	return 0;
}

int ox_feed_new(const char *path, size_t backlog_bytes, struct ox_feed **ret)
{
	struct sockaddr_un addr;
	struct ox_feed *feed;
	int err;

	err = fill_addr(path, &addr);
	if (err)
		return err;
	if (backlog_bytes < 2 * OX_RECORD_MAX)
		backlog_bytes = 2 * OX_RECORD_MAX;
	if (backlog_bytes > SSIZE_MAX)
		return -ENOMEM;
	err = remove_stale(&addr);
	if (err)
		return err;

	feed = calloc(1, sizeof(*feed));
	if (!feed)
		return -ENOMEM;
	feed->epoll_fd = feed->listen_fd = -1;
	feed->addr = addr;
	for (int i = 0; i < OX_FEED_CLIENTS_MAX; i++)
		feed->clients[i].fd = -1;
	feed->size = (backlog_bytes + 7) & ~(size_t)7;
	feed->stats.backlog_bytes = feed->size;
	feed->ring = malloc(feed->size);
	if (!feed->ring) {
		err = -ENOMEM;
		goto fail;
	}
	/* touch it now; not with 0, which compilers turn into calloc(), which touches nothing */
	memset(feed->ring, 0xff, feed->size);

	err = feed_listen(feed);
	if (err)
		goto fail;
	*ret = feed;
	return 0;

fail:
	ox_feed_free(feed);
	return err;
}

void ox_feed_free(struct ox_feed *feed)
{
	struct stat st;

	if (!feed)
		return;
	/* before close(): whoever finds the file then finds somebody listening */
	if (feed->ino && !lstat(feed->addr.sun_path, &st) && st.st_dev == feed->dev &&
	    st.st_ino == feed->ino)
		(void)unlink(feed->addr.sun_path); /* a stale one is replaced by the next */
	if (feed->listen_fd >= 0)
		(void)close(feed->listen_fd);
	/* last: a reader that sees its end then sees nobody listening */
	for (int i = 0; i < OX_FEED_CLIENTS_MAX; i++)
		if (feed->clients[i].fd >= 0)
			disconnect(feed, &feed->clients[i]);
	if (feed->epoll_fd >= 0)
		(void)close(feed->epoll_fd);
	free(feed->ring);
	free(feed);
}

/* ---- client --------------------------------------------------------------------------------- */

int ox_feed_connect(const char *path)
{
	/* a server that hangs must not hang its readers: also bounds connect() on unix sockets */
	struct timeval timeout = { .tv_sec = CONNECT_TIMEOUT_S };
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	int err;

	err = fill_addr(path, &addr);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return TAKE_FD(fd);
}

/* Whose socket it is; 0: nobody's that we can see. */
static pid_t server_pid(int fd)
{
	struct ucred server = {};
	socklen_t len = sizeof(server);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &len) < 0 ? 0 : server.pid;
}

bool ox_feed_listens_still(int fd, const char *path)
{
	_cleanup_close_ int again = ox_feed_connect(path);

	return again >= 0 && server_pid(fd) > 0 && server_pid(fd) == server_pid(again);
}

ssize_t ox_feed_next(int fd, void *buf, size_t size)
{
	struct oomx_rec_hdr hdr;
	ssize_t n;

	do
		n = recv(fd, buf, size, MSG_TRUNC); /* MSG_TRUNC: the message's true length */
	while (n < 0 && errno == EINTR);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -ENOTCONN;
	if (n < 0)
		return -errno;
	if ((size_t)n > size)
		return -EMSGSIZE;
	if ((size_t)n == sizeof(hdr)) {
		memcpy(&hdr, buf, sizeof(hdr));
		if (!hdr.type)
			return 0;
	}
	return n;
}
