// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Calibration on machines with more CPUs than are added up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <oomx/abi.h>

#include "calibrate.h"
#include "log.h"

static void too_many_cpus(void **state)
{
	static const struct {
		int found, n_cpus, expected;
	} row[] = {
		{ OOMX_RSS_SUM, 1, OOMX_RSS_SUM },
		{ OOMX_RSS_SUM, OOMX_CPUS_MAX, OOMX_RSS_SUM },
		{ OOMX_RSS_SUM, OOMX_CPUS_MAX + 1, -ENOTSUP },
		{ OOMX_RSS_SUM, 8192, -ENOTSUP },
		/* nothing is added up */
		{ OOMX_RSS_ATOMIC, 8192, OOMX_RSS_ATOMIC },
		{ OOMX_RSS_APPROX, 8192, OOMX_RSS_APPROX },
		{ -EPERM, 8192, -EPERM },
		{ -ENOTSUP, 8192, -ENOTSUP },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(ox_calibrate_judge(row[i].found, row[i].n_cpus), row[i].expected);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_many_cpus),
	};

	ox_log_set_level(0);
	return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
