/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Docker's and Podman's own daemons, by their sockets: the second source, for state that lies where
 * we do not look. HTTP/1.0, as small as it gets: the answer ends where the connection does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "clock.h"
#include "identity_oci.h"
#include "identity_socket.h"
#include "statefile.h"

#define GIVE_UP_NS 10000000000ULL  /* after one without an answer in time, ask none for so long */
#define ANSWER_MAX ((size_t)4 << 20)

__u64 ox_ask_deadline_ns = 300000000;

struct answer {
	char *text;
	size_t used, room;
};

static int wait_for(int fd, short events, __u64 deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	__u64 now = ox_now_ns();
	int n;

	if (now >= deadline)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)((deadline - now + 999999) / 1000000));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* Only root's (or our own): anybody may have made a socket of that name before the daemon did. */
static int connect_to(int root, const char *path)
{
	char link[sizeof("/proc/self/fd/") + 11];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int file = -1, fd = -1;
	struct ucred peer;
	socklen_t n = sizeof(peer);

	file = ox_statefile_socket(root, path);
	if (file < 0)
		return file;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", file); /* always fits */
	memcpy(addr.sun_path, link, sizeof(link));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: its queue is full, a daemon in trouble */
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return -errno;
	if (peer.uid && peer.uid != geteuid())
		return -EPERM;
	return TAKE_FD(fd);
}

static int send_all(int fd, const char *s, size_t n, __u64 deadline)
{
	while (n) {
		ssize_t sent = send(fd, s, n, MSG_NOSIGNAL);
		int err;

		if (sent > 0) {
			s += sent;
			n -= sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_for(fd, POLLOUT, deadline);
		if (err)
			return err;
	}
	return 0;
}

/* To the end of the connection; ended by a NUL. */
static int receive_all(int fd, struct answer *a, __u64 deadline)
{
	for (;;) {
		ssize_t n;
		int err;

		if (a->room - a->used < 2) {
			size_t room = a->room ? 2 * a->room : 16384;
			char *more = room > ANSWER_MAX ? NULL : realloc(a->text, room);

			if (!more)
				return room > ANSWER_MAX ? -EFBIG : -ENOMEM;
			a->text = more;
			a->room = room;
		}
		n = recv(fd, a->text + a->used, a->room - a->used - 1, 0);
		if (n > 0) {
			a->used += n;
			continue;
		}
		if (!n) {
			a->text[a->used] = '\0';
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_for(fd, POLLIN, deadline);
		if (err)
			return err;
	}
}

static int ask(int root, const char *path, const char *container, struct answer *a)
{
	_cleanup_close_ int fd = -1;
	__u64 deadline = ox_now_ns() + ox_ask_deadline_ns;
	char request[512];
	int n, err;

	n = snprintf(request, sizeof(request),
		     "GET /containers/%s/json HTTP/1.0\r\nHost: localhost\r\n\r\n", container);
	if (n < 0 || (size_t)n >= sizeof(request))
		return -ENAMETOOLONG;
	fd = connect_to(root, path);
	if (fd < 0)
		return fd;
	err = send_all(fd, request, n, deadline);
	return err ?: receive_all(fd, a, deadline);
}

/* Its init is in the cgroup that looks like its own: so it is. */
static int confirm_by_pid(int root, struct ox_identity *id, const json_t *doc)
{
	json_int_t pid = json_integer_value(json_object_get(json_object_get(doc, "State"), "Pid"));
	char path[64], text[8192], path_in[PATH_MAX], *cgroup;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (!id->nested)
		return 0;
	if (pid <= 0)
		return -ESTALE;
	(void)snprintf(path, sizeof(path), "proc/%lld/cgroup", (long long)pid); /* fits */
	fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -ESTALE;
	text[n] = '\0';
	cgroup = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!cgroup)
		return -ESTALE;
	cgroup += strcspn(cgroup, "/");
	cgroup[strcspn(cgroup, "\n")] = '\0';
	if (!*cgroup || ox_cgroup_path_from_proc(cgroup, path_in, sizeof(path_in)))
		return -ESTALE;
	return ox_identity_confirm(id, path_in);
}

int ox_identity_ask_socket(int root, const char *path, struct ox_identity *id)
{
	static __u64 not_before;
	struct answer a = {};
	const char *body;
	json_t *doc = NULL;
	int err;

	if (ox_now_ns() < not_before)
		return -ENOENT;
	err = ask(root, path, id->container_id, &a);
	if (err == -ETIMEDOUT || err == -EAGAIN)
		not_before = ox_now_ns() + GIVE_UP_NS;
	body = err ? NULL : strstr(a.text, "\r\n\r\n");
	if (body && !strncmp(a.text, "HTTP/1.", 7) && !strncmp(a.text + 8, " 200", 4))
		doc = json_loadb(body + 4, a.used - (body + 4 - a.text), 0, NULL);
	free(a.text);
	if (!doc)
		return err == -ENOMEM ? err : -ENOENT;
	err = confirm_by_pid(root, id, doc);
	if (!err)
		err = ox_identity_add_docker(id, doc);
	json_decref(doc);
	return err;
}
