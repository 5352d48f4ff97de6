// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_limits - how much memory a cgroup's limit is about: swap counts, unless the kernel is told
 * not to swap. What oomx makes of it has to be the kernel's totalpages, and room the kernel's room.
 *
 * limits-v1 (--only v1) is the same with the memory controller in the hierarchy of cgroup v1, as
 * systemd has it in its "hybrid" layout: there is a limit of memory and swap together, and
 * priorities go by the cgroups of v2.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cast.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/swap.h"

#define V1_ROOT "/tmp/cgroup1"
#define V1 V1_ROOT "/c"
#define TOP "/c"
#define LP TOP "/lp"
#define HP TOP "/hp"

#define LIMIT_MIB 64
#define SWAP_LIMIT_MIB 16
#define SWAP_MIB 64
#define LP_MIB 24

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", LP "=-100", NULL };
/* The ids of the roots of both hierarchies are the same. */
static const char *const scoped[] = { "--enforce", "--policy", "priority", "--priority",
				      LP "=-100", "--scope", "/", NULL };

static const struct limits_case {
	const char *name;
	const char *const *args;
	unsigned int hp_mib;
	bool swap, swappiness;
	bool only_v1;
} cases[] = {
	{ "no swap", enforce, 50, false, true, false },
	{ "swap", enforce, 70, true, true, false },
	{ "no swapping", enforce, 50, true, false, false },
	{ "out of scope", scoped, 50, true, false, true },
};

static bool v1;

static void make(const char *dir)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		suite_fatal("%s: %s", dir, strerror(errno));
}

static void set(const char *path, long long value)
{
	char text[32];
	int err;

	snprintf(text, sizeof(text), "%lld", value);
	err = proc_write(path, text);
	if (err)
		suite_fatal("cannot write %s to %s: %s", text, path, strerror(-err));
}

static void open_cgroups(void)
{
	if (!v1) {
		cgroup_make(TOP);
		cgroup_make(LP);
		cgroup_make(HP);
		return;
	}
	cgroup_set("", "cgroup.subtree_control", "-memory");
	make(V1_ROOT);
	if (mount("cgroup", V1_ROOT, "cgroup", 0, "memory"))
		suite_fatal("cgroup v1 has no memory controller here: %s", strerror(errno));
	make(V1);
	make(CGROUP_ROOT TOP);
	make(CGROUP_ROOT LP);
	make(CGROUP_ROOT HP);
}

static void close_cgroups(void)
{
	cgroup_remove(HP);
	cgroup_remove(LP);
	cgroup_remove(TOP);
	if (v1 && (rmdir(V1) || umount(V1_ROOT)))
		suite_fail("cgroup v1 cannot be left: %s", strerror(errno));
}

static void set_limits(const struct limits_case *c)
{
	static bool swap;

	if (c->swap && !swap)
		swap_on(SWAP_MIB);
	swap |= c->swap;
	if (!v1) {
		cgroup_set_mib(TOP, "memory.max", LIMIT_MIB);
		cgroup_set_mib(TOP, "memory.swap.max", SWAP_LIMIT_MIB);
		set("/proc/sys/vm/swappiness", c->swappiness ? 60 : 0);
		return;
	}
	set(V1 "/memory.memsw.limit_in_bytes", -1);
	set(V1 "/memory.limit_in_bytes", (long long)LIMIT_MIB << 20);
	set(V1 "/memory.memsw.limit_in_bytes", (long long)(LIMIT_MIB + SWAP_LIMIT_MIB) << 20);
	set(V1 "/memory.swappiness", c->swappiness ? 60 : 0);
}

static bool has_grown(void *w)
{
	return worker_done(w) || !worker_alive(w);
}

static void play(const struct limits_case *c)
{
	const struct worker_spec lp_spec = { .comm = "lp", .cgroup = LP };
	const struct worker_spec hp_spec = { .comm = "hp", .cgroup = HP };
	const struct worker_growth first = { .mib = LP_MIB, .threads = 1 };
	const struct worker_growth then = { .mib = c->hp_mib, .threads = 1 };
	int64_t differ = daemon_counter("counters.totals_differ");
	bool out_of_scope = c->args == scoped;
	const struct event *freed;
	static struct cast cast;
	struct worker *lp, *hp;

	cast_open(&cast);
	cast.kernels_own = out_of_scope;
	lp = cast_add(&cast, &lp_spec, !out_of_scope);
	hp = cast_add(&cast, &hp_spec, out_of_scope);
	cast_ready(&cast);
	if (v1) { /* before they have much, which would stay where it was charged */
		set(V1 "/cgroup.procs", worker_pid(lp));
		set(V1 "/cgroup.procs", worker_pid(hp));
	}
	worker_grow(lp, &first);
	if (!suite_wait(has_grown, lp, SUITE_STEP_MS))
		suite_fail("lp does not come to its %d MiB: %s", LP_MIB, worker_fate(lp));
	if (cast_starve(&cast, hp, &then)) {
		cast_expect_dead(&cast);
		freed = daemon_find(OOMX_REC_FREED, 0, worker_pid(out_of_scope ? hp : lp));
		if (!freed || freed->room_ns == EVENT_NONE)
			suite_fail("%s", freed ? "expected room in the end" : "no \"freed\"");
	}
	if (daemon_counter("counters.totals_differ") != differ)
		suite_fail("totalpages was not the kernel's");
	if (suite_run_failed())
		daemon_complain_events();
	cast_close(&cast);
}

static void play_runs(const struct limits_case *c, unsigned int runs)
{
	unsigned int i;

	set_limits(c);
	daemon_start(c->args);
	for (i = 1; i <= runs; i++) {
		suite_run_begin(c->name, i);
		daemon_require();
		daemon_clear();
		play(c);
		suite_run_end();
	}
	suite_times(c->name);
	daemon_stop();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 5 };
	unsigned int i;

	suite_begin("limits", argc, argv, &o);
	v1 = o.only && !strcmp(o.only, "v1");
	open_cgroups();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (v1 || !cases[i].only_v1)
			play_runs(&cases[i], o.runs);
	close_cgroups();
	return suite_end();
}
