// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_scale - 10,000 cgroups and 200 rules: what oomx takes for them, how soon a new cgroup is
 * under its own rule, what a new reading of the rules costs; next to what the kernel or a plain
 * walk takes for the same in the same minute. Only ratios are looked at.
 *
 * No number makes the suite fail. What fails is an entry that is wrong, missing or left behind; a
 * cgroup that is not covered by its nearest ancestor at once, with oomx held still; and an oomx
 * that does not come to rest.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "cgroup.h"
#include "engine.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/suite.h"
#include "scale/scale.h"
#include "scale/series.h"
#include "scale/usage.h"

#define NEW 200 /* cgroups, one by one */
#define REREADS 5
/* Longer than oomx ever waits before it asks again whose a new cgroup is: then it has given up. */
#define REST_MS 15000

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct scale scale = { .n = 10000 };

static struct {
	struct usage bare, ruled; /* without rules; with them, and without cgroups of ours */
	char context[160];	  /* of the numbers: a part of a JSON object */
} numbers;

/* ---- numbers --------------------------------------------------------------------------------- */

static double per_cgroup(uint64_t with, uint64_t without)
{
	return ((double)with - (double)without) / scale.n;
}

static void tell_memory(const struct usage *full)
{
	const struct usage *bare = &numbers.bare, *ruled = &numbers.ruled;

	printf("memory, user space: %.0f KiB, with %u rules %.0f KiB, and %.0f bytes a cgroup\n",
	       (double)bare->user_bytes / 1024, SCALE_RULES, (double)ruled->user_bytes / 1024,
	       per_cgroup(full->user_bytes, ruled->user_bytes));
	printf("memory, BPF: %.0f KiB, with %u rules %.0f KiB, and %.0f bytes a cgroup%s\n",
	       (double)bare->kernel_bytes / 1024, SCALE_RULES, (double)ruled->kernel_bytes / 1024,
	       per_cgroup(full->kernel_bytes, ruled->kernel_bytes),
	       full->kernel_bytes == ruled->kernel_bytes ?
		       " (this kernel tells what maps have room for, not what they use)" : "");
	printf("{\"measure\":\"memory\",%s,\"user_bare\":%llu,\"user_rules\":%llu,\"user_all\":%llu,"
	       "\"bpf_bare\":%llu,\"bpf_rules\":%llu,\"bpf_all\":%llu}\n", numbers.context,
	       (unsigned long long)bare->user_bytes, (unsigned long long)ruled->user_bytes,
	       (unsigned long long)full->user_bytes, (unsigned long long)bare->kernel_bytes,
	       (unsigned long long)ruled->kernel_bytes, (unsigned long long)full->kernel_bytes);
}

/* ---- oomx ------------------------------------------------------------------------------------ */

/* Until no thread of it was given a CPU for a while: it waits for events, and does not look. */
static bool comes_to_rest(void)
{
	uint64_t since_ns = suite_now_ns(), end_ns = since_ns + SCALE_ALL_MS * 1000000ULL;
	uint64_t last = usage_switches(), now;

	while (suite_now_ns() < end_ns) {
		suite_sleep(500);
		now = usage_switches();
		if (now != last)
			since_ns = suite_now_ns();
		else if (suite_now_ns() - since_ns >= REST_MS * 1000000ULL)
			return true;
		last = now;
	}
	return false;
}

static void start(const struct suite_options *o, const char *rules, const char *file)
{
	daemon_start(ARGS("--enforce", "--hook", o->hook, "--policy", "priority", rules, file));
	scale.prio_map = ox_engine_pinned("oomx_prio");
	scale.config_map = ox_engine_pinned("oomx_config");
	if (scale.prio_map < 0 || scale.config_map < 0)
		suite_fatal("oomx has pinned no maps");
	if (!comes_to_rest())
		suite_fail("oomx with nothing to do does not come to rest");
}

static void stop(void)
{
	close(scale.prio_map);
	close(scale.config_map);
	daemon_stop();
}

static __u32 generation(void)
{
	struct oomx_config c;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(scale.config_map, &zero, &c))
		suite_fatal("cannot read oomx's configuration: %m");
	return c.rules_generation;
}

/* ---- what is measured ------------------------------------------------------------------------ */

static void play_base(const struct suite_options *o, unsigned int run)
{
	suite_run_begin("base", run);
	start(o, "--no-rules", NULL);
	usage_memory(&numbers.bare);
	stop();
	suite_run_end();
}

/* All of them, one after the other, while oomx runs. */
static void play_tree(unsigned int run)
{
	struct series s = { .measure = "tree", .what = "making all: CPU time of oomx",
			    .theirs_are = "the time of the mkdirs" };
	uint64_t start_ns, cpu_ns, mkdirs_ns = 0;
	char path[CGROUP_PATH_LEN];
	unsigned int i, k;
	__u64 *id = scale.ids;

	suite_run_begin("tree", run);
	cpu_ns = usage_cpu_ns();
	start_ns = suite_now_ns();
	for (i = 0; i < SCALE_PARENTS; i++) {
		for (k = 0; k <= scale.each; k++) {
			scale_path(i, k, path);
			mkdirs_ns += scale_make(path, id++);
			if (!k) /* as on machines where each has a limit */
				cgroup_set(path, "cgroup.subtree_control", "+memory");
		}
	}
	printf("%u cgroups in %.1f s", scale.n, (double)(suite_now_ns() - start_ns) / 1e9);
	scale_wait_for_all();
	printf(", under their rules after %.1f s\n", (double)(suite_now_ns() - start_ns) / 1e9);
	series_add(&s, usage_cpu_ns() - cpu_ns, mkdirs_ns);
	scale_expect_all();
	series_tell(&s, numbers.context);
	suite_run_end();
}

/* One by one: from mkdir's begin until its own rule is in force for it. */
static void play_new(const char *name, struct series *s, unsigned int run)
{
	char path[CGROUP_PATH_LEN + sizeof(CGROUP_ROOT)];
	static __u64 ids[NEW];
	struct oomx_prio p;
	uint64_t start_ns, made_ns;
	unsigned int i;

	suite_run_begin(name, run);
	for (i = 0; i < NEW; i++) {
		snprintf(path, sizeof(path), SCALE_TOP "/p%02u/wn%u", i % SCALE_PARENTS, i);
		start_ns = suite_now_ns();
		made_ns = scale_make(path, &ids[i]);
		while (!scale_entry(ids[i], &p))
			if (suite_now_ns() - start_ns > SUITE_STEP_MS * 1000000ULL)
				suite_fatal("%s is not under its rule", path);
		series_add(s, suite_now_ns() - start_ns, made_ns);
		if (p.priority != scale_wanted(i % SCALE_PARENTS, false))
			suite_fail("%s has priority %d, expected %d", path, p.priority,
				   scale_wanted(i % SCALE_PARENTS, false));
	}
	for (i = 0; i < NEW; i++) {
		snprintf(path, sizeof(path), CGROUP_ROOT SCALE_TOP "/p%02u/wn%u", i % SCALE_PARENTS, i);
		if (rmdir(path))
			suite_fatal("%s: %m", path);
	}
	scale_expect_all();
	suite_run_end();
	series_tell(s, numbers.context);
}

static int visit(void *ctx, const char *path, __u64 id)
{
	(void)path;
	(void)id;
	++*(unsigned int *)ctx;
	return 0;
}

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool newer(void *arg)
{
	return generation() != *(__u32 *)arg;
}

/* Of parent i: all its cgroups with a rule of their own are under the new one. */
static bool complete(unsigned int i)
{
	const __u64 *ids = &scale.ids[i * (scale.each + 1)];
	unsigned int k;

	for (k = 1; k <= scale.own; k++)
		if (!scale_is(ids[k], scale_wanted(i, false)))
			return false;
	return true;
}

/*
 * A parent that the reading is through with, in *arg: one that is complete when another is not, and
 * is under its own new rule: a tree is walked one directory after the other.
 */
static bool passed(void *arg)
{
	bool any = false, on = false;
	unsigned int i;

	for (i = 0; i < SCALE_PARENTS; i++) {
		if (!scale_is(scale.ids[i * (scale.each + 1)], scale_wanted(i, true)))
			continue;
		if (complete(i)) {
			any = true;
			*(unsigned int *)arg = i;
		} else {
			on = true;
		}
	}
	return any && on;
}

/* One that is made while the rules are read anew is under its own before that is over. */
static void new_meanwhile(struct series *s, __u32 old)
{
	char path[sizeof(CGROUP_ROOT) + CGROUP_PATH_LEN];
	struct oomx_prio p = {};
	uint64_t start_ns, made_ns;
	unsigned int i = 0;
	__u64 id;

	if (!suite_wait(passed, &i, SCALE_ALL_MS))
		suite_fatal("the rules are not read anew");
	snprintf(path, sizeof(path), CGROUP_ROOT SCALE_TOP "/p%02u/w-meanwhile", i);
	start_ns = suite_now_ns();
	made_ns = scale_make(path + strlen(CGROUP_ROOT), &id);
	while (!scale_entry(id, &p))
		if (suite_now_ns() - start_ns > SCALE_ALL_MS * 1000000ULL)
			suite_fatal("%s is not under its rule", path);
	series_add(s, suite_now_ns() - start_ns, made_ns);
	if (newer(&old) || p.priority != scale_wanted(i, false))
		suite_fail("made while the rules are read: expected priority %d meanwhile, got %d%s",
			   scale_wanted(i, false), p.priority, newer(&old) ? " afterwards" : "");
	if (rmdir(path))
		suite_fatal("%s: %m", path);
}

/* Every priority changes: until the last cgroup has the new one, and CPU time until all is done. */
static void play_rereads(unsigned int run)
{
	struct series meanwhile = { .measure = "reread_new", .theirs_are = "the mkdir",
				    .what = "a new cgroup, while rules are read: until it is ruled" };
	struct series time = { .measure = "reread", .theirs_are = "a plain walk",
			       .what = "rules read anew: until all cgroups are under them" };
	struct series cpu = { .measure = "reread_cpu", .theirs_are = "a plain walk's",
			      .what = "rules read anew: CPU time" };
	uint64_t start_ns, took_ns, cpu_ns, walk_ns, walk_cpu_ns;
	unsigned int i, seen;
	__u32 old;

	suite_run_begin("reread", run);
	for (i = 0; i < REREADS; i++) {
		seen = 0;
		walk_ns = suite_now_ns();
		walk_cpu_ns = own_cpu_ns();
		if (ox_cgroup_walk(visit, &seen) || seen < scale.n)
			suite_fatal("saw %u cgroups of %u", seen, scale.n);
		walk_cpu_ns = own_cpu_ns() - walk_cpu_ns;
		walk_ns = suite_now_ns() - walk_ns;

		old = generation();
		cpu_ns = usage_cpu_ns();
		scale_write_rules(!scale.turn);
		start_ns = suite_now_ns();
		if (kill(daemon_pid(), SIGHUP))
			suite_fatal("SIGHUP: %m");
		new_meanwhile(&meanwhile, old);
		scale_wait_for_all();
		took_ns = suite_now_ns() - start_ns;
		if (!suite_wait(newer, &old, SCALE_ALL_MS))
			suite_fatal("the rules do not come in force");
		series_add(&time, took_ns, walk_ns);
		series_add(&cpu, usage_cpu_ns() - cpu_ns, walk_cpu_ns);
		scale_expect_all();
	}
	suite_run_end();
	series_tell(&time, numbers.context);
	series_tell(&cpu, numbers.context);
	series_tell(&meanwhile, numbers.context);
}

static void play_rest(unsigned int run)
{
	uint64_t cpu_ns = usage_cpu_ns();
	struct usage full;

	suite_run_begin("rest", run);
	if (comes_to_rest())
		printf("at rest: no thread of oomx was given a CPU for %d s; until then it used %.0f ms\n",
		       REST_MS / 1000, (double)(usage_cpu_ns() - cpu_ns) / 1e6);
	else
		suite_fail("oomx does not come to rest among %u cgroups", scale.n);
	usage_memory(&full);
	tell_memory(&full);
	suite_run_end();
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void play_gone(unsigned int run)
{
	unsigned int i, k;

	suite_run_begin("gone", run);
	for (i = 0; i < SCALE_PARENTS; i++)
		for (k = scale.each + 1; k-- > 0;)
			scale_remove(i, k);
	scale_expect_entries(scale.before);
	if (!comes_to_rest())
		suite_fail("oomx does not come to rest when the cgroups are gone");
	suite_run_end();
}

static void play(const struct suite_options *o, unsigned int run)
{
	struct series busy = { .measure = "new_busy", .theirs_are = "the mkdir",
			       .what = "a new cgroup, right after all others: until it is ruled" };
	struct series calm = { .measure = "new", .theirs_are = "the mkdir",
			       .what = "a new cgroup: until it is ruled" };

	play_base(o, run);
	cgroup_make(SCALE_TOP);
	cgroup_set(SCALE_TOP, "cgroup.subtree_control", "+memory");
	scale_write_rules(0);
	start(o, "--rules", SCALE_FILE);
	usage_memory(&numbers.ruled);
	scale.before = scale_entries();
	play_tree(run);
	play_new("busy", &busy, run);
	play_rest(run);
	play_new("new", &calm, run);
	play_rereads(run);
	if (!comes_to_rest())
		suite_fail("oomx does not come to rest after the rules were read");
	scale_play_inherit(run);
	play_gone(run);
	stop();
	cgroup_remove(SCALE_TOP);
}

/* --cgroups N is this suite's own; the others are everybody's. */
static void take_options(int *argc, char **argv)
{
	int i, n = 1;

	for (i = 1; i < *argc; i++) {
		if (i + 1 < *argc && !strcmp(argv[i], "--cgroups"))
			scale.n = (unsigned int)strtoul(argv[++i], NULL, 10);
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	*argc = n;
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 1 };
	struct utsname u;
	unsigned int run;

	take_options(&argc, argv);
	suite_begin("scale", argc, argv, &o);
	if (scale.n < 3 * SCALE_PARENTS || scale.n > 60000 || scale.n % SCALE_PARENTS)
		suite_fatal("--cgroups: expected a multiple of %d from %d to 60000", SCALE_PARENTS,
			    3 * SCALE_PARENTS);
	uname(&u);
	snprintf(numbers.context, sizeof(numbers.context),
		 "\"kernel\":\"%s\",\"cgroups\":%u,\"rules\":%d", u.release, scale.n, SCALE_RULES);
	scale.each = scale.n / SCALE_PARENTS - 1;
	scale.own = scale.each - (scale.each + 9) / 10;
	scale.ids = calloc(scale.n, sizeof(*scale.ids));
	if (!scale.ids)
		suite_fatal("no memory");
	mkdir(SCALE_DIR, 0755);
	for (run = 1; run <= o.runs; run++)
		play(&o, run);
	free(scale.ids);
	return suite_end();
}
