// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/suite.h"

#define NAME "oomx"

bool module_known(void)
{
	const char *path = getenv("OOMX_KMOD");

	return path && path[0];
}

void module_load(void)
{
	const char *path = getenv("OOMX_KMOD");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		suite_fatal("no kernel module at '%s' ($OOMX_KMOD): make kmod builds it",
			    path ? path : "");
	if (syscall(SYS_finit_module, fd, "", 0))
		suite_fatal("%s cannot be loaded: %s", path, strerror(errno));
	close(fd);
}

/* A program that was detached is freed a little later, and until then it uses the module. */
static bool unloaded(void *arg)
{
	int *err = arg;

	*err = syscall(SYS_delete_module, NAME, O_NONBLOCK) ? errno : 0;
	return *err != EAGAIN && *err != EWOULDBLOCK && *err != EBUSY;
}

void module_unload(void)
{
	int err = 0;

	if (!suite_wait(unloaded, &err, SUITE_STEP_MS) || err)
		suite_fatal("the kernel module cannot be unloaded: %s", strerror(err));
}

static const char *parameter(char path[128], const char *name)
{
	snprintf(path, 128, "/sys/module/" NAME "/parameters/%s", name);
	return path;
}

int64_t module_number(const char *name)
{
	char path[128], text[32];
	int err = proc_read(parameter(path, name), text, sizeof(text));

	if (err < 0)
		suite_fatal("%s: %s", path, strerror(-err));
	return strtoll(text, NULL, 10);
}

static const char *const counter_name[] = { "asked", "chosen", "abstained", "failed", "late",
					    "refused" };
_Static_assert(sizeof(counter_name) / sizeof(counter_name[0]) == MODULE_COUNTERS,
	       "a counter is missing");

void module_counters(struct module_counters *ret)
{
	unsigned int i;

	for (i = 0; i < MODULE_COUNTERS; i++)
		ret->n[i] = module_number(counter_name[i]);
}

void module_expect_counted(const struct module_counters *before, const char *name, int64_t most)
{
	int64_t asked, d, sum = 0;
	struct module_counters now;
	unsigned int i;

	module_counters(&now);
	asked = now.n[MODULE_ASKED] - before->n[MODULE_ASKED];
	for (i = MODULE_ASKED + 1; i < MODULE_COUNTERS; i++) {
		d = now.n[i] - before->n[i];
		sum += d;
		if (d && strcmp(counter_name[i], name))
			suite_fail("expected every question to be counted as %s, %lld are as %s",
				   name, (long long)d, counter_name[i]);
	}
	if (!asked || sum != asked || asked > most)
		suite_fail("expected 1 to %lld questions, all counted; got %lld, %lld counted",
			   (long long)most, (long long)asked, (long long)sum);
}
