// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capability.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#define RESOURCE (1U << CAP_SYS_RESOURCE)

_Static_assert(CAP_SYS_RESOURCE < 32, "in the first word");

static int get(struct __user_cap_header_struct *h, struct __user_cap_data_struct c[2])
{
	*h = (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, h, c) ? -errno : 0;
}

int ox_cap_resource_drop(void)
{
	struct __user_cap_data_struct c[2] = {};
	struct __user_cap_header_struct h;
	int err = get(&h, c);

	if (err)
		return err;
	c[0].effective &= ~RESOURCE;
	c[0].permitted &= ~RESOURCE;
	c[0].inheritable &= ~RESOURCE;
	return syscall(SYS_capset, &h, c) ? -errno : 0;
}

int ox_cap_resource_use(bool on, bool *ret_was)
{
	struct __user_cap_data_struct c[2] = {};
	struct __user_cap_header_struct h;
	int err = get(&h, c);

	if (err)
		return err;
	if (ret_was)
		*ret_was = c[0].effective & RESOURCE;
	if (on)
		c[0].effective |= RESOURCE;
	else
		c[0].effective &= ~RESOURCE;
	return syscall(SYS_capset, &h, c) ? -errno : 0;
}
