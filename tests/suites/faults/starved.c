// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * starved.c - the machine is out of memory down to where not even the responder gets any: less than
 * half of the min watermark is free, and nothing is left in the kernel's caches of small objects.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/hold.h"
#include "faults/faults.h"
#include "lib/daemon.h"
#include "lib/testbpf.h"

#define MIN_FREE "/proc/sys/vm/min_free_kbytes"
#define RESERVE_RATIO "/proc/sys/vm/lowmem_reserve_ratio"
#define LOW_ZONES_RATIO "4 4 32 0" /* of the lowest zones, nothing is for anybody but them */
#define SHORT_KIB 64 /* below the watermark: nobody but real-time tasks gets memory */
#define STARVED_KIB 512 /* below the half of it: nor do they */
#define FILES_MAX 32768
#define CPUS_MAX 4 /* of the guest; an eater each */
#define LOOK_MS 300 /* in which nothing more is eaten */
#define LOOKS_MAX 20
#define REQUEST_MS 500 /* by then, the responder has been asked to raise lp: by an eater */
#define PRIORITY 10 /* of real-time ones; the responder's is 50 */

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

struct eater {
	pthread_t thread;
	unsigned int cpu;
	unsigned int eaten; /* atomic */
	int files[FILES_MAX / CPUS_MAX];
};

static struct {
	struct scene scene;
	struct hold *hold;
	struct oomx_config *config;
	__u32 responder;
	struct eater eaters[CPUS_MAX];
	unsigned int cpus;
	sem_t begin;
	bool stop; /* atomic */
	int min_free; /* open: opening takes memory */
	unsigned int dma_kib; /* free, and of no use to anybody */
} st;

static void keep_to(pid_t tid, unsigned int cpu, unsigned int n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	while (n--)
		CPU_SET(cpu + n, &set);
	if (sched_setaffinity(tid, sizeof(set), &set))
		suite_fatal("sched_setaffinity: %s", strerror(errno));
}

/* Each file that is opened takes what the responder needs: an inode, its name, an open file. */
static void *eat(void *arg)
{
	struct eater *e = arg;
	unsigned int n = 0;
	char path[64];
	int from = 0;

	keep_to(0, e->cpu, 1);
	sem_wait(&st.begin);
	while (!__atomic_load_n(&st.stop, __ATOMIC_ACQUIRE) && n < FILES_MAX / CPUS_MAX) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", getpid(), from);
		e->files[n] = open(path, O_RDONLY | O_CLOEXEC);
		if (e->files[n] < 0)
			break;
		from = e->files[n++];
		__atomic_store_n(&e->eaten, n, __ATOMIC_RELEASE);
	}
	while (n--)
		close(e->files[n]);
	return NULL;
}

/* "Node 0, zone DMA": the pages free there */
static unsigned int dma_free_kib(void)
{
	static char buf[65536];
	const char *at;

	if (proc_read("/proc/zoneinfo", buf, sizeof(buf)))
		suite_fatal("/proc/zoneinfo: %s", strerror(errno));
	at = strstr(buf, "zone      DMA\n");
	at = at ? strstr(at, "pages free") : NULL;
	return at ? (unsigned int)strtol(at + strlen("pages free"), NULL, 10) * 4 : 0;
}

static unsigned int free_kib(void)
{
	struct sysinfo i = {};
	unsigned int kib;

	sysinfo(&i);
	kib = (unsigned int)((uint64_t)i.freeram * i.mem_unit >> 10);
	return kib > st.dma_kib ? kib - st.dma_kib : 0;
}

static void set_min_free(unsigned int kib)
{
	char buf[16];
	int n = snprintf(buf, sizeof(buf), "%u", kib);

	if (pwrite(st.min_free, buf, (size_t)n, 0) != n)
		suite_fail(MIN_FREE ": %s", strerror(errno));
}

static void pass(unsigned int ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL); /* suite_sleep() reads files, which takes memory */
}

static unsigned int eaten(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < st.cpus; i++)
		n += __atomic_load_n(&st.eaters[i].eaten, __ATOMIC_ACQUIRE);
	return n;
}

static void in_real_time(bool on)
{
	const struct sched_param p = { .sched_priority = on ? PRIORITY : 0 };

	if (sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &p))
		suite_fatal("sched_setscheduler: %s", strerror(errno));
}

/* While there is memory for it. */
static void start_eaters(void)
{
	unsigned int i;

	st.stop = false;
	sem_init(&st.begin, 0, 0);
	for (i = 0; i < st.cpus; i++) {
		st.eaters[i].cpu = i;
		st.eaters[i].eaten = 0;
		if (pthread_create(&st.eaters[i].thread, NULL, eat, &st.eaters[i]))
			suite_fatal("no thread");
	}
}

static void end_eaters(void)
{
	unsigned int i;

	__atomic_store_n(&st.stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < st.cpus; i++)
		sem_post(&st.begin); /* there may have been no moment */
	for (i = 0; i < st.cpus; i++)
		pthread_join(st.eaters[i].thread, NULL);
}

/* Nobody who is not in real time gets anything, and what there was is eaten. */
static unsigned int starve(void)
{
	unsigned int i, before, n = 0, looks = 0;

	for (i = 0; i < st.cpus; i++)
		sem_post(&st.begin);
	do {
		before = n;
		pass(LOOK_MS);
		n = eaten();
	} while (n != before && looks++ < LOOKS_MAX);
	return n;
}

static bool held(void *arg)
{
	(void)arg;
	return __atomic_load_n(&st.hold->at[HOLD_OOM].held, __ATOMIC_ACQUIRE);
}

static void play_starved(void)
{
	pid_t tids[4], hp = worker_pid(st.scene.hp);
	unsigned int i, n = proc_threads(hp, tids, 4), files, left;

	for (i = 0; i < n && i < 4; i++)
		keep_to(tids[i], 0, 1);
	keep_to(0, 1, 1); /* not where it would wait for hp */
	if (!suite_wait(held, NULL, SUITE_STEP_MS))
		suite_fatal("no OOM of hp to hold; lp %s, hp %s, which has grown by %lu kB, %u are left",
			    worker_fate(st.scene.lp), worker_fate(st.scene.hp),
			    worker_grown_kib(st.scene.hp), free_kib());
	in_real_time(true);
	set_min_free(free_kib() + SHORT_KIB);
	files = starve();
	left = free_kib();
	set_min_free(2 * (left + STARVED_KIB));
	__atomic_store_n(&st.config->responder_pid, st.responder, __ATOMIC_RELEASE);
	pass(REQUEST_MS);
	__atomic_store_n(&st.hold->at[HOLD_OOM].go, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&st.stop, true, __ATOMIC_RELEASE);
	in_real_time(false);
	keep_to(0, 0, st.cpus);
	printf("faults starved: %u files and %u kB left, twice %u of them would do\n", files, left,
	       left + STARVED_KIB);
	if (st.hold->at[HOLD_OOM].gave_up)
		suite_fail("the moment ended by itself");
}

static void play_once(const char *min_free)
{
	int64_t given = daemon_counter("counters.reserve_given");

	*st.hold = (struct hold){};
	snprintf(st.hold->at[HOLD_OOM].comm, sizeof(st.hold->at[HOLD_OOM].comm), "hp");
	st.hold->at[HOLD_OOM].armed = 1;
	/* or it would be asked before that, and what it opens be known from then on */
	st.responder = __atomic_exchange_n(&st.config->responder_pid, 0, __ATOMIC_ACQ_REL);
	daemon_clear();
	start_eaters();
	if (scene_play(&st.scene)) {
		scene_expect_victim(&st.scene, st.scene.lp);
		scene_expect_others_unchanged(&st.scene);
	}
	end_eaters();
	__atomic_store_n(&st.config->responder_pid, st.responder, __ATOMIC_RELEASE);
	if (proc_write(MIN_FREE, min_free))
		suite_fatal(MIN_FREE " cannot be put back");
	if (daemon_counter("counters.reserve_given") == given)
		suite_fail("the responder did not need its reserve");
	if (suite_run_failed())
		daemon_complain_events();
	scene_clear(&st.scene);
}

void faults_starved(unsigned int runs)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const struct rlimit files = { FILES_MAX + 1024, FILES_MAX + 1024 };
	struct bpf_object *obj = testbpf_load("hold", NULL);
	char min_free[32], ratio[64];
	struct bpf_link *link;
	unsigned int i;

	if (proc_read(MIN_FREE, min_free, sizeof(min_free)) ||
	    proc_read(RESERVE_RATIO, ratio, sizeof(ratio)) ||
	    proc_write(RESERVE_RATIO, LOW_ZONES_RATIO) || setrlimit(RLIMIT_NOFILE, &files) ||
	    dup2(0, FILES_MAX) != FILES_MAX) /* the table grows now, and not in want of memory */
		suite_fatal("cannot arrange for that: %s", strerror(errno));
	close(FILES_MAX);
	st.cpus = cpus < CPUS_MAX ? (unsigned int)cpus : CPUS_MAX;
	st.min_free = open(MIN_FREE, O_WRONLY | O_CLOEXEC);
	st.dma_kib = dma_free_kib();
	scene_open(&st.scene, false, 1);
	st.scene.meanwhile = play_starved;
	daemon_start(enforce);
	scene_set_global(&st.scene, true); /* what oomx takes to start is not hp's any more */
	link = testbpf_attach(obj, "hold_oom");
	st.config = bpf_map_values(FAULTS_PIN(oomx_config), sizeof(*st.config));
	st.hold = testbpf_memory(obj, "hold", sizeof(*st.hold));
	for (i = 1; i <= runs; i++) {
		suite_run_begin("starved", i);
		daemon_require();
		play_once(min_free);
		suite_run_end();
	}
	daemon_stop();
	scene_close(&st.scene);
	bpf_link__destroy(link);
	munmap(st.hold, sizeof(*st.hold));
	munmap(st.config, sizeof(*st.config));
	bpf_object__close(obj);
	close(st.min_free);
	if (proc_write(RESERVE_RATIO, ratio))
		suite_fatal(RESERVE_RATIO " cannot be put back");
}
