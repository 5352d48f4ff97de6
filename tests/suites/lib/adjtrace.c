// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/adjtrace.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/suite.h"

#define TRACING "/sys/kernel/tracing"

static void set(const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), TRACING "/%s", file);
	if (proc_write(path, value))
		suite_fatal(TRACING " cannot be used");
}

void adjtrace_begin(void)
{
	int fd = open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC); /* this empties it */

	if (fd < 0)
		suite_fatal(TRACING " cannot be used");
	close(fd);
	set("events/oom/mark_victim/enable", "1");
	set("events/oom/oom_score_adj_update/enable", "1");
}

void adjtrace_end(void)
{
	set("events/oom/oom_score_adj_update/enable", "0");
	set("events/oom/mark_victim/enable", "0");
}

static void expect_never(const char *when, const char *who, int adj, bool until_kill)
{
	FILE *f = fopen(TRACING "/trace", "re");
	char line[512], what[32];
	bool killed = false;

	if (!f)
		suite_fatal(TRACING "/trace cannot be read");
	snprintf(what, sizeof(what), " oom_score_adj=%d\n", adj);
	while (!(until_kill && killed) && fgets(line, sizeof(line), f)) {
		killed |= strstr(line, ": mark_victim: ") != NULL;
		if (strstr(line, ": oom_score_adj_update: ") && strstr(line, who) &&
		    strstr(line, what))
			suite_fail("%s: expected oom_score_adj %d never to be set: %s", when, adj,
				   line);
	}
	if (until_kill && !killed)
		suite_fail("%s: expected the kill in the trace", when);
	fclose(f);
}

void adjtrace_expect_never(const char *when, pid_t pid, int adj)
{
	char who[32];

	snprintf(who, sizeof(who), " pid=%d ", pid);
	expect_never(when, who, adj, false);
}

void adjtrace_expect_never_before_kill(const char *comm, int adj)
{
	char who[32];

	snprintf(who, sizeof(who), " comm=%s ", comm);
	expect_never("before the kill", who, adj, true);
}
