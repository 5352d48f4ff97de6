/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * feed.h - events for other programs: one socket, any number of records, up to 16 readers.
 *
 * A unix SEQPACKET socket, mode 0600. Each message is one record as abi.h has it. A new reader
 * first gets the backlog, then a marker (a header of type 0 and nothing more), then events as they
 * happen. Readers send nothing; one that does is disconnected.
 *
 * Publishing never waits for a reader and never allocates: a record goes into a ring in memory,
 * and every reader is sent what it has not had yet, as far as its socket takes it. A reader so
 * slow that the ring has overtaken it is disconnected and counted. It may connect again and gets
 * the backlog: records carry decision ids and times to tell what it has seen.
 *
 * The kernel may reclaim memory to send a message: publish from a thread that no OOM waits for.
 * Not thread-safe.
 */
#ifndef OX_FEED_H
#define OX_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>

#define OX_FEED_CLIENTS_MAX 16

struct ox_feed;

struct ox_feed_stats {
	__u64 published;      /* records */
	__u64 slow;	      /* readers disconnected because they did not keep up */
	__u64 refused;	      /* readers turned away: already OX_FEED_CLIENTS_MAX, or no memory */
	__u32 clients;	      /* connected now */
	__u32 backlog;	      /* records in the ring now */
	size_t backlog_bytes; /* size of the ring as allocated */
};

/* ---- server --------------------------------------------------------------------------------- */

/*
 * Listens at `path`, whose directory exists; a socket left there by a process that is gone is
 * replaced. The ring gets backlog_bytes, or twice OX_RECORD_MAX if that is more, all of it touched
 * now. Errors: -EADDRINUSE: somebody listens there; -EEXIST: something that is not a socket;
 * -ENAMETOOLONG; -ENOMEM; and those of the system calls. *ret is the caller's.
 */
int ox_feed_new(const char *path, size_t backlog_bytes, struct ox_feed **ret);

/* Closes all, removes the socket if it is still ours. NULL is fine. */
void ox_feed_free(struct ox_feed *feed);

/* An epoll fd, owned by the feed: when readable (EPOLLIN), call ox_feed_work(). */
int ox_feed_fd(const struct ox_feed *feed);

/* Accepts, disconnects, sends what waits. Never blocks. 0, or -errno of epoll. */
int ox_feed_work(struct ox_feed *feed);

/* 0; -EMSGSIZE: empty or longer than OX_RECORD_MAX. The bytes are not looked at. */
int ox_feed_publish(struct ox_feed *feed, const void *rec, size_t size);

void ox_feed_stats(const struct ox_feed *feed, struct ox_feed_stats *ret);

/* ---- client --------------------------------------------------------------------------------- */

/*
 * A blocking fd, the caller's to close; or -errno: -ENOENT or -ECONNREFUSED: nobody listens;
 * -EACCES: not allowed to.
 */
int ox_feed_connect(const char *path);

/*
 * After -ENOTCONN of ox_feed_next(): the server that fd was connected to still listens at `path`,
 * so it has disconnected us. false: it has stopped, or nobody can tell (one of another pid
 * namespace).
 */
bool ox_feed_listens_still(int fd, const char *path);

/*
 * Waits for the next message. Its length; 0: that was the end of the backlog; -ENOTCONN: the
 * server closed (it stopped, it is full, or we were too slow); -EMSGSIZE: longer than `size`, and
 * lost: take OX_RECORD_MAX; or another -errno. What arrives is not checked: ox_record_check().
 */
ssize_t ox_feed_next(int fd, void *buf, size_t size);

#endif
