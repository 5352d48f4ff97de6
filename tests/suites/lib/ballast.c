// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/ballast.h"

#include "lib/proc.h"

struct worker *ballast_start(unsigned int leave_mib)
{
	struct worker_spec spec = { .comm = "ballast", .adj = -1000 };
	struct worker *w;
	int64_t free_mib;

	proc_drop_caches();
	free_mib = proc_mem_mib("MemFree");
	if (free_mib <= leave_mib)
		return NULL;
	spec.anon_kib = (unsigned int)(free_mib - leave_mib) * 1024;
	w = worker_start(&spec);
	worker_wait_ready(w);
	return w;
}
