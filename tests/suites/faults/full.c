// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* full.c - rings and maps without room. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "faults/faults.h"
#include "lib/daemon.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define RAISED_MAX 1024 /* entries of oomx_raised */
#define VICTIMS_MAX 16384 /* ... of oomx_victims */
#define VALUE_MAX 256 /* bytes of the latter's values, and some more */

/* ---- what is full ---------------------------------------------------------------------------- */

/* A map of oomx's by its name, as an open file; the kernel cuts names to 15 characters. */
static int map_by_name(const char *name)
{
	struct bpf_map_info info;
	__u32 id = 0, len;
	int fd;

	while (!bpf_map_get_next_id(id, &id)) {
		fd = bpf_map_get_fd_by_id(id);
		len = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (fd >= 0 && !bpf_map_get_info_by_fd(fd, &info, &len) &&
		    !strncmp(info.name, name, sizeof(info.name) - 1))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	suite_fatal("oomx has no map %s", name);
}

static void fill_ring(const char *name, const char *program)
{
	struct bpf_object *obj;
	char path[TESTBPF_PATH_LEN];
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int fd = map_by_name(name);

	testbpf_path("filler", path);
	obj = bpf_object__open_file(path, NULL);
	if (!obj || bpf_map__reuse_fd(bpf_object__find_map_by_name(obj, "ring"), fd) ||
	    bpf_object__load(obj) ||
	    bpf_prog_test_run_opts(testbpf_program(obj, program), &opts))
		suite_fatal("%s cannot be filled: %s", name, strerror(errno));
	bpf_object__close(obj);
	close(fd);
}

void faults_fill_ring(const char *name)
{
	fill_ring(name, "fill_and_tell");
}

struct positions {
	const unsigned long *consumer, *producer;
};

static bool emptied(void *arg)
{
	const struct positions *p = arg;

	return __atomic_load_n(p->consumer, __ATOMIC_ACQUIRE) ==
	       __atomic_load_n(p->producer, __ATOMIC_ACQUIRE);
}

/* How far it is read and written is in its first two pages (kernel/bpf/ringbuf.c, 6.1 to 7.3). */
static void expect_emptied(const char *name)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = map_by_name(name);
	char *pages = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0);
	struct positions p = { .consumer = (void *)pages, .producer = (void *)(pages + page) };

	if (pages == MAP_FAILED)
		suite_fatal("%s cannot be looked at: %s", name, strerror(errno));
	if (!suite_wait(emptied, &p, SUITE_STEP_MS))
		suite_fail("expected %s to be read to its end", name);
	munmap(pages, 2 * page);
	close(fd);
}

static void play_events_full(void)
{
	static const unsigned int lost[] = { OOMX_REC_OOM, OOMX_REC_CANDIDATES, OOMX_REC_FREED };
	struct daemon_counters before, after;
	unsigned int i;

	if (!daemon_counters(&before))
		return;
	kill(daemon_pid(), SIGSTOP);
	faults_fill_ring("oomx_vital");
	faults_fill_ring("oomx_bulk");
	faults_expect_lp_untold();
	if (daemon_counters(&after)) {
		for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
			if (after.dropped[lost[i]] <= before.dropped[lost[i]])
				suite_fail("the loss of \"%s\" is not counted",
					   event_name(lost[i]));
		}
	}
	kill(daemon_pid(), SIGCONT);
	expect_emptied("oomx_vital");
	expect_emptied("oomx_bulk");
	faults_expect_lp();
}

/* The responder does not read what nobody woke it for: there is no room for a request. */
static void play_requests_full(void)
{
	pid_t pid;

	daemon_stop();
	faults_start(); /* with nobody's value to put back, which it wakes up for */
	pid = faults_responder();
	fill_ring("oomx_requests", "fill");
	faults_expect_abstained("ring_full");
	kill(pid, SIGKILL); /* what is left is for the next one to pass over */
	faults_await_other_responder(pid);
	faults_expect_lp();
}

static void play_raised_full(void)
{
	int fd = map_by_name("oomx_raised");
	struct oomx_raised r = { .start_ns = 1 };
	__u32 pid;

	for (pid = 1 << 22; pid < (1 << 22) + RAISED_MAX; pid++) {
		if (bpf_map_update_elem(fd, &pid, &r, BPF_ANY))
			break;
	}
	if (pid == (1 << 22))
		suite_fail("oomx_raised takes nothing: %s", strerror(errno));
	faults_expect_abstained("ring_full"); /* not asked for what could not be put back */
	while (pid-- > 1 << 22)
		(void)bpf_map_delete_elem(fd, &pid);
	close(fd);
	faults_expect_lp();
}

/* Fills a map with what is nobody's: keys that no process id or address is equal to. */
static void fill_victims(int fd, bool fill)
{
	char value[VALUE_MAX] = {};
	__u64 key;

	for (key = 1; key <= VICTIMS_MAX; key++) {
		if (fill ? bpf_map_update_elem(fd, &key, value, BPF_ANY) :
			   bpf_map_delete_elem(fd, &key) && errno != ENOENT)
			suite_fatal("oomx_victims: %s", strerror(errno));
	}
}

/* Of those whose end is awaited the oldest are given up: not the choice, nor what is told. */
static void play_victims_full(void)
{
	int fd = map_by_name("oomx_victims");

	fill_victims(fd, true);
	faults_expect_lp();
	fill_victims(fd, false);
	close(fd);
	faults_expect_lp();
}

const struct fault_case faults_full[] = {
	{ "events_full", play_events_full, NULL },
	{ "requests_full", play_requests_full, NULL },
	{ "raised_full", play_raised_full, NULL },
	{ "victims_full", play_victims_full, NULL },
	{ NULL, NULL, NULL },
};
