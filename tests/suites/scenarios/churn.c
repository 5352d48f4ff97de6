// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * churn.c - a thousand containers come and go while others run out of memory: each has the rule of
 * its own name, also where another of the same path had another one a moment ago; each kill names
 * its container; and nothing is left of them in oomx's maps.
 */
#include "scenarios/scenarios.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bpfcount.h"
#include "lib/cast.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/ruled.h"

#define CONTAINERS 1000
#define OOM_EVERY 50  /* containers */
#define OOM_LASTS 25  /* so many come and go from its begin to when it is looked at */
#define ASK_EVERY 20  /* one of so many is asked about: that takes a moment */
#define AGAIN_MIB 20
#define NEW_MIB 12
#define DOCKER "/docker"
#define STATE "/var/lib/docker/containers"

#define RULES                                                                                      \
	"rules:\n"                                                                                 \
	"- name: cheap\n  match: {container: {name: \"cheap-*\"}}\n  class: 2\n"                   \
	"- name: dear\n  match: {container: {name: \"dear-*\"}}\n  priority: 500\n"

/* What of oomx's grows with cgroups and processes. */
static const char *const maps[] = { "oomx_prio", "oomx_procs", "oomx_groups", "oomx_raised",
				    "oomx_rules" };
#define N_MAPS (sizeof(maps) / sizeof(maps[0]))

static struct cast cast;

/* ---- containers ------------------------------------------------------------------------------ */

struct container {
	char name[32], cgroup[CGROUP_PATH_LEN], dir[128];
	const char *rule;
};

/* Of the kind, with a name that says so, as Docker keeps it; id: two of one id are never there. */
static void make(struct container *c, const char *kind, unsigned int id)
{
	char path[160];
	FILE *f;

	snprintf(c->name, sizeof(c->name), "%s-%u", kind, id);
	snprintf(c->cgroup, sizeof(c->cgroup), DOCKER "/%064x", id);
	snprintf(c->dir, sizeof(c->dir), STATE "/%064x", id);
	snprintf(path, sizeof(path), "%s/config.v2.json", c->dir);
	c->rule = strcmp(kind, "plain") ? kind : RULED_NONE;
	if (mkdir(c->dir, 0755) || !(f = fopen(path, "we")))
		suite_fatal("cannot make %s: %s", path, strerror(errno));
	fprintf(f, "{\"Name\":\"/%s\"}", c->name);
	fclose(f);
	cgroup_make(c->cgroup);
}

static void expect_rule(const struct container *c)
{
	ruled_expect(c->cgroup, c->rule, strcmp(c->rule, RULED_NONE) ? c->cgroup : "");
}

static void unmake(const struct container *c)
{
	char path[160];

	cgroup_remove(c->cgroup);
	snprintf(path, sizeof(path), "%s/config.v2.json", c->dir);
	unlink(path);
	rmdir(c->dir);
}

/* One that comes and goes. */
static void come_and_go(unsigned int i)
{
	static const char *const kinds[] = { "cheap", "dear", "plain" };
	struct container c;

	make(&c, kinds[i % 3], i);
	if (i % ASK_EVERY == 0)
		expect_rule(&c);
	unmake(&c);
}

/* ---- an OOM meanwhile ------------------------------------------------------------------------ */

#define AGAIN_ID 1000000 /* the one whose id comes again */
#define NEW_ID 2000000	 /* and the new ones' */
#define GROW_ID 3000000

static struct container again, new, grower;
static struct worker *victim;
static const struct container *victims;

static struct worker *add(const struct container *c, const char *comm, int adj, unsigned int mib,
			  bool meant)
{
	const struct worker_spec spec = { .comm = comm, .cgroup = c->cgroup, .adj = adj,
					  .anon_kib = mib * 1024 };

	return cast_add(&cast, &spec, meant);
}

/*
 * The one that has been here before was cheap then and is dear now, or the other way round; the new
 * one is what it is not. It is the larger.
 */
static void oom_begin(unsigned int turn)
{
	const struct worker_growth g = { .mib = 4 + NEW_MIB / 2, .threads = 1 };
	bool dear = turn % 2;
	struct worker *w, *trigger;

	make(&again, dear ? "cheap" : "dear", AGAIN_ID);
	expect_rule(&again);
	unmake(&again);
	make(&again, dear ? "dear" : "cheap", AGAIN_ID);
	make(&new, dear ? "cheap" : "dear", NEW_ID + turn);
	make(&grower, "plain", GROW_ID + turn);
	expect_rule(&again);
	expect_rule(&new);
	expect_rule(&grower);
	cast_open(&cast);
	w = add(&again, "again", 0, AGAIN_MIB, !dear);
	victim = add(&new, "new", 0, NEW_MIB, dear);
	trigger = add(&grower, "grow", -999, 1, false);
	victims = dear ? &new : &again;
	victim = dear ? victim : w;
	cast_ready(&cast);
	cgroup_set_mib(DOCKER, "memory.max",
		       (unsigned int)(cgroup_number(DOCKER, "memory.current") >> 20) + 4);
	cast.trigger = trigger;
	worker_grow(trigger, &g);
}

static void expect_name(const char *what, const struct event_container *c, const char *name)
{
	if (strcmp(c->name, name) || strcmp(c->runtime, "docker") || !c->confirmed)
		suite_fail("expected container %s of %s, found %s (runtime %s%s)", name, what, c->name,
			   c->runtime, c->confirmed ? "" : ", not confirmed");
}

static void oom_end(void)
{
	const struct event *e;
	unsigned int i, n, kills = 0;

	if (cast_await(&cast))
		cast_expect_dead(&cast);
	n = daemon_events(&e);
	for (i = 0; i < n; i++) {
		/* a new cgroup is charged to the one it is in: that may be us, then */
		if (e[i].type == OOMX_REC_OOM && e[i].who.pid != getpid())
			expect_name("the trigger", &e[i].trigger_container, grower.name);
		if (e[i].type != OOMX_REC_KILL && e[i].type != OOMX_REC_KERNEL_KILL)
			continue;
		kills++;
		expect_name("the kill", &e[i].container, victims->name);
		if (strcmp(e[i].rule, victims->rule) || e[i].type != OOMX_REC_KILL)
			suite_fail("expected a kill by rule %s, found %s", victims->rule, e[i].rule);
	}
	if (kills != 1 || kmsg_kills(NULL) != 1 || kmsg_kills_of(worker_pid(victim)) != 1)
		suite_fail("expected one kill, of %s; told are %u, the kernel logged %u",
			   victims->name, kills, kmsg_kills(NULL));
	if (suite_run_failed())
		daemon_complain_events();
	cast_close(&cast);
	cgroup_set(DOCKER, "memory.max", "max");
	unmake(&again);
	unmake(&new);
	unmake(&grower);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int entries(size_t map)
{
	char pin[64];

	snprintf(pin, sizeof(pin), "/sys/fs/bpf/oomx/%s", maps[map]);
	return bpf_map_entries(pin);
}

static bool as_before(void *arg)
{
	const int *before = arg;
	size_t i;

	for (i = 0; i < N_MAPS; i++) {
		if (entries(i) != before[i])
			return false;
	}
	return true;
}

static void play(void)
{
	unsigned int i, ooms = 0;
	int before[N_MAPS];
	size_t m;

	for (m = 0; m < N_MAPS; m++) {
		before[m] = entries(m);
		if (before[m] < 0)
			suite_fatal("%s: %s", maps[m], strerror(-before[m]));
	}
	for (i = 0; i < CONTAINERS; i++) {
		if (i % OOM_EVERY == 0) {
			if (suite_run_failed())
				break;
			oom_begin(ooms++);
		}
		come_and_go(i);
		if (i % OOM_EVERY == OOM_LASTS)
			oom_end();
	}
	if (!suite_wait(as_before, before, SUITE_STEP_MS)) {
		for (m = 0; m < N_MAPS; m++)
			suite_fail("%s has %d entries, and had %d", maps[m], entries(m), before[m]);
	}
}

void churn_play(const struct suite_options *o, unsigned int runs)
{
	unsigned int run;

	mkdir("/var/lib/docker", 0755);
	mkdir(STATE, 0755);
	scenario_make(DOCKER);
	scenario_start_oomx(o->hook, NULL, RULES);
	for (run = 1; run <= runs; run++) {
		suite_run_begin("churn", run);
		daemon_require();
		play();
		suite_run_end();
	}
	daemon_stop();
	scenario_remove_all();
	suite_times("churn");
}
