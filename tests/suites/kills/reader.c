// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * reader.c - somebody reads the victim's memory while it dies, as monitors do in /proc, and is the
 * last to let go of it: what the victim would have done on its way out that one does, and lives on.
 */
#include "kills/kills.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/hang.h"
#include "lib/suite.h"

static bool dead(void *w)
{
	return !worker_alive(w);
}

static bool read_on(void *w)
{
	return worker_done(w) || worker_failed(w, NULL);
}

void kills_reader(void)
{
	struct worker_growth reads = { .mib = 1, .threads = 1, .reads_to = HANG_FILE };
	const struct worker_growth g = { .mib = HP_MIB, .threads = 1 };
	struct worker_spec spec = kills_spec("lp", LP, LP_MIB);
	struct worker *lp, *reader;
	const char *why;

	hang_open();
	spec.room_kib = reads.mib * 1024;
	lp = cast_add(&kills_cast, &spec, true);
	reads.into = lp;
	reader = kills_add("reader", OUT, 0, false);
	kills_add("h2", H2, H2_MIB, false);
	kills_cast.trigger = kills_add("hp", HP, 0, false);
	cast_ready(&kills_cast);
	worker_grow(reader, &reads);
	if (!suite_wait(hang_reading, NULL, SUITE_STEP_MS))
		suite_fail("lp's memory is not read");
	worker_grow(kills_cast.trigger, &g);
	if (!suite_wait(dead, lp, SUITE_STEP_MS))
		suite_fail("lp is not killed");
	if (daemon_find(OOMX_REC_FREED, 0, worker_pid(lp)))
		suite_fail("lp's memory is gone while it is read");
	hang_release();
	if (cast_await(&kills_cast))
		cast_expect_dead(&kills_cast);
	if (!suite_wait(read_on, reader, SUITE_STEP_MS))
		suite_fail("the reader still reads");
	else if (worker_failed(reader, &why))
		suite_fail("the reader: %s", why);
}
