// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_storm - for as many minutes as --runs says (or --seconds), everything at once: OOMs of
 * memcgs, of memcgs within memcgs and of the machine, bombs of threads and of processes, while oomx
 * is killed, stopped, replaced, and started with another policy. Nothing hangs, the kernel has
 * nothing to say, nobody dies outside of the domain that was short or who is protected, by his
 * oom_score_adj, or, of oomx's choice, by a rule, and every kill of oomx's time is told.
 */
#include <stdio.h>
#include <string.h>

#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/worker.h"

#define TOP "/storm"
#define FREE_MIB 256 /* what the ballast leaves; oomx has to start in it, too */
#define BOMBS 8
#define BOMB_LIFE_MS SUITE_STEP_MS /* one that is neither dead nor through by then hangs */
#define EPOCH_MS_MIN 8000
#define EPOCH_MS_MAX 15000
/* A daemon that is killed has not told what was in its ring; this is how late it may be. */
#define LATE_MS 5000
#define TICK_MS 20
#define LEDGER_MAX 65536
#define NEW_MAX 64
#define REASONS 64
#define COMM "bomb"
#define KEPT "kept"	 /* whom the kernel would like best, and a rule says never */
#define KEPT_ADJ 600
#define RULES "/tmp/storm.yaml"

static const struct {
	const char *path;
	unsigned int max_mib;
} cgroups[] = {
	{ TOP, 0 },	   { TOP "/a", 48 },	 { TOP "/b", 64 },     { TOP "/b/x", 40 },
	{ TOP "/b/y", 0 }, { TOP "/b/y/w", 24 }, { TOP "/b/y/z", 0 }, { TOP "/any", 0 },
	{ TOP "/b/y/kept", 0 }, { TOP "/b/kept", 0 },
};
#define N_CGROUPS (sizeof(cgroups) / sizeof(cgroups[0]))

static uint64_t cgroup_ids[N_CGROUPS];

/* Where bombs go off: each below a limit, its own or that of one further up, or both. */
static const char *const places[] = { TOP "/a", TOP "/b/x", TOP "/b/y/w", TOP "/b/y/z" };
#define N_PLACES (sizeof(places) / sizeof(places[0]))

struct bomb {
	struct worker *w;
	struct worker_growth g;
	uint64_t start_ns;
	bool global, lit;
};

static struct bomb bombs[BOMBS];

static const char *const kept_places[] = { TOP "/b/y/kept", TOP "/b/kept" };
#define N_KEPT (sizeof(kept_places) / sizeof(kept_places[0]))
static struct worker *kept[N_KEPT];

/* Every kill there was, by the kernel's log and by what oomx told. */
static struct entry {
	pid_t pid;
	uint64_t ns; /* when it was read */
	bool logged, told, excused;
} ledger[LEDGER_MAX];

static struct {
	unsigned int n, epoch_begin, lost;
	uint64_t end_ns;
	unsigned int own, kernels, told_only, restarts, replaced, started, kept_died;
	int64_t vmstat_before;
} storm;

/* Why oomx stood back lately. */
static struct {
	int64_t decisions[REASONS];
	unsigned int n;
	bool watching;
} reasons;

/* ---- the ledger ------------------------------------------------------------------------------ */

/* Process ids come round again, but not within an epoch. */
static struct entry *entry_for(pid_t pid, bool logged)
{
	struct entry *e;
	unsigned int i;

	for (i = storm.n; i-- > storm.epoch_begin;) {
		e = &ledger[i];
		if (e->pid == pid && (logged ? !e->logged : !e->told))
			return e;
	}
	if (storm.n == LEDGER_MAX)
		suite_fatal("more than %d kills", LEDGER_MAX);
	e = &ledger[storm.n++];
	*e = (struct entry){ .pid = pid, .ns = suite_now_ns() };
	return e;
}

static const char *path_of_id(int64_t id)
{
	size_t i;

	for (i = 0; i < N_CGROUPS; i++) {
		if (cgroup_ids[i] == (uint64_t)id)
			return cgroups[i].path;
	}
	return NULL;
}

static void check_domain(const struct event *e)
{
	const char *domain = e->domain_id ? path_of_id(e->domain_id) : "";
	size_t len = domain ? strlen(domain) : 0;

	if (!domain)
		suite_fail("%s (%d) died for a domain that nobody knows: %lld", e->who.comm,
			   e->who.pid, (long long)e->domain_id);
	else if (strncmp(e->who.cgroup, domain, len) ||
		 (e->who.cgroup[len] && e->who.cgroup[len] != '/'))
		suite_fail("%s (%d) in %s died for %s", e->who.comm, e->who.pid, e->who.cgroup,
			   domain);
}

/*
 * Where the kernel chose, an "abstain" of the same OOM, sent before the kill is, says why; unless
 * the circuit breaker has ended enforcing.
 */
static void check_reason(const struct event *e)
{
	unsigned int i;

	if (e->type == OOMX_REC_ABSTAIN) {
		reasons.decisions[reasons.n++ % REASONS] = e->decision;
		reasons.watching |= !strcmp(e->reason, "breaker");
	}
	if (e->type != OOMX_REC_KERNEL_KILL || reasons.watching)
		return;
	for (i = 0; i < REASONS; i++) {
		if (reasons.decisions[i] == e->decision)
			return;
	}
	suite_fail("the kernel chose %s (%d), and oomx does not say why it stood back", e->who.comm,
		   e->who.pid);
}

static void keep_books(void)
{
	struct kmsg_kill logged[NEW_MAX];
	const struct event *events;
	unsigned int i, n;

	n = kmsg_take(logged, NEW_MAX);
	for (i = 0; i < n; i++) {
		storm.kept_died += !strcmp(logged[i].comm, KEPT);
		if (strcmp(logged[i].comm, COMM) && strcmp(logged[i].comm, KEPT))
			suite_fail("a stranger was killed: %s (%d)", logged[i].comm, logged[i].pid);
		entry_for(logged[i].pid, true)->logged = true;
	}
	n = daemon_events(&events);
	for (i = 0; i < n; i++) {
		const struct event *e = &events[i];

		check_reason(e);
		if (e->type != OOMX_REC_KILL && e->type != OOMX_REC_KERNEL_KILL)
			continue;
		storm.own += e->type == OOMX_REC_KILL;
		storm.kernels += e->type == OOMX_REC_KERNEL_KILL;
		check_domain(e);
		if (e->who.adj == -1000)
			suite_fail("%s (%d) is protected, and was killed", e->who.comm, e->who.pid);
		if (e->type == OOMX_REC_KILL && !strcmp(e->who.comm, KEPT))
			suite_fail("a rule says never, and oomx had %s (%d) killed", e->who.comm,
				   e->who.pid);
		if (e->signalled) { /* by oomx itself: the OOM killer neither logs nor counts it */
			storm.told_only++;
			continue;
		}
		entry_for(e->who.pid, false)->told = true;
	}
	daemon_clear();
}

/*
 * A kill that is missing in the log cannot be told from one that never was: the guest's log is made
 * large enough (log_buf_len, tests/vm/suite) for whatever the storm holds up the reading of it.
 */
static void expect_whole_log(void)
{
	unsigned int lost = kmsg_lost() - storm.lost;

	storm.lost += lost;
	if (lost)
		suite_fail("%u records of the kernel log were lost, unread or too many at a time: "
			   "kills may be missing", lost);
}

/* What was logged while oomx was there has been told, and what was told was logged. */
static void balance(uint64_t until_ns)
{
	struct entry *e;
	unsigned int i;

	for (i = storm.epoch_begin; i < storm.n; i++) {
		e = &ledger[i];
		if (e->logged && !e->told && !e->excused && e->ns < until_ns)
			suite_fail("process %d was killed, and nobody told: %u ms before the end",
				   e->pid, (unsigned int)((until_ns - e->ns) / 1000000));
		if (e->told && !e->logged)
			suite_fail("process %d is told as killed, and the kernel logged nothing",
				   e->pid);
	}
	storm.epoch_begin = storm.n;
	expect_whole_log();
}

/* Of the time in which no oomx was there: the kernel's own. */
static void excuse(void)
{
	unsigned int i;

	keep_books();
	for (i = storm.epoch_begin; i < storm.n; i++)
		ledger[i].excused = true;
}

/* ---- bombs ----------------------------------------------------------------------------------- */

static bool global_lit(void)
{
	unsigned int i;

	for (i = 0; i < BOMBS; i++) {
		if (bombs[i].w && bombs[i].global)
			return true;
	}
	return false;
}

static void start_bomb(struct bomb *b)
{
	struct worker_spec spec = { .comm = COMM };
	long kind = suite_random(0, 9);

	*b = (struct bomb){ .start_ns = suite_now_ns(), .g = { .threads = 1 } };
	spec.cgroup = places[suite_random(0, N_PLACES - 1)];
	spec.anon_kib = (unsigned int)suite_random(0, 12) * 1024;
	spec.adj = suite_random(0, 3) ? 0 : (int)suite_random(-500, 1000);
	b->g.mib = (unsigned int)suite_random(20, 80);
	if (kind < 2 && !global_lit()) { /* the machine */
		b->global = true;
		spec.cgroup = TOP "/any";
		b->g.mib = (unsigned int)proc_mem_mib("MemTotal");
		b->g.threads = (unsigned int)suite_random(1, 4);
		b->g.until_kill = true;
		b->g.after_mib = 8;
	} else if (kind < 4) { /* threads */
		b->g.threads = 48;
		spec.threads = 8;
	} else if (kind < 6) { /* processes */
		b->g.mib = 1;
		b->g.forks = (unsigned int)suite_random(10, 60);
		b->g.fork_kib = (unsigned int)suite_random(256, 3072);
	} else {
		b->g.threads = (unsigned int)suite_random(1, 4);
		spec.leader_exits = !suite_random(0, 3);
		spec.threads = spec.leader_exits;
		spec.sharers = spec.leader_exits ? 0 : (unsigned int)suite_random(0, 1);
	}
	b->w = worker_start(&spec);
	storm.started++;
}

static void end_bomb(struct bomb *b)
{
	worker_end(b->w);
	b->w = NULL;
}

static void tend_bomb(struct bomb *b)
{
	uint64_t age_ms;

	if (!b->w) {
		start_bomb(b);
		return;
	}
	if (!b->lit && worker_ready(b->w)) {
		worker_grow(b->w, &b->g);
		b->lit = true;
	}
	age_ms = (suite_now_ns() - b->start_ns) / 1000000;
	if (worker_alive(b->w) && age_ms > BOMB_LIFE_MS && !worker_done(b->w) &&
	    !worker_failed(b->w, NULL))
		suite_fail("process %d hangs: %s after %llu s", worker_pid(b->w),
			   worker_fate(b->w), (unsigned long long)age_ms / 1000);
	else if (worker_alive(b->w) && !worker_done(b->w) && !worker_failed(b->w, NULL))
		return;
	/* a bomb of processes goes on for a while after its own memory is there */
	if (worker_alive(b->w) && b->g.forks && age_ms < 4 * b->g.forks + 1000)
		return;
	end_bomb(b);
}

/* The kernel takes them while oomx is not there, or stands back. */
static void tend_kept(void)
{
	struct worker_spec spec = { .comm = KEPT, .anon_kib = 4096, .adj = KEPT_ADJ };
	size_t i;

	for (i = 0; i < N_KEPT; i++) {
		if (kept[i] && worker_alive(kept[i]))
			continue;
		worker_end(kept[i]);
		spec.cgroup = kept_places[i];
		kept[i] = worker_start(&spec);
	}
}

static void rage(unsigned int ms)
{
	uint64_t end_ns = suite_now_ns() + (uint64_t)ms * 1000000;
	unsigned int i;

	while (suite_now_ns() < end_ns) {
		for (i = 0; i < BOMBS; i++)
			tend_bomb(&bombs[i]);
		tend_kept();
		suite_sleep(TICK_MS);
		keep_books();
	}
}

/* Loading takes memory, and oomx is a candidate until it has protected itself. */
static void calm_machine(void)
{
	unsigned int i;

	for (i = 0; i < BOMBS; i++) {
		if (bombs[i].w && bombs[i].global)
			end_bomb(&bombs[i]);
	}
}

/* ---- oomx, again and again ------------------------------------------------------------------- */

static void start_daemon(const char *hook, bool replace)
{
	const char *const by_priority[] = { "--enforce",  "--hook",	 hook,
					    "--policy",	  "priority",	 "--priority",
					    TOP "/a=-50", "--priority",	 TOP "/b/y/z=-100",
					    "--rules",	  RULES,	 "--replace",
					    NULL };
	const char *const by_size[] = { "--enforce", "--hook", hook,	    "--policy", "kernel",
					"--rules",   RULES,    "--replace", NULL };
	const char *const *args = suite_random(0, 2) ? by_priority : by_size;

	calm_machine();
	if (replace) {
		daemon_replace(args);
		storm.replaced++;
		keep_books(); /* what the old one had to say */
		reasons.watching = false;
		return;
	}
	excuse();
	reasons.watching = false;
	daemon_start(args);
	excuse(); /* it was not ready yet */
}

static void end_daemon(void)
{
	uint64_t now;

	suite_pump(0);
	now = suite_now_ns();
	if (suite_random(0, 1)) {
		daemon_kill();
		now -= (uint64_t)LATE_MS * 1000000;
	} else {
		daemon_stop();
	}
	keep_books();
	balance(now);
	storm.restarts++;
}

static bool unchanged(void *arg)
{
	static char what[128];
	const struct proc_census *before = arg;

	return proc_census_holds(before, NULL, 0, what, sizeof(what));
}

/* ---- from the first to the last -------------------------------------------------------------- */

static struct worker *protected[N_PLACES], *ballast;
static struct proc_census before;

static void write_rules(void)
{
	FILE *f = fopen(RULES, "we");

	if (!f || fputs("rules:\n  - name: kept\n    match: {cgroup: [" TOP "/b/kept, " TOP "/b/y/kept]}\n"
			"    never: true\n", f) == EOF || fclose(f))
		suite_fatal("%s: %m", RULES);
}

static void open_storm(void)
{
	struct worker_spec spec = { .comm = "ballast", .adj = -1000 };
	size_t i;

	for (i = 0; i < N_CGROUPS; i++) {
		cgroup_make(cgroups[i].path);
		if (cgroups[i].max_mib)
			cgroup_set_mib(cgroups[i].path, "memory.max", cgroups[i].max_mib);
		cgroup_ids[i] = cgroup_id(cgroups[i].path);
	}
	proc_drop_caches();
	if (proc_mem_mib("MemFree") > FREE_MIB) {
		spec.anon_kib = (unsigned int)(proc_mem_mib("MemFree") - FREE_MIB) * 1024;
		ballast = worker_start(&spec);
		worker_wait_ready(ballast);
	}
	spec.comm = "protected";
	spec.anon_kib = 2048;
	for (i = 0; i < N_PLACES; i++) {
		spec.cgroup = places[i];
		protected[i] = worker_start(&spec);
		worker_wait_ready(protected[i]);
	}
	proc_census(&before);
	write_rules();
	kmsg_clear();
	storm.vmstat_before = proc_vmstat("oom_kill");
}

static void close_storm(void)
{
	int64_t counted = proc_vmstat("oom_kill") - storm.vmstat_before;
	unsigned int i, logged = 0;

	suite_run_begin("the end of it", 1);
	for (i = 0; i < BOMBS; i++) {
		if (bombs[i].w)
			end_bomb(&bombs[i]);
	}
	for (i = 0; i < N_KEPT; i++)
		worker_end(kept[i]);
	excuse();
	counted = proc_vmstat("oom_kill") - storm.vmstat_before;
	for (i = 0; i < storm.n; i++)
		logged += ledger[i].logged;
	expect_whole_log();
	if (counted != logged)
		suite_fail("/proc/vmstat counts %lld kills, the kernel logged %u",
			   (long long)counted, logged);
	if (!logged)
		suite_fail("a storm in which nobody was killed");
	for (i = 0; i < N_PLACES; i++) {
		if (!worker_alive(protected[i]))
			suite_fail("a protected process was %s", worker_fate(protected[i]));
	}
	if (!suite_wait(unchanged, &before, SUITE_STEP_MS))
		suite_fail("somebody's oom_score_adj is not what it was, or he is gone");
	suite_run_end();
	printf("storm: %u processes started, %u killed, of which told: oomx %u (%u by signal), "
	       "the kernel %u; oomx ended %u times, replaced %u times\n",
	       storm.started, logged, storm.own, storm.told_only, storm.kernels, storm.restarts,
	       storm.replaced);
	printf("storm: %u records of the kernel log were lost; of those that a rule keeps the kernel took "
	       "%u\n", kmsg_lost(), storm.kept_died);
	worker_end_all();
	for (i = N_CGROUPS; i-- > 0;)
		cgroup_remove(cgroups[i].path);
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 1 };
	unsigned int epoch;

	suite_begin("storm", argc, argv, &o);
	open_storm();
	storm.end_ns = suite_now_ns() + (uint64_t)(o.seconds ?: o.runs * 60) * 1000000000;
	for (epoch = 1; suite_now_ns() < storm.end_ns; epoch++) {
		suite_run_begin("epoch", epoch);
		start_daemon(o.hook, false);
		rage((unsigned int)suite_random(EPOCH_MS_MIN, EPOCH_MS_MAX));
		if (suite_random(0, 1)) { /* another one takes over, in the middle of it */
			start_daemon(o.hook, true);
			rage((unsigned int)suite_random(EPOCH_MS_MIN, EPOCH_MS_MAX));
		}
		daemon_require();
		end_daemon();
		suite_run_end();
	}
	close_storm();
	return suite_end();
}
