/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether the kernel's addresses are hidden from us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "calibrate.h"

static void hidden_addresses(void **state)
{
	static const struct {
		const char *text;
		bool hidden;
	} rows[] = {
		{ "ffffffff81000000 T startup_64\n", false },
		{ "0000000000000000 T startup_64\n", true },
		{ "0000000000000000 A fixed_percpu_data\n0000000000000000 D x\n"
		  "ffffffff81000000 T _text\n0000000000000000 T no\n", false },
		{ "0000000000000000 A fixed_percpu_data\n0000000000000000 T _text\n", true },
		{ "0000000000000000 D only_data\n", false },
		{ "", false },
		{ "garbage\n", false },
	};
	char path[] = "/tmp/oomx-kallsyms-XXXXXX";
	FILE *f;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f = fopen(path, "we");
		assert_non_null(f);
		fputs(rows[i].text, f);
		assert_int_equal(fclose(f), 0);
		if (ox_addresses_hidden(path) != rows[i].hidden)
			fail_msg("row %zu", i);
	}
	assert_int_equal(unlink(path), 0);
	assert_false(ox_addresses_hidden(path));
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(hidden_addresses) };

	return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
