/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* doctor.h - what `oomx doctor` looks at: found by asking the kernel, never by its version. */
#ifndef OX_DOCTOR_H
#define OX_DOCTOR_H

#include <stdbool.h>

#define OX_CHECKS_MAX 32
#define OX_CHECK_LEN 256

enum ox_check_state {
	OX_CHECK_OK = 1,
	OX_CHECK_WARN,	  /* works, but differently from what one may expect */
	OX_CHECK_MISSING, /* oomx, or enforcing, cannot do without */
	_OX_CHECK_MAX,
};

struct ox_check {
	const char *name;
	enum ox_check_state state;
	char found[OX_CHECK_LEN];
	char cure[OX_CHECK_LEN]; /* empty: none needed */
};

struct ox_checks {
	unsigned int n;
	struct ox_check check[OX_CHECKS_MAX];
};

/* Adds one, its cure empty. Never NULL: beyond OX_CHECKS_MAX the last is overwritten. */
struct ox_check *ox_check_add(struct ox_checks *c, const char *name, enum ox_check_state state,
			      const char *found, ...) __attribute__((format(printf, 4, 5)));
void ox_check_cure(struct ox_check *check, const char *cure, ...)
	__attribute__((format(printf, 2, 3)));

const char *ox_check_state_name(enum ox_check_state state);

/* What the kernel does in an OOM and oomx cannot reproduce, on any kernel. */
#define OX_GAPS 5
struct ox_gap {
	const char *name;
	const char *effect;
};
extern const struct ox_gap ox_doctor_gaps[OX_GAPS];

/* What can be told without loading anything. */
void ox_doctor_machine(struct ox_checks *c);
/* Settings and programs that act in an OOM, too. */
void ox_doctor_rivals(struct ox_checks *c);

#endif
