// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "responder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/oom.h>

#include "capability.h"
#include "cleanup.h"
#include "clock.h"
#include "exit.h"
#include "hasten.h"
#include "log.h"
#include "parse.h"
#include "reserve.h"
#include "restore.h"

#define STACK_BYTES 65536
#define THREADS 2
#define NOMINEES 64
#define END_MS 2000 /* for one that is told to end */
/* A request this old was sent while we were stopped: nobody waits for it any more. */
#define STALE_NS 500000000ULL
/* How long a value is kept because the kernel is choosing; and when to see whether it still is. */
#define CHOOSING_NS 3000000000ULL
#define CHOOSING_LOOK_NS 10000000ULL

/* ---- the process itself --------------------------------------------------------------------- */

struct altered {
	__u32 pid; /* 0: free */
	int fd;	   /* its oom_score_adj: names the process itself, should the id be used again */
	__u64 start_ns;
	__u64 since_ns;
	__u64 mm;
	int old_adj;
	int set_adj;
	bool inherited; /* not nominated itself: forked by one that was */
	bool shared;	/* others were altered with it, and are on record as well */
};

struct state {
	pthread_mutex_t lock; /* of all but the descriptors */
	pthread_barrier_t ready;
	struct ring_buffer *ring;
	int requests, control;
	int map;		   /* oomx_raised */
	struct oomx_stats *stats; /* the kernel's own, mapped */
	const struct oomx_turn *turn; /* the same */
	struct altered altered[NOMINEES];
};

struct server {
	struct state *s;
	pthread_t thread;
	cpu_set_t *cpus; /* its half */
	int epoll;
};

/* Neither allocates nor waits for memory: the file is open, the write is a few bytes. */
static int put_value(int fd, int value)
{
	char buf[16];
	int n = snprintf(buf, sizeof(buf), "%d", value);

	return pwrite(fd, buf, n, 0) == n ? 0 : -errno;
}

static bool has_value(int fd, int value)
{
	char buf[16] = {}, want[16];

	(void)snprintf(want, sizeof(want), "%d\n", value); /* how /proc shows it */
	return pread(fd, buf, sizeof(buf) - 1, 0) > 0 && !strcmp(buf, want);
}

/* Raised and not killed. */
static void count_false_alarm(struct state *s, const struct altered *a)
{
	struct oomx_raised r;

	if (a->set_adj == OOMX_ADJ_RAISED && !a->inherited &&
	    !bpf_map_lookup_elem(s->map, &a->pid, &r) && !r.killed)
		__atomic_fetch_add(&s->stats->false_alarms, 1, __ATOMIC_RELAXED);
}

/* Off the record; with those that share its memory or did when it was altered, put back, too. */
static void unrecord(struct state *s, __u32 pid, bool shared)
{
	(void)bpf_map_delete_elem(s->map, &pid); /* absent is what we want */
	if (shared)
		ox_restore_sharers(s->map, pid);
}

static void forget(struct state *s, struct altered *a)
{
	unrecord(s, a->pid, a->shared);
	(void)close(a->fd); /* what was written is in force, or its process gone */
	a->pid = 0;
}

static void put_back(struct state *s, struct altered *a)
{
	int err = 0;

	/* its owner may have set another value meanwhile: that one stays */
	if (has_value(a->fd, a->set_adj)) {
		err = put_value(a->fd, a->old_adj);
		if (!err)
			count_false_alarm(s, a);
	}
	if (!err || err == -ESRCH) {
		forget(s, a);
	} else { /* on record it stays, for `oomx stop` */
		(void)close(a->fd);
		a->pid = 0;
	}
}

static struct altered *slot_for(struct state *s, __u32 pid)
{
	struct altered *oldest = &s->altered[0];
	unsigned int i;

	for (i = 0; i < NOMINEES; i++)
		if (s->altered[i].pid == pid)
			return &s->altered[i];
	for (i = 0; i < NOMINEES; i++) {
		if (!s->altered[i].pid)
			return &s->altered[i];
		if (s->altered[i].since_ns < oldest->since_ns)
			oldest = &s->altered[i];
	}
	put_back(s, oldest);
	return oldest;
}

/* Opening allocates a little. Where even that might not be had, it is given back first. */
static void make_room(struct state *s, const struct oomx_request *q)
{
	if (q->lack_pages && ox_reserve_give(q->lack_pages))
		__atomic_fetch_add(&s->stats->reserve_given, 1, __ATOMIC_RELAXED);
}

/* The request is fresh and names a process that was alive: its id is still its own. */
static int take(const struct oomx_request *q, struct altered *a)
{
	char path[48];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%u/oom_score_adj", q->pid); /* fits */
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*a = (struct altered){ .pid = q->pid, .fd = fd, .start_ns = q->start_ns, .mm = q->mm,
			       .old_adj = q->old_adj, .set_adj = q->set_adj,
			       .shared = q->flags & OOMX_REQ_SHARED };
	return 0;
}

/* One that was forked with a value of ours, and keeps nothing of it. */
static void disown(struct state *s, const struct oomx_request *q)
{
	struct altered a;

	if (!take(q, &a)) {
		a.inherited = true;
		put_back(s, &a);
	} else {
		(void)bpf_map_delete_elem(s->map, &q->pid); /* it is gone */
	}
}

static bool shares_mm(const struct altered *a, const struct oomx_request *q)
{
	return a->pid && a->pid != q->pid && a->mm == q->mm;
}

/*
 * Under oom_lock there is one nominee. Not who shares its memory: it has the same value, and the
 * kernel might choose while both have their own again.
 */
static void put_others_back(struct state *s, const struct oomx_request *q)
{
	unsigned int i;

	for (i = 0; i < NOMINEES; i++)
		if (s->altered[i].pid && s->altered[i].pid != q->pid &&
		    s->altered[i].set_adj == OOMX_ADJ_RAISED && !shares_mm(&s->altered[i], q))
			put_back(s, &s->altered[i]);
}

/* With the one that has just been altered they are put back, and as its sharers on record. */
static void forget_sharers(struct state *s, const struct oomx_request *q)
{
	struct oomx_raised r;
	unsigned int i;

	for (i = 0; i < NOMINEES; i++) {
		struct altered *a = &s->altered[i];

		if (!shares_mm(a, q))
			continue;
		if (!bpf_map_lookup_elem(s->map, &a->pid, &r) && !r.of)
			(void)bpf_map_delete_elem(s->map, &a->pid); /* absent is what we want */
		(void)close(a->fd);
		a->pid = 0;
	}
}

/* libbpf's callback for one request */
static int on_request(void *ctx, void *data, size_t size)
{
	const struct oomx_request *q = data;
	struct state *s = ctx;
	struct altered *a;

	if (size < sizeof(*q))
		return 0;
	if (q->flags & (OOMX_REQ_HASTEN | OOMX_REQ_AWAY)) {
		if (ox_now_ns() - q->ktime_ns <= STALE_NS)
			ox_hasten(q, s->stats);
		return 0;
	}
	make_room(s, q);
	if (q->flags & OOMX_REQ_RESTORE) {
		disown(s, q);
		return 0;
	}
	if (q->flags & OOMX_REQ_EXCLUSIVE)
		put_others_back(s, q);
	a = slot_for(s, q->pid);
	if (a->pid == q->pid && a->start_ns != q->start_ns)
		put_back(s, a); /* the id has been used again */
	if (!a->pid && (ox_now_ns() - q->ktime_ns > STALE_NS || take(q, a))) {
		unrecord(s, q->pid, q->flags & OOMX_REQ_SHARED); /* nothing was altered */
		return 0;
	}
	a->set_adj = q->set_adj;
	a->mm = q->mm;
	a->shared |= !!(q->flags & OOMX_REQ_SHARED);
	if (!put_value(a->fd, a->set_adj)) /* fails only for one that is gone */
		forget_sharers(s, q);
	a->since_ns = ox_now_ns();
	return 0;
}

/*
 * Nanoseconds until it is put back; 0: now. Not while the kernel is choosing: whoever holds
 * oom_lock may have to wait for a CPU, or for its share of one. Not for ever either: the program
 * that says when the kernel is through may be left out.
 */
static __u64 due_in(const struct state *s, const struct altered *a, __u64 age_ns)
{
	__u64 age = ox_now_ns() - a->since_ns;

	if (age < age_ns)
		return age_ns - age;
	if (age_ns && age < CHOOSING_NS && __atomic_load_n(&s->turn->latched, __ATOMIC_ACQUIRE))
		return CHOOSING_LOOK_NS;
	return 0;
}

/* Puts back what was altered long enough ago. Milliseconds until the next one is due; -1: none. */
static int restore_due(struct state *s, __u64 age_ns)
{
	__u64 left, next = ~0ULL;
	unsigned int i;

	for (i = 0; i < NOMINEES; i++) {
		struct altered *a = &s->altered[i];

		if (!a->pid)
			continue;
		left = due_in(s, a, age_ns);
		if (!left)
			put_back(s, a);
		else if (left < next)
			next = left;
	}
	return next == ~0ULL ? -1 : (int)(next / 1000000) + 1;
}

/* Runs the whole way once, on this very process: what it needs is in memory after that. */
static int rehearse(struct state *s, int old_adj, int set_adj)
{
	struct oomx_request q = { .pid = getpid(), .old_adj = old_adj, .set_adj = set_adj,
				  .flags = OOMX_REQ_EXCLUSIVE | OOMX_REQ_SHARED,
				  .ktime_ns = ox_now_ns() };
	const struct oomx_raised sharer = { .old_adj = set_adj, .set_adj = old_adj, .of = q.pid };
	const struct oomx_request nobody = { .pid = INT_MAX,
					     .flags = OOMX_REQ_HASTEN | OOMX_REQ_AWAY,
					     .ktime_ns = q.ktime_ns };
	char stack[STACK_BYTES];

	memset(stack, 1, sizeof(stack));
	__asm__ volatile("" : : "r"(stack) : "memory"); /* or it would be left out */
	(void)bpf_map_update_elem(s->map, &q.pid, &sharer, BPF_ANY);
	(void)ox_restore_sharers(s->map, q.pid); /* writes set_adj */
	(void)on_request(s, &q, sizeof(q));
	(void)on_request(s, (void *)&nobody, sizeof(nobody)); /* no process id is as high */
	(void)restore_due(s, 0);
	return ring_buffer__consume(s->ring) < 0 ? -EIO : 0;
}

static int settle(struct state *s, bool keep_cap)
{
	struct sched_param p = { .sched_priority = OX_RT_PRIORITY };
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return ox_err_r(-errno, "responder: cannot open its own oom_score_adj: %m");
	if (sched_setscheduler(0, SCHED_FIFO, &p))
		ox_warn("responder: no real-time priority (%m): answers may come late, ignoring");
	err = rehearse(s, 0, OOMX_ADJ_RAISED);
	if (err)
		return err;
	if (put_value(fd, OOM_SCORE_ADJ_MIN))
		return ox_err_r(-EPERM, "responder: cannot protect itself (oom_score_adj): %m");
	(void)close(fd);
	err = keep_cap ? 0 : ox_cap_resource_drop();
	if (err)
		return ox_err_r(err, "responder: cannot drop CAP_SYS_RESOURCE: %s", strerror(-err));
	if (!keep_cap) /* one of the two is enough, and this one answers every nomination */
		ox_reserve_start();
	/* what has been touched now is all it needs; libraries have megabytes beyond that */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		return ox_err_r(-errno, "responder: cannot lock its memory: %m");
	return 0;
}

/*
 * Woken by edges, never by the ring's level: a record that is reserved and not yet submitted makes
 * the ring readable with nothing to read, and its writer may be waiting for this very CPU. In real
 * time, asking again and again would keep it from ever coming back.
 */
static int watch(const struct state *s)
{
	struct epoll_event ring = { .events = EPOLLIN | EPOLLET, .data.fd = s->requests };
	struct epoll_event end = { .events = EPOLLIN, .data.fd = s->control };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, s->requests, &ring) ||
	    epoll_ctl(fd, EPOLL_CTL_ADD, s->control, &end))
		return ox_err_r(-errno, "responder: epoll: %m");
	return fd;
}

static void serve(const struct server *v)
{
	struct state *s = v->s;
	struct epoll_event ev[2];
	int timeout = -1, i, n;
	bool go_on = true;

	while (go_on) {
		n = epoll_wait(v->epoll, ev, 2, timeout);
		if (n < 0 && errno != EINTR)
			break;
		(void)pthread_mutex_lock(&s->lock); /* a plain one cannot fail */
		(void)ring_buffer__consume(s->ring); /* our callback never fails */
		timeout = restore_due(s, OOMX_ALTERED_NS);
		(void)pthread_mutex_unlock(&s->lock);
		for (i = 0; i < n; i++)
			if (ev[i].data.fd == s->control) /* the daemon closed it, or died */
				go_on = false;
	}
}

/* ---- two threads ---------------------------------------------------------------------------- */

static void keep_to(const struct server *v)
{
	if (sched_setaffinity(0, CPU_ALLOC_SIZE(OX_CPUS_MAX), v->cpus))
		ox_warn("responder: cannot keep to half of the CPUs (%m), ignoring");
}

static void *second(void *arg)
{
	struct server *v = arg;
	struct state *s = v->s;

	keep_to(v);
	(void)pthread_mutex_lock(&s->lock);
	/* for the sake of its stack; alters nothing */
	(void)rehearse(s, OOM_SCORE_ADJ_MIN, OOM_SCORE_ADJ_MIN);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_barrier_wait(&s->ready);
	serve(v);
	return NULL;
}

/* Deals out the CPUs that this process may use. False: there are not enough. */
static bool halve(struct server v[THREADS])
{
	size_t size = CPU_ALLOC_SIZE(OX_CPUS_MAX);
	cpu_set_t *all = CPU_ALLOC(OX_CPUS_MAX);
	unsigned int i, n = 0;

	v[0].cpus = CPU_ALLOC(OX_CPUS_MAX);
	v[1].cpus = CPU_ALLOC(OX_CPUS_MAX);
	if (all && v[0].cpus && v[1].cpus && !sched_getaffinity(0, size, all)) {
		CPU_ZERO_S(size, v[0].cpus);
		CPU_ZERO_S(size, v[1].cpus);
		for (i = 0; i < OX_CPUS_MAX; i++)
			if (CPU_ISSET_S(i, size, all))
				CPU_SET_S(i, size, v[n++ % THREADS].cpus);
	}
	CPU_FREE(all);
	return n >= THREADS;
}

/*
 * Whoever is woken is put on the CPU it was on last (select_task_rq_rt(), kernel/sched/rt.c, 6.1
 * to 7.3, if no real-time task runs there). If it is the one where out_of_memory() is held, on a
 * kernel that does not preempt itself, that thread gets no CPU until the wait is over. The other
 * one is on none of the same CPUs.
 */
static int start_second(struct server *v)
{
	pthread_attr_t attr;
	int err;

	v->epoll = watch(v->s);
	if (v->epoll < 0)
		return v->epoll;
	err = pthread_attr_init(&attr) ?: pthread_attr_setstacksize(&attr, 4 * STACK_BYTES) ?:
	      pthread_create(&v->thread, &attr, second, v);
	if (err)
		return ox_err_r(-err, "responder: cannot start a thread: %s", strerror(err));
	(void)pthread_attr_destroy(&attr);
	(void)pthread_barrier_wait(&v->s->ready);
	return 0;
}

/* Until the daemon is gone, or wants it to end. */
static int respond(struct state *s)
{
	struct server v[THREADS] = { { .s = s }, { .s = s } };
	bool two = halve(v);
	int err;

	v[0].epoll = watch(s);
	if (v[0].epoll < 0)
		return v[0].epoll;
	if (two) {
		err = start_second(&v[1]);
		if (err)
			return err;
		keep_to(&v[0]);
	}
	if (write(s->control, "r", 1) != 1)
		return ox_err_r(-errno, "responder: the daemon is gone: %m");
	serve(&v[0]);
	if (two)
		(void)pthread_join(v[1].thread, NULL);
	return 0;
}

int ox_cmd_responder(int argc, char **argv)
{
	static struct state s = { .lock = PTHREAD_MUTEX_INITIALIZER };
	int stats, turn, keep_cap, err;

	if (argc != 7 || ox_parse_s32(argv[1], 0, 1 << 20, &s.requests) ||
	    ox_parse_s32(argv[2], 0, 1 << 20, &s.map) ||
	    ox_parse_s32(argv[3], 0, 1 << 20, &stats) ||
	    ox_parse_s32(argv[4], 0, 1 << 20, &turn) ||
	    ox_parse_s32(argv[5], 0, 1 << 20, &s.control) || ox_parse_s32(argv[6], 0, 1, &keep_cap))
		return ox_err_r(OX_EXIT_USAGE, "responder: started by 'oomx run', not by hand");
	s.stats = mmap(NULL, sizeof(*s.stats), PROT_READ | PROT_WRITE, MAP_SHARED, stats, 0);
	s.turn = mmap(NULL, sizeof(*s.turn), PROT_READ, MAP_SHARED, turn, 0);
	if (s.stats == MAP_FAILED || s.turn == MAP_FAILED)
		return ox_err_r(OX_EXIT_FAILURE, "responder: cannot map the counters or the turn: %m");
	s.ring = ring_buffer__new(s.requests, on_request, &s, NULL);
	if (!s.ring || pthread_barrier_init(&s.ready, NULL, THREADS))
		return ox_err_r(OX_EXIT_FAILURE, "responder: cannot read requests: %m");
	err = settle(&s, keep_cap);
	if (!err)
		err = respond(&s);
	(void)restore_due(&s, 0);
	ring_buffer__free(s.ring);
	return err ? OX_EXIT_FAILURE : OX_EXIT_OK;
}

/* ---- its starter ---------------------------------------------------------------------------- */

#define RESPONDER_FDS 5 /* the arguments of `oomx responder`, in this order */

static void run_responder(const int fds[RESPONDER_FDS], bool keep_cap)
{
	char text[RESPONDER_FDS][16];
	unsigned int i;

	/* signals meant for the daemon reach its group: only the daemon ends this process */
	(void)setpgid(0, 0);
	for (i = 0; i < RESPONDER_FDS; i++) {
		if (fcntl(fds[i], F_SETFD, 0))
			_exit(1);
		(void)snprintf(text[i], sizeof(text[i]), "%d", fds[i]); /* fits */
	}
	execl("/proc/self/exe", "oomx", "responder", text[0], text[1], text[2], text[3],
	      text[4], keep_cap ? "1" : "0", NULL);
	_exit(1);
}

int ox_responder_start(struct ox_responder *r, const struct ox_engine *e, bool demoter)
{
	int fds[RESPONDER_FDS] = {
		ox_engine_map(e, demoter ? "oomx_demotions" : "oomx_requests"),
		ox_engine_map(e, "oomx_raised"),
		ox_engine_map(e, "oomx_stats"),
		ox_engine_map(e, "oomx_turn"),
	};
	int sock[2];
	char byte;
	pid_t pid;

	*r = (struct ox_responder){ .pid = -1, .pidfd = -1, .control = -1 };
	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0 || fds[3] < 0)
		return ox_err_r(-ENOTSUP, "this hook has no use for a responder");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		return ox_err_r(-errno, "responder: %m");
	pid = fork();
	if (!pid) {
		sigset_t none;

		sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)close(sock[0]); /* or it would never see the daemon's end */
		fds[RESPONDER_FDS - 1] = sock[1];
		run_responder(fds, demoter);
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
	struct pollfd end = { .fd = r->pidfd, .events = POLLIN };

	if (r->control >= 0)
		(void)close(r->control);
	if (r->pid > 0) {
		(void)kill(r->pid, SIGCONT); /* a stopped one would never see that */
		if (r->pidfd >= 0 && poll(&end, 1, END_MS) <= 0)
			(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
	}
	if (r->pidfd >= 0)
		(void)close(r->pidfd);
	*r = (struct ox_responder){ .pid = -1, .pidfd = -1, .control = -1 };
	/* the map is another's by then, with nominees of its own */
	if (!ox_engine_replaced(e) && ox_restore_all(ox_engine_map(e, "oomx_raised")))
		ox_warn("some raised oom_score_adj could not be put back, ignoring");
}
