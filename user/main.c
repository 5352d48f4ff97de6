// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* oomx: finds the sub-command. */
#include <stdio.h>
#include <string.h>

#include "bpflog.h"
#include "build.h"
#include "cmd.h"
#include "exit.h"
#include "log.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* NULL: not for people */
} commands[] = {
	{ "run", ox_cmd_run, "load a policy and watch, or with --enforce decide" },
	{ "stop", ox_cmd_stop, "end the running oomx and undo all it did, even a dead one's" },
	{ "status", ox_cmd_status, "what is running, and its counters" },
	{ "events", ox_cmd_events, "out-of-memory events, past and with --follow to come" },
	{ "score", ox_cmd_score, "who would be killed now, and the facts behind it" },
	{ "priority", ox_cmd_priority, "set, get, list or remove priorities of cgroups" },
	{ "explain", ox_cmd_explain, "which rule is about a process or cgroup, and its rank" },
	{ "rules", ox_cmd_rules, "test rules against a table of what they are to give" },
	{ "check-config", ox_cmd_check_config, "is this rule file right?" },
	{ "doctor", ox_cmd_doctor, "what this kernel offers, and which hook would be used" },
	{ "demo", ox_cmd_demo, "an out-of-memory with and without oomx (in a test machine)" },
	{ "responder", ox_cmd_responder, NULL },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(void)
{
	unsigned int i;

	printf("Usage: oomx COMMAND [OPTION]...\n\n"
	       "Chooses who dies when Linux runs out of memory.\n\n");
	for (i = 0; i < N_COMMANDS; i++)
		if (commands[i].help)
			printf("  %-13s %s\n", commands[i].name, commands[i].help);
	printf("\noomx COMMAND --help tells more; oomx --version the version.\n"
	       "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not permitted, 4 kernel lacks\n"
	       "something, 5 policy refused, 6 already running, 7 not running, 8 bad rules.\n");
	return fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : OX_EXIT_OK;
}

int main(int argc, char **argv)
{
	char build[OX_BUILD_LEN];
	unsigned int i;

	ox_bpflog_init();
	if (argc >= 2 && !strcmp(argv[1], "-v")) {
		ox_log_set_level(OX_LOG_DEBUG);
		argc--;
		argv++;
	}
	if (argc < 2)
		return ox_err_r(OX_EXIT_USAGE, "which command? See oomx --help");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return usage();
	if (!strcmp(argv[1], "--version")) {
		printf("oomx %s (build %s)\n", OX_VERSION, ox_build_text(ox_build(), build));
		return fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : OX_EXIT_OK;
	}
	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return ox_err_r(OX_EXIT_USAGE, "no command '%s', see oomx --help", argv[1]);
}
