// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/command.h"
#include "lib/suite.h"

static int device = -1;

const char *loop_open(unsigned int mib)
{
	static const char *const modprobe[] = { "/sbin/modprobe", "loop", NULL };
	const struct command_result *r = command_run(modprobe, 0, SUITE_STEP_MS);
	int control, file, number;
	static char path[32];

	if (r->exit)
		suite_fatal("no loop device: modprobe loop: %s", r->err);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		suite_fatal("no loop device: /dev/loop-control: %s", strerror(errno));
	close(control);
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	file = memfd_create("disk", MFD_CLOEXEC);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0 || ftruncate(file, (off_t)mib << 20) || device < 0 ||
	    ioctl(device, LOOP_SET_FD, file))
		suite_fatal("no loop device: %s: %s", path, strerror(errno));
	close(file);
	return path;
}

void loop_close(void)
{
	if (ioctl(device, LOOP_CLR_FD, 0))
		suite_fail("the loop device stays: %s", strerror(errno));
	close(device); /* the last one to close it ends it */
	device = -1;
}
