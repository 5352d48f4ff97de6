/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What all sub-commands say in the same way. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "cmd.h"
#include "exit.h"
#include "log.h"

int ox_exit_status(int err)
{
	switch (err) {
	case 0:
		return OX_EXIT_OK;
	case -EPERM:
	case -EACCES:
		return OX_EXIT_NOT_PERMITTED;
	case -ENOTSUP:
		return OX_EXIT_UNFIT_KERNEL;
	case -ENOEXEC:
		return OX_EXIT_POLICY_REFUSED;
	case -EBUSY:
		return OX_EXIT_ALREADY_RUNNING;
	case -ENOENT:
		return OX_EXIT_USAGE;
	case -EILSEQ:
		return OX_EXIT_BAD_RULES;
	default:
		return OX_EXIT_FAILURE;
	}
}

static bool has_cap(const struct __user_cap_data_struct c[2], unsigned int cap)
{
	return c[cap / 32].effective & 1U << cap % 32;
}

int ox_need_root(const char *command)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct c[2] = {};

	if (syscall(SYS_capget, &h, c))
		return ox_err_r(OX_EXIT_FAILURE, "%s: cannot tell which capabilities it has: %m",
				command);
	/* CAP_SYS_ADMIN comprises the other two; files in /proc, cgroups and /run are root's */
	if (has_cap(c, CAP_SYS_ADMIN) || (has_cap(c, CAP_BPF) && has_cap(c, CAP_PERFMON)))
		return OX_EXIT_OK;
	if (geteuid())
		return ox_err_r(OX_EXIT_NOT_PERMITTED,
				"%s: not permitted: run as root (sudo oomx %s)", command, command);
	return ox_err_r(OX_EXIT_NOT_PERMITTED,
			"%s: root, but without CAP_BPF and CAP_PERFMON: leave the container, or "
			"give it both", command);
}
