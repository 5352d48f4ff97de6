// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ready.h"

#include <stdio.h>

#include "build.h"
#include "engine.h"
#include "record.h"

json_t *ox_ready_json(const struct oomx_config *c, pid_t pid, bool enforce)
{
	char hash[20], build[OX_BUILD_LEN];

	(void)snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)c->policy_hash); /* fits */
	return json_pack("{ss si ss ss sb ss ss ss si}", "type", "ready", "pid", (int)pid, "build",
			 ox_build_text(c->build, build), "hook", ox_hook_name(c->hook), "enforce",
			 enforce, "policy", c->policy, "policy_hash", hash, "rss_mode",
			 ox_rss_mode_name(c->rss_mode), "rules", (int)c->n_rules);
}
