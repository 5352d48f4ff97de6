// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_bench - how long oomx takes to choose, next to the kernel's own choice and to a walk over
 * /proc, among thousands of processes. Both choices are made in the same OOM (bench.bpf.c), in
 * turns who is first, so what else the machine does hits both; only ratios are looked at.
 *
 * No number makes the suite fail: a target is met or missed if the whole 95% interval is on that
 * side, else it says "inconclusive". What fails is a choice that differs from the kernel's, or
 * one that did not look at everybody.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../bpf/bench.h"
#include "calibrate.h"
#include "engine.h"
#include "lib/cgroup.h"
#include "lib/crowd.h"
#include "lib/kmsg.h"
#include "lib/pairs.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/testbpf.h"
#include "lib/worker.h"

#define FEW_CGROUP "/few"
#define FEW 5
#define FEW_MIB 32

static struct {
	unsigned int n, n_cgroups, pairs;
	struct bpf_object *obj;
	struct bench *b;
	__u32 seq;
	char release[65];
} bench = { .n = 10000, .n_cgroups = 100 };

/* ---- numbers --------------------------------------------------------------------------------- */

struct target {
	const char *measure;
	const char *what;
	bool inverse;	  /* theirs to ours, and at least the limit; else ours to theirs, at most */
	double limit;
};

static const char *verdict(const struct target *t, double low, double high, bool interval)
{
	if (!interval)
		return "inconclusive";
	if (t->inverse ? low >= t->limit : high <= t->limit)
		return "met";
	if (t->inverse ? high < t->limit : low > t->limit)
		return "missed";
	return "inconclusive";
}

static void tell(const struct target *t, const struct pairs *s, unsigned int processes)
{
	struct pairs_ratio r;
	const char *word;

	if (!s->n)
		return;
	r = pairs_ratio(s, t->inverse);
	word = verdict(t, r.low, r.high, r.interval);
	printf("%-44s %9.3f %9.3f %8.2f [%.2f, %.2f] %s %g: %s\n", t->what,
	       pairs_median(s->ours, s->n) / 1e6, pairs_median(s->theirs, s->n) / 1e6, r.median,
	       r.low, r.high, t->inverse ? ">=" : "<=", t->limit, word);
	printf("{\"measure\":\"%s\",\"kernel\":\"%s\",\"processes\":%u,\"cgroups\":%u,\"pairs\":%u,"
	       "\"ours_ns\":%.0f,\"theirs_ns\":%.0f,\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f,"
	       "\"target\":%g,\"at_least\":%s,\"verdict\":\"%s\"}\n",
	       t->measure, bench.release, processes, bench.n_cgroups, s->n,
	       pairs_median(s->ours, s->n), pairs_median(s->theirs, s->n), r.median, r.low, r.high,
	       t->limit, t->inverse ? "true" : "false", word);
}

/* ---- a walk over /proc, as a user-space OOM killer does it ----------------------------------- */

static bool read_one(int proc, const char *pid, const char *file)
{
	static char buf[8192];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pid, file);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	return n > 0;
}

static double walk_proc(void)
{
	DIR *dir = opendir("/proc");
	uint64_t start_ns = suite_now_ns();
	unsigned int n = 0;
	struct dirent *d;

	if (!dir)
		suite_fatal("/proc: %s", strerror(errno));
	while ((d = readdir(dir)))
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
			n += read_one(dirfd(dir), d->d_name, "stat") &&
			     read_one(dirfd(dir), d->d_name, "status") &&
			     read_one(dirfd(dir), d->d_name, "oom_score");
	closedir(dir);
	if (n < bench.n)
		suite_fail("/proc has %u processes of %u", n, bench.n);
	return (double)(suite_now_ns() - start_ns);
}

/* ---- one OOM --------------------------------------------------------------------------------- */

static bool happened(void *arg)
{
	return __atomic_load_n(&bench.b->seq, __ATOMIC_ACQUIRE) != bench.seq;
}

static void prepare(unsigned int i)
{
	kmsg_clear();
	bench.b->done = 0;
	bench.seq = __atomic_load_n(&bench.b->seq, __ATOMIC_ACQUIRE);
	__atomic_store_n(&bench.b->rank_first, i % 2, __ATOMIC_RELEASE);
}

static bool killed(void *arg)
{
	return kmsg_kills_of((pid_t)bench.b->kernel_pid) > 0;
}

/* Waits for the OOM to be over, and checks that both looked at the same and chose the same. */
static void expect_choice(unsigned int processes, unsigned int offered)
{
	if (!suite_wait(happened, NULL, SUITE_STEP_MS))
		suite_fatal("no OOM happened");
	if (!suite_wait(killed, NULL, SUITE_STEP_MS))
		suite_fail("pid %u was chosen, but not killed", bench.b->kernel_pid);
	if (!bench.b->done || bench.b->n_tasks < processes || bench.b->n_offered < offered)
		suite_fail("expected %u processes and %u candidates, found %u and %u", processes,
			   offered, bench.b->n_tasks, bench.b->n_offered);
	if (bench.b->rank_pid != bench.b->kernel_pid)
		suite_fail("expected the kernel's choice, pid %u, found %u", bench.b->kernel_pid,
			   bench.b->rank_pid);
}

/* sysrq-f: the kernel's own machinery, with nobody's memory short. One of the victims dies. */
static void play_machine(struct pairs *loop, struct pairs *proc)
{
	unsigned int i;
	double walk;
	int err;

	suite_run_begin("machine", 1);
	for (i = 0; i <= bench.pairs; i++) { /* the first one only warms up */
		walk = i ? walk_proc() : 0;
		prepare(i);
		err = proc_write("/proc/sysrq-trigger", "f");
		if (err)
			suite_fatal("/proc/sysrq-trigger: %s", strerror(-err));
		expect_choice(bench.n, bench.n);
		if (i)
			pairs_add(loop, (double)bench.b->rank_ns, (double)bench.b->kernel_ns);
		if (walk > 0)
			pairs_add(proc, (double)bench.b->rank_ns, walk);
	}
	suite_run_end();
}

static bool ended(void *arg)
{
	return !worker_alive(arg);
}

/* Few processes at their limit among the thousands that the kernel's loop does not visit then. */
static void play_few(struct pairs *loop)
{
	struct worker_spec spec = { .comm = "few", .cgroup = FEW_CGROUP, .anon_kib = 256 };
	struct worker *few[FEW - 1], *grower;
	unsigned int i;

	suite_run_begin("few", 1);
	cgroup_make(FEW_CGROUP);
	cgroup_set_mib(FEW_CGROUP, "memory.max", FEW_MIB);
	for (i = 0; i < FEW - 1; i++) {
		few[i] = worker_start(&spec);
		worker_wait_ready(few[i]);
	}
	spec.comm = "grower";
	spec.adj = 1000;
	spec.anon_kib = 2 * FEW_MIB * 1024;
	for (i = 0; i <= bench.pairs; i++) {
		prepare(i);
		grower = worker_start(&spec);
		expect_choice(FEW, FEW);
		if (!suite_wait(ended, grower, SUITE_STEP_MS))
			suite_fail("the grower does not end");
		if (bench.b->n_offered != FEW)
			suite_fail("expected %d candidates, found %u", FEW, bench.b->n_offered);
		worker_end(grower);
		if (i)
			pairs_add(loop, (double)bench.b->rank_ns, (double)bench.b->kernel_ns);
	}
	for (i = 0; i < FEW - 1; i++)
		worker_end(few[i]);
	cgroup_remove(FEW_CGROUP);
	suite_run_end();
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void set_up(void)
{
	struct crowd_spec spec = { .n = bench.n, .n_cgroups = bench.n_cgroups };
	uint64_t start_ns = suite_now_ns();
	struct ox_policy policy;
	struct utsname u;
	__u32 mode;

	uname(&u);
	snprintf(bench.release, sizeof(bench.release), "%s", u.release);
	if (ox_calibrate(&mode) || ox_policy_load("priority", &policy))
		suite_fatal("no calibration, or no policy");
	bench.obj = testbpf_load("bench", &policy);
	testbpf_configure(bench.obj, mode);
	bench.b = testbpf_memory(bench.obj, "bench", sizeof(*bench.b));
	if (proc_write("/proc/sys/vm/oom_dump_tasks", "0"))
		suite_fatal("vm.oom_dump_tasks cannot be set");
	spec.n_victims = bench.pairs + 1;
	crowd_start(&spec);
	testbpf_attach(bench.obj, "bench_enter");
	testbpf_attach(bench.obj, "bench_chosen");
	printf("%s: %u processes in %u cgroups, started in %.0f s; counters read as %s\n",
	       bench.release, bench.n, bench.n_cgroups,
	       (double)(suite_now_ns() - start_ns) / 1e9, ox_rss_mode_name(mode));
}

/* --processes N and --cgroups N are this suite's own; the others are everybody's. */
static void take_options(int *argc, char **argv)
{
	int i, n = 1;

	for (i = 1; i < *argc; i++) {
		if (i + 1 < *argc && !strcmp(argv[i], "--processes"))
			bench.n = (unsigned int)strtoul(argv[++i], NULL, 10);
		else if (i + 1 < *argc && !strcmp(argv[i], "--cgroups"))
			bench.n_cgroups = (unsigned int)strtoul(argv[++i], NULL, 10);
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	*argc = n;
}

int main(int argc, char **argv)
{
	static const struct target targets[] = {
		{ "rank_vs_kernel", "rank / the kernel's own choice", false, 1.3 },
		{ "rank_vs_proc", "a walk over /proc / rank", true, 50 },
		{ "memcg_vs_kernel", "rank / the kernel's, memcg of 5", false, 2 },
	};
	struct suite_options o = { .runs = 30 };
	struct pairs machine = {}, proc = {}, few = {};

	crowd_main(argc, argv);
	take_options(&argc, argv);
	suite_begin("bench", argc, argv, &o);
	bench.pairs = o.runs < PAIRS_MAX ? o.runs : PAIRS_MAX;
	set_up();
	play_machine(&machine, &proc);
	play_few(&few);
	printf("%-44s %9s %9s %8s\n", "", "ours ms", "theirs ms", "ratio [95%]");
	tell(&targets[0], &machine, bench.n);
	tell(&targets[1], &proc, bench.n);
	tell(&targets[2], &few, bench.n);
	crowd_end();
	return suite_end();
}
