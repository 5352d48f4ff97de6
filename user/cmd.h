/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cmd.h - the sub-commands. Each takes its own argv (argv[0] its name), returns an OX_EXIT_*. */
#ifndef OX_CMD_H
#define OX_CMD_H

#include <stdbool.h>
#include <jansson.h>

int ox_cmd_run(int argc, char **argv);
int ox_cmd_stop(int argc, char **argv);
int ox_cmd_events(int argc, char **argv);
int ox_cmd_status(int argc, char **argv);
int ox_cmd_score(int argc, char **argv);
int ox_cmd_priority(int argc, char **argv);
int ox_cmd_explain(int argc, char **argv);
int ox_cmd_rules(int argc, char **argv);
int ox_cmd_check_config(int argc, char **argv);
int ox_cmd_doctor(int argc, char **argv);
int ox_cmd_demo(int argc, char **argv);
int ox_cmd_responder(int argc, char **argv);

/*
 * -errno of the library -> exit status: -EPERM, -EACCES not permitted; -ENOTSUP unfit kernel;
 * -ENOEXEC policy refused; -EBUSY already running; -ENOENT of a policy's name usage; -EILSEQ
 * bad rules; else failure.
 */
int ox_exit_status(int err);

/* Prints what --help is to print; an exit status. Logs. */
int ox_help(const char *usage);

/*
 * What getopt_long() does not take: `c` is what it has returned, argv[0] the command's name, and
 * `shorts` its list of short options. Logs which option is meant and what is wrong with it;
 * OX_EXIT_USAGE.
 */
int ox_bad_option(int c, const char *shorts, char **argv);

/* After the options: -1 if no word is left, else logs, OX_EXIT_USAGE. */
int ox_no_words(int argc, char **argv);

/* For commands that have only --json and --help. -1: go on, words from `optind`; else as above. */
int ox_parse_json_option(int argc, char **argv, const char *usage, bool *ret_json);

/* One line on standard output. Takes `o` over; NULL: there was no memory. An exit status, logs. */
int ox_print_json(json_t *o);

/* 0 if effective user and capabilities allow what oomx does; else logs, OX_EXIT_NOT_PERMITTED. */
int ox_need_root(const char *command);

#endif
