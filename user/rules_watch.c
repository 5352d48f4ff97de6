// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "rules_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "log.h"
#include "rules.h"

#define PARENT "/etc" /* of OX_RULES_DIR */
#define FILE_EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE)

void ox_rules_watch(int inotify, const char *watched)
{
	const char *path = watched ? watched : OX_RULES_DIR, *slash = strrchr(path, '/');
	const char *shipped = ox_rules_shipped();
	char dir[PATH_MAX];

	/* those that come with oomx change with an installation; they need not be there */
	if (snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(shipped, '/') - shipped), shipped) <
	    (int)sizeof(dir))
		(void)inotify_add_watch(inotify, dir, FILE_EVENTS | IN_ONLYDIR);
	/* a file is watched by its directory: editors put a new one in its place */
	if (inotify_add_watch(inotify, path, FILE_EVENTS | IN_ONLYDIR) >= 0) {
		if (snprintf(dir, sizeof(dir), "%s/oomx.d", path) < (int)sizeof(dir))
			(void)inotify_add_watch(inotify, dir, FILE_EVENTS | IN_ONLYDIR);
		return; /* no oomx.d is fine: its creation is seen */
	}
	if (errno == ENOENT && !watched) { /* on most machines made only when there are rules */
		(void)inotify_add_watch(inotify, PARENT, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
		return;
	}
	if (snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + (slash == path)) : 1,
		     slash ? path : ".") >= (int)sizeof(dir) ||
	    inotify_add_watch(inotify, dir, FILE_EVENTS | IN_ONLYDIR) < 0)
		ox_warn("changes of %s are not seen (%m): reload with SIGHUP, ignoring", path);
}

/* Not files that are being written, which are closed later, nor other people's files. */
static bool is_ours(const char *watched, const struct inotify_event *ev)
{
	const char *base = watched ? strrchr(watched, '/') + 1 : "", *end;

	if (!ev->len || (ev->mask & IN_ISDIR))
		return true; /* a queue that ran over, or oomx.d */
	if (ev->mask & IN_CREATE)
		return false;
	end = strrchr(ev->name, '.');
	return !strcmp(ev->name, base) || (end && !strcmp(end, ".yaml")) ||
	       !strncmp(ev->name, "..", 2); /* Kubernetes turns "..data" to where the files are */
}

bool ox_rules_changed(int inotify, const char *watched)
{
	_Alignas(struct inotify_event) char buf[4096];
	const struct inotify_event *ev;
	bool changed = false;
	ssize_t n, at;

	while ((n = read(inotify, buf, sizeof(buf))) > 0) {
		for (at = 0; at < n; at += (ssize_t)(sizeof(*ev) + ev->len)) {
			ev = (const void *)(buf + at);
			changed |= is_ours(watched, ev);
		}
	}
	return changed;
}

char *ox_rules_absolute(const char *path)
{
	char cwd[PATH_MAX], *ret = NULL;

	if (path[0] == '/')
		return strdup(path);
	if (getcwd(cwd, sizeof(cwd)) && asprintf(&ret, "%s/%s", cwd, path) < 0)
		ret = NULL;
	return ret;
}
