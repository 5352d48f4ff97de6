// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * doctor.c - what oomx doctor says of each hook, of what it does by approximation, and of victims
 * that are exiting, as text and as JSON.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "doctor.h"
#include "lib/cgroup.h"
#include "lib/suite.h"
#include "selftest.h"

#define SELFTEST_CGROUP CGROUP_ROOT "/oomx-selftest"
#define EVERY "moves with every kill: the kernel kills"

/* "found" of one check, "": there is none */
static const char *found(const json_t *doctor, const char *name)
{
	const json_t *list = json_object_get(doctor, "checks"), *check;
	size_t i;

	json_array_foreach(list, i, check)
		if (!strcmp(json_string_value(json_object_get(check, "name")), name))
			return json_string_value(json_object_get(check, "found"));
	return "";
}

/* Whether memory.events counts a kill is different for nominate alone, which may send SIGKILL. */
static void expect_counted(const json_t *doctor)
{
	const char *nominate = found(doctor, "oom_kill, nominate");

	if (strcmp(found(doctor, "oom_kill, observe"), EVERY) ||
	    strcmp(found(doctor, "oom_kill, struct_ops"), EVERY))
		suite_fail("expected \"" EVERY "\" of observe and struct_ops");
	if (!strstr(nominate, "not where nominating fails and the choice is the trigger") ||
	    !strstr(nominate, "oomx sends that SIGKILL"))
		suite_fail("expected its own SIGKILL to be told of nominate, got: %s", nominate);
}

static void expect_gaps(const json_t *doctor)
{
	static const char *const names[] = { "OOM notifiers", "cpuset hardwall", "core dumps",
					     "last look for room", "locks" };
	const json_t *list = json_object_get(doctor, "not_reproduced"), *gap;
	const char *name, *effect;
	size_t i;

	if (json_array_size(list) != sizeof(names) / sizeof(names[0]))
		suite_fail("expected %zu entries in not_reproduced, got %zu",
			   sizeof(names) / sizeof(names[0]), json_array_size(list));
	json_array_foreach(list, i, gap) {
		name = json_string_value(json_object_get(gap, "name"));
		effect = json_string_value(json_object_get(gap, "effect"));
		if (i >= sizeof(names) / sizeof(names[0]) || !name || strcmp(name, names[i]) ||
		    !effect || !*effect)
			suite_fail("expected other entries in not_reproduced than %s", name ?: "");
	}
}

/* What is found out there is what `oomx run` finds out, and not what the kernel's types say. */
static void expect_sight(const json_t *doctor)
{
	const char *says = found(doctor, "exiting victims");
	bool hides;

	if (ox_selftest_scan(&hides))
		suite_fatal("the self-test does not run");
	if (!strstr(says, hides ? "loses sight of them" : "waits for them by itself"))
		suite_fail("the self-test says that the kernel %s sight of victims, doctor: %s",
			   hides ? "loses" : "does not lose", says);
	if (!access(SELFTEST_CGROUP, F_OK))
		suite_fail("expected the self-test's cgroup to be gone");
}

static void expect_text(void)
{
	const struct command_result *r = command_run_oomx(ARGS("doctor"));
	unsigned int i;

	if (r->exit != OK || !strstr(r->out, "oomx cannot reproduce:\n") ||
	    !strstr(r->out, "oom_kill, nominate"))
		suite_fail("expected the same as text");
	for (i = 0; i < OX_GAPS; i++)
		if (!strstr(r->out, ox_doctor_gaps[i].effect))
			suite_fail("expected %s as text", ox_doctor_gaps[i].name);
	if (suite_run_failed())
		cli_show(r);
}

void cli_doctor(void)
{
	const struct command_result *r;
	json_t *doctor;

	cli_begin("doctor");
	cli_remember();
	r = command_run_oomx(ARGS("doctor", "--json"));
	doctor = json_loads(r->out, 0, NULL);
	if (r->exit != OK || !doctor)
		cli_show(r);
	expect_counted(doctor);
	expect_gaps(doctor);
	expect_sight(doctor);
	json_decref(doctor);
	expect_text();
	cli_expect_as_before();
	suite_run_end();
}
