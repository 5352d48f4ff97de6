// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_scenarios - what users of other OOM killers ask for, and what those test with: who is there
 * and how large, the rules that an operator would write, and who dies by them. See
 * scenarios/scenarios.h.
 *
 * --only has groups ("oomd,node"), scenarios ("M5") or parts of them ("M5/growth").
 */
#include <stdio.h>
#include <string.h>

#include "scenarios/scenarios.h"

static const struct {
	const char *name;
	const struct scenario *list;
} groups[] = {
	{ "oomd", scenarios_oomd },
	{ "systemd", scenarios_systemd },
	{ "users", scenarios_users },
	{ "vendors", scenarios_vendors },
};
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

static bool same(const char *word, size_t n, const char *name, size_t name_len)
{
	return n == name_len && !memcmp(word, name, n);
}

static bool wanted(const char *only, const char *group, const char *name)
{
	size_t n;

	if (!only)
		return true;
	for (;; only += n + 1) {
		n = strcspn(only, ",");
		if (same(only, n, group, strlen(group)) || same(only, n, name, strlen(name)) ||
		    same(only, n, name, strcspn(name, "/")))
			return true;
		if (!only[n])
			return false;
	}
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 2 };
	const struct scenario *s;
	unsigned int played = 0;
	size_t i;

	suite_begin("scenarios", argc, argv, &o);
	for (i = 0; i < N_GROUPS; i++) {
		for (s = groups[i].list; s->name; s++) {
			if (wanted(o.only, groups[i].name, s->name)) {
				scenario_play(s, &o);
				played++;
			}
		}
	}
	if (wanted(o.only, "node", "node")) {
		node_play(&o);
		played++;
	}
	if (wanted(o.only, "churn", "churn")) {
		churn_play(&o, o.only ? o.runs : 1); /* a thousand cgroups each */
		played++;
	}
	if (!played)
		suite_fatal("no scenario %s", o.only);
	return suite_end();
}
