// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "reap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "log.h"
#include "record.h"
#include "restore.h"

/*
 * Not much sooner than the kernel's own reaper, which leaves the victim two seconds to give back
 * its robust futexes (OOM_REAPER_DELAY, mm/oom_kill.c, 6.1 to 7.3): who waits for one would wait
 * for ever.
 */
#define OVERDUE_NS 1500000000ULL
/* As the kernel's reaper: MAX_OOM_REAP_RETRIES, HZ / 10 (mm/oom_kill.c, 6.1 to 7.3) */
#define TRIES 10
#define TRY_AGAIN_NS 100000000L
#define STACK_BYTES (128 << 10)

/* For the one that is due first; off if there is none. */
static void set_timer(struct ox_reap *r)
{
	struct itimerspec t = {};
	__u64 first = ~0ULL;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		if (r->victims[i].due_ns < first)
			first = r->victims[i].due_ns;
	if (r->n) {
		t.it_value.tv_sec = first / 1000000000ULL;
		t.it_value.tv_nsec = first % 1000000000ULL;
	}
	(void)timerfd_settime(r->timer, TFD_TIMER_ABSTIME, &t, NULL); /* sane values cannot fail */
}

static void drop(struct ox_reap *r, unsigned int i)
{
	r->n--;
	memmove(&r->victims[i], &r->victims[i + 1], (r->n - i) * sizeof(r->victims[0]));
}

static void add(struct ox_reap *r, const struct oomx_rec_kill *k)
{
	if (r->n == OX_REAP_MAX)
		drop(r, 0);
	r->victims[r->n++] = (struct ox_reap_victim){
		.pid = k->victim.pid,
		.start_ns = k->victim.start_ns,
		.due_ns = ox_now_ns() + OVERDUE_NS,
	};
}

/*
 * The kernel writes a line for each of its kills; this one it only saw dying. In one write(), for
 * that is a line; not by stdio, which asks for the file's position, and /dev/kmsg has none.
 */
static void tell_kernel_log(const struct oomx_rec_kill *k)
{
	_cleanup_close_ int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char comm[3 * OOMX_COMM_LEN + 1], line[256];
	int n;

	ox_utf8_clean(k->victim.comm, sizeof(k->victim.comm), true, comm, sizeof(comm));
	n = snprintf(line, sizeof(line), "<3>oomx: out of memory: sent SIGKILL to process %u (%s), "
		     "UID:%u, decision %llu\n", k->victim.pid, comm, k->victim.uid,
		     (unsigned long long)k->hdr.decision);
	if (fd < 0 || write(fd, line, n) != n)
		ox_warn("cannot write to the kernel's log (%m): killed process %u (%s)",
			k->victim.pid, comm);
}

void ox_reap_record(struct ox_reap *r, const void *rec, size_t size)
{
	union ox_record u;
	unsigned int i;

	if (ox_record_load(rec, size, &u))
		return;
	if (u.hdr.type == OOMX_REC_KILL || u.hdr.type == OOMX_REC_KERNEL_KILL) {
		add(r, &u.kill);
		if (u.kill.flags & OOMX_KILL_SIGNALLED)
			tell_kernel_log(&u.kill);
	} else if (u.hdr.type == OOMX_REC_FREED) {
		for (i = 0; i < r->n; i++)
			if (r->victims[i].pid == u.freed.pid &&
			    r->victims[i].start_ns == u.freed.start_ns)
				drop(r, i--);
	} else {
		return;
	}
	set_timer(r);
}

void ox_reap_work(struct ox_reap *r)
{
	__u64 expirations, now = ox_now_ns();
	unsigned int i;

	(void)!read(r->timer, &expirations, sizeof(expirations)); /* only to make it unreadable */
	for (i = 0; i < r->n; i++) {
		if (r->victims[i].due_ns > now)
			continue;
		/* fails if the thread is stuck, and that for long: the kernel has a reaper, too */
		(void)!send(r->channel, &r->victims[i], sizeof(r->victims[i]), MSG_DONTWAIT);
		drop(r, i--);
	}
	set_timer(r);
}

void ox_reap_tell(const struct ox_reap *r)
{
	struct ox_reap_victim v;

	while (recv(r->channel, &v, sizeof(v), MSG_DONTWAIT) == sizeof(v))
		ox_warn("process %u was slow to die: its memory was released by "
			"process_mrelease()", v.pid);
}

/* ---- the thread: shares nothing with the others ---------------------------------------------- */

/* True: its memory is back. */
static bool release(const struct ox_reap_victim *v)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, v->pid, 0);
	const struct timespec pause = { .tv_nsec = TRY_AGAIN_NS };
	unsigned int i;
	int adj;

	/* the start time is asked after the pidfd is there: so the two are the same process */
	if (pidfd < 0 || ox_adj_read(v->pid, v->start_ns, &adj))
		return false;
	for (i = 0; i < TRIES; i++) {
		if (!syscall(SYS_process_mrelease, pidfd, 0))
			return true;
		if (errno != EAGAIN)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static void *serve(void *arg)
{
	int channel = (int)(intptr_t)arg;
	struct ox_reap_victim v;
	ssize_t n;

	/* until the other side is closed */
	while ((n = recv(channel, &v, sizeof(v), 0)) == sizeof(v) || (n < 0 && errno == EINTR)) {
		if (n > 0 && release(&v))
			(void)!send(channel, &v, sizeof(v), MSG_NOSIGNAL);
	}
	(void)close(channel);
	return NULL;
}

static int start_thread(int channel)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	err = pthread_attr_init(&attr) ?: pthread_attr_setstacksize(&attr, STACK_BYTES) ?:
	      pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) ?:
	      pthread_create(&thread, &attr, serve, (void *)(intptr_t)channel);
	(void)pthread_attr_destroy(&attr);
	return -err;
}

int ox_reap_start(struct ox_reap *r)
{
	int pair[2], err;

	r->n = 0;
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->timer < 0)
		return ox_err_r(-errno, "timerfd: %m");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return ox_err_r(-errno, "socketpair: %m");
	r->channel = pair[0];
	err = start_thread(pair[1]);
	if (!err)
		return 0;
	(void)close(pair[1]);
	return ox_err_r(err, "cannot start a thread: %s", strerror(-err));
}

void ox_reap_done(struct ox_reap *r)
{
	if (r->timer >= 0)
		(void)close(r->timer);
	if (r->channel >= 0)
		(void)close(r->channel); /* ends the thread */
	r->timer = r->channel = -1;
}
