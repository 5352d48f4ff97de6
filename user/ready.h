/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ready.h - what is in force from now on: the first line of `oomx run --json`, and for systemd. */
#ifndef OX_READY_H
#define OX_READY_H

#include <stdbool.h>
#include <sys/types.h>
#include <jansson.h>
#include <oomx/abi.h>

/*
 * As documented in docs/events.md and docs/events.schema.json; `pid` is the daemon's. The caller
 * owns the one reference. NULL: no memory.
 */
json_t *ox_ready_json(const struct oomx_config *config, pid_t pid, bool enforce);

/*
 * Tells a service manager that waits for it ($NOTIFY_SOCKET, sd_notify(3)); without one, does
 * nothing. 0 or -errno.
 */
int ox_ready_notify(const struct oomx_config *config, bool enforce);

#endif
