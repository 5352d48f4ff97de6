/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* run_options.h - what `oomx run` is asked to do. */
#ifndef OX_RUN_OPTIONS_H
#define OX_RUN_OPTIONS_H

#include <stdbool.h>
#include <linux/types.h>

#define OX_RUN_PRIORITIES_MAX 256
#define OX_RUN_SCOPES_MAX 256

struct ox_run_options {
	const char *policy;
	__u32 hook; /* 0: auto */
	bool enforce;
	bool replace;
	bool json;
	bool quiet;
	bool no_rules;
	const char *rules; /* NULL: the default */
	unsigned int n_priorities;
	const char *priorities[OX_RUN_PRIORITIES_MAX];
	unsigned int n_scopes;
	const char *scopes[OX_RUN_SCOPES_MAX];
};

/*
 * Takes the arguments apart; what is in *ret points into argv. Prints the help, or logs. -1: go
 * on; else the exit status.
 */
int ox_run_options(int argc, char **argv, struct ox_run_options *ret);

#endif
