// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/people.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cgroup.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define PAGE 4096ul
#define PAGES_MAX 256
#define HUGE_BYTES (2ul << 20)
#define STACK_BYTES (64u << 10)
#define CGROUP "/people"
#define CGROUP_MIB 8
#define PAGEOUT_TRIES 200

enum { STARTING, READY, FAILED };

/* In shared memory: all that the processes and the suite tell one another. */
struct town {
	struct person list[PEOPLE_MAX];
	unsigned int n;
	char why[128];
};

static struct town *town;
static pid_t nursery; /* their parent */

static const char *const names[] = {
	[PEOPLE_PRIVATE] = "private",	      [PEOPLE_SHARED] = "shared",
	[PEOPLE_MEMFD] = "memfd",	      [PEOPLE_FILE] = "file",
	[PEOPLE_SWAPPED] = "swapped",	      [PEOPLE_THREADS] = "threads",
	[PEOPLE_LEADER_GONE] = "leader gone", [PEOPLE_VFORK] = "vfork",
	[PEOPLE_SHARER] = "sharer",	      [PEOPLE_ZOMBIE] = "zombie",
	[PEOPLE_FORKED] = "forked",	      [PEOPLE_HUGE] = "huge",
	[PEOPLE_HOPPER] = "hopper",	      [PEOPLE_NEGATIVE] = "negative",
	[PEOPLE_REAPED] = "reaped",
};
_Static_assert(sizeof(names) / sizeof(names[0]) == _PEOPLE_KINDS, "a name for every kind");

const char *people_kind_name(enum people_kind kind)
{
	return names[kind];
}

/* ---- one of them, in its own process -------------------------------------------------------- */

static void __attribute__((noreturn)) rest(void)
{
	for (;;)
		pause();
}

static void set_state(struct person *p, unsigned int state)
{
	__atomic_store_n(&p->state, state, __ATOMIC_RELEASE);
}

static void __attribute__((noreturn)) give_up(struct person *p, const char *what, int err)
{
	snprintf(town->why, sizeof(town->why), "%s (%s): %s", names[p->kind], what, strerror(err));
	set_state(p, FAILED);
	rest();
}

static void __attribute__((noreturn)) ready(struct person *p)
{
	set_state(p, READY);
	rest();
}

static void touch(char *base, unsigned long pages)
{
	unsigned long i;

	for (i = 0; i < pages; i++)
		((volatile char *)base)[i * PAGE] = 1;
}

static char *map(struct person *p, unsigned long pages, int prot, int flags, int fd)
{
	char *m = mmap(NULL, pages * PAGE, prot, flags, fd, 0);

	if (m == MAP_FAILED)
		give_up(p, "mmap", errno);
	madvise(m, pages * PAGE, MADV_NOHUGEPAGE); /* EINVAL without huge pages: as good */
	return m;
}

static char *map_private(struct person *p, unsigned long pages)
{
	char *m = map(p, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	touch(m, pages);
	return m;
}

static char *map_shared(struct person *p, unsigned long pages)
{
	return map(p, pages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
}

static void live_memfd(struct person *p)
{
	int fd = memfd_create("people", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)(p->pages * PAGE)))
		give_up(p, "memfd", errno);
	touch(map(p, p->pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd), p->pages);
}

/* This program itself: on the host's file system, so its pages do not count as shared memory. */
static void live_file(struct person *p)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	unsigned long i, pages = p->pages;
	volatile char sum = 0;
	off_t size;
	char *m;

	if (fd < 0 || (size = lseek(fd, 0, SEEK_END)) < 0)
		give_up(p, "/proc/self/exe", errno);
	if (pages > (unsigned long)size / PAGE)
		pages = (unsigned long)size / PAGE;
	m = map(p, pages, PROT_READ, MAP_SHARED, fd);
	for (i = 0; i < pages; i++)
		sum += m[i * PAGE];
}

/* Where pages wait to be put on a list (one per CPU) they cannot be swapped out: try again. */
static void live_swapped(struct person *p)
{
	unsigned long pages = p->pages + 16;
	char *m = map_private(p, pages);
	int i;

	for (i = 0; i < PAGEOUT_TRIES; i++) {
		if (madvise(m, pages * PAGE, MADV_PAGEOUT))
			give_up(p, "MADV_PAGEOUT", errno);
		if (proc_keyed("/proc/self/smaps_rollup", "Swap") >= (int64_t)(pages * PAGE / 2048))
			return;
		usleep(1000);
	}
	give_up(p, "its memory is not swapped out", 0);
}

static void live_huge(struct person *p)
{
	char *m = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		give_up(p, "mmap", errno);
	m = (char *)(((unsigned long)m + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	madvise(m, HUGE_BYTES, MADV_HUGEPAGE); /* EINVAL without huge pages: small ones then */
	touch(m, HUGE_BYTES / PAGE);
}

static void move_to(struct person *p, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		give_up(p, "sched_setaffinity", errno);
}

/* CPUs that it may use. */
static int cpus(struct person *p, int list[CPU_SETSIZE])
{
	cpu_set_t set;
	int i, n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		give_up(p, "sched_getaffinity", errno);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			list[n++] = i;
	return n;
}

/* Few pages on each CPU, of either kind; a third of the private ones dropped on the first CPU. */
static void live_hopper(struct person *p)
{
	int list[CPU_SETSIZE], n = cpus(p, list), i;
	unsigned long each = 3 + p->pages % 9;
	char *priv = map(p, each * n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *shared = map_shared(p, each * n);

	for (i = n - 1; i >= 0; i--) {
		move_to(p, list[i]);
		touch(priv + i * each * PAGE, each);
		touch(shared + i * each * PAGE, each - i % 3);
	}
	for (i = 0; i < n; i++)
		madvise(priv + i * each * PAGE, each / 3 * PAGE, MADV_DONTNEED);
}

/*
 * Each CPU keeps its share below percpu_counter_batch (lib/percpu_counter.c: the larger of 32 and
 * twice the CPUs online), the last frees more than that at once: the shared part of the counter
 * falls below zero, the sum does not.
 */
static void live_negative(struct person *p)
{
	int list[CPU_SETSIZE], n = cpus(p, list), i;
	unsigned long each = (n > 16 ? 2 * n : 32) - 1, left = 1 + p->pages % 5;
	char *m = map_shared(p, each * n);

	for (i = 0; i < n; i++) {
		move_to(p, list[i]);
		if (i < n - 1 || n == 1)
			touch(m + i * each * PAGE, each);
	}
	munmap(m + left * PAGE, (each * n - left) * PAGE);
}

static void *thread_lives(void *arg)
{
	struct person *p = arg;

	map_private(p, p->pages % 16 + 1);
	if (p->kind == PEOPLE_LEADER_GONE) {
		/* until it is a zombie: "State:\tZ" */
		char path[64], buf[2048] = "";

		snprintf(path, sizeof(path), "/proc/%d/status", p->pid);
		while (!strstr(buf, "State:\tZ")) {
			if (proc_read(path, buf, sizeof(buf)))
				give_up(p, path, errno);
			usleep(1000);
		}
		ready(p);
	}
	__atomic_fetch_add(&p->go, 1, __ATOMIC_RELEASE);
	rest();
}

static void live_threads(struct person *p)
{
	unsigned int i, n = p->kind == PEOPLE_LEADER_GONE ? 1 : 1 + p->pages % 8;
	pthread_attr_t attr;
	pthread_t t;
	int err;

	map_private(p, p->pages);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (i = 0; i < n; i++) {
		err = pthread_create(&t, &attr, thread_lives, p);
		if (err)
			give_up(p, "pthread_create", err);
	}
	if (p->kind == PEOPLE_LEADER_GONE)
		syscall(SYS_exit, 0); /* this thread only */
	while (__atomic_load_n(&p->go, __ATOMIC_ACQUIRE) < n)
		usleep(1000);
}

static int second_lives(void *arg)
{
	struct person *p = arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p->second = (pid_t)syscall(SYS_getpid);
	ready(p);
}

static void __attribute__((noreturn)) live_vfork(struct person *p)
{
	map_private(p, p->pages);
	if (!vfork())
		second_lives(p);
	give_up(p, "vfork", errno);
}

static void __attribute__((noreturn)) live_sharer(struct person *p)
{
	char *stack = map_private(p, STACK_BYTES / PAGE);

	if (clone(second_lives, stack + STACK_BYTES, CLONE_VM | SIGCHLD, p) < 0)
		give_up(p, "clone", errno);
	rest();
}

static void __attribute__((noreturn)) live_forked(struct person *p)
{
	char *m = map_private(p, p->pages);
	pid_t pid = fork();

	if (pid < 0)
		give_up(p, "fork", errno);
	if (!pid) {
		touch(m, p->pages / 2); /* its own copy */
		second_lives(p);
	}
	rest();
}

/* Waits to be traced, so that it stops on its way out, and goes where memory is short. */
static void __attribute__((noreturn)) live_reaped(struct person *p)
{
	while (!__atomic_load_n(&p->go, __ATOMIC_ACQUIRE))
		usleep(1000);
	if (proc_write(CGROUP_ROOT CGROUP "/cgroup.procs", "0"))
		give_up(p, "cannot join " CGROUP, errno);
	map_private(p, CGROUP_MIB * 4ul << 20 >> 12);
	give_up(p, "was not killed", 0);
}

static void __attribute__((noreturn)) live(struct person *p)
{
	char text[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, names[p->kind]);
	snprintf(text, sizeof(text), "%d", p->adj);
	if (proc_write("/proc/self/oom_score_adj", text))
		give_up(p, "oom_score_adj", errno);
	switch (p->kind) {
	case PEOPLE_PRIVATE:
		map_private(p, p->pages);
		break;
	case PEOPLE_SHARED:
		touch(map_shared(p, p->pages), p->pages);
		break;
	case PEOPLE_MEMFD:
		live_memfd(p);
		break;
	case PEOPLE_FILE:
		live_file(p);
		break;
	case PEOPLE_SWAPPED:
		live_swapped(p);
		break;
	case PEOPLE_THREADS:
	case PEOPLE_LEADER_GONE:
		live_threads(p);
		break;
	case PEOPLE_VFORK:
		live_vfork(p);
	case PEOPLE_SHARER:
		live_sharer(p);
	case PEOPLE_ZOMBIE:
		_exit(0);
	case PEOPLE_FORKED:
		live_forked(p);
	case PEOPLE_HUGE:
		live_huge(p);
		break;
	case PEOPLE_HOPPER:
		live_hopper(p);
		break;
	case PEOPLE_NEGATIVE:
		live_negative(p);
		break;
	case PEOPLE_REAPED:
		live_reaped(p);
	default:
		_exit(99);
	}
	/* 6.1 enters a thread's counts into its mm's once in 64 faults (TASK_RSS_EVENTS_THRESH) */
	map_private(p, 80);
	ready(p);
}

/* ---- their parent --------------------------------------------------------------------------- */

static bool starting(struct person *p)
{
	return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == STARTING;
}

/*
 * The reaper gives the victim two seconds to end by itself (OOM_REAPER_DELAY, mm/oom_kill.c),
 * then takes its memory and marks it: from then on the kernel gives it no score.
 */
static void raise_reaped(struct person *p)
{
	char path[64], score[32] = "";
	int status;

	if (ptrace(PTRACE_SEIZE, p->pid, NULL, PTRACE_O_TRACEEXIT))
		give_up(p, "PTRACE_SEIZE", errno);
	__atomic_store_n(&p->go, 1, __ATOMIC_RELEASE);
	if (waitpid(p->pid, &status, __WALL) < 0)
		give_up(p, "waitpid", errno);
	if (status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8))
		give_up(p, "does not stop on its way out", 0);
	snprintf(path, sizeof(path), "/proc/%d/oom_score", p->pid);
	while (strcmp(score, "0\n")) {
		if (proc_read(path, score, sizeof(score)))
			give_up(p, path, errno);
		usleep(10000);
	}
	set_state(p, READY);
}

static void __attribute__((noreturn)) raise_all(void)
{
	struct person *p;
	siginfo_t info;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "nursery");
	for (p = town->list; p < town->list + town->n; p++) {
		pid = fork(); /* *p is shared: only what is true for both may be written there */
		p->pid = pid ? pid : getpid();
		if (!pid)
			live(p);
		if (pid < 0)
			give_up(p, "fork", errno);
		if (p->kind == PEOPLE_REAPED)
			raise_reaped(p);
		while (p->kind != PEOPLE_ZOMBIE && starting(p))
			usleep(500);
		if (p->kind == PEOPLE_ZOMBIE) {
			if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT))
				give_up(p, "waitid", errno);
			set_state(p, READY);
		}
		if (p->state == FAILED)
			rest();
	}
	rest();
}

/* ---- the suite's side ----------------------------------------------------------------------- */

void people_open(void)
{
	town = mmap(NULL, sizeof(*town), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (town == MAP_FAILED)
		suite_fatal("mmap: %s", strerror(errno));
	/* Orphans come to us to be waited for: none of them is left to the next population. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	cgroup_make(CGROUP);
	cgroup_set_mib(CGROUP, "memory.max", CGROUP_MIB);
	cgroup_set(CGROUP, "memory.swap.max", "0");
}

static bool settled(void *arg)
{
	unsigned int i;

	for (i = 0; i < town->n; i++) {
		if (town->list[i].state == FAILED)
			return true;
		if (starting(&town->list[i]))
			return false;
	}
	return true;
}

void people_start(unsigned int n)
{
	static const int adjs[] = { 0, 300, -500, 1000, -1000, -17, 1, 999, -999 };
	unsigned int i, first = (unsigned int)suite_random(0, 8);
	struct person *p;

	memset(town, 0, sizeof(*town));
	town->n = n;
	for (i = 0; i < n; i++) {
		p = &town->list[i];
		/* One is enough of those that take two seconds. */
		p->kind = i ? (i - 1) % (_PEOPLE_KINDS - 1) : PEOPLE_REAPED;
		/* 9 and the number of the other kinds share no factor: each meets every value. */
		p->adj = i ? adjs[(first + i) % 9] : 300;
		p->pages = (unsigned int)suite_random(1, PAGES_MAX);
	}
	nursery = fork();
	if (nursery < 0)
		suite_fatal("fork: %s", strerror(errno));
	if (!nursery)
		raise_all();
	if (!suite_wait(settled, NULL, SUITE_STEP_MS) || town->why[0])
		suite_fatal("the population is not ready: %s",
			    town->why[0] ? town->why : "timeout");
}

const struct person *people_list(unsigned int *ret_n)
{
	*ret_n = town->n;
	return town->list;
}

static bool gone(pid_t pid)
{
	return pid <= 0 || (kill(pid, 0) && errno == ESRCH);
}

static bool all_gone(void *arg)
{
	unsigned int i;

	for (i = 0; i < town->n; i++)
		if (!gone(town->list[i].pid) || !gone(town->list[i].second))
			return false;
	return gone(nursery);
}

void people_end(void)
{
	unsigned int i;

	/* Their children follow by their parent-death signals. */
	for (i = 0; i < town->n; i++)
		if (town->list[i].pid > 0)
			kill(town->list[i].pid, SIGKILL);
	kill(nursery, SIGKILL);
	if (!suite_wait(all_gone, NULL, SUITE_STEP_MS))
		suite_fatal("the population survives SIGKILL");
}
