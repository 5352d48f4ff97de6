// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* memory.min and memory.low: what they protect does not count when sizes are compared. */
#include "rules/cases.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>

#include "lib/ballast.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define HP_RULE "rules:\n- name: hp\n  match: {cgroup: /r/hp}\n  never: true\n"
#define LARGE RULES_TOP "/large"
#define SMALL RULES_TOP "/small"
#define HP RULES_TOP "/hp"
#define FREE_MIB 176 /* what the ballast leaves of the machine, for all three */
#define AFTER_MIB 4  /* taken of what the victim had */

static void next(void)
{
	cast_close(&rules_cast);
	cast_open(&rules_cast);
}

/* An OOM of all three; who of the two dies? 32 MiB against 16. */
static void starve(bool large_dies)
{
	struct worker *hp;

	rules_add(LARGE, 32, large_dies);
	rules_add(SMALL, 16, !large_dies);
	hp = rules_add(HP, 2, false);
	rules_starve(hp, 56);
	rules_expect_told(RULED_NONE);
}

/*
 * The same, where the whole machine is out of memory: 72 MiB against 48, so much more than what the
 * lists of two CPUs may hold back that one is enough.
 */
static void starve_machine(bool large_dies)
{
	struct worker_growth g = { .threads = 1, .until_kill = true, .after_mib = AFTER_MIB };
	struct worker *ballast = ballast_start(FREE_MIB), *hp;

	rules_add(LARGE, 72, large_dies);
	rules_add(SMALL, 48, !large_dies);
	hp = rules_add(HP, 2, false);
	cast_ready(&rules_cast);
	g.mib = (unsigned int)proc_mem_mib("MemTotal");
	if (cast_starve(&rules_cast, hp, &g))
		cast_expect_dead(&rules_cast);
	rules_expect_told(RULED_NONE);
	worker_end(ballast);
}

/* LARGE's process in an OOM of that domain, as `oomx score` tells. */
static void expect_protection(const char *domain, json_int_t least, json_int_t most)
{
	const struct command_result *r = command_run_oomx(ARGS("score", "--cgroup", domain,
							       "--json"));
	json_t *o = json_loads(r->out, 0, NULL), *row;
	json_int_t found = -1;
	size_t i;

	json_array_foreach(o, i, row) {
		const char *cgroup = json_string_value(json_object_get(row, "cgroup"));

		if (cgroup && !strcmp(cgroup, LARGE))
			found = json_integer_value(json_object_get(json_object_get(row, "facts"),
								   "memcg_protection"));
	}
	if (found < least || found > most)
		suite_fail("expected memcg_protection of %lld to %lld, found %lld: %.300s",
			   (long long)least, (long long)most, (long long)found, r->out);
	json_decref(o);
}

void rules_play_reclaim(void)
{
	const char *const cgroups[] = { LARGE, SMALL, HP, NULL };

	ruled_write(RULES_FILE, HP_RULE);
	rules_make_all(cgroups);
	rules_start("priority");
	starve(/* large_dies= */ true);
	next();

	cgroup_set_mib(LARGE, "memory.low", 40);
	starve(/* large_dies= */ false);
	expect_protection(RULES_TOP, 1000, 1000);
	expect_protection(LARGE, 0, 0); /* one that is out of memory itself: it has all of it */
	next();

	cgroup_set_mib(LARGE, "memory.low", 8); /* about a quarter: what is left is still more */
	starve(/* large_dies= */ true);
	next();

	cgroup_set_mib(LARGE, "memory.min", 28);
	starve(/* large_dies= */ false);
	expect_protection(RULES_TOP, 750, 950);
	next();

	/* of the cgroup that is out of memory, they are for everybody */
	cgroup_set_mib(LARGE, "memory.min", 0);
	cgroup_set_mib(LARGE, "memory.low", 0);
	cgroup_set_mib(RULES_TOP, "memory.low", 96);
	starve(/* large_dies= */ true);
	expect_protection(RULES_TOP, -1, 0);
	rules_remove_all(cgroups);
}

/* All of the way from the root has to protect it. */
void rules_play_reclaim_global(void)
{
	const char *const cgroups[] = { LARGE, SMALL, HP, NULL };

	ruled_write(RULES_FILE, HP_RULE);
	rules_make_all(cgroups);
	cgroup_set(RULES_TOP, "memory.max", "max");
	rules_start("priority");
	cgroup_set_mib(LARGE, "memory.low", 80);
	starve_machine(/* large_dies= */ true);
	next();

	cgroup_set_mib(RULES_TOP, "memory.low", 96);
	starve_machine(/* large_dies= */ false);
	rules_remove_all(cgroups);
}
