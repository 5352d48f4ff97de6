// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bpfcount.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define PIN_DIR "/sys/fs/bpf/oomx"
#define ERROR_LINES_MAX 25

static unsigned int the_run = 1;

void cli_set_run(unsigned int run)
{
	the_run = run;
}

void cli_begin(const char *name)
{
	suite_run_begin(name, the_run);
}

/* ---- the machine is as before --------------------------------------------------------------- */

static struct {
	struct bpf_count bpf;
	struct proc_census census;
	char what[160];
} before;

void cli_remember(void)
{
	bpf_count(&before.bpf);
	proc_census(&before.census);
}

/* Processes of the oomx under test, by their executable. */
static unsigned int count_oomx(void)
{
	char path[64], exe[PATH_MAX], ours[PATH_MAX];
	unsigned int n = 0;
	struct dirent *d;
	ssize_t len;
	DIR *dir;

	if (!realpath(command_oomx(), ours))
		suite_fatal("%s: %s", command_oomx(), strerror(errno));
	dir = opendir("/proc");
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/exe", d->d_name);
		len = readlink(path, exe, sizeof(exe) - 1);
		if (len < 0)
			continue;
		exe[len] = '\0';
		n += !strcmp(exe, ours);
	}
	if (dir)
		closedir(dir);
	return n;
}

static bool pins_left(void)
{
	struct dirent *d;
	bool found = false;
	DIR *dir = opendir(PIN_DIR);

	while (dir && (d = readdir(dir)))
		found |= d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

/* BPF objects go after a grace period, so this is waited for. */
static bool as_before(void *arg)
{
	struct bpf_count now;
	unsigned int n = count_oomx();

	(void)arg;
	bpf_count(&now);
	before.what[0] = '\0';
	if (n)
		snprintf(before.what, sizeof(before.what), "%u processes of oomx", n);
	else if (pins_left())
		snprintf(before.what, sizeof(before.what), "files in " PIN_DIR);
	else if (!bpf_count_equal(&now, &before.bpf))
		snprintf(before.what, sizeof(before.what),
			 "%u programs, %u maps, %u links; before %u, %u, %u", now.programs,
			 now.maps, now.links, before.bpf.programs, before.bpf.maps,
			 before.bpf.links);
	else
		return proc_census_holds(&before.census, NULL, 0, before.what,
					 sizeof(before.what));
	return false;
}

/* The programs go with the process that holds their links, after a grace period. */
static bool detached(void *arg)
{
	struct bpf_count now;

	(void)arg;
	bpf_count(&now);
	return now.links == before.bpf.links;
}

void cli_expect_detached(void)
{
	if (!suite_wait(detached, NULL, SUITE_STEP_MS))
		suite_fail("expected its programs to be detached");
}

void cli_expect_as_before(void)
{
	if (!suite_wait(as_before, NULL, SUITE_STEP_MS))
		suite_fail("expected the machine as before; left: %s", before.what);
}

/* ---- one command ---------------------------------------------------------------------------- */

void cli_show(const struct command_result *r)
{
	if (r->exit == COMMAND_TIMED_OUT)
		suite_fail("it did not end, and was killed");
	suite_fail("stdout: %.400s", r->out);
	suite_fail("stderr: %.1200s", r->err);
}

void cli_expect_error(const struct command_result *r, int exit)
{
	unsigned int lines = command_lines(r->err);

	if (r->exit != exit)
		suite_fail("expected exit status %d, got %d", exit, r->exit);
	if (!lines || lines > ERROR_LINES_MAX)
		suite_fail("expected 1 to %d lines on stderr, got %u", ERROR_LINES_MAX, lines);
	if (r->out[0])
		suite_fail("expected nothing on stdout");
	if (suite_run_failed())
		cli_show(r);
}

void cli_case_error(const char *name, int exit, unsigned int uid, const char *const args[])
{
	const char *argv[COMMAND_ARGS_MAX + 1] = { command_oomx() };
	const struct command_result *r;
	size_t n;

	for (n = 0; args[n]; n++)
		argv[n + 1] = args[n];
	cli_begin(name);
	cli_remember();
	r = command_run(argv, uid, SUITE_START_MS);
	cli_expect_error(r, exit);
	/* One that should have been refused and runs instead must not spoil the other cases. */
	if (r->exit == COMMAND_TIMED_OUT)
		command_run_oomx(ARGS("stop"));
	cli_expect_as_before();
	suite_run_end();
}
