// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* hold.c - the budget of holding oom_lock, and who waits for the CPU of who holds it. */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../bpf/runs.h"
#include "bpf/bpf_runs.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the budget ------------------------------------------------------------------------------ */

#define BUDGET 1000
#define ONE_WINDOW (1ull << 60) /* it does not end while this runs */

static const struct run_hold hold_rows[] = {
	{ 1, 0, BUDGET },
	{ 1, 300, BUDGET - 300 },
	{ 1, 600, BUDGET - 900 },
	{ 2, 999, 1 }, /* each has its own */
	{ 0, 0, BUDGET },
	{ 1, 100, 0 },
	{ 1, 0, 0 },
	{ 2, 5000, 0 }, /* longer than it should have */
	{ 0, 400, BUDGET - 400 },
	{ 3, 0, BUDGET },
	{ 4, 0, BUDGET },
	{ 5, 0, BUDGET },
	{ 6, 0, BUDGET },
	{ 7, 0, BUDGET },
	{ 1, 0, 0 }, /* with as many as are known at a time */
	{ 8, 0, BUDGET }, /* one more: the first of them gives way, none of the others */
	{ 2, 0, 0 },
	{ 0, 0, BUDGET - 400 },
};

/* Windows that are over at once: whatever a domain has spent, it is forgotten. */
static const struct run_hold hold_rows_later[] = {
	{ 2, 0, BUDGET },
	{ 0, 0, BUDGET },
};

static void check_hold(struct bpf_object *obj, __u64 window_ns, const struct run_hold *rows,
		       unsigned int n)
{
	struct run_hold *cases = testbpf_memory(obj, "hold_cases", RUN_CASES * sizeof(*cases));
	struct oomx_config cfg = { .hold_budget_ns = BUDGET, .hold_window_ns = window_ns };
	unsigned int i;
	__u32 zero = 0;

	testbpf_put(obj, "oomx_config", &zero, &cfg);
	memcpy(cases, rows, n * sizeof(*rows));
	testbpf_run_cases(obj, "hold_run", n);
	for (i = 0; i < n; i++)
		if (bpf_differs((__s64)cases[i].left_ns, (__s64)rows[i].left_ns))
			suite_fail("case %u, domain %llu: expected %llu ns to be left, found %llu",
				   i, rows[i].domain, rows[i].left_ns, cases[i].left_ns);
	munmap(cases, RUN_CASES * sizeof(*cases));
}

void bpf_play_hold(void)
{
	struct bpf_object *obj = bpf_load_policy("hold_run", "kernel");

	bpf_begin("how long oom_lock may be held");
	check_hold(obj, ONE_WINDOW, hold_rows, N(hold_rows));
	check_hold(obj, 0, hold_rows_later, N(hold_rows_later));
	bpf_object__close(obj);
	suite_run_end();
}

/* ---- who waits for this CPU ------------------------------------------------------------------ */

static struct {
	pid_t tid;
	bool end;
} spinner;

static void keep_to(unsigned int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		suite_fatal("cannot run on CPU %u alone", cpu);
}

static void *spin(void *cpu)
{
	keep_to(*(unsigned int *)cpu);
	__atomic_store_n(&spinner.tid, gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&spinner.end, __ATOMIC_ACQUIRE))
		;
	return NULL;
}

static __u32 queued(struct bpf_object *obj, __u64 mm)
{
	struct run_queued q = { .mm = mm };

	testbpf_run(testbpf_program(obj, "queued_run"), &q, sizeof(q));
	return q.tid;
}

/* This process is no victim: its signal->oom_mm is 0. */
static void check_queued(struct bpf_object *obj, unsigned int cpu)
{
	pthread_t thread;
	__u32 tid;

	spinner.tid = 0;
	spinner.end = false;
	if (pthread_create(&thread, NULL, spin, &cpu))
		suite_fatal("no thread");
	while (!__atomic_load_n(&spinner.tid, __ATOMIC_ACQUIRE))
		sched_yield();
	tid = queued(obj, 0);
	if (tid != (cpu ? 0 : (__u32)spinner.tid))
		suite_fail("%d wants CPU %u: expected it to be found on CPU 0 only, found %u",
			   spinner.tid, cpu, tid);
	tid = queued(obj, 1);
	if (tid)
		suite_fail("%u is not a thread of the victim with this memory", tid);
	__atomic_store_n(&spinner.end, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

void bpf_play_queued(void)
{
	struct bpf_object *obj = bpf_load_policy("hold_run", "kernel");
	cpu_set_t before;

	bpf_begin("who waits for the CPU of who holds on");
	sched_getaffinity(0, sizeof(before), &before);
	keep_to(0);
	check_queued(obj, 0);
	check_queued(obj, 1);
	sched_setaffinity(0, sizeof(before), &before);
	bpf_object__close(obj);
	suite_run_end();
}
