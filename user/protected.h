/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * protected.h - how much of the memory that could be got by killing belongs to those whom rules
 * protect. Where it is most of it, an OOM finds nobody cheap left to kill.
 */
#ifndef OX_PROTECTED_H
#define OX_PROTECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>
#include <linux/types.h>
#include <oomx/abi.h>

#include "rules.h"

#define OX_PROTECTED_TOP 3

struct ox_protected {
	/*
	 * Anonymous, swapped and shared memory of all processes that the kernel would kill, in
	 * KiB. A piece of shared memory is in many of them: of all in a cgroup that are protected,
	 * or are not, only the largest amount counts.
	 */
	__u64 all_kib;
	__u64 protected_kib; /* of which: by a rule that says `protect` or `never` */
	__u64 machine_kib;   /* memory and swap there is */
	size_t n;
	struct ox_protected_one {
		__u32 pid;
		char comm[OOMX_COMM_LEN];
		__u64 kib;
		size_t rule; /* its number, from 1 */
	} top[OX_PROTECTED_TOP]; /* the largest, in this order */
};

/*
 * Looks at every process there is now; nothing is read if no rule protects any. 0; -ENOMEM; other
 * -errno of opening /proc. Processes that cannot be looked at are left out.
 */
int ox_protected_measure(const struct ox_rules *rules, struct ox_protected *ret);

/*
 * Is it more than half, and worth a word: at least a tenth of the machine? A machine on which
 * hardly anything runs has nothing but its services.
 */
bool ox_protected_is_most(const struct ox_protected *p);

/* In percent, rounded down; 0 where nothing was found. */
unsigned int ox_protected_percent(const struct ox_protected *p);

/* One line that names the largest and their rules, through the log, if it is most. */
void ox_protected_warn(const struct ox_protected *p, const struct ox_rules *rules);

/* The same as an object, also if it is not; NULL: no memory. */
json_t *ox_protected_json(const struct ox_protected *p, const struct ox_rules *rules);

#endif
