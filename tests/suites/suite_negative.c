// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_negative - memory that looks short and is not, or for which the kernel kills nobody: then
 * nobody dies with oomx enforcing either. Every case is played without oomx first.
 *
 * numa: node 0 is full of anonymous memory, node 1 of page cache (guest negative-numa).
 * zones: the same of zones Normal and DMA32 (guest negative-zones).
 * costly: allocations of more than 2^3 pages fail (mm/page_alloc.c, PAGE_ALLOC_COSTLY_ORDER).
 * nofs: memory is at its end for one whose allocations may not use file systems (__GFP_FS), for
 * which out_of_memory() kills nobody, and the allocation is tried for ever.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/cast.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define TOP "/n"
#define LP TOP "/lp"
#define ANY TOP "/any"

#define LP_MIB 24
#define FULL_LEFT_MIB 4 /* of the part that is full */
#define CACHE_LEFT_MIB 40 /* of the part with the page cache */
#define MIN_FREE_KIB 49152 /* makes watermarks that the full part is below */
#define PART_MIN "\n        min" /* the line of /proc/zoneinfo with the watermark */
#define FILES_MAX 64
#define PIPES_MAX 64
#define PIPE_BYTES (256 << 20) /* 65536 buffers of 40 bytes each, in one piece: order 10 */
#define COSTLY_FREE_MIB 48
#define COSTLY_ORDER 3
#define NOFS_FREE_MIB 64
#define TRACING "/sys/kernel/tracing"
#define NOFS_LOOKS 5 /* without a page more: it is at the end */
#define LOOK_MS 100
#define READ_HARD_NS 10000000000ULL /* all of a game takes a few seconds as a rule */
#define READ_REST_NS 1000000
#define READ_LOOK_MIB 16 /* after so much, at the full part */
#define BALLASTS 8
#define LEAST_FREE_MIB 80 /* of both parts: a ballast may come to lie in the other one, too */
#define MIN_FREE "/proc/sys/vm/min_free_kbytes"

static struct cast cast;
static unsigned int cpus;

static struct {
	bool enforcing;
	int64_t stalls; /* direct reclaims, over all runs: a case without one shows nothing */
	unsigned int refused; /* allocations */
	unsigned int others;  /* runs with an OOM for something else, which show nothing */
} phase;

static int64_t stalls_so_far(void)
{
	int64_t normal = proc_vmstat("allocstall_normal"), dma32 = proc_vmstat("allocstall_dma32");

	return (normal > 0 ? normal : 0) + (dma32 > 0 ? dma32 : 0) +
	       proc_vmstat("allocstall_movable");
}

/*
 * How often a zone ("node=0 zone=Normal"; "": any) failed its watermark when the allocator
 * considered to go on (mm/page_alloc.c, should_reclaim_retry()): that is what looks like an OOM,
 * and is none.
 */
static unsigned int failed_zones(const char *zone)
{
	FILE *f = fopen(TRACING "/trace", "re");
	unsigned int n = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, zone) && strstr(line, "wmark_check=0");
	if (f)
		fclose(f);
	return n;
}

static void trace_retries(bool on)
{
	if (proc_write(TRACING "/events/oom/reclaim_retry_zone/enable", on ? "1" : "0") ||
	    (on && proc_write(TRACING "/trace", "")))
		suite_fatal(TRACING " cannot be used");
}

static void expect_nobody_dead(void)
{
	int64_t vmstat = proc_vmstat("oom_kill") - cast.vmstat_before;

	if (vmstat)
		suite_fail("expected no kill %s, /proc/vmstat counts %lld",
			   phase.enforcing ? "with oomx" : "by the kernel alone", (long long)vmstat);
	cast_expect_dead(&cast);
}

static struct worker *add(const char *comm, const char *cgroup, unsigned int mib, int adj)
{
	const struct worker_spec spec = {
		.comm = comm,
		.cgroup = cgroup,
		.adj = adj,
		.anon_kib = mib * 1024,
	};

	return cast_add(&cast, &spec, false);
}

/* ---- one part full, the other reclaimable ---------------------------------------------------- */

static struct {
	bool numa;
	int files[FILES_MAX];
	unsigned int n_files;
	bool stop;
	bool short_of; /* the full part was seen below its watermark */
} part;

/*
 * Of the part that is filled with anonymous memory (full) or page cache (not): what is free, or
 * another line of /proc/zoneinfo.
 */
static int64_t part_mib(bool full, const char *line)
{
	static char buf[65536];
	char where[32];
	const char *at;

	if (proc_read("/proc/zoneinfo", buf, sizeof(buf)))
		suite_fatal("/proc/zoneinfo: %s", strerror(errno));
	if (part.numa)
		snprintf(where, sizeof(where), "Node %d, zone%9s", !full, "DMA32");
	else
		snprintf(where, sizeof(where), "Node 0, zone%9s", full ? "Normal" : "DMA32");
	at = strstr(buf, where);
	at = at ? strstr(at, line) : NULL;
	if (!at)
		suite_fatal("no '%s': is this the guest for it (tests/vm/suite --list)?", where);
	return strtoll(at + strlen(line), NULL, 10) / 256;
}

static int64_t part_free_mib(bool full)
{
	return part_mib(full, "pages free");
}

/* Large files that every machine with these tools has; kept open, see proc_drop_caches(). */
static void open_files(void)
{
	static const char *const dirs[] = { "/usr/lib/x86_64-linux-gnu", "/usr/bin",
					    "/usr/lib/gcc/x86_64-linux-gnu/12",
					    "/usr/lib/gcc/x86_64-linux-gnu/14" };
	struct dirent *d;
	struct stat st;
	char path[512];
	DIR *dir;
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		dir = opendir(dirs[i]);
		while (dir && (d = readdir(dir)) && part.n_files < FILES_MAX) {
			snprintf(path, sizeof(path), "%s/%s", dirs[i], d->d_name);
			if (lstat(path, &st) || !S_ISREG(st.st_mode) || st.st_size < 16 << 20)
				continue;
			part.files[part.n_files] = open(path, O_RDONLY | O_CLOEXEC);
			part.n_files += part.files[part.n_files] >= 0;
		}
		if (dir)
			closedir(dir);
	}
	if (!part.n_files)
		suite_fatal("no large files to fill the page cache with");
}

static void set_mempolicy(int mode, unsigned long nodes)
{
	if (syscall(SYS_set_mempolicy, mode, nodes ? &nodes : NULL, nodes ? 8 * sizeof(nodes) : 0))
		suite_fatal("set_mempolicy: %s", strerror(errno));
}

/* Reads files until their part has little left. */
static void fill_cache(void)
{
	static char buf[1 << 20];
	unsigned int i;
	off_t off;

	if (part.numa)
		set_mempolicy(MPOL_BIND, 1ul << 1);
	for (i = 0; i < part.n_files; i++) {
		for (off = 0; pread(part.files[i], buf, sizeof(buf), off) > 0; off += sizeof(buf)) {
			if (part_free_mib(false) <= CACHE_LEFT_MIB)
				goto full;
			suite_pump(0);
		}
	}
full:
	if (part.numa)
		set_mempolicy(MPOL_DEFAULT, 0);
}

/*
 * Brings the page cache back as fast as it is reclaimed. After a while it leaves time for kswapd,
 * which gets none beside it (slow_kswapd()): whoever reclaims may wait for that (mm/vmscan.c,
 * throttle_direct_reclaim()), seen for 60 s on 7.2.
 */
static void *keep_reading(void *arg)
{
	const struct timespec rest = { .tv_nsec = READ_REST_NS };
	uint64_t start = suite_now_ns();
	static char buf[1 << 20];
	unsigned int i = 0, n = 0;
	off_t off = 0;

	if (part.numa)
		set_mempolicy(MPOL_BIND, 1ul << 1);
	while (!__atomic_load_n(&part.stop, __ATOMIC_ACQUIRE)) {
		if (!(n++ % READ_LOOK_MIB) && part_free_mib(true) <= part_mib(true, PART_MIN))
			part.short_of = true;
		if (pread(part.files[i], buf, sizeof(buf), off) > 0) {
			off += sizeof(buf);
			if (suite_now_ns() - start > READ_HARD_NS)
				nanosleep(&rest, NULL);
			continue;
		}
		off = 0;
		i = (i + 1) % part.n_files;
	}
	return arg;
}

static struct worker *ballasts[BALLASTS];
static char min_free_before[32];

static void add_ballast(unsigned int i, int64_t mib, unsigned int nodes)
{
	struct worker_spec spec = { .comm = "ballast", .adj = -1000, .nodes = nodes };

	spec.anon_kib = (unsigned int)mib * 1024;
	ballasts[i] = worker_start(&spec);
	worker_wait_ready(ballasts[i]);
}

/*
 * The kernel's own reclaim threads run only when nobody else wants to: else they keep up with the
 * growth in some guests, and no allocation comes to the point that this is about.
 */
static void slow_kswapd(bool slow)
{
	const struct sched_param none = {};
	DIR *proc = opendir("/proc");
	unsigned int n = 0;
	struct dirent *d;
	char path[64], comm[32];
	pid_t pid;

	while (proc && (d = readdir(proc))) {
		pid = atoi(d->d_name);
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		if (pid <= 0 || proc_read(path, comm, sizeof(comm)) ||
		    strncmp(comm, "kswapd", strlen("kswapd")))
			continue;
		if (sched_setscheduler(pid, slow ? SCHED_IDLE : SCHED_OTHER, &none))
			suite_fatal("%s cannot be slowed down: %s", comm, strerror(errno));
		n++;
	}
	if (proc)
		closedir(proc);
	if (!n)
		suite_fatal("no kswapd");
}

static void close_ballasts(void)
{
	unsigned int i;

	for (i = 0; i < BALLASTS; i++) {
		worker_end(ballasts[i]);
		ballasts[i] = NULL;
	}
	if (!min_free_before[0])
		return;
	if (proc_write(MIN_FREE, min_free_before))
		suite_fatal(MIN_FREE " cannot be set");
	min_free_before[0] = '\0';
	slow_kswapd(false);
}

/* More than one: what loading has used, for instance, is given back some time after. */
static void open_part(bool numa)
{
	unsigned int i;
	char text[16];
	int64_t mib;

	part.numa = numa;
	if (!part.n_files)
		open_files();
	proc_drop_caches();
	for (i = 0; i < BALLASTS; i++) {
		suite_sleep(LOOK_MS);
		mib = part_free_mib(true) - FULL_LEFT_MIB;
		if (!numa && mib > proc_mem_mib("MemFree") - LEAST_FREE_MIB)
			mib = proc_mem_mib("MemFree") - LEAST_FREE_MIB;
		if (mib > FULL_LEFT_MIB)
			add_ballast(i, mib, numa ? 1 << 0 : 0);
	}
	snprintf(text, sizeof(text), "%d", MIN_FREE_KIB);
	if (proc_read(MIN_FREE, min_free_before, sizeof(min_free_before)) ||
	    proc_write(MIN_FREE, text))
		suite_fatal(MIN_FREE " cannot be set");
	slow_kswapd(true);
}

static void play_part(void)
{
	struct worker_growth g = { .threads = 2 * cpus };
	struct worker_spec spec = { .comm = "grower", .cgroup = ANY };
	const char *full = part.numa ? "node=0 zone=DMA32" : "node=0 zone=Normal";
	unsigned int failed = failed_zones(full);
	struct worker *grower;
	int64_t cached, stalls;
	pthread_t reader;
	bool over;

	add("lp", LP, LP_MIB, 0);
	spec.nodes = part.numa ? 1 << 0 : 0;
	spec.nodes_preferred = true;
	grower = cast_add(&cast, &spec, false);
	cast_ready(&cast);
	fill_cache();
	cached = proc_mem_mib("Cached") - proc_mem_mib("Shmem");
	/* what is free above the watermark, and half of what can be reclaimed: no real shortage */
	g.mib = (unsigned int)(CACHE_LEFT_MIB - part_mib(false, PART_MIN) + cached / 2);
	stalls = stalls_so_far();
	part.stop = part.short_of = false;
	if (pthread_create(&reader, NULL, keep_reading, NULL))
		suite_fatal("no thread");
	over = cast_starve(&cast, grower, &g);
	__atomic_store_n(&part.stop, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
	if (over)
		expect_nobody_dead();
	phase.stalls += stalls_so_far() - stalls;
	/*
	 * Meanwhile: kswapd and direct reclaim both give back some of its, before and after. Or by
	 * the kernel's word: no allocation may use what is reserved (nr_reserved_highatomic).
	 */
	if (!part.short_of && failed_zones(full) == failed)
		suite_fail("the part that is to be full never was: %lld MiB free, its watermark is %lld",
			   (long long)part_free_mib(true), (long long)part_mib(true, PART_MIN));
}

static void open_numa(void)
{
	open_part(true);
}

static void open_zones(void)
{
	open_part(false);
}

static void leave_free(unsigned int mib)
{
	unsigned int i;

	proc_drop_caches();
	for (i = 0; i < BALLASTS; i++) {
		suite_sleep(LOOK_MS);
		if (proc_mem_mib("MemFree") > mib + FULL_LEFT_MIB)
			add_ballast(i, proc_mem_mib("MemFree") - mib, 0);
	}
}

/* ---- costly orders --------------------------------------------------------------------------- */

static void open_costly(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", PIPE_BYTES);
	if (proc_write("/proc/sys/fs/pipe-max-size", text))
		suite_fatal("pipe-max-size cannot be set");
	leave_free(COSTLY_FREE_MIB);
}

/* Somebody, but not who, needed a page or a few: there the kernel kills, with oomx or without. */
static bool others_oom(const char *who)
{
	const struct kmsg_kill *k;
	unsigned int i, n = kmsg_kills(&k);

	for (i = 0; i < n; i++)
		if (!k[i].trigger[0] || k[i].order > COSTLY_ORDER ||
		    (who && !strcmp(k[i].trigger, who)))
			return false;
	phase.others += n > 0;
	return n > 0;
}

/*
 * Resizes pipes until the kernel has no array for their buffers (fs/pipe.c, pipe_resize_ring():
 * GFP_KERNEL, and neither __GFP_NORETRY nor __GFP_RETRY_MAYFAIL), and a few times more.
 */
static void play_costly(void)
{
	int pipes[PIPES_MAX][2];
	unsigned int i, n, refused = 0;
	int64_t stalls = stalls_so_far();

	add("lp", LP, LP_MIB, 0);
	add("any", ANY, 4, 0);
	cast_ready(&cast);
	for (n = 0; n < PIPES_MAX && refused < 8; n++) {
		if (pipe2(pipes[n], O_CLOEXEC))
			suite_fatal("pipe: %s", strerror(errno));
		if (fcntl(pipes[n][0], F_SETPIPE_SZ, PIPE_BYTES) >= 0)
			continue;
		if (errno != ENOMEM)
			suite_fatal("F_SETPIPE_SZ: %s", strerror(errno));
		refused++;
	}
	if (!refused)
		suite_fail("%u pipes, and none was refused", n);
	phase.refused += refused;
	phase.stalls += stalls_so_far() - stalls;
	for (i = 0; i < n; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	if (!others_oom(NULL))
		expect_nobody_dead();
}

/* ---- no file systems ------------------------------------------------------------------------- */

static void open_nofs(void)
{
	leave_free(NOFS_FREE_MIB);
}

struct standstill {
	const struct worker *w;
	unsigned long kib;
	unsigned int looks;
};

static bool stands_still(void *arg)
{
	struct standstill *s = arg;
	unsigned long kib = worker_grown_kib(s->w);

	s->looks = kib == s->kib && kib ? s->looks + 1 : 0;
	s->kib = kib;
	if (s->looks < NOFS_LOOKS)
		suite_sleep(LOOK_MS);
	return s->looks >= NOFS_LOOKS || !worker_alive(s->w) || worker_done(s->w);
}

static void play_nofs(void)
{
	struct worker_growth g = { .threads = 1, .no_io = true };
	struct standstill s = { .w = NULL };
	struct worker *grower;
	int64_t stalls;

	add("lp", LP, LP_MIB, 0);
	grower = add("grower", ANY, 0, 0);
	cast_ready(&cast);
	g.mib = 2 * NOFS_FREE_MIB;
	s.w = grower;
	stalls = stalls_so_far();
	worker_grow(grower, &g);
	if (!suite_wait(stands_still, &s, SUITE_STEP_MS))
		suite_fail("the grower never gets stuck: it is %s", worker_fate(grower));
	if (worker_done(grower))
		suite_fail("memory was not short at all");
	if (!worker_alive(grower))
		suite_fail("expected the grower to be refused for ever, it was %s",
			   worker_fate(grower));
	cast_dismiss_last(&cast); /* now there is memory again to look around with */
	phase.stalls += stalls_so_far() - stalls;
	if (!others_oom("grower"))
		expect_nobody_dead();
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct negative_case {
	const char *name;
	void (*open)(void);
	void (*play)(void);
	bool plain; /* in any guest */
} cases[] = {
	{ "numa", open_numa, play_part, false },
	{ "zones", open_zones, play_part, false },
	{ "costly", open_costly, play_costly, true },
	{ "nofs", open_nofs, play_nofs, true },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

/* All nominations were false alarms, and counted; of one that was asked for twice there is one. */
static void expect_alarms(const struct negative_case *c)
{
	int64_t nominated = daemon_counter("counters.nominated");
	int64_t alarms = daemon_counter("counters.false_alarms");

	printf("; nominated %lld, false alarms %lld", (long long)nominated, (long long)alarms);
	if (c->play == play_nofs && !strcmp(daemon_hook(), "nominate") &&
	    (!nominated || alarms < nominated * 3 / 4))
		suite_fail("%s: of %lld nominations %lld are counted as false alarms", c->name,
			   (long long)nominated, (long long)alarms);
}

static void play_phase(const struct negative_case *c, bool enforcing,
		       const struct suite_options *o)
{
	const char *const args[] = { "--enforce",  "--hook",	 o->hook,   "--policy",
				     "priority",   "--priority", LP "=-100", NULL };
	unsigned int i, failed;
	char what[64];

	memset(&phase, 0, sizeof(phase));
	phase.enforcing = enforcing;
	snprintf(what, sizeof(what), "%s, %s", c->name, enforcing ? o->hook : "kernel alone");
	if (enforcing)
		daemon_start(args);
	c->open(); /* loading takes memory, and is not what this is about */
	trace_retries(true);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		cast_open(&cast);
		c->play();
		cast_close(&cast);
		cgroup_drain(TOP, 8);
		suite_run_end();
	}
	trace_retries(false);
	failed = failed_zones("");
	if (!phase.stalls)
		suite_fail("%s: no allocation has ever had to reclaim: this shows nothing", what);
	if (!c->plain && !failed)
		suite_fail("%s: no zone has ever failed its watermark: this shows nothing", what);
	if (phase.others > o->runs / 5)
		suite_fail("%s: an OOM for something else in %u of %u runs: this shows little", what,
			   phase.others, o->runs);
	printf("negative %s: %lld direct reclaims, %u zones below their watermark, "
	       "%u allocations refused, %u OOMs of others",
	       what, (long long)phase.stalls, failed, phase.refused, phase.others);
	if (enforcing)
		expect_alarms(c);
	putchar('\n');
	suite_times(what);
	close_ballasts();
	if (enforcing)
		daemon_stop();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 20 };
	unsigned int played = 0;
	size_t i;

	suite_begin("negative", argc, argv, &o);
	cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	cgroup_make(TOP);
	cgroup_make(LP);
	cgroup_make(ANY);
	for (i = 0; i < N_CASES; i++) {
		if (o.only ? strcmp(o.only, cases[i].name) : !cases[i].plain)
			continue;
		play_phase(&cases[i], false, &o);
		play_phase(&cases[i], true, &o);
		played++;
	}
	if (!played)
		suite_fatal("no case %s", o.only);
	cgroup_remove(ANY);
	cgroup_remove(LP);
	cgroup_remove(TOP);
	return suite_end();
}
