/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* rules_watch.h - seeing that rule files are changed, put in place or taken away. */
#ifndef OX_RULES_WATCH_H
#define OX_RULES_WATCH_H

#include <stdbool.h>

/*
 * Watches the directories in which something may change: those of `path` (absolute, a file's or a
 * directory's; NULL: OX_RULES_DIR, or its parent until it is there) and of the rules that come with
 * oomx. To be called again and again, since one may be new. Logs.
 */
void ox_rules_watch(int inotify, const char *path);

/* Reads all events. Is one of them about a rule file? */
bool ox_rules_changed(int inotify, const char *path);

/*
 * The caller's to free. Links are not followed now, but each time: they may be what is changed.
 * NULL: errno says why.
 */
char *ox_rules_absolute(const char *path);

#endif
