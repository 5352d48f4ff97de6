/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses of the kernel's variables: all found, or what is wrong is said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "symbols.h"

static char path[] = "/tmp/oomx-kallsyms-XXXXXX";

static int create(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || close(fd) ? -1 : 0;
}

static int destroy(void **state)
{
	(void)state;
	return unlink(path);
}

/*
 * A table with every symbol, between lines of all kinds: the first at 0xffffffff81000010, and so
 * on. `hidden`: each address is 0. `without` is left out; `extra` comes last.
 */
static void write_table(bool hidden, const char *without, const char *extra)
{
	unsigned long long at = hidden ? 0 : 0xffffffff81000000ULL;
	FILE *f = fopen(path, "we");
	char longest[513];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_non_null(f);
	fprintf(f, "0000000000000000 A fixed_percpu_data\n%016llx T _text\n", at);
	fprintf(f, "garbage\n\n%016llx\n%016llx t %s\t[%s]\n", at, at, longest, longest);
	fprintf(f, "%016llx d init_task\t[module]\n%016llx d xinit_task\n", at + 1, at + 2);
#define ROW(name)                                                                                  \
	if (!without || strcmp(without, #name))                                                    \
		fprintf(f, "%016llx D " #name "\n", hidden ? 0 : (at += 16));
	OOMX_SYMBOLS(ROW)
#undef ROW
	fprintf(f, "%016llx d init_task_nothing\n%s", at, extra);
	assert_int_equal(fclose(f), 0);
}

static void all_found(void **state)
{
	struct oomx_symbols s;
	unsigned long long at = 0xffffffff81000000ULL;

	(void)state;
	write_table(false, NULL, "");
	assert_int_equal(ox_symbols_read(path, &s), 0);
#define ROW(name) assert_true(s.name == (at += 16));
	OOMX_SYMBOLS(ROW)
#undef ROW
}

static void refused(void **state)
{
	static const struct {
		bool hidden;
		const char *without;
		const char *extra;
		int err;
	} rows[] = {
		{ true, NULL, "", -EPERM },
		{ false, "oom_lock", "", -ENOTSUP },
		{ false, "total_swap_pages", "", -ENOTSUP },
		{ false, "oom_lock", "ffffffff82000000 D oom_lock\n", 0 },
		{ false, "oom_lock", "ffffffff82000000 D oom_lock", 0 },
		{ false, "oom_lock", "ffffffff82000000 D oom_lock\t[oom]\n", -ENOTSUP },
		{ false, NULL, "ffffffff82000000 D oom_lock\n", -ENOTSUP },
		{ false, "oom_lock", "0000000000000000 D oom_lock\n", -EPERM },
	};
	struct oomx_symbols s;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_table(rows[i].hidden, rows[i].without, rows[i].extra);
		if (ox_symbols_read(path, &s) != rows[i].err)
			fail_msg("row %zu", i);
	}
}

static void unreadable(void **state)
{
	struct oomx_symbols s;

	(void)state;
	assert_int_equal(ox_symbols_read("/nonexistent/kallsyms", &s), -ENOENT);
	assert_int_equal(ox_symbols_read("/tmp", &s), -EIO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_found),
		cmocka_unit_test(refused),
		cmocka_unit_test(unreadable),
	};

	return cmocka_run_group_tests_name("symbols", tests, create, destroy);
}
