// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "lib/command.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define DEVICE "/dev/zram0"
#define PAGE 4096u

/* union swap_header (include/linux/swap.h), version 1: what mkswap writes */
static void write_header(unsigned int mib)
{
	uint32_t header[3] = { 1, (mib << 20) / PAGE - 1, 0 }; /* version, last page, bad pages */
	int fd = open(DEVICE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, header, sizeof(header), 1024) != sizeof(header) ||
	    pwrite(fd, "SWAPSPACE2", 10, PAGE - 10) != 10 || fsync(fd))
		suite_fatal(DEVICE ": %s", strerror(errno));
	close(fd);
}

void swap_on(unsigned int mib)
{
	static const char *const modprobe[] = { "/sbin/modprobe", "zram", NULL };
	const struct command_result *r = command_run(modprobe, 0, SUITE_STEP_MS);
	char size[32];
	int err;

	if (r->exit)
		suite_fatal("no swap: modprobe zram: %s", r->err);
	snprintf(size, sizeof(size), "%uM", mib);
	err = proc_write("/sys/block/zram0/disksize", size);
	if (err)
		suite_fatal("no swap: zram0/disksize: %s", strerror(-err));
	write_header(mib);
	if (swapon(DEVICE, 0))
		suite_fatal("no swap: swapon " DEVICE ": %s", strerror(errno));
}
