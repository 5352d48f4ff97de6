/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* nested.h - cgroups deep below one another, without controllers, for this process to be in. */
#ifndef SUITE_NESTED_H
#define SUITE_NESTED_H

#define NESTED_PATH_LEN 4096

/* "/aaa/bbb/...", each name name_len long: makes what is not there yet. "" is the root. */
void nested_make(char path[NESTED_PATH_LEN], unsigned int depth, unsigned int name_len);
void nested_enter(const char *path);
void nested_remove(char path[NESTED_PATH_LEN]); /* with all above it; path is "" then */

#endif
