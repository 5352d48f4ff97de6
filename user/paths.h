/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* paths.h - where a running oomx keeps what others find it by. */
#ifndef OX_PATHS_H
#define OX_PATHS_H

#define OX_RUN_DIR "/run/oomx"
#define OX_SOCK OX_RUN_DIR "/events.sock" /* events: see feed.h */
#define OX_LOCK OX_RUN_DIR "/lock"	  /* locked by the one daemon for as long as it lives */
/*
 * What a command sets by hand and what rules give go to the same map, oomx_prio; and while one oomx
 * takes over from another, both write to oomx_shields and oomx_groups. See lockfile.h.
 */
#define OX_PRIORITY_LOCK OX_RUN_DIR "/priority.lock"
#define OX_ALTERED_LOCK OX_RUN_DIR "/altered.lock"
#define OX_PIN_DIR "/sys/fs/bpf/oomx"	  /* maps and links that outlive it */
#define OX_LINKS_DIR OX_PIN_DIR "/links" /* see pinned.h */

#endif
