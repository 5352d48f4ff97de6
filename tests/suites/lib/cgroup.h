/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup.h - memory cgroups. Paths are as oomx takes and prints them: "/t/lp", relative to the
 * root of the v2 hierarchy.
 */
#ifndef SUITE_CGROUP_H
#define SUITE_CGROUP_H

#include <stdint.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_PATH_LEN 256

/* Makes it, and gives its parent's children the memory controller. Fatal where that fails. */
void cgroup_make(const char *path);
void cgroup_set(const char *path, const char *file, const char *value);
void cgroup_set_mib(const char *path, const char *file, unsigned int mib);

/* Waits until nothing lives there any more, and removes it. */
void cgroup_remove(const char *path);

/* A key of memory.events, such as "oom_kill"; -1: none. */
int64_t cgroup_event(const char *path, const char *key);
int64_t cgroup_number(const char *path, const char *file);
uint64_t cgroup_id(const char *path);

/* Waits until its memory.current is at most this: what died has been uncharged. */
void cgroup_drain(const char *path, unsigned int mib);

#endif
