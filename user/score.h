/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* score.h - the ranking as an OOM now would make it, from the code that decides. */
#ifndef OX_SCORE_H
#define OX_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <oomx/abi.h>

#include "policy.h"

struct ox_score_args {
	const char *policy; /* NULL: the running oomx's, if that is built in, else kernel */
	__u64 domain_id;    /* cgroup whose limit is hit; 0: the whole machine */
	bool ineligible;    /* also those that the kernel would not kill, at the end */
};

struct ox_scores {
	struct oomx_score_rec *rec; /* who dies first comes first; to be freed */
	size_t n;
	size_t room;
};

/*
 * While an oomx is running, with its priorities. *ret_policy is what was asked, the caller's for
 * ox_policy_done(); both are to be freed also after a failure. Logs. 0 or -errno, as
 * ox_exit_status() takes it.
 */
int ox_score(const struct ox_score_args *args, struct ox_policy *ret_policy,
	     struct ox_scores *ret);

#endif
