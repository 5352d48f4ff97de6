// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/suite.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/module.h"
#include "lib/proc.h"
#include "lib/worker.h"

#define HEAP_BYTES (8u << 20) /* what JSON parsing may take without asking the kernel */
#define TIMES_MAX 4096
#define RUN_LABEL_LEN 64
#define SECONDS_MAX 86400

static struct {
	const char *name;
	unsigned int passed, failed, skipped;

	char label[RUN_LABEL_LEN];
	bool in_run, run_failed, run_skipped;
	uint64_t run_start_ns;

	uint32_t times_ms[TIMES_MAX];
	unsigned int n_times;
	uint64_t random;
} suite;

uint64_t suite_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

long suite_random(long lo, long hi)
{
	uint64_t z = suite.random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return lo + (long)(z % (uint64_t)(hi - lo + 1));
}

/* ---- verdicts ------------------------------------------------------------------------------- */

void suite_run_begin(const char *what, unsigned int run)
{
	suite_pump(0);
	snprintf(suite.label, sizeof(suite.label), "%s run %u", what, run);
	kmsg_say(suite.label);
	suite.in_run = true;
	suite.run_failed = suite.run_skipped = false;
	suite.run_start_ns = suite_now_ns();
}

static void __attribute__((format(printf, 1, 0))) complain(const char *fmt, va_list ap)
{
	/* Outside a run every complaint is a failure of its own: no end of a run counts it. */
	if (!suite.in_run)
		suite.failed++;
	if (!suite.in_run || !suite.run_failed)
		printf("FAIL %s: %s\n", suite.name, suite.in_run ? suite.label : "around the runs");
	suite.run_failed = true;
	fputs("  ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
}

void suite_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
}

void suite_skip(const char *fmt, ...)
{
	va_list ap;

	printf("SKIP %s: %s: ", suite.name, suite.in_run ? suite.label : "around the runs");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	/* Outside a run there is no end of one that would count it. */
	if (!suite.in_run)
		suite.skipped++;
	suite.run_skipped = true;
}

bool suite_run_failed(void)
{
	return suite.run_failed;
}

bool suite_run_end(void)
{
	uint64_t ms = (suite_now_ns() - suite.run_start_ns) / 1000000;
	const char *trouble;

	suite_pump(0);
	trouble = kmsg_trouble();
	if (trouble)
		suite_fail("expected a quiet kernel log, found: %s", trouble);

	suite.in_run = false;
	if (suite.run_failed)
		suite.failed++;
	else if (suite.run_skipped)
		suite.skipped++;
	else
		suite.passed++;
	if (!suite.run_skipped && suite.n_times < TIMES_MAX)
		suite.times_ms[suite.n_times++] = (uint32_t)ms;

	return !suite.run_failed;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void suite_times(const char *what)
{
	unsigned int n = suite.n_times;

	if (n) {
		qsort(suite.times_ms, n, sizeof(suite.times_ms[0]), by_value);
		printf("%s %s: %u runs, ms per run: median %u, longest %u\n", suite.name, what, n,
		       suite.times_ms[n / 2], suite.times_ms[n - 1]);
	}
	suite.n_times = 0;
}

int suite_end(void)
{
	worker_end_all();
	if (kmsg_lost())
		printf("%s: %u records of the kernel log were overwritten unread\n", suite.name,
		       kmsg_lost());
	printf("%u passed, %u failed, %u skipped\n", suite.passed, suite.failed, suite.skipped);
	return suite.failed || !(suite.passed + suite.skipped) ? 1 : 0;
}

void suite_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);

	if (suite.in_run)
		suite.failed++;
	suite.in_run = false;
	daemon_abandon();
	exit(suite_end());
}

/* ---- waiting -------------------------------------------------------------------------------- */

void suite_pump(int timeout_ms)
{
	struct pollfd fds[1 + DAEMON_FDS + COMMAND_FDS];
	nfds_t n = 0;
	int status;
	pid_t pid;

	fds[n++] = (struct pollfd){ .fd = kmsg_fd(), .events = POLLIN };
	n += daemon_poll_fds(&fds[n]);
	n += command_poll_fds(&fds[n]);
	if (poll(fds, n, timeout_ms) < 0 && errno != EINTR)
		suite_fail("poll: %s", strerror(errno));

	kmsg_read();
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!worker_reaped(pid, status) && !daemon_reaped(pid, status))
			command_reaped(pid, status);
	}
	/* After the reaping: what an ended process wrote is complete once it is read here. */
	daemon_read();
	command_read();
}

bool suite_wait(bool (*cond)(void *arg), void *arg, unsigned int ms)
{
	uint64_t start_ns = suite_now_ns(), waited_ms = 0;

	/* what lasts is looked at less often: in an emulated guest looking takes its time */
	do {
		suite_pump(waited_ms < 50 ? 2 : waited_ms < 1000 ? 10 : 50);
		if (cond(arg))
			return true;
		waited_ms = (suite_now_ns() - start_ns) / 1000000;
	} while (waited_ms < ms);
	return false;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

void suite_sleep(unsigned int ms)
{
	(void)suite_wait(never, NULL, ms);
}

/* ---- start ---------------------------------------------------------------------------------- */

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr,
		"usage: suite_%s [--runs N] [--domain memcg|global] [--triggers N] [--seed N]\n"
		"                [--only CASE] [--hook HOOK] [--seconds N]\n"
		"Makes memory short: run it in a throw-away guest only (tests/vm/suite does).\n",
		suite.name);
	exit(2);
}

static unsigned long number(const char *s, unsigned long lo, unsigned long hi)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(s, &end, 0);
	if (errno || end == s || *end || *s == '-' || v < lo || v > hi)
		usage();
	return v;
}

static void parse(int argc, char **argv, struct suite_options *o)
{
	static const struct option options[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "domain", required_argument, NULL, 'd' },
		{ "triggers", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "hook", required_argument, NULL, 'h' },
		{ "seconds", required_argument, NULL, 'n' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			o->runs = (unsigned int)number(optarg, 1, TIMES_MAX);
			break;
		case 'd':
			if (!strcmp(optarg, "memcg"))
				o->domains = SUITE_DOMAIN_MEMCG;
			else if (!strcmp(optarg, "global"))
				o->domains = SUITE_DOMAIN_GLOBAL;
			else
				usage();
			break;
		case 't':
			o->triggers = (unsigned int)number(optarg, 1, WORKER_THREADS_MAX);
			break;
		case 's':
			o->seed = number(optarg, 0, ~0ul);
			break;
		case 'o':
			o->only = optarg;
			break;
		case 'h':
			o->hook = optarg;
			break;
		case 'n':
			o->seconds = (unsigned int)number(optarg, 1, SECONDS_MAX);
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

/*
 * Suites starve and kill whatever is around them. The rig's guests say so in their environment;
 * without that this is somebody's machine.
 */
static void refuse_real_machine(void)
{
	if (getenv("OOMX_VM"))
		return;
	fprintf(stderr,
		"suite_%s: not in a guest of tests/vm/vm: it would make this machine run out of memory\n",
		suite.name);
	exit(2);
}

/* Later allocations come from here: neither given back to the kernel nor asked from it. */
static void grow_heap(void)
{
	void *p;

	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	p = malloc(HEAP_BYTES);
	if (!p)
		suite_fatal("no memory for the heap");
	memset(p, 1, HEAP_BYTES);
	free(p);
}

void suite_begin(const char *name, int argc, char **argv, struct suite_options *o)
{
	static char buf[4096];

	if (worker_asked(argc, argv))
		worker_main(argc, argv);
	if (command_asked(argc, argv))
		command_main(argc, argv);

	suite.name = name;
	if (!o->hook)
		o->hook = "nominate";
	parse(argc, argv, o);
	refuse_real_machine();
	suite.random = o->seed;

	setvbuf(stdout, buf, _IOLBF, sizeof(buf));
	signal(SIGPIPE, SIG_IGN);
	if (proc_write("/proc/self/oom_score_adj", "-1000"))
		suite_fatal("cannot protect itself from the OOM killer: is it root?");
	grow_heap();
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		suite_fatal("mlockall: %s", strerror(errno));
	kmsg_open();
	worker_init();
	if (!strcmp(o->hook, "struct_ops"))
		module_load();
}
