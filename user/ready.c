// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ready.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "build.h"
#include "cleanup.h"
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

int ox_ready_notify(const struct oomx_config *c, bool enforce)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	size_t len = path ? strlen(path) : 0;
	char text[128];
	ssize_t n;

	if (!len)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(to.sun_path))
		return -EINVAL;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') /* no file's name */
		to.sun_path[0] = '\0';
	n = snprintf(text, sizeof(text), "READY=1\nSTATUS=hook %s, policy %s, %u rules, %s",
		     ox_hook_name(c->hook), c->policy, c->n_rules,
		     enforce ? "enforcing" : "watching only"); /* fits */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	return 0;
}
