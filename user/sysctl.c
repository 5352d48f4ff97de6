// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "parse.h"

static int refuse(const char *path, const char *why)
{
	return ox_err_r(-ENOTSUP, "%s: %s: not enforcing, since nobody knows what it asks of the "
				  "kernel; mount /proc with /proc/sys, or leave out --enforce",
			path, why);
}

static int read_sysctl(const char *path, __u32 *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[16] = {};

	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) < 0)
		return refuse(path, strerror(errno));
	buf[strcspn(buf, "\n")] = '\0';
	return ox_parse_u32(buf, 0, 2, ret) ? refuse(path, "not a number from 0 to 2") : 0;
}

int ox_sysctl_oom(__u32 *ret_panic_on_oom, __u32 *ret_kill_allocating_task)
{
	int err = read_sysctl("/proc/sys/vm/panic_on_oom", ret_panic_on_oom);

	return err ?: read_sysctl("/proc/sys/vm/oom_kill_allocating_task",
				  ret_kill_allocating_task);
}

int ox_sysctl_check(void)
{
	__u32 panic = 0, allocating = 0;
	int err = ox_sysctl_oom(&panic, &allocating);

	if (err)
		return err;
	if (panic)
		ox_warn("vm.panic_on_oom is %u: standing down for global OOMs", panic);
	if (allocating)
		ox_warn("vm.oom_kill_allocating_task is set: standing down for global OOMs");
	return 0;
}
