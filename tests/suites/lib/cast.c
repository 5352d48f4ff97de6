// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/cast.h"

#include <string.h>

#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/suite.h"

void cast_open(struct cast *c)
{
	memset(c, 0, sizeof(*c));
}

struct worker *cast_add(struct cast *c, const struct worker_spec *spec, bool meant)
{
	if (c->n == CAST_MAX)
		suite_fatal("more than %d players", CAST_MAX);
	c->players[c->n] = worker_start(spec);
	c->meant[c->n] = meant;
	return c->players[c->n++];
}

void cast_ready(struct cast *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++)
		worker_wait_ready(c->players[i]);
	proc_census(&c->before);
	c->vmstat_before = proc_vmstat("oom_kill");
	daemon_clear();
	kmsg_clear();
}

/* ---- until it is over ------------------------------------------------------------------------ */

static bool over(void *arg)
{
	const struct cast *c = arg;
	const struct kmsg_kill *kills;
	unsigned int i, n = kmsg_kills(&kills), dead = 0;
	struct worker *w;

	if (c->trigger && worker_failed(c->trigger, NULL))
		return true;
	for (i = 0; i < c->n; i++) {
		dead += !worker_alive(c->players[i]);
		if (c->meant[i] && worker_alive(c->players[i]))
			return false;
	}
	if (c->trigger ? worker_alive(c->trigger) && !worker_done(c->trigger) : !dead)
		return false;
	for (i = 0; i < n; i++) {
		w = worker_by_pid(kills[i].pid);
		if (w && worker_alive(w))
			return false;
	}
	return true;
}

static void complain_fates(const struct cast *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++)
		suite_fail("%s (%d), meant to %s: %s", worker_comm(c->players[i]),
			   worker_victim_pid(c->players[i]), c->meant[i] ? "die" : "live",
			   worker_fate(c->players[i]));
}

bool cast_await(struct cast *c)
{
	const char *why;

	if (!suite_wait(over, c, SUITE_STEP_MS)) {
		suite_fail("expected an OOM and its end within %d s", SUITE_STEP_MS / 1000);
		complain_fates(c);
		return false;
	}
	if (c->trigger && worker_failed(c->trigger, &why)) {
		suite_fail("expected an OOM, %s %s", worker_comm(c->trigger), why);
		return false;
	}
	return true;
}

bool cast_starve(struct cast *c, struct worker *trigger, const struct worker_growth *g)
{
	c->trigger = trigger;
	worker_grow(trigger, g);
	return cast_await(c);
}

/* ---- what came of it ------------------------------------------------------------------------- */

static bool meant_pid(const struct cast *c, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		if (c->meant[i] && (worker_victim_pid(c->players[i]) == pid ||
				    worker_pid(c->players[i]) == pid))
			return true;
	}
	return false;
}

/* One process of an address space is killed, and all of them die: the kernel names one. */
static bool is_sharer(const struct cast *c, pid_t pid)
{
	const uint32_t *pids;
	unsigned int i, j, n;

	for (i = 0; i < c->n; i++) {
		n = worker_sharers(c->players[i], &pids);
		for (j = 0; c->meant[i] && j < n; j++) {
			if ((pid_t)pids[j] == pid)
				return true;
		}
	}
	return false;
}

static unsigned int told(pid_t pid)
{
	const struct event *e;
	unsigned int i, n = daemon_events(&e), count = 0;

	for (i = 0; i < n; i++)
		count += (e[i].type == OOMX_REC_KILL || e[i].type == OOMX_REC_KERNEL_KILL) &&
			 e[i].who.pid == pid;
	return count;
}

static unsigned int told_of(const struct cast *c, unsigned int i)
{
	const uint32_t *pids;
	unsigned int j, n = worker_sharers(c->players[i], &pids);
	unsigned int count = told(worker_victim_pid(c->players[i]));

	for (j = 0; j < n; j++)
		count += told((pid_t)pids[j]);
	return count;
}

/*
 * The choice was oomx's ("kill"). Where it was the kernel's, oomx enforcing, an "abstain" of the
 * same OOM, sent before the kill, says why. Of a kill that oomx has no say in there is none.
 */
static void expect_reason(const struct cast *c, const struct event *e)
{
	const struct event *a = daemon_find(OOMX_REC_ABSTAIN, e->decision, 0);

	if (e->type == OOMX_REC_KILL && (a || c->kernels_own))
		suite_fail("%s (%d) is told as oomx's choice, though %s", e->who.comm, e->who.pid,
			   a ? a->reason : "that was not for oomx to make");
	if (e->type == OOMX_REC_KERNEL_KILL && !a != c->kernels_own)
		suite_fail("%s (%d) is told as the kernel's choice, and why oomx stood back: %s",
			   e->who.comm, e->who.pid, a ? a->reason : "not at all");
}

static bool all_told(void *arg)
{
	const struct cast *c = arg;
	unsigned int i;

	if (!daemon_running())
		return true;
	for (i = 0; i < c->n; i++) {
		if (c->meant[i] && !told_of(c, i))
			return false;
	}
	return true;
}

static void expect_told(const struct cast *c)
{
	const struct event *e;
	unsigned int i, n;

	if (!suite_wait(all_told, (void *)c, SUITE_STEP_MS))
		suite_fail("expected every death to be told");
	n = daemon_events(&e);
	for (i = 0; daemon_running() && i < c->n; i++) {
		if (c->meant[i] && told_of(c, i) != 1)
			suite_fail("%s (%d) is told dead %u times", worker_comm(c->players[i]),
				   worker_victim_pid(c->players[i]), told_of(c, i));
	}
	for (i = 0; i < n; i++) {
		if (e[i].type != OOMX_REC_KILL && e[i].type != OOMX_REC_KERNEL_KILL)
			continue;
		expect_reason(c, &e[i]);
		if (!meant_pid(c, e[i].who.pid) && !is_sharer(c, e[i].who.pid))
			suite_fail("told as killed, and not meant to be: %s (%d)", e[i].who.comm,
				   e[i].who.pid);
	}
}

static bool sharers_gone(void *arg)
{
	const struct cast *c = arg;
	const uint32_t *pids;
	unsigned int i, j, n;

	for (i = 0; i < c->n; i++) {
		n = worker_sharers(c->players[i], &pids);
		for (j = 0; c->meant[i] && j < n; j++) {
			if (proc_lives((pid_t)pids[j]))
				return false;
		}
	}
	return true;
}

struct others {
	struct cast *c;
	char what[128];
};

static bool others_unchanged(void *arg)
{
	struct others *o = arg;
	struct cast *c = o->c;
	pid_t dead[1 + CAST_MAX * (2 + WORKER_SHARERS_MAX)];
	const uint32_t *pids;
	unsigned int i, j, n = 0, sharers;

	dead[n++] = c->dismissed;
	for (i = 0; i < c->n; i++) {
		if (!c->meant[i])
			continue;
		dead[n++] = worker_pid(c->players[i]);
		dead[n++] = worker_victim_pid(c->players[i]);
		sharers = worker_sharers(c->players[i], &pids);
		for (j = 0; j < sharers; j++)
			dead[n++] = (pid_t)pids[j];
	}
	return proc_census_holds(&c->before, dead, n, o->what, sizeof(o->what));
}

void cast_expect_dead(struct cast *c)
{
	struct others others = { .c = c };
	const struct kmsg_kill *logged;
	unsigned int i, n = kmsg_kills(&logged);
	bool right = true;

	kmsg_expect_complete();
	for (i = 0; i < c->n; i++) {
		if (c->meant[i])
			right &= worker_killed(c->players[i]);
		else
			right &= worker_alive(c->players[i]) &&
				 (c->players[i] != c->trigger || worker_done(c->trigger));
	}
	if (!right) {
		suite_fail("expected those meant to die, and nobody else");
		complain_fates(c);
	}
	for (i = 0; i < n; i++) {
		if (!meant_pid(c, logged[i].pid) && !is_sharer(c, logged[i].pid))
			suite_fail("the kernel logged the kill of %s (%d)", logged[i].comm,
				   logged[i].pid);
	}
	if (!suite_wait(sharers_gone, c, SUITE_STEP_MS))
		suite_fail("a process lives on that shared its memory with one that was killed");
	expect_told(c);
	if (!suite_wait(others_unchanged, &others, SUITE_STEP_MS))
		suite_fail("expected everybody else as before the OOM: %s", others.what);
	if (suite_run_failed())
		daemon_complain_events();
}

void cast_dismiss_last(struct cast *c)
{
	struct worker *w = c->players[--c->n];

	c->dismissed = worker_pid(w);
	worker_end(w);
}

void cast_close(struct cast *c)
{
	while (c->n)
		worker_end(c->players[--c->n]);
	c->trigger = NULL;
}
