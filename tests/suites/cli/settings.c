// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * settings.c - vm.panic_on_oom and vm.oom_kill_allocating_task cannot be read, as in a container
 * that hides /proc/sys: enforcing is refused, with what to do about it, and watching is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/daemon.h"
#include "lib/suite.h"

#define COVER "/tmp/setting"
#define VM "/proc/sys/vm"
#define PANIC VM "/panic_on_oom"
#define ALLOCATING VM "/oom_kill_allocating_task"

static const struct setting {
	const char *what;
	const char *name;  /* as oomx doctor has it */
	const char *path;  /* that cannot be read */
	const char *text;  /* in its place; NULL: all of VM is an empty directory */
	const char *cause; /* that has to be told */
} settings[] = {
	{ "empty", "vm.panic_on_oom", PANIC, "", "not a number from 0 to 2" },
	{ "no number", "vm.oom_kill_allocating_task", ALLOCATING, "many\n",
	  "not a number from 0 to 2" },
	{ "not there", "vm.panic_on_oom", PANIC, NULL, "No such file or directory" },
};

static void cover(const struct setting *s)
{
	int fd;

	if (!s->text) {
		if (mount("none", VM, "tmpfs", 0, NULL))
			suite_fatal(VM ": %s", strerror(errno));
		return;
	}
	fd = open(COVER, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, s->text, strlen(s->text)) < 0 ||
	    mount(COVER, s->path, NULL, MS_BIND, NULL))
		suite_fatal(COVER ": %s", strerror(errno));
	close(fd);
}

static void uncover(const struct setting *s)
{
	if (umount(s->text ? s->path : VM))
		suite_fatal("%s: %s", s->path, strerror(errno));
	unlink(COVER);
}

static void expect_refused(const struct setting *s)
{
	const struct command_result *r = command_run_oomx(ARGS("run", "--enforce"));

	cli_expect_error(r, UNFIT);
	if (!strstr(r->err, s->path) || !strstr(r->err, s->cause) ||
	    !strstr(r->err, "mount /proc with /proc/sys, or leave out --enforce")) {
		suite_fail("expected %s, \"%s\" and what to do about it", s->path, s->cause);
		cli_show(r);
	}
}

static void expect_doctor(const struct setting *s)
{
	const struct command_result *r = command_run_oomx(ARGS("doctor"));
	char line[64];

	snprintf(line, sizeof(line), "missing  %-27s %s: %s", s->name, s->path, "");
	if (r->exit != OK || !strstr(r->out, line) || !strstr(r->out, s->cause) ||
	    !strstr(r->out, "--enforce refuses") || !strstr(r->out, "mount /proc with /proc/sys") ||
	    !strstr(r->out, "used: none for --enforce, observe otherwise")) {
		suite_fail("expected doctor to miss %s", s->name);
		cli_show(r);
	}
}

void cli_settings(void)
{
	const struct setting *s;
	char name[64];
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		s = &settings[i];
		snprintf(name, sizeof(name), "%s: %s", s->name, s->what);
		cli_begin(name);
		cli_remember();
		cover(s);
		expect_refused(s);
		cli_expect_as_before();
		expect_doctor(s);
		daemon_start(ARGS("--policy", "kernel"));
		if (strcmp(daemon_hook(), "observe"))
			suite_fail("expected it to watch, hook is %s", daemon_hook());
		daemon_stop();
		cli_expect_as_before();
		uncover(s);
		suite_run_end();
	}
}
