// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_kmod - the kernel module by itself, with programs that answer as they are told. --only
 * takes one part:
 *
 *   hostile  wrong answers: the kernel's own victim dies, and the module says why
 *   cycles   load, attach, replace, detach, unload while memory keeps running out
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../bpf/chooser.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/kmsg.h"
#include "lib/module.h"
#include "lib/scene.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define ENDLESS_NS 2000000000ULL /* twice the module's budget */
#define LATE_MAX 3		 /* kmod/oomx.c */
#define STORM_CGROUP "/storm"
#define STORM_MIB 24
#define STORMS 2
#define REPLACEMENTS 10

/* ---- hostile --------------------------------------------------------------------------------- */

static struct {
	struct bpf_object *obj;
	struct chooser *ch;
	struct bpf_link *link;
} c;

static struct bpf_map *ops(const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(c.obj, name);

	if (!map)
		suite_fatal("chooser: no map %s", name);
	return map;
}

static void chooser_open(void)
{
	c.obj = testbpf_load("chooser", NULL);
	c.ch = testbpf_memory(c.obj, "chooser", sizeof(*c.ch));
	c.ch->loop_ns = ENDLESS_NS;
}

static void chooser_attach(void)
{
	c.link = bpf_map__attach_struct_ops(ops("ops_a"));
	if (!c.link)
		suite_fatal("chooser cannot be attached: %s", strerror(errno));
}

static void chooser_replace(const char *name)
{
	int err = bpf_link__update_map(c.link, ops(name));

	if (err)
		suite_fatal("chooser cannot be replaced: %s", strerror(-err));
}

static void chooser_detach(void)
{
	bpf_link__destroy(c.link);
	c.link = NULL;
}

static void chooser_close(void)
{
	bpf_object__close(c.obj);
	c.obj = NULL;
	c.ch = NULL; /* its mapping goes with this process, and is small */
}

/* Whom a hostile program names. Workers outlive the runs, but for `dead`. */
static struct {
	struct worker *foreign, *protected;
	pid_t dead;
} people;

enum whom { NUMBER, FOREIGN, PROTECTED, DEAD };

static const struct hostile {
	const char *name;
	__u32 mode;
	enum whom whom;
	int number;
	const char *counter;
	bool memcg_only;
} hostiles[] = {
	{ "abstains", CHOOSER_ANSWER, NUMBER, 0, "abstained", false },
	{ "fails", CHOOSER_ANSWER, NUMBER, -EIO, "failed", false },
	{ "names init", CHOOSER_ANSWER, NUMBER, 1, "refused", false },
	{ "names a kernel thread", CHOOSER_ANSWER, NUMBER, 2, "refused", false },
	{ "names nobody", CHOOSER_ANSWER, NUMBER, 0x7fffffff, "refused", false },
	{ "names one who is dead", CHOOSER_ANSWER, DEAD, 0, "refused", false },
	{ "names one outside", CHOOSER_ANSWER, FOREIGN, 0, "refused", true },
	{ "names one at -1000", CHOOSER_ANSWER, PROTECTED, 0, "refused", false },
	{ "never ends", CHOOSER_ENDLESS, NUMBER, 0, "late", false },
};

static int answer(const struct hostile *h)
{
	switch (h->whom) {
	case FOREIGN:
		return worker_pid(people.foreign);
	case PROTECTED:
		return worker_pid(people.protected);
	case DEAD:
		return people.dead;
	default:
		return h->number;
	}
}

static void hostile_people(void)
{
	const struct worker_spec foreign = { .comm = "foreign", .anon_kib = 1024 };
	const struct worker_spec protected = { .comm = "protected", .cgroup = SCENE_H2,
					       .adj = -1000, .anon_kib = 1024 };
	const struct worker_spec dead = { .comm = "dead", .anon_kib = 64 };
	struct worker *w = worker_start(&dead);

	people.foreign = worker_start(&foreign);
	people.protected = worker_start(&protected);
	worker_wait_ready(people.foreign);
	worker_wait_ready(people.protected);
	worker_wait_ready(w);
	people.dead = worker_pid(w);
	worker_end(w);
}

static void expect_asked(struct scene *s, __u64 calls, __u64 steps)
{
	if (c.ch->calls[0] + c.ch->calls[1] == calls)
		suite_fail("expected the program to be asked");
	if (!c.ch->cgroup_id != s->global ||
	    (!s->global && c.ch->cgroup_id != cgroup_id(SCENE_CGROUP)) ||
	    c.ch->trigger != (__u32)worker_pid(s->hp) || c.ch->order < 0)
		suite_fail("asked about cgroup %llu, trigger %u, order %d",
			   (unsigned long long)c.ch->cgroup_id, c.ch->trigger, c.ch->order);
	if (c.ch->mode == CHOOSER_ENDLESS && c.ch->steps == steps)
		suite_fail("expected the program to work without end");
}

static void hostile_run(struct scene *s, const struct hostile *h)
{
	__u64 calls = c.ch->calls[0] + c.ch->calls[1];
	struct module_counters before;

	c.ch->mode = h->mode;
	c.ch->answer = answer(h);
	c.ch->steps = 0;
	module_counters(&before);
	if (scene_play(s)) {
		scene_expect_victim(s, s->hp);
		expect_asked(s, calls, 0);
		module_expect_counted(&before, h->counter, LATE_MAX);
		scene_expect_others_unchanged(s);
	}
	if (!worker_alive(people.foreign) || !worker_alive(people.protected))
		suite_fail("expected those outside and those at -1000 to live");
	scene_clear(s);
}

static void play_hostile(bool global, const struct suite_options *o)
{
	char what[64];
	static struct scene s;
	unsigned int i, k;

	scene_open(&s, global, o->triggers);
	hostile_people();
	chooser_open();
	chooser_attach();
	for (k = 0; k < sizeof(hostiles) / sizeof(hostiles[0]); k++) {
		if (global && hostiles[k].memcg_only)
			continue;
		snprintf(what, sizeof(what), "%s %s", global ? "global" : "memcg", hostiles[k].name);
		for (i = 1; i <= o->runs; i++) {
			chooser_replace(i % 2 ? "ops_b" : "ops_a"); /* who was late is asked again */
			suite_run_begin(what, i);
			hostile_run(&s, &hostiles[k]);
			suite_run_end();
		}
		suite_times(what);
	}
	chooser_detach();
	chooser_close();
	worker_end(people.foreign);
	worker_end(people.protected);
	scene_close(&s);
}

/* One that is always late is not asked for ever; the kernel goes on by itself. */
static void play_breaker(void)
{
	const struct hostile *endless = &hostiles[sizeof(hostiles) / sizeof(hostiles[0]) - 1];
	static struct scene s;
	__u64 calls;
	unsigned int i;

	scene_open(&s, false, 1);
	chooser_open();
	chooser_attach();
	suite_run_begin("breaker", 1);
	c.ch->mode = endless->mode;
	for (i = 0; i <= LATE_MAX; i++) {
		if (scene_play(&s))
			scene_expect_victim(&s, s.hp);
		scene_clear(&s);
	}
	calls = c.ch->calls[0];
	if (calls != LATE_MAX)
		suite_fail("expected it to be asked %d times, was %llu", LATE_MAX,
			   (unsigned long long)calls);
	suite_run_end();
	chooser_detach();
	chooser_close();
	scene_close(&s);
}

/* What the module must not take; and two at once. */
static void play_refusals(void)
{
	char path[TESTBPF_PATH_LEN];
	struct bpf_object *obj;
	struct bpf_link *link;

	suite_run_begin("refusals", 1);
	chooser_open();
	chooser_attach();
	link = bpf_map__attach_struct_ops(ops("ops_b"));
	if (link || errno != EBUSY)
		suite_fail("expected a second program to be refused as busy");
	bpf_link__destroy(link);
	chooser_detach();
	link = bpf_map__attach_struct_ops(ops("ops_other_abi"));
	if (link || errno != EPROTONOSUPPORT)
		suite_fail("expected a program for another ABI to be refused");
	bpf_link__destroy(link);
	link = bpf_map__attach_struct_ops(ops("ops_nothing"));
	if (link || errno != EINVAL)
		suite_fail("expected ops without a program to be refused");
	bpf_link__destroy(link);
	chooser_close();
	testbpf_path("sleeper", path);
	obj = bpf_object__open_file(path, NULL);
	if (!obj || !bpf_object__load(obj))
		suite_fail("expected a program that may sleep to be refused");
	bpf_object__close(obj);
	suite_run_end();
}

/* ---- cycles ---------------------------------------------------------------------------------- */

/* Memory keeps running out in one cgroup, and somebody keeps asking for badness. */
static const char storm_script[] =
	"exec 2>/dev/null; while :; do (echo $BASHPID >" CGROUP_ROOT STORM_CGROUP "/cgroup.procs;"
	" exec tail /dev/zero); done";
static const char reader_script[] =
	"exec 2>/dev/null; while :; do cat /proc/[0-9]*/oom_score >/dev/null; done";

static struct {
	pid_t pids[STORMS + 1];
	int fds[2 * (STORMS + 1)];
	unsigned int n;
} storm;

static void storm_start(const char *script)
{
	const char *const argv[] = { "/bin/bash", "-c", script, NULL };
	int err = command_spawn(argv, 0, &storm.pids[storm.n], &storm.fds[2 * storm.n],
				&storm.fds[2 * storm.n + 1]);

	if (err)
		suite_fatal("bash cannot be started: %s", strerror(-err));
	storm.n++;
}

static void storm_begin(void)
{
	unsigned int i;

	cgroup_make(STORM_CGROUP);
	cgroup_set_mib(STORM_CGROUP, "memory.max", STORM_MIB);
	if (proc_write("/proc/sys/vm/oom_dump_tasks", "0"))
		suite_fatal("vm.oom_dump_tasks cannot be set");
	for (i = 0; i < STORMS; i++)
		storm_start(storm_script);
	storm_start(reader_script);
}

static void storm_end(void)
{
	while (storm.n--)
		kill(storm.pids[storm.n], SIGKILL);
	storm.n = 0;
	cgroup_set(STORM_CGROUP, "cgroup.kill", "1");
	cgroup_remove(STORM_CGROUP);
}

struct progress {
	const char *counter;
	int64_t from;
};

static bool progressed(void *arg)
{
	const struct progress *p = arg;

	kmsg_clear(); /* kills are many here; what else is in the log counts */
	return module_number(p->counter) > p->from;
}

static void await_more(const char *counter)
{
	struct progress p = { counter, module_number(counter) };

	if (!suite_wait(progressed, &p, SUITE_STEP_MS))
		suite_fail("the program is not asked any more, or not obeyed (%s)", counter);
}

/* One program for another: every question in between finds one of the two. */
static void replace_often(void)
{
	struct module_counters now;
	__u64 calls;
	unsigned int i;

	for (i = 0; i < REPLACEMENTS; i++) {
		chooser_replace(i % 2 ? "ops_a" : "ops_b");
		await_more("chosen");
	}
	chooser_detach();
	module_counters(&now);
	calls = c.ch->calls[0] + c.ch->calls[1];
	if (now.n[MODULE_ASKED] != (int64_t)calls || now.n[MODULE_ABSTAINED] ||
	    now.n[MODULE_FAILED] || now.n[MODULE_LATE])
		suite_fail("%lld questions, %llu calls: abstained %lld, failed %lld, late %lld",
			   (long long)now.n[MODULE_ASKED], (unsigned long long)calls,
			   (long long)now.n[MODULE_ABSTAINED], (long long)now.n[MODULE_FAILED],
			   (long long)now.n[MODULE_LATE]);
	if (!c.ch->calls[0] || !c.ch->calls[1])
		suite_fail("expected both programs to be asked");
}

static void play_cycles(const struct suite_options *o)
{
	int64_t kills;
	unsigned int i;

	storm_begin();
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin("cycle", i);
		kills = proc_vmstat("oom_kill");
		module_load();
		chooser_open();
		c.ch->mode = CHOOSER_TRIGGER;
		chooser_attach();
		replace_often();
		chooser_close();
		module_unload();
		if (proc_vmstat("oom_kill") - kills < REPLACEMENTS)
			suite_fail("expected memory to keep running out");
		kmsg_clear();
		suite_run_end();
	}
	storm_end();
	suite_times("cycle");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void play_all_hostile(const struct suite_options *o)
{
	module_load();
	play_refusals();
	if (o->domains & SUITE_DOMAIN_MEMCG)
		play_hostile(false, o);
	if (o->domains & SUITE_DOMAIN_GLOBAL)
		play_hostile(true, o);
	play_breaker();
	module_unload();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 3, .domains = SUITE_DOMAIN_BOTH, .triggers = 1 };

	suite_begin("kmod", argc, argv, &o);
	if (!o.only || !strcmp(o.only, "hostile"))
		play_all_hostile(&o);
	if (!o.only || !strcmp(o.only, "cycles"))
		play_cycles(&o);
	return suite_end();
}
