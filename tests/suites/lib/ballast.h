/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ballast.h - the machine made small, for an OOM of the whole of it not to take long. */
#ifndef SUITE_BALLAST_H
#define SUITE_BALLAST_H

#include "lib/worker.h"

/*
 * A process that nobody may choose takes all the free memory but so much. The caller's to
 * worker_end(); NULL: there is not as much.
 */
struct worker *ballast_start(unsigned int leave_mib);

#endif
