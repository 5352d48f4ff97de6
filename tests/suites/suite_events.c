// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_events - every kill of every form is told exactly once, and nothing else is: events
 * against the kernel log, memory.events, /proc/vmstat and the processes that are gone, first
 * with oomx observing and then enforcing.
 */
#include <stdio.h>
#include <string.h>

#include "lib/ballast.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/worker.h"

#define MEMBERS_MAX 6
#define FREE_MIB 192 /* global: what the ballast leaves */
#define AFTER_MIB 8

#define TOP "/e"
#define LOW TOP "/tree/low" /* the one with a low priority when oomx enforces */

struct member {
	const char *cgroup; /* NULL: end of the list */
	unsigned int mib;
	int adj;
	unsigned int threads;
	bool leader_exits;
};

/* One way in which memory gets short. The first member grows. */
struct form {
	const char *name;
	const char *domain; /* cgroup with the limit; NULL: the machine */
	bool group;	    /* memory.oom.group takes several */
	unsigned int grow_mib, triggers;
	struct member members[MEMBERS_MAX];
};

static const struct {
	const char *path;
	unsigned int max_mib;
	bool group;
} cgroups[] = {
	{ .path = TOP },
	{ .path = TOP "/one", .max_mib = 48 },
	{ .path = TOP "/tree", .max_mib = 64 },
	{ .path = TOP "/tree/a" },
	{ .path = TOP "/tree/a/b" },
	{ .path = TOP "/tree/c" },
	{ .path = TOP "/tree/d" },
	{ .path = LOW },
	{ .path = TOP "/in" },
	{ .path = TOP "/in/x", .max_mib = 48 },
	{ .path = TOP "/in/x/y" },
	{ .path = TOP "/all", .max_mib = 48, .group = true },
	{ .path = TOP "/some", .max_mib = 64 },
	{ .path = TOP "/some/g", .group = true },
	{ .path = TOP "/some/o" },
	{ .path = TOP "/any" },
};
#define N_CGROUPS (sizeof(cgroups) / sizeof(cgroups[0]))

static const struct form forms[] = {
	{
		.name = "self",
		.domain = TOP "/one",
		.grow_mib = 80,
		.triggers = 1,
		.members = {
			{ .cgroup = TOP "/one", .mib = 4 },
		},
	},
	{
		.name = "threads",
		.domain = TOP "/one",
		.grow_mib = 80,
		.triggers = 8,
		.members = {
			{ .cgroup = TOP "/one", .mib = 4, .threads = 4, .leader_exits = true },
			{ .cgroup = TOP "/one", .mib = 8, .adj = -1000 },
		},
	},
	{
		.name = "nested",
		.domain = TOP "/tree",
		.grow_mib = 24,
		.triggers = 1,
		.members = {
			{ .cgroup = TOP "/tree/c", .mib = 0 },
			{ .cgroup = TOP "/tree/a/b", .mib = 28 },
			{ .cgroup = LOW, .mib = 20 },
		},
	},
	{
		.name = "global self",
		.triggers = 1,
		.members = {
			{ .cgroup = TOP "/any", .mib = 0 },
		},
	},
	{
		.name = "inner limit",
		.domain = TOP "/in/x",
		.grow_mib = 30,
		.triggers = 4,
		.members = {
			{ .cgroup = TOP "/in/x/y", .mib = 0 },
			{ .cgroup = TOP "/in/x/y", .mib = 30, .threads = 2 },
			{ .cgroup = TOP "/any", .mib = 40, .adj = 500 },
		},
	},
	{
		.name = "part is a group",
		.domain = TOP "/some",
		.group = true,
		.grow_mib = 40,
		.triggers = 1,
		.members = {
			{ .cgroup = TOP "/some/o", .mib = 0 },
			{ .cgroup = TOP "/some/g", .mib = 8 },
			{ .cgroup = TOP "/some/g", .mib = 32 },
			{ .cgroup = TOP "/some/g", .mib = 4, .threads = 3 },
		},
	},
	{
		.name = "global other",
		.triggers = 4,
		.members = {
			{ .cgroup = TOP "/any", .mib = 0, .adj = -500 },
			{ .cgroup = TOP "/any", .mib = 56, .threads = 2 },
			{ .cgroup = LOW, .mib = 40 },
		},
	},
	{
		.name = "whole is a group",
		.domain = TOP "/all",
		.group = true,
		.grow_mib = 80,
		.triggers = 1,
		.members = {
			{ .cgroup = TOP "/all", .mib = 4 },
			{ .cgroup = TOP "/all", .mib = 8 },
			{ .cgroup = TOP "/all", .mib = 2 },
		},
	},
	{
		.name = "adj",
		.domain = TOP "/tree",
		.grow_mib = 40,
		.triggers = 2,
		.members = {
			{ .cgroup = TOP "/tree/c", .mib = 0, .adj = -300 },
			{ .cgroup = TOP "/tree/a/b", .mib = 8, .adj = 600 },
			{ .cgroup = TOP "/tree/d", .mib = 24 },
		},
	},
	{
		.name = "global group",
		.group = true,
		.triggers = 1,
		.members = {
			{ .cgroup = TOP "/any", .mib = 0, .adj = -500 },
			{ .cgroup = TOP "/some/g", .mib = 40 },
			{ .cgroup = TOP "/some/g", .mib = 8 },
			{ .cgroup = TOP "/some/g", .mib = 4, .threads = 2 },
		},
	},
};
#define N_FORMS (sizeof(forms) / sizeof(forms[0]))

/* What a process may call itself, and JSON, the kernel log and a terminal have to bear. */
static const char *const comms[] = {
	"plain", "two words", "x)(y", "q\"uote", "back\\slash", "fifteen letters",
	"\xc3\xb1" "and\xc3\xba", "not\xff" "utf8", "tab\there", "{\"a\":1}", "",
};
#define N_COMMS (sizeof(comms) / sizeof(comms[0]))

static struct {
	bool enforcing;
	const struct form *form;
	unsigned int n;
	struct worker *workers[MEMBERS_MAX];
	int64_t oom_kill_before, vmstat_before;
	struct proc_census before;
	unsigned int kills;
} step;

/* ---- making it happen ----------------------------------------------------------------------- */

static void open_cgroups(void)
{
	size_t i;

	for (i = 0; i < N_CGROUPS; i++) {
		cgroup_make(cgroups[i].path);
		if (cgroups[i].max_mib)
			cgroup_set_mib(cgroups[i].path, "memory.max", cgroups[i].max_mib);
		if (cgroups[i].group)
			cgroup_set(cgroups[i].path, "memory.oom.group", "1");
	}
}

static void close_cgroups(void)
{
	size_t i;

	for (i = N_CGROUPS; i-- > 0;)
		cgroup_remove(cgroups[i].path);
}

static void start_members(const struct form *f, unsigned int run)
{
	const struct member *m;

	step.form = f;
	step.n = 0;
	for (m = f->members; m < f->members + MEMBERS_MAX && m->cgroup; m++) {
		const struct worker_spec spec = {
			.comm = comms[(run + step.n) % N_COMMS],
			.cgroup = m->cgroup,
			.adj = m->adj,
			.anon_kib = m->mib * 1024,
			.threads = m->threads,
			.leader_exits = m->leader_exits,
		};

		step.workers[step.n++] = worker_start(&spec);
	}
	for (m = f->members; m < f->members + step.n; m++)
		worker_wait_ready(step.workers[m - f->members]);
}

static bool over(void *arg)
{
	const struct kmsg_kill *logged;
	unsigned int i, n = kmsg_kills(&logged);
	struct worker *w, *grower = step.workers[0];

	(void)arg;
	if (worker_failed(grower, NULL))
		return true;
	if (worker_alive(grower) && !worker_done(grower))
		return false;
	for (i = 0; i < n; i++) {
		w = worker_by_pid(logged[i].pid);
		if (w && worker_alive(w))
			return false;
	}
	return n > 0;
}

static bool starve(void)
{
	const struct form *f = step.form;
	struct worker_growth g = { .mib = f->grow_mib, .threads = f->triggers };
	const char *why = "";

	if (!f->domain) {
		proc_drop_caches();
		g.mib = (unsigned int)proc_mem_mib("MemTotal");
		g.until_kill = true;
		g.after_mib = AFTER_MIB;
	}
	proc_census(&step.before);
	step.oom_kill_before = cgroup_event(TOP, "oom_kill");
	step.vmstat_before = proc_vmstat("oom_kill");
	kmsg_clear();
	worker_grow(step.workers[0], &g);
	if (suite_wait(over, NULL, SUITE_STEP_MS) && !worker_failed(step.workers[0], &why))
		return true;
	suite_fail("expected an OOM and its end: the first is %s %s, %u kills logged",
		   worker_fate(step.workers[0]), why, kmsg_kills(NULL));
	return false;
}

static void clear_members(void)
{
	unsigned int i;

	for (i = 0; i < step.n; i++)
		worker_end(step.workers[i]);
	step.n = 0;
	cgroup_drain(TOP, 8);
}

/* ---- what was told, against what happened --------------------------------------------------- */

static bool is_kill(const struct event *e)
{
	return e->type == OOMX_REC_KILL || e->type == OOMX_REC_KERNEL_KILL;
}

static const struct event *kill_of(pid_t pid)
{
	const struct event *e = daemon_find(OOMX_REC_KILL, 0, pid);

	return e ? e : daemon_find(OOMX_REC_KERNEL_KILL, 0, pid);
}

static bool all_told(void *arg)
{
	const struct kmsg_kill *logged;
	unsigned int i, n = kmsg_kills(&logged);

	(void)arg;
	for (i = 0; i < n; i++) {
		if (!kill_of(logged[i].pid) || !daemon_find(OOMX_REC_FREED, 0, logged[i].pid))
			return !daemon_running();
	}
	return true;
}

/* The kernel log, the dead and the events are of the same processes. */
static unsigned int expect_same_dead(void)
{
	const struct kmsg_kill *logged;
	const struct event *e;
	unsigned int i, n = kmsg_kills(&logged), dead = 0;
	struct worker *w;

	for (i = 0; i < step.n; i++) {
		w = step.workers[i];
		if (worker_alive(w))
			continue;
		dead++;
		if (!worker_killed(w) || !kmsg_kills_of(worker_pid(w)))
			suite_fail("%s (%d) %s, the kernel logged %u kills of it", worker_comm(w),
				   worker_pid(w), worker_fate(w), kmsg_kills_of(worker_pid(w)));
	}
	for (i = 0; i < n; i++) {
		e = kill_of(logged[i].pid);
		w = worker_by_pid(logged[i].pid);
		if (!w)
			suite_fail("a stranger was killed: %s (%d)", logged[i].comm, logged[i].pid);
		if (!e)
			suite_fail("logged, not told: %s (%d)", logged[i].comm, logged[i].pid);
		else if (!event_comm_is(e->who.comm, logged[i].comm))
			suite_fail("comm is \"%s\" in the event, \"%s\" in the kernel log",
				   e->who.comm, logged[i].comm);
		/* With a group the kernel logs and counts the one it chose a second time. */
		if (!step.form->group && kmsg_kills_of(logged[i].pid) != 1)
			suite_fail("logged %u times: %s (%d)", kmsg_kills_of(logged[i].pid),
				   logged[i].comm, logged[i].pid);
	}
	return dead;
}

static unsigned int count_pid(unsigned int type, pid_t pid)
{
	const struct event *events;
	unsigned int i, n = daemon_events(&events), count = 0;

	for (i = 0; i < n; i++)
		count += events[i].type == type &&
			 (events[i].who.pid == pid || events[i].pid == pid);
	return count;
}

static void check_kill(const struct event *e)
{
	const struct form *f = step.form;
	const struct event *oom = daemon_find(OOMX_REC_OOM, e->decision, 0);
	const struct event *freed = daemon_find(OOMX_REC_FREED, e->decision, e->who.pid);
	const struct worker *w = worker_by_pid(e->who.pid);

	if (!kmsg_kills_of(e->who.pid))
		suite_fail("told, not logged: %s (%d)", e->who.comm, e->who.pid);
	if (count_pid(OOMX_REC_KILL, e->who.pid) + count_pid(OOMX_REC_KERNEL_KILL, e->who.pid) != 1)
		suite_fail("told more than once: %s (%d)", e->who.comm, e->who.pid);
	if (w && strcmp(e->who.cgroup, worker_cgroup(w)))
		suite_fail("%s (%d) is in \"%s\", the event says \"%s\"", e->who.comm, e->who.pid,
			   worker_cgroup(w), e->who.cgroup);
	if (w && e->who.cgroup_id != (int64_t)cgroup_id(worker_cgroup(w)))
		suite_fail("cgroup_id of %s is wrong", e->who.cgroup);
	if (!freed || count_pid(OOMX_REC_FREED, e->who.pid) != 1 ||
	    freed->start_ns != e->who.start_ns)
		suite_fail("expected one \"freed\" with decision and start_ns of the kill of %s (%d)",
			   e->who.comm, e->who.pid);
	if (!oom) {
		suite_fail("no \"oom\" with decision %lld", (long long)e->decision);
		return;
	}
	if (oom->global != !f->domain || e->domain_id != oom->domain_id ||
	    (f->domain && (strcmp(oom->domain_cgroup, f->domain) ||
			   oom->domain_id != (int64_t)cgroup_id(f->domain))))
		suite_fail("expected the domain %s, got %s (%lld)",
			   f->domain ? f->domain : "global",
			   oom->global ? "global" : oom->domain_cgroup, (long long)oom->domain_id);
	if (step.enforcing && e->type == OOMX_REC_KERNEL_KILL &&
	    !daemon_find(OOMX_REC_ABSTAIN, e->decision, 0))
		suite_fail("the kernel chose %s (%d), and no \"abstain\" says why", e->who.comm,
			   e->who.pid);
	if (e->ktime_ns < oom->ktime_ns)
		suite_fail("the kill of %s (%d) is told as before its OOM", e->who.comm, e->who.pid);
}

/* Each OOM has one kill that is no group member, or none is left of the pairing. */
static void check_oom(const struct event *oom)
{
	const struct event *events;
	unsigned int i, n = daemon_events(&events), chosen = 0, ooms = 0;

	for (i = 0; i < n; i++) {
		if (events[i].decision != oom->decision)
			continue;
		ooms += events[i].type == OOMX_REC_OOM;
		chosen += is_kill(&events[i]) && !events[i].group;
	}
	if (chosen != 1 || ooms != 1)
		suite_fail("expected one \"oom\" and one chosen victim with decision %lld: %u and %u",
			   (long long)oom->decision, ooms, chosen);
}

static void check_step(void)
{
	const struct event *events;
	unsigned int i, n, dead, told = 0;
	int64_t counted, vmstat;

	if (!suite_wait(all_told, NULL, SUITE_STEP_MS) || !daemon_running())
		suite_fail("expected kill and \"freed\" events for every logged kill");
	dead = expect_same_dead();
	n = daemon_events(&events);
	for (i = 0; i < n; i++) {
		if (is_kill(&events[i])) {
			told++;
			check_kill(&events[i]);
		}
		if (events[i].type == OOMX_REC_OOM)
			check_oom(&events[i]);
	}
	if (told != dead)
		suite_fail("%u processes are dead, %u kills told", dead, told);
	if (step.form->group && dead < 2)
		suite_fail("expected a group to die, %u died", dead);

	counted = cgroup_event(TOP, "oom_kill") - step.oom_kill_before;
	vmstat = proc_vmstat("oom_kill") - step.vmstat_before;
	if (counted < dead || vmstat < dead ||
	    (!step.form->group && (counted != dead || vmstat != dead)))
		suite_fail("%u processes are dead, memory.events counts %lld, /proc/vmstat %lld",
			   dead, (long long)counted, (long long)vmstat);
	step.kills += dead;
}

/* ---- a phase -------------------------------------------------------------------------------- */

static bool all_received(void *arg)
{
	const struct daemon_counters *c = arg;
	unsigned int i;

	for (i = 1; i < OOMX_REC_MAX; i++) {
		if (daemon_total(i) != c->sent[i])
			return false;
	}
	return true;
}

static void check_counters(const char *phase)
{
	struct daemon_counters c;
	unsigned int i;

	suite_run_begin(phase, 0);
	if (daemon_counters(&c) && !suite_wait(all_received, &c, SUITE_STEP_MS)) {
		for (i = 1; i < OOMX_REC_MAX; i++)
			suite_fail("%s: oomx counts %lld sent, %u arrived", event_name(i),
				   (long long)c.sent[i], daemon_total(i));
	}
	for (i = 1; i < OOMX_REC_MAX && !suite_run_failed(); i++) {
		if (c.dropped[i])
			suite_fail("%s: %lld dropped", event_name(i), (long long)c.dropped[i]);
	}
	suite_run_end();
	printf("events %s: %u kills; told: %u oom, %u kill, %u kernel_kill, %u freed, %u abstain\n",
	       phase, step.kills, daemon_total(OOMX_REC_OOM), daemon_total(OOMX_REC_KILL),
	       daemon_total(OOMX_REC_KERNEL_KILL), daemon_total(OOMX_REC_FREED),
	       daemon_total(OOMX_REC_ABSTAIN));
}

static void play(const char *phase, const char *const args[], unsigned int kills,
		 unsigned int domains)
{
	const struct form *f;
	char label[64];
	unsigned int run;

	daemon_start(args);
	step.enforcing = args;
	step.kills = 0;
	for (run = 1; step.kills < kills; run++) {
		f = &forms[run % N_FORMS];
		if (!(domains & (f->domain ? SUITE_DOMAIN_MEMCG : SUITE_DOMAIN_GLOBAL)))
			continue;
		snprintf(label, sizeof(label), "%s/%s", phase, f->name);
		suite_run_begin(label, run);
		daemon_require();
		daemon_clear();
		start_members(f, run);
		if (starve())
			check_step();
		if (!suite_run_failed())
			kmsg_expect_others_unchanged(&step.before);
		if (suite_run_failed())
			daemon_complain_events();
		clear_members();
		/* Without this a form that kills nobody would be played for ever. */
		if (!suite_run_end() && !kmsg_kills(NULL))
			step.kills++;
	}
	suite_times(phase);
	check_counters(phase);
	daemon_stop();
}

int main(int argc, char **argv)
{
	static const char *const enforce[] = { "--enforce", "--policy", "priority",
					       "--priority", LOW "=-100", NULL };
	struct suite_options o = { .runs = 200, .domains = SUITE_DOMAIN_BOTH };
	struct worker *ballast;

	suite_begin("events", argc, argv, &o);
	open_cgroups();
	ballast = ballast_start(FREE_MIB);
	play("observe", NULL, (o.runs + 1) / 2, o.domains);
	play("enforce", enforce, (o.runs + 1) / 2, o.domains);
	worker_end(ballast);
	close_cgroups();
	return suite_end();
}
