// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/ruled.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/command.h"
#include "lib/suite.h"

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

void ruled_write(const char *path, const char *text)
{
	char new[128];
	FILE *f;

	snprintf(new, sizeof(new), "%s.new", path);
	f = fopen(new, "we");
	if (!f || fputs(text, f) < 0 || fclose(f) || rename(new, path))
		suite_fatal("%s: %m", path);
}

/* What `oomx priority get` says of a cgroup. */
bool ruled_get(const char *cgroup, struct ruled *ret)
{
	const struct command_result *r = command_run_oomx(ARGS("priority", "get", cgroup, "--json"));
	json_t *o = r->exit ? NULL : json_loads(r->out, 0, NULL);
	const char *rule, *from;

	if (!o)
		return false;
	rule = json_string_value(json_object_get(o, "rule_name"));
	from = json_string_value(json_object_get(o, "from"));
	snprintf(ret->rule, sizeof(ret->rule), "%s", rule ? rule : RULED_NONE);
	snprintf(ret->from, sizeof(ret->from), "%s", from ? from : "");
	ret->priority = json_integer_value(json_object_get(o, "priority"));
	json_decref(o);
	return true;
}

struct want {
	const char *cgroup, *rule, *from;
};

static bool has_rule(void *arg)
{
	const struct want *w = arg;
	struct ruled p;

	return ruled_get(w->cgroup, &p) && !strcmp(p.rule, w->rule) && !strcmp(p.from, w->from);
}

/* Sooner or later; tasks of others' on this machine decide how soon. */
void ruled_expect(const char *cgroup, const char *rule, const char *from)
{
	struct want w = { cgroup, rule, from };
	struct ruled p = {};

	if (suite_wait(has_rule, &w, SUITE_STEP_MS))
		return;
	(void)ruled_get(cgroup, &p);
	suite_fail("expected rule %s of '%s' for %s, found %s of '%s'", rule, from, cgroup, p.rule,
		   p.from);
}

size_t ruled_entries(void)
{
	const struct command_result *r = command_run_oomx(ARGS("priority", "list", "--json"));
	json_t *o = json_loads(r->out, 0, NULL);
	size_t n = json_array_size(o);

	json_decref(o);
	return n;
}

struct want_process {
	pid_t pid;
	const char *rule;
};

/* What the kernel side goes by for a process, as `oomx explain` tells it. */
static bool process_has_rule(void *arg)
{
	const struct want_process *w = arg;
	char pid[16];
	const struct command_result *r;
	const char *rule;
	json_t *o;
	bool same;

	snprintf(pid, sizeof(pid), "%d", w->pid);
	r = command_run_oomx(ARGS("explain", pid, "--json"));
	o = r->exit ? NULL : json_loads(r->out, 0, NULL);
	rule = json_string_value(json_object_get(json_object_get(o, "in_force"), "rule"));
	same = o && !strcmp(rule ? rule : RULED_NONE, w->rule);
	json_decref(o);
	return same;
}

void ruled_expect_process(struct worker *w, const char *rule)
{
	struct want_process want = { worker_pid(w), rule };

	if (!suite_wait(process_has_rule, &want, SUITE_STEP_MS))
		suite_fail("expected rule %s for process %s (%d): %.500s", rule, worker_comm(w),
			   want.pid, command_run_oomx(ARGS("status", "--json"))->out);
}
