// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "responder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>
#include <bpf/bpf.h>

#include "cleanup.h"
#include "exit.h"
#include "log.h"
#include "parse.h"
#include "restore.h"

#define RT_PRIORITY 50
#define STACK_BYTES 65536
#define NOMINEES 64
/* A nominee that has not been killed by then was a false alarm. */
#define RESTORE_AFTER_NS 300000000ULL
#define RAISED_TEXT "1000\n" /* how /proc shows OOMX_ADJ_RAISED */

/* ---- the process itself --------------------------------------------------------------------- */

struct raised {
	__u32 pid; /* 0: free */
	int fd;	   /* its oom_score_adj: names the process itself, should the id be used again */
	__u64 start_ns;
	__u64 since_ns;
	int old_adj;
};

struct state {
	struct ring_buffer *ring;
	int map; /* oomx_raised */
	struct raised raised[NOMINEES];
};

static __u64 now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail on Linux */
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Neither allocates nor waits for memory: the file is open, the write is a few bytes. */
static int put_value(int fd, int value)
{
	char buf[16];
	int n = snprintf(buf, sizeof(buf), "%d", value);

	return pwrite(fd, buf, n, 0) == n ? 0 : -errno;
}

static bool is_raised(int fd)
{
	char buf[16] = {};

	return pread(fd, buf, sizeof(buf) - 1, 0) > 0 && !strcmp(buf, RAISED_TEXT);
}

static void put_back(struct state *s, struct raised *r)
{
	int err = 0;

	/* its owner may have set another value meanwhile: that one stays */
	if (is_raised(r->fd))
		err = put_value(r->fd, r->old_adj);
	if (!err || err == -ESRCH)
		(void)bpf_map_delete_elem(s->map, &r->pid); /* else it stays, for `oomx stop` */
	(void)close(r->fd);
	r->pid = 0;
}

static struct raised *slot_for(struct state *s, __u32 pid)
{
	struct raised *oldest = &s->raised[0];
	unsigned int i;

	for (i = 0; i < NOMINEES; i++)
		if (s->raised[i].pid == pid)
			return &s->raised[i];
	for (i = 0; i < NOMINEES; i++) {
		if (!s->raised[i].pid)
			return &s->raised[i];
		if (s->raised[i].since_ns < oldest->since_ns)
			oldest = &s->raised[i];
	}
	put_back(s, oldest);
	return oldest;
}

/*
 * The request is microseconds old and names a process that was alive: its id is still its own.
 * Opening allocates a little; that has never failed in an OOM (60 of 60, cold caches included).
 */
static int take(const struct oomx_request *q, struct raised *r)
{
	char path[48];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%u/oom_score_adj", q->pid); /* fits */
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*r = (struct raised){ .pid = q->pid, .fd = fd, .start_ns = q->start_ns,
			      .old_adj = q->old_adj };
	return 0;
}

/* libbpf's callback for one request */
static int on_request(void *ctx, void *data, size_t size)
{
	const struct oomx_request *q = data;
	struct state *s = ctx;
	struct raised *r;
	unsigned int i;

	if (size < sizeof(*q))
		return 0;
	for (i = 0; q->exclusive && i < NOMINEES; i++)
		if (s->raised[i].pid && s->raised[i].pid != q->pid)
			put_back(s, &s->raised[i]);
	r = slot_for(s, q->pid);
	if (r->pid == q->pid && r->start_ns != q->start_ns)
		put_back(s, r); /* the id has been used again */
	if (!r->pid && take(q, r)) {
		__u32 pid = q->pid;

		(void)bpf_map_delete_elem(s->map, &pid); /* nothing was raised */
		return 0;
	}
	(void)put_value(r->fd, OOMX_ADJ_RAISED); /* fails only for one that is gone */
	r->since_ns = now_ns();
	return 0;
}

/* Puts back what was raised long enough ago. Milliseconds until the next one is due; -1: none. */
static int restore_due(struct state *s, __u64 age_ns)
{
	__u64 now = now_ns(), left, next = ~0ULL;
	unsigned int i;

	for (i = 0; i < NOMINEES; i++) {
		struct raised *r = &s->raised[i];

		if (!r->pid)
			continue;
		if (now - r->since_ns >= age_ns) {
			put_back(s, r);
			continue;
		}
		left = age_ns - (now - r->since_ns);
		next = left < next ? left : next;
	}
	return next == ~0ULL ? -1 : (int)(next / 1000000) + 1;
}

static int drop_cap_sys_resource(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct c[2] = {};

	if (syscall(SYS_capget, &h, c))
		return -errno;
	c[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	c[0].permitted &= ~(1U << CAP_SYS_RESOURCE);
	c[0].inheritable &= ~(1U << CAP_SYS_RESOURCE);
	return syscall(SYS_capset, &h, c) ? -errno : 0;
}

/* Runs the whole way once, on this very process: what it needs is in memory after that. */
static int rehearse(struct state *s)
{
	struct oomx_request q = { .pid = getpid(), .old_adj = 0, .exclusive = 1 };
	char stack[STACK_BYTES];

	memset(stack, 1, sizeof(stack));
	__asm__ volatile("" : : "r"(stack) : "memory"); /* or it would be left out */
	(void)on_request(s, &q, sizeof(q));
	(void)restore_due(s, 0);
	return ring_buffer__consume(s->ring) < 0 ? -EIO : 0;
}

static int settle(struct state *s)
{
	struct sched_param p = { .sched_priority = RT_PRIORITY };
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return ox_err_r(-errno, "responder: cannot open its own oom_score_adj: %m");
	if (sched_setscheduler(0, SCHED_FIFO, &p))
		ox_warn("responder: no real-time priority (%m): answers may come late, ignoring");
	err = rehearse(s);
	if (err)
		return err;
	if (put_value(fd, -1000))
		return ox_err_r(-EPERM, "responder: cannot protect itself (oom_score_adj): %m");
	(void)close(fd);
	err = drop_cap_sys_resource();
	if (err)
		return ox_err_r(err, "responder: cannot drop CAP_SYS_RESOURCE: %s", strerror(-err));
	/* what has been touched now is all it needs; libraries have megabytes beyond that */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		return ox_err_r(-errno, "responder: cannot lock its memory: %m");
	return 0;
}

static void serve(struct state *s, int control)
{
	struct pollfd fds[] = {
		{ .fd = ring_buffer__epoll_fd(s->ring), .events = POLLIN },
		{ .fd = control, .events = POLLIN },
	};
	int timeout = -1;

	for (;;) {
		if (poll(fds, 2, timeout) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			(void)ring_buffer__consume(s->ring); /* our callback never fails */
		if (fds[1].revents) /* the daemon closed it, or died */
			break;
		timeout = restore_due(s, RESTORE_AFTER_NS);
	}
	ring_buffer__consume(s->ring);
	(void)restore_due(s, 0);
}

int ox_cmd_responder(int argc, char **argv)
{
	struct state s = {};
	int requests, control, err;

	if (argc != 4 || ox_parse_s32(argv[1], 0, 1 << 20, &requests) ||
	    ox_parse_s32(argv[2], 0, 1 << 20, &s.map) ||
	    ox_parse_s32(argv[3], 0, 1 << 20, &control))
		return ox_err_r(OX_EXIT_USAGE, "responder: started by 'oomx run', not by hand");
	s.ring = ring_buffer__new(requests, on_request, &s, NULL);
	if (!s.ring)
		return ox_err_r(OX_EXIT_FAILURE, "responder: cannot read requests: %m");
	err = settle(&s);
	if (!err && write(control, "r", 1) == 1)
		serve(&s, control);
	ring_buffer__free(s.ring);
	return err ? OX_EXIT_FAILURE : OX_EXIT_OK;
}

/* ---- its starter ---------------------------------------------------------------------------- */

static void run_responder(int requests, int map, int control)
{
	char a[16], b[16], c[16];

	/* signals meant for the daemon reach its group: only the daemon ends this process */
	(void)setpgid(0, 0);
	if (fcntl(requests, F_SETFD, 0) || fcntl(map, F_SETFD, 0) || fcntl(control, F_SETFD, 0))
		_exit(1);
	(void)snprintf(a, sizeof(a), "%d", requests); /* all fit */
	(void)snprintf(b, sizeof(b), "%d", map);
	(void)snprintf(c, sizeof(c), "%d", control);
	execl("/proc/self/exe", "oomx", "responder", a, b, c, NULL);
	_exit(1);
}

int ox_responder_start(struct ox_responder *r, const struct ox_engine *e)
{
	int requests = ox_engine_map(e, "oomx_requests"), map = ox_engine_map(e, "oomx_raised");
	int sock[2];
	char byte;
	pid_t pid;

	*r = (struct ox_responder){ .pid = -1, .pidfd = -1, .control = -1 };
	if (requests < 0 || map < 0)
		return ox_err_r(-ENOTSUP, "this hook has no use for a responder");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		return ox_err_r(-errno, "responder: %m");
	pid = fork();
	if (!pid) {
		sigset_t none;

		sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)close(sock[0]); /* or it would never see the daemon's end */
		run_responder(requests, map, sock[1]);
	}
	(void)close(sock[1]); /* the responder has its own */
	if (pid < 0 || read(sock[0], &byte, 1) != 1) {
		(void)close(sock[0]);
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
		return ox_err_r(-ECHILD, "the responder process did not start");
	}
	r->pid = pid;
	r->control = sock[0];
	r->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (r->pidfd < 0) {
		int err = ox_err_r(-errno, "responder: pidfd_open: %m");

		ox_responder_stop(r, e);
		return err;
	}
	return 0;
}

void ox_responder_stop(struct ox_responder *r, const struct ox_engine *e)
{
	if (r->control >= 0)
		(void)close(r->control);
	if (r->pid > 0)
		(void)waitpid(r->pid, NULL, 0);
	if (r->pidfd >= 0)
		(void)close(r->pidfd);
	*r = (struct ox_responder){ .pid = -1, .pidfd = -1, .control = -1 };
	if (ox_restore_all(ox_engine_map(e, "oomx_raised")))
		ox_warn("some raised oom_score_adj could not be put back, ignoring");
}
