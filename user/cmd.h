/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cmd.h - the sub-commands. Each takes its own argv (argv[0] its name), returns an OX_EXIT_*. */
#ifndef OX_CMD_H
#define OX_CMD_H

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

/* 0 if effective user and capabilities allow what oomx does; else logs, OX_EXIT_NOT_PERMITTED. */
int ox_need_root(const char *command);

#endif
