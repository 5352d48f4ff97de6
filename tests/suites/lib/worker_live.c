// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* worker_live.c - the life of a worker, in its own process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capability.h"

#include "lib/worker_slot.h"

#define PAGE 4096u
/* Between two looks at the number of kills: what many threads have under way adds up. */
#define STEP_KIB 1024u
#define STEP_OF_MANY_KIB 256u
#define STACK_BYTES (64u << 10)
#define FORKS_MAX 64
#define ANSWERED_US 200000 /* who answers on behalf of a victim takes a hundredth of that */
#define SHARER_GROWS_KIB (256u << 10)
#ifndef PR_SET_IO_FLUSHER /* include/uapi/linux/prctl.h, since 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif

static struct life {
	struct worker_slot *slot;
	char *grow_base;
	unsigned long grow_kib; /* of the mapping */
	unsigned int step_kib;
	unsigned long kills;	/* before the growth */
	pthread_barrier_t start;
} life;

static void __attribute__((noreturn)) rest(void)
{
	for (;;)
		pause();
}

static void __attribute__((noreturn)) give_up(const char *what, int err)
{
	struct worker_slot *s = life.slot;

	snprintf(s->why, sizeof(s->why), "%s: %s", what, strerror(err));
	__atomic_store_n(&s->state, WORKER_FAILED, __ATOMIC_RELEASE);
	rest();
}

/* The kernel log names a thread where the first one has ended: the suite has to know them. */
static void tell_tid(void)
{
	struct worker_slot *s = life.slot;
	uint32_t i;

	if (s->pid_ns) /* they mean nothing outside */
		return;
	i = __atomic_fetch_add(&s->n_tids, 1, __ATOMIC_RELAXED);
	if (i < WORKER_TIDS_MAX)
		__atomic_store_n(&s->tids[i], (uint32_t)gettid(), __ATOMIC_RELEASE);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up(path, errno);
	close(fd);
}

static void touch(char *p, unsigned long kib)
{
	unsigned long off;

	for (off = 0; off < kib << 10; off += PAGE)
		((volatile char *)p)[off] = 1;
}

static char *map(unsigned long kib, int prot, int flags, int fd)
{
	char *p = mmap(NULL, kib << 10, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		give_up("mmap", errno);
	/* A huge page more or less would decide who is largest. */
	if (fd < 0)
		madvise(p, kib << 10, MADV_NOHUGEPAGE);
	return p;
}

/* One maps 512 pages, of which what is only read needs none. */
static void hold_page_tables(unsigned long kib)
{
	unsigned long tables = kib * 1024 / PAGE, i;
	char *p = map(tables * 512 * PAGE / 1024, PROT_READ,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	for (i = 0; i < tables; i++)
		(void)((volatile char *)p)[i * 512 * PAGE];
}

/*
 * Page cache: the worker's own copy of nothing, but some large file that every Debian has and
 * that lies on the file system of the host, not on tmpfs, whose pages would count as shmem.
 */
static void hold_file(unsigned long kib)
{
	static const char *const large[] = {
		"/usr/lib/x86_64-linux-gnu/libLLVM-19.so.1",
		"/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1",
		"/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
		"/usr/lib/gcc/x86_64-linux-gnu/14/cc1",
		"/proc/self/exe",
	};
	struct stat st;
	volatile char sum = 0;
	unsigned long off;
	char *p;
	size_t i;
	int fd = -1;

	for (i = 0; i < sizeof(large) / sizeof(large[0]) && fd < 0; i++)
		fd = open(large[i], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		give_up("no large file", errno);
	if ((unsigned long)st.st_size < kib << 10)
		kib = (unsigned long)st.st_size >> 10;
	if (kib) {
		p = map(kib, PROT_READ, MAP_PRIVATE, fd);
		for (off = 0; off < kib << 10; off += PAGE)
			sum += p[off];
	}
	close(fd);
}

static void *idle(void *arg)
{
	(void)arg;
	tell_tid();
	rest();
}

static void start_thread(pthread_t *ret_thread, void *(*body)(void *), void *arg)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	err = pthread_create(ret_thread, &attr, body, arg);
	if (err)
		give_up("pthread_create", err);
	pthread_attr_destroy(&attr);
}

/* ---- growing -------------------------------------------------------------------------------- */

static unsigned long kills_so_far(int vmstat_fd)
{
	char buf[16384], *at;
	size_t len = 0;
	ssize_t n;

	if (lseek(vmstat_fd, 0, SEEK_SET))
		give_up("/proc/vmstat", errno);
	while ((n = read(vmstat_fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	at = strstr(buf, "\noom_kill ");
	return at ? strtoul(at + strlen("\noom_kill "), NULL, 10) : 0;
}

/* The memory of another: whoever writes there has it allocated, and the other's cgroup charged. */
static void write_into(pid_t pid, char *p, unsigned long kib)
{
	char byte = 1;
	struct iovec local = { &byte, 1 }, remote = { NULL, 1 };
	unsigned long off;

	for (off = 0; off < kib << 10; off += PAGE) {
		remote.iov_base = p + off;
		if (process_vm_writev(pid, &local, 1, &remote, 1, 0) != 1)
			give_up("process_vm_writev", errno);
	}
}

static void write_device(const char *path, unsigned long at_kib, unsigned long kib)
{
	static char block[64 << 10] __attribute__((aligned(PAGE)));
	unsigned long end = (at_kib + kib) << 10, off;
	int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);

	for (off = at_kib << 10; off < end; off += sizeof(block))
		if (pwrite(fd, block, sizeof(block), (off_t)off) != sizeof(block))
			give_up(path, errno);
	close(fd);
}

/*
 * Reads a byte of somebody else's memory, and keeps hold of all of it until its own copy is
 * written: to a mapping of this file, of which that has to be read first.
 */
static void read_into(const char *path, pid_t pid, char *from)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char *to = map(PAGE >> 10, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	struct iovec local = { to, 1 }, remote = { from, 1 };

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != -1 || errno != EFAULT)
		give_up("process_vm_readv", errno);
	munmap(to, PAGE);
	close(fd);
	usleep(ANSWERED_US);
	if (sched_getscheduler(0) != SCHED_OTHER)
		give_up("has been given real-time priority", 0);
}

/* at_kib: of all that the worker grows by */
static void take(struct worker_slot *s, unsigned long at_kib, unsigned long kib)
{
	if (s->reads_to[0]) {
		if (!at_kib) /* once is enough */
			read_into(s->reads_to, s->into_pid, life.grow_base);
	} else if (s->device[0]) {
		write_device(s->device, at_kib, kib);
	} else if (s->into_pid) {
		write_into(s->into_pid, life.grow_base + (at_kib << 10), kib);
	} else {
		touch(life.grow_base + (at_kib << 10), kib);
	}
}

static void *grower(void *arg)
{
	struct worker_slot *s = life.slot;
	const struct worker_growth *g = &s->growth;
	unsigned long share_kib = life.grow_kib / g->threads, done_kib, stop_kib = share_kib;
	unsigned long first_kib = (unsigned long)arg * share_kib;
	int fd = -1;

	tell_tid();
	if (g->no_io && prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		give_up("PR_SET_IO_FLUSHER", errno);
	if (g->until_kill) {
		fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			give_up("/proc/vmstat", errno);
	}
	pthread_barrier_wait(&life.start);

	for (done_kib = 0; done_kib < stop_kib; done_kib += life.step_kib) {
		take(s, first_kib + done_kib, life.step_kib);
		__atomic_fetch_add(&s->grown_kib, life.step_kib, __ATOMIC_RELAXED);
		if (fd >= 0 && kills_so_far(fd) > life.kills) {
			stop_kib = done_kib + life.step_kib +
				   g->after_mib * 1024ul / g->threads;
			if (stop_kib > share_kib)
				stop_kib = share_kib;
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		give_up("grew to its limit and nobody was killed", 0);
	return NULL;
}

/* A bomb: they all live, and die with it; that is with this thread, which never ends by itself. */
static void *bomber(void *arg)
{
	struct worker_slot *s = arg;
	pid_t self = getpid();
	unsigned int i;

	tell_tid();
	for (i = 0; i < s->growth.forks; i++) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != self) /* it died before that */
				_exit(0);
			touch(map(s->growth.fork_kib, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1),
			      s->growth.fork_kib);
			rest();
		}
		if (pid < 0)
			give_up("fork", errno);
	}
	rest();
}

/* Forks for as long as it lives, and keeps the youngest of its children. */
static void *forker(void *arg)
{
	struct worker_slot *s = arg;
	pid_t pids[FORKS_MAX] = {};
	unsigned int i;

	tell_tid();
	for (i = 0;; i = (i + 1) % s->growth.forks) {
		if (pids[i]) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
		pids[i] = fork();
		if (!pids[i])
			rest();
		if (pids[i] < 0)
			give_up("fork", errno);
	}
}

static void grow(struct worker_slot *s)
{
	const struct worker_growth *g = &s->growth;
	pthread_t threads[WORKER_THREADS_MAX];
	unsigned long i;
	int fd;

	/* Whole steps for every thread. */
	life.step_kib = g->threads > 1 ? STEP_OF_MANY_KIB : STEP_KIB;
	life.grow_kib = g->mib * 1024ul / life.step_kib / g->threads * g->threads * life.step_kib;
	life.grow_base = s->into_pid ? (char *)(uintptr_t)s->into_base :
				       map(life.grow_kib, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		give_up("/proc/vmstat", errno);
	life.kills = kills_so_far(fd);
	close(fd);

	if (g->forks && g->fork_kib)
		start_thread(&threads[0], bomber, s);
	else if (g->forks && g->forks <= FORKS_MAX)
		start_thread(&threads[0], forker, s);
	pthread_barrier_init(&life.start, NULL, g->threads + 1);
	for (i = 0; i < g->threads; i++)
		start_thread(&threads[i], grower, (void *)i);
	__atomic_store_n(&s->state, WORKER_GROWING, __ATOMIC_RELEASE);
	pthread_barrier_wait(&life.start);
	for (i = 0; i < g->threads; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&s->state, WORKER_DONE, __ATOMIC_RELEASE);
}

static void wait_for_go(struct worker_slot *s)
{
	while (!__atomic_load_n(&s->go, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &s->go, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void *wait_and_grow(void *arg)
{
	struct worker_slot *s = arg;

	tell_tid();
	wait_for_go(s);
	if (s->growth.by_sharer)
		rest();
	grow(s);
	rest();
}

/* ---- processes that share the address space ------------------------------------------------- */

/*
 * Runs on the thread control block of the thread that started it: nothing of the C library that
 * keeps its state there.
 */
static int __attribute__((noreturn)) sharer(void *arg)
{
	struct worker_slot *s = arg;
	unsigned long kib, end;

	wait_for_go(s);
	if (s->growth.by_sharer && s->sharer_pids[0] == (uint32_t)syscall(SYS_getpid)) {
		end = s->growth.mib * 1024ul;
		for (kib = 0; kib < end; kib += STEP_KIB) {
			touch(life.grow_base + (kib << 10), STEP_KIB);
			__atomic_fetch_add(&s->grown_kib, STEP_KIB, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&s->state, WORKER_DONE, __ATOMIC_RELEASE);
	}
	for (;;)
		syscall(SYS_pause);
}

static void start_sharers(struct worker_slot *s)
{
	unsigned int i;
	char *stack;
	int pid;

	/* what one of them may grow to: mapped now, as it could not say that it failed */
	life.grow_base = map(SHARER_GROWS_KIB, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	for (i = 0; i < s->sharers && i < WORKER_SHARERS_MAX; i++) {
		stack = map(STACK_BYTES >> 10, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1);
		pid = clone(sharer, stack + STACK_BYTES, CLONE_VM | SIGCHLD, s);
		if (pid < 0)
			give_up("clone", errno);
		s->sharer_pids[i] = (uint32_t)pid;
		s->n_sharers = i + 1;
	}
}

/* ---- start ---------------------------------------------------------------------------------- */

/*
 * What goes on from here is the init of a pid namespace. Its parent ends as it does, so that the
 * suite sees how that was; being the suite's child, it is out of the OOM killer's reach.
 */
static void become_init(struct worker_slot *s)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		give_up("unshare", errno);
	pid = fork();
	if (pid < 0)
		give_up("fork", errno);
	if (!pid) {
		while (!__atomic_load_n(&s->inner_pid, __ATOMIC_ACQUIRE))
			sched_yield();
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	__atomic_store_n(&s->inner_pid, (uint32_t)pid, __ATOMIC_RELEASE);
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		kill(getpid(), WTERMSIG(status));
	_exit(98);
}

static void become(struct worker_slot *s)
{
	char path[sizeof(CGROUP_ROOT) + CGROUP_PATH_LEN + 16], text[16];

	prctl(PR_SET_NAME, s->comm);
	if (s->cgroup[0]) {
		snprintf(path, sizeof(path), "%s%s/cgroup.procs", CGROUP_ROOT, s->cgroup);
		put(path, "0");
	}
	snprintf(text, sizeof(text), "%d", s->adj);
	if (s->adj_keeps_min && ox_cap_resource_use(false, NULL))
		give_up("capset", errno);
	put("/proc/self/oom_score_adj", text);
	if (s->uid && (setgid(s->uid) || setuid(s->uid)))
		give_up("setuid", errno);
	prctl(PR_SET_DUMPABLE, 1); /* its files in /proc are its own again */
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* setuid() clears it */
	if (s->nodes) {
		unsigned long mask = s->nodes;

		if (syscall(SYS_set_mempolicy, s->nodes_preferred ? MPOL_PREFERRED : MPOL_BIND,
			    &mask, 8 * sizeof(mask)))
			give_up("set_mempolicy", errno);
	}
}

static void __attribute__((noreturn)) get_stuck(struct worker_slot *s)
{
	char c;
	int fd = open(s->stuck_at, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		give_up(s->stuck_at, errno);
	__atomic_store_n(&s->state, WORKER_READY, __ATOMIC_RELEASE);
	if (read(fd, &c, 1) < 0)
		give_up(s->stuck_at, errno);
	give_up("was not stuck", 0);
}

static void *read_cached(void *arg)
{
	int fd = open(life.slot->stuck_at, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char c;

	tell_tid();
	if (fd < 0 || read(fd, &c, 1) < 0)
		give_up(life.slot->stuck_at, errno);
	return arg;
}

/*
 * Whoever maps a file that is read past the page cache waits for the pages that are there
 * (fuse_file_mmap(), fs/fuse/file.c, 6.1 to 7.3): that of a read which never comes back is locked.
 */
static void __attribute__((noreturn)) get_stuck_mapping(struct worker_slot *s)
{
	int fd = open(s->stuck_at, O_RDONLY | O_CLOEXEC);
	pthread_t t;

	if (fd < 0)
		give_up(s->stuck_at, errno);
	start_thread(&t, read_cached, NULL);
	__atomic_store_n(&s->state, WORKER_READY, __ATOMIC_RELEASE);
	for (;;) { /* until the other one is that far */
		void *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

		if (p == MAP_FAILED)
			give_up(s->stuck_at, errno);
		munmap(p, PAGE);
		usleep(1000);
	}
}

void worker_live(struct worker_slot *s)
{
	pthread_t t;
	unsigned int i;

	life.slot = s;
	if (s->pid_ns)
		become_init(s);
	become(s);
	if (s->anon_kib) {
		char *anon = map(s->anon_kib, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

		madvise(anon, s->anon_kib << 10, MADV_DONTFORK); /* its death is to free it */
		touch(anon, s->anon_kib);
	}
	if (s->shmem_kib)
		touch(map(s->shmem_kib, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1),
		      s->shmem_kib);
	if (s->file_kib)
		hold_file(s->file_kib);
	if (s->pgtables_kib)
		hold_page_tables(s->pgtables_kib);
	if (s->room_kib)
		s->room_base = (uintptr_t)map(s->room_kib, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	for (i = 0; i < s->threads; i++)
		start_thread(&t, idle, NULL);
	if (s->leader_exits) {
		start_thread(&t, wait_and_grow, s);
		__atomic_store_n(&s->state, WORKER_READY, __ATOMIC_RELEASE);
		syscall(SYS_exit, 0); /* this thread only */
	}
	if (s->sharers)
		start_sharers(s);
	if (s->stuck_at[0] && s->stuck_mapping)
		get_stuck_mapping(s);
	else if (s->stuck_at[0])
		get_stuck(s);

	__atomic_store_n(&s->state, WORKER_READY, __ATOMIC_RELEASE);
	wait_and_grow(s);
	rest();
}
