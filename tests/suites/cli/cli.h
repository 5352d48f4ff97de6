/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cli.h - what the cases of suite_cli have in common. */
#ifndef SUITE_CLI_H
#define SUITE_CLI_H

#include "lib/command.h"

/* Documented in the manual page (user/exit.h): scripts branch on them. */
enum { OK = 0, FAILURE, USAGE, NOT_PERMITTED, UNFIT, REFUSED, ALREADY, NOT_RUNNING, BAD_RULES };

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Which run of all cases it is, from 1, and the beginning of a case in it. */
void cli_set_run(unsigned int run);
void cli_begin(const char *name);

/* The machine as it is now, and that it is so again: processes, BPF objects, oom_score_adj. */
void cli_remember(void);
void cli_expect_as_before(void);

/* That no program of oomx's is attached any more. */
void cli_expect_detached(void);

/* Complains with all that a command said. */
void cli_show(const struct command_result *r);

/* Expects an exit status, an explanation on stderr and only there, and no more than a screen. */
void cli_expect_error(const struct command_result *r, int exit);

/* One run of a command that ends so, and leaves the machine as it was. */
void cli_case_error(const char *name, int exit, unsigned int uid, const char *const args[]);

void cli_doctor(void); /* doctor.c */
void cli_settings(void); /* settings.c: of the kernel, which cannot be read */

#endif
