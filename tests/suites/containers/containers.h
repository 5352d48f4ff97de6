/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* containers.h - the parts of suite_containers that have files of their own. */
#ifndef SUITE_CONTAINERS_H
#define SUITE_CONTAINERS_H

#include "lib/suite.h"

/* oomx itself in a container, with what examples/kubernetes gives it, and with less. */
void node_play(const struct suite_options *o);

#endif
