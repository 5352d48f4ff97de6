/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* hasten.h - what the responder does for victims that want a CPU on their way out. */
#ifndef OX_HASTEN_H
#define OX_HASTEN_H

#include <oomx/abi.h>

#define OX_CPUS_MAX 8192 /* NR_CPUS of the largest distribution kernels */
/*
 * The responder's, and the victims': who is put off his CPU by a real-time task may be sent to one
 * where an OOM is held, so the responder is not to put off those it has just helped.
 */
#define OX_RT_PRIORITY 50

/*
 * For a request with OOMX_REQ_HASTEN or OOMX_REQ_AWAY, a fresh one. What is done counts in stats;
 * what cannot be done (it is gone by then, it may use no other CPU) is left as it is. Does not
 * allocate. Nothing of it is ever put back: it is for threads that are about to end.
 */
void ox_hasten(const struct oomx_request *q, struct oomx_stats *stats);

#endif
