// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "hasten.h"

#include <sched.h>
#include <string.h>

static int keep_away(pid_t tid, unsigned int cpu)
{
	/* of the process, not of a stack that has been rehearsed to some depth */
	static unsigned char all[OX_CPUS_MAX / 8];
	cpu_set_t *set = (cpu_set_t *)all;

	memset(all, 0xff, sizeof(all));
	if (cpu < OX_CPUS_MAX)
		CPU_CLR_S(cpu, sizeof(all), set);
	return sched_setaffinity(tid, sizeof(all), set);
}

void ox_hasten(const struct oomx_request *q, struct oomx_stats *stats)
{
	const struct sched_param p = { .sched_priority = OX_RT_PRIORITY };
	pid_t tid = (pid_t)q->pid;

	if (q->flags & OOMX_REQ_AWAY && !keep_away(tid, q->cpu))
		__atomic_fetch_add(&stats->moved, 1, __ATOMIC_RELAXED);
	if (q->flags & OOMX_REQ_HASTEN && !sched_setscheduler(tid, SCHED_FIFO, &p))
		__atomic_fetch_add(&stats->hastened, 1, __ATOMIC_RELAXED);
}
