/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * suite.h - what every guest test suite is made of: options, runs and their verdicts, and the
 * one loop in which a suite waits for anything.
 *
 * A suite makes memory short on purpose and has to go on working meanwhile: it is locked in
 * memory, out of the OOM killer's reach, and never forks (see worker.h). Every run counts, none
 * is repeated.
 */
#ifndef SUITE_SUITE_H
#define SUITE_SUITE_H

#include <stdbool.h>
#include <stdint.h>

#define SUITE_DOMAIN_MEMCG 1
#define SUITE_DOMAIN_GLOBAL 2
#define SUITE_DOMAIN_BOTH (SUITE_DOMAIN_MEMCG | SUITE_DOMAIN_GLOBAL)

/*
 * Ten times what a step needs in an emulated guest on a busy host: reaching one of these is a
 * failure, never a reason to try again.
 */
#define SUITE_STEP_MS 60000	/* a process to start, an OOM to happen, an event to arrive */
#define SUITE_START_MS 120000	/* oomx to load and attach its BPF */

struct suite_options {
	unsigned int runs;
	unsigned int domains; /* SUITE_DOMAIN_* */
	unsigned int triggers;
	uint64_t seed;
	const char *only; /* the case to run, where a suite has several */
	const char *hook; /* what is to enforce; never NULL after suite_begin() */
	unsigned int seconds; /* of a suite that goes on for a time, not for a number of runs */
};

/*
 * Takes the options from argv over the defaults in *o, and makes this process fit to see an OOM
 * through. Does not return where the process was started as a worker (worker.h), or on bad usage.
 */
void suite_begin(const char *name, int argc, char **argv, struct suite_options *o);

/* The last line and the exit status. */
int suite_end(void);

/* One run: begin, any number of complaints, end. A run without a complaint has passed. */
void suite_run_begin(const char *what, unsigned int run);
bool suite_run_end(void);
void suite_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void suite_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool suite_run_failed(void);

/* A set-up that no run can go on without: complains and ends the suite. */
void suite_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Times of the runs since the last call, as one line. */
void suite_times(const char *what);

/*
 * Reads the kernel log and the daemon's output and reaps children while it waits, at most `ms`,
 * until cond(arg) holds; false if it never did.
 */
bool suite_wait(bool (*cond)(void *arg), void *arg, unsigned int ms);
void suite_pump(int timeout_ms);

/* Lets time pass, and does the same meanwhile. */
void suite_sleep(unsigned int ms);

uint64_t suite_now_ns(void);

/* A repeatable random number in [lo, hi] (splitmix64 from --seed). */
long suite_random(long lo, long hi);

#endif
