// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "rules_decide.h"

#include <errno.h>
#include <string.h>

int ox_identify_by_path(void *ctx, const char *cgroup, struct ox_identity *ret)
{
	return ox_identity_from_path(cgroup, ret);
}

int ox_identify_fully(void *ctx, const char *cgroup, struct ox_identity *ret)
{
	int err = ox_identity_from_path(cgroup, ret);

	if (!err && ox_identity_resolve(ret) == -ENOMEM)
		err = -ENOMEM; /* not a container, or one that nobody knows: the path has to do */
	return err;
}

int ox_rules_decide(const struct ox_rules *rules, const char *cgroup, ox_identify_fn identify,
		    void *ctx, struct ox_decision *ret)
{
	struct ox_identity id = {};
	char *slash;
	int depth, err;

	if (strlen(cgroup) >= sizeof(ret->from))
		return -ENAMETOOLONG;
	memcpy(ret->from, cgroup, strlen(cgroup) + 1);
	ret->rule = 0;
	for (depth = 0; depth < OOMX_DEPTH_MAX; depth++) {
		err = identify(ctx, ret->from, &id);
		if (!err)
			ret->rule = ox_rules_match(rules, &id);
		ox_identity_done(&id);
		if (err || ret->rule)
			return err;
		slash = strrchr(ret->from, '/');
		if (!slash || !slash[1])
			break;
		slash[slash == ret->from] = '\0'; /* the parent; "/a" -> "/" */
	}
	ret->from[0] = '\0';
	return 0;
}
