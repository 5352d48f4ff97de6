/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Patterns: what they match, what they do not, and that none of them takes for ever. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "glob.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct row {
	const char *pattern, *text;
	bool matches;
};

static void check(const struct row *row, size_t n, bool path)
{
	for (; n; n--, row++) {
		struct ox_glob *g = NULL;
		const char *why = NULL;
		size_t at;

		if (ox_glob_new(row->pattern, path, &g, &why, &at))
			fail_msg("'%s' is refused: %s", row->pattern, why);
		assert_string_equal(ox_glob_text(g), row->pattern);
		if (ox_glob_match(g, row->text) != row->matches)
			fail_msg("'%s' %s '%s'", row->pattern,
				 row->matches ? "does not match" : "matches", row->text);
		ox_glob_free(g);
	}
}

static void paths(void **state)
{
	static const struct row rows[] = {
		{ "/a", "/a", true }, { "/a", "/ab", false }, { "/ab", "/a", false },
		{ "/a", "", false }, { "/", "/", true }, { "/", "", false },
		{ "/*", "/", true }, { "/*", "/a", true }, { "/*", "/a/b", false },
		{ "/**", "/", true }, { "/**", "/a/b/c", true }, { "/***", "/a/b/c", true },
		{ "/a/**", "/a", false }, { "/a/**", "/a/b/c", true }, { "/a/**", "/ab", false },
		{ "**/b", "/b", true }, { "**/b", "/a/b", true }, { "**/b", "/ab", false },
		{ "**/b/**", "/a/b/c", true }, { "**/b/**", "/a/b", false },
		{ "/a/*/c", "/a/b/c", true }, { "/a/*/c", "/a//c", true },
		{ "/a/*/c", "/a/b/b/c", false }, { "/a/**/c", "/a/b/b/c", true },
		{ "/a*c", "/abc", true }, { "/a*c", "/ab/c", false }, { "/a**c", "/ab/c", true },
		{ "/*a*b/*c", "/xaxab/aac", true }, { "/*a*b/*c", "/xaxab/a/c", false },
		{ "/*a/*b", "/xaya/zb", true }, { "**a/*b", "/a/a/a/bb", true },
		{ "/?", "/a", true }, { "/?", "/", false }, { "/a?b", "/a/b", false },
		{ "/?", "/ä", true }, { "/?b", "/äb", true }, { "/??", "/ä", false },
		{ "/[ab]", "/b", true }, { "/[ab]", "/c", false }, { "/[!ab]", "/c", true },
		{ "/[!ab]", "/a", false }, { "/[!a]b", "/ä" "b", true }, { "/a[!x]b", "/a/b", false },
		{ "/[a-c]", "/b", true }, { "/[a-c]", "/d", false }, { "/[]]", "/]", true },
		{ "/[a-]", "/-", true }, { "/[*]", "/*", true }, { "/[*]", "/a", false },
		{ "/[.-0]", "/.", true }, { "/a[.-0]b", "/a/b", false },
		{ "/a\\x2db", "/a\\x2db", true }, { "/a\\*", "/a\\b", true },
		{ "/system.slice/*.service", "/system.slice/.service", true },
		{ "/kubepods.slice/**/cri-*.scope", "/kubepods.slice/a/b/cri-0.scope", true },
		{ "/ü*", "/ü", true }, { "/ü*", "/\xc3", false },
	};

	(void)state;
	check(rows, ARRAY_SIZE(rows), true);
}

static void names(void **state)
{
	static const struct row rows[] = {
		{ "*", "", true }, { "*", "docker.io/library/nginx:1", true },
		{ "*/nginx:*", "docker.io/library/nginx:1", true }, { "?", "/", true },
		{ "nginx", "nginx2", false }, { "**", "a/b", true }, { "*x", "a/bx", true },
		{ "[!a]", "/", true }, { "web-[0-9]*", "web-7f", true },
		{ "web-[0-9]*", "web-f7", false },
	};

	(void)state;
	check(rows, ARRAY_SIZE(rows), false);
}

static void refused(void **state)
{
	static const struct {
		const char *pattern;
		size_t at;
	} rows[] = {
		{ "", 0 }, { "/a[", 2 }, { "/a[]", 2 }, { "/a[!]", 2 }, { "/[z-a]", 1 },
		{ "/x[ä]", 2 }, { "/[a-ä]", 1 }, { "/[/]", 1 }, { "/a[b[c]d[", 8 },
	};
	struct ox_glob *g = (void *)1;
	char tall[OX_GLOB_MAX + 2];
	const char *why;
	size_t at, i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		why = NULL;
		if (ox_glob_new(rows[i].pattern, true, &g, &why, &at) != -EINVAL)
			fail_msg("'%s' is not refused", rows[i].pattern);
		assert_non_null(why);
		assert_int_equal(at, rows[i].at);
		assert_ptr_equal(g, (void *)1);
	}
	memset(tall, 'a', sizeof(tall) - 1);
	tall[sizeof(tall) - 1] = '\0';
	assert_int_equal(ox_glob_new(tall, true, &g, &why, &at), -EINVAL);
	tall[sizeof(tall) - 2] = '\0';
	assert_int_equal(ox_glob_new(tall, true, &g, &why, &at), 0);
	assert_true(ox_glob_match(g, tall));
	ox_glob_free(g);
}

/* fnmatch() would still be at it next year. */
static void no_pattern_takes_for_ever(void **state)
{
	char pattern[OX_GLOB_MAX + 1], text[4096];
	struct ox_glob *g;
	const char *why;
	size_t at, i;

	(void)state;
	for (i = 0; i + 2 < sizeof(pattern); i += 2)
		memcpy(pattern + i, i % 8 ? "*a" : "**", 2);
	pattern[i - 1] = 'b';
	pattern[i] = '\0';
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(ox_glob_new(pattern, true, &g, &why, &at), 0);
	assert_false(ox_glob_match(g, text));
	text[sizeof(text) - 2] = 'b';
	assert_true(ox_glob_match(g, text));
	ox_glob_free(g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(names),
		cmocka_unit_test(refused),
		cmocka_unit_test(no_pattern_takes_for_ever),
	};

	return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
