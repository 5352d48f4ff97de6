/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pinned.h - the daemon is killed under the hook struct_ops, which needs none: the policy goes on
 * deciding, oomx says so, the next one takes over or leaves it alone, `oomx stop` ends it.
 */
#ifndef SUITE_PINNED_H
#define SUITE_PINNED_H

#include <stdbool.h>

#include "lib/suite.h"

/* With the module loaded. A run is all of it. */
void pinned_play(bool global, const struct suite_options *o);

#endif
