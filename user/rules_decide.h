/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* rules_decide.h - which rule counts for a cgroup, ancestors included, as for the kernel side. */
#ifndef OX_RULES_DECIDE_H
#define OX_RULES_DECIDE_H

#include <limits.h>

#include "rules.h"

struct ox_decision {
	size_t rule;	     /* number, from 1; 0: none */
	char from[PATH_MAX]; /* the cgroup that it matches, this one or an ancestor; "" without */
};

/* Fills *ret for a cgroup, to be freed with ox_identity_done() also when it fails. 0 or -errno. */
typedef int (*ox_identify_fn)(void *ctx, const char *cgroup, struct ox_identity *ret);

/*
 * Asks for the cgroup itself and then for one ancestor after the other, until a rule matches, as
 * deep as the kernel side looks. 0; what `identify` failed with; -ENAMETOOLONG.
 */
int ox_rules_decide(const struct ox_rules *rules, const char *cgroup, ox_identify_fn identify,
		    void *ctx, struct ox_decision *ret);

/* From the path alone; ctx is not used. */
int ox_identify_by_path(void *ctx, const char *cgroup, struct ox_identity *ret);

/* Also what the container runtimes say; ctx is not used. */
int ox_identify_fully(void *ctx, const char *cgroup, struct ox_identity *ret);

#endif
