/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * preference.h - systemd's ManagedOOMPreference=, which it writes to a cgroup as an extended
 * attribute: user.oomd_omit, user.oomd_avoid ("trusted." instead of "user." before systemd 249).
 *
 * Whoever owns a cgroup can write the first kind. oomx chooses among all of the machine, and does
 * as systemd-oomd then does: they count where root owns the cgroup. Those of a container do not,
 * and not below one: its root may be the machine's by number. The second kind takes the machine's
 * CAP_SYS_ADMIN, to be written and to be seen.
 */
#ifndef OX_PREFERENCE_H
#define OX_PREFERENCE_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>
#include <oomx/abi.h>

#include "identity.h"

enum ox_preference {
	OX_PREFERENCE_NONE,
	OX_PREFERENCE_AVOID,
	OX_PREFERENCE_OMIT, /* goes before the other, as it does for systemd-oomd */
};

#define OX_PREFERENCES 3

/* Whose word an attribute is. */
struct ox_preference_owner {
	uid_t uid;
	mode_t mode;
	bool contained; /* it is a container's cgroup, or one below */
};

/* Reads `value`, at most `size` bytes, of an attribute; as fgetxattr(), with the errno negated. */
typedef ssize_t (*ox_xattr_fn)(void *ctx, const char *name, char *value, size_t size);

enum ox_preference ox_preference_of(const struct ox_preference_owner *o, ox_xattr_fn get,
				    void *ctx);

/* Of the cgroup with this number; NONE also where it cannot be looked at. */
enum ox_preference ox_preference_read(__u64 id, const struct ox_identity *who);

/* As the kernel side takes it; `number` is what names it there. */
struct oomx_prio ox_preference_prio(enum ox_preference p, __u32 number);

/* What events and `oomx explain` call it in place of a rule's name. */
const char *ox_preference_name(enum ox_preference p);

#endif
