/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * policy.h - policies: built in by name, or an object file; checked before the kernel sees them,
 * and linked to a hook's object.
 */
#ifndef OX_POLICY_USER_H
#define OX_POLICY_USER_H

#include <oomx/policy.h>

#include "objects.h"

struct ox_policy {
	char name[OOMX_POLICY_NAME_LEN];
	__u64 hash;	     /* first 8 bytes, big-endian, of the object's SHA-256 */
	struct ox_blob blob; /* the object */
	void *owned;	     /* blob's memory, if it is not built in */
};

/*
 * `what` is a built-in policy's name, or the path of an object file (it has a '/' or ends in
 * ".o"). Logs the cause and the cure of a refusal. 0; -ENOEXEC: refused (not BPF, another ABI,
 * ...); -ENOENT and others: cannot be read. On success the caller owes ox_policy_done().
 */
int ox_policy_load(const char *what, struct ox_policy *ret);
void ox_policy_done(struct ox_policy *p);

/*
 * Links the policy to a hook's object. ret->data is malloc()ed, the caller's to free. Logs.
 * -ENOEXEC: the two do not fit together.
 */
int ox_policy_link(const struct ox_policy *p, struct ox_blob hook, struct ox_blob *ret);

/* The built-in policies' names, one after the other; NULL after the last. */
const char *ox_policy_builtin(unsigned int i);

#endif
