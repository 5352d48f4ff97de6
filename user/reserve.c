// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "reserve.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/*
 * So small a part of the memory. Large machines have more than the most of it between their
 * watermarks, and kernels take no more at once.
 */
#define PART 64
#define CHUNKS_MAX 32
#define CHUNK (256UL << 10)
#define PLENTY 4 /* times the reserve: so much more than when it was needed */
#define LOOK_MS 100
#define STACK_BYTES 65536

/*
 * What is given back comes to lie on a list of this CPU first, where no watermark counts it. The
 * list is emptied once pages in twos to eights follow each other on it behind a number of single
 * ones, on 6.1 only where these were more than it holds (free_unref_page_commit(),
 * mm/page_alloc.c, 6.1 to 7.3). A pipe of this size has four pages in one piece for the list of
 * its buffers; closing it gives them back.
 */
#define ROUNDS 4
#define PIPES_A_ROUND 3
#define PIPES (ROUNDS * PIPES_A_ROUND)
#define PIPE_PAGES 256

static struct {
	char *memory;
	unsigned int chunks;
	bool held[CHUNKS_MAX]; /* atomic: whoever resets it gives it back */
	int pipes[PIPES]; /* atomic: fd plus 1; whoever resets it closes it */
	uint64_t low; /* atomic: bytes that were free when it was last needed */
	sem_t given;
} reserve;

static unsigned long page_bytes(void)
{
	return (unsigned long)sysconf(_SC_PAGESIZE); /* a constant to libc: no system call */
}

static uint64_t free_bytes(void)
{
	struct sysinfo i = {};

	(void)sysinfo(&i); /* cannot fail */
	return (uint64_t)i.freeram * i.mem_unit;
}

static bool plenty(void)
{
	return free_bytes() > __atomic_load_n(&reserve.low, __ATOMIC_RELAXED) +
			      PLENTY * CHUNK * reserve.chunks;
}

static bool fill_pipe(int *pipe)
{
	int fds[2];

	if (__atomic_load_n(pipe, __ATOMIC_ACQUIRE))
		return true;
	if (pipe2(fds, O_CLOEXEC))
		return false;
	(void)close(fds[1]); /* one end keeps it */
	if (fcntl(fds[0], F_SETPIPE_SZ, (int)(PIPE_PAGES * page_bytes())) < 0) {
		(void)close(fds[0]);
		return false;
	}
	__atomic_store_n(pipe, fds[0] + 1, __ATOMIC_RELEASE);
	return true;
}

static bool fill_chunk(unsigned int i)
{
	if (__atomic_load_n(&reserve.held[i], __ATOMIC_ACQUIRE))
		return true;
	if (madvise(reserve.memory + i * CHUNK, CHUNK, MADV_POPULATE_WRITE))
		return false;
	__atomic_store_n(&reserve.held[i], true, __ATOMIC_RELEASE);
	return true;
}

/* False: some of it is missing. */
static bool fill(void)
{
	unsigned int i;

	for (i = 0; i < reserve.chunks; i++)
		if (!plenty() || !fill_chunk(i))
			return false;
	for (i = 0; i < PIPES; i++)
		if (!plenty() || !fill_pipe(&reserve.pipes[i]))
			return false;
	return true;
}

static void *keep_full(void *arg)
{
	const struct timespec look = { .tv_nsec = LOOK_MS * 1000000 };
	const struct sched_param ordinary = {};

	(void)sched_setscheduler(0, SCHED_OTHER, &ordinary); /* everybody may be that */
	for (;;) {
		while (sem_wait(&reserve.given))
			; /* interrupted */
		do {
			(void)nanosleep(&look, NULL);
		} while (!fill());
	}
	return arg;
}

static unsigned int give_chunks(uint64_t bytes)
{
	unsigned int i, n = 0;

	for (i = 0; i < reserve.chunks && n * CHUNK < bytes; i++) {
		if (!__atomic_exchange_n(&reserve.held[i], false, __ATOMIC_ACQ_REL))
			continue;
		(void)madvise(reserve.memory + i * CHUNK, CHUNK, MADV_DONTNEED_LOCKED);
		n++;
	}
	return n;
}

static void empty_list(unsigned int round)
{
	int *pipes = &reserve.pipes[round * PIPES_A_ROUND], fd, i;

	for (i = 0; i < PIPES_A_ROUND; i++) {
		fd = __atomic_exchange_n(&pipes[i], 0, __ATOMIC_ACQ_REL);
		if (fd)
			(void)close(fd - 1);
	}
}

unsigned int ox_reserve_give(unsigned int pages)
{
	uint64_t before = free_bytes(), now = before, end = before + pages * page_bytes();
	unsigned int round, n, given = 0;

	for (round = 0; round < ROUNDS && now < end; round++) {
		n = give_chunks(end - now);
		if (!n)
			break;
		empty_list(round);
		given += n;
		now = free_bytes();
	}
	if (given) {
		__atomic_store_n(&reserve.low, before, __ATOMIC_RELAXED);
		(void)sem_post(&reserve.given);
	}
	return (unsigned int)(given * CHUNK / page_bytes());
}

static int start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return err;
	err = pthread_attr_setstacksize(&attr, STACK_BYTES) ?:
	      pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) ?:
	      pthread_create(&thread, &attr, keep_full, NULL);
	(void)pthread_attr_destroy(&attr);
	return err;
}

void ox_reserve_start(void)
{
	struct sysinfo i = {};
	uint64_t chunks;
	int err;

	(void)sysinfo(&i); /* cannot fail */
	chunks = (uint64_t)i.totalram * i.mem_unit / PART / CHUNK;
	if (chunks > CHUNKS_MAX)
		chunks = CHUNKS_MAX;
	reserve.memory = mmap(NULL, chunks * CHUNK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserve.memory == MAP_FAILED || sem_init(&reserve.given, 0, 0)) {
		ox_warn("responder: no memory kept in reserve (%m), ignoring");
		return;
	}
	/* a huge page is given back in one piece, or torn up first */
	(void)madvise(reserve.memory, chunks * CHUNK, MADV_NOHUGEPAGE);
	err = start_thread();
	if (err) {
		ox_warn("responder: no memory kept in reserve (%s), ignoring", strerror(err));
		return;
	}
	reserve.chunks = (unsigned int)chunks;
	if (!fill())
		(void)sem_post(&reserve.given);
}
