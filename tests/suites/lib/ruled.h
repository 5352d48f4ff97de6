/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ruled.h - rule files, and what oomx says that they have led to. */
#ifndef SUITE_RULED_H
#define SUITE_RULED_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/cgroup.h"
#include "lib/worker.h"

#define RULED_NONE "(none)" /* the rule of what has none */

/* As editors do it: a new file in the place of the old one. Fatal where that fails. */
void ruled_write(const char *path, const char *text);

struct ruled {
	char rule[64], from[CGROUP_PATH_LEN];
	long long priority;
};

/* What `oomx priority get` says of a cgroup; false: nothing. */
bool ruled_get(const char *cgroup, struct ruled *ret);

/*
 * Complains unless, sooner or later, this rule counts for the cgroup, as that of `from`; for a
 * process, whichever of its cgroup's or its own the kernel side goes by.
 */
void ruled_expect(const char *cgroup, const char *rule, const char *from);
void ruled_expect_process(struct worker *w, const char *rule);

/* Cgroups with something of their own. */
size_t ruled_entries(void);

#endif
