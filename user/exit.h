/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * exit.h - what the exit status of `oomx` says. Documented in the manual page: scripts branch on
 * these, so numbers are never reused and never change their meaning.
 */
#ifndef OX_EXIT_H
#define OX_EXIT_H

enum ox_exit {
	OX_EXIT_OK = 0,
	OX_EXIT_FAILURE = 1,	     /* something went wrong at run time */
	OX_EXIT_USAGE = 2,	     /* bad arguments */
	OX_EXIT_NOT_PERMITTED = 3,   /* needs root, or CAP_BPF and friends */
	OX_EXIT_UNFIT_KERNEL = 4,    /* this kernel lacks something oomx cannot do without */
	OX_EXIT_POLICY_REFUSED = 5,  /* not BPF, other ABI, turned down by the verifier, ... */
	OX_EXIT_ALREADY_RUNNING = 6, /* another oomx, or its policy without it, is in force */
	OX_EXIT_NOT_RUNNING = 7,     /* no oomx is running */
	OX_EXIT_BAD_RULES = 8,	     /* a rule file is wrong, or a test of rules fails */
	OX_EXIT_TOO_SLOW = 9,	     /* events came faster than they were read */
};

#endif
