/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* LIMITS in oomx.yaml(5): what is just within is taken, what is just beyond is told, and where. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "rules.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void expect_taken(const char *text)
{
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;

	if (ox_rules_parse("t.yaml", text, strlen(text), &rules, &errors))
		fail_msg("refused: %u:%u: %s", errors.list[0].line, errors.list[0].column,
			 errors.list[0].text);
	ox_rules_free(rules);
}

static void expect_told(const char *text, unsigned int line, unsigned int column, const char *says,
			const char *hint)
{
	struct ox_located errors = {};
	const struct ox_located_error *e = &errors.list[0];
	struct ox_rules *rules = (void *)1;

	assert_int_equal(ox_rules_parse("t.yaml", text, strlen(text), &rules, &errors), -EINVAL);
	assert_ptr_equal(rules, (void *)1);
	assert_int_equal(errors.n, 1);
	assert_string_equal(e->file, "t.yaml");
	if (e->line != line || e->column != column || !strstr(e->text, says) ||
	    !strstr(e->hint, hint))
		fail_msg("expected '%s' at %u:%u, told at %u:%u: %s: %s", says, line, column,
			 e->line, e->column, e->text, e->hint);
}

/* ---- numbers of something -------------------------------------------------------------------- */

#define NEVER "rules:\n- never: true\n  match: "

/* head and n times part are taken; with one more, that is a mistake */
static const struct {
	const char *head, *part;
	size_t n;
	unsigned int line, column;
	const char *says, *hint;
} rows[] = {
	{ "#", "x", (1 << 20) - 1, 1, 1, "larger than 1048576 bytes", "several files" },
	{ "rules:\n", "- match: {cgroup: /a}\n  never: true\n", 1000, 2002, 3,
	  "more than 1000 rules", "one rule may match many" },
	{ NEVER "\n    cgroup:\n", "    - /a\n", 256, 261, 7, "more than 256 patterns",
	  "another rule" },
	{ NEVER "\n    cgroup: /", "a", 254, 4, 13, "at most 255 bytes", "PATTERNS" },
	{ NEVER "\n    comm: ", "a", 15, 4, 11, "15 bytes", "ask for 'exe'" },
	{ NEVER "{cgroup: /a}\n  name: ", "a", 63, 4, 9, "at most 63 bytes", "shorten it" },
};

static char *repeat(const char *head, const char *part, size_t n)
{
	size_t len = strlen(part), at = strlen(head);
	char *s = malloc(at + n * len + 1);

	assert_non_null(s);
	memcpy(s, head, at + 1);
	for (; n--; at += len)
		memcpy(s + at, part, len + 1);
	return s;
}

static void numbers_of_things(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = repeat(rows[i].head, rows[i].part, rows[i].n);

		expect_taken(text);
		free(text);
		text = repeat(rows[i].head, rows[i].part, rows[i].n + 1);
		expect_told(text, rows[i].line, rows[i].column, rows[i].says, rows[i].hint);
		free(text);
	}
}

/*
 * A file's parts: 3 around the rules, and 7 in each besides its patterns, of which all rules but
 * the last have 249. With 246 there, that is 65536.
 */
static void parts(void **state)
{
	static char text[1 << 19];
	unsigned int rules = 256, i, j, n;
	size_t at;

	(void)state;
	for (unsigned int more = 0; more < 2; more++) {
		at = (size_t)sprintf(text, "rules:\n");
		for (i = 0; i < rules; i++) {
			n = i + 1 < rules ? 249 : 246 + more;
			at += (size_t)sprintf(text + at, "- never: true\n  match: {cgroup: [/a");
			for (j = 1; j < n; j++)
				at += (size_t)sprintf(text + at, ",/a");
			at += (size_t)sprintf(text + at, "]}\n");
		}
		assert_true(at < sizeof(text)); /* less than a quarter of it is used */
		if (!more)
			expect_taken(text);
		else
			expect_told(text, 1 + 2 * rules, 20 + 246 * 3, "more than 65536 parts",
				    "several files");
	}
}

static void depth(void **state)
{
	struct ox_located errors = {};
	struct ox_rules *rules;

	(void)state;
	expect_told("[[[[[[[[[[[[[", 1, 13, "more than 12 deep", "no rule needs that");
	/* a rule file has no place for twelve, either, but that is another mistake */
	assert_int_equal(ox_rules_parse("t", "[[[[[[[[[[[[]]]]]]]]]]]]", 24, &rules, &errors),
			 -EINVAL);
	assert_non_null(strstr(errors.list[0].text, "a rule file is a mapping"));
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void numbers(void **state)
{
	static const struct {
		const char *key;
		int min, max;
	} keys[] = {
		{ "priority", -1000, 1000 }, { "class", 0, 1000 }, { "prefer", 1, 1000 },
		{ "avoid", 1, 1000 },	     { "unshield", -999, 1000 },
	};
	static const char rule[] = "rules:\n- match: {cgroup: /a}\n  ";
	char text[128], range[32];
	unsigned int column;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		column = 5 + (unsigned int)strlen(keys[i].key);
		snprintf(range, sizeof(range), "%d to %d", keys[i].min, keys[i].max);
		for (int n = keys[i].min - 1; n <= keys[i].max + 1;
		     n += n == keys[i].min ? keys[i].max - n : 1) {
			snprintf(text, sizeof(text), "%s%s: %d\n", rule, keys[i].key, n);
			if (n >= keys[i].min && n <= keys[i].max)
				expect_taken(text);
			else
				expect_told(text, 3, column, keys[i].key, range);
		}
	}
	expect_taken("rules:\n- match: {cgroup: /a}\n  band: [-1000, 1000]\n");
	expect_told("rules:\n- match: {cgroup: /a}\n  band: [-1001, 0]\n", 3, 10, "band",
		    "-1000 to 1000");
	expect_told("rules:\n- match: {cgroup: /a}\n  band: [0, 1001]\n", 3, 13, "band",
		    "-1000 to 1000");
	expect_taken("version: 1\n");
	expect_told("version: 0\n", 1, 10, "version", "1 to 1");
	expect_told("version: 2\n", 1, 10, "version", "1 to 1");
}

/* ---- files ----------------------------------------------------------------------------------- */

static void write_file(const char *dir, unsigned int i)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%u.yaml", dir, i);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs("rules: []\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void files(void **state)
{
	char dir[] = "/tmp/oomx-limits-XXXXXX", sub[64], cmd[64];
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sub, sizeof(sub), "%s/oomx.d", dir);
	assert_int_equal(mkdir(sub, 0755), 0);
	for (unsigned int i = 0; i < 256; i++)
		write_file(sub, i);
	assert_int_equal(ox_rules_load(dir, &rules, &errors), 0);
	assert_int_equal(rules->n_files, 256);
	ox_rules_free(rules);
	write_file(sub, 256);
	rules = (void *)1;
	assert_int_equal(ox_rules_load(dir, &rules, &errors), -EINVAL);
	assert_ptr_equal(rules, (void *)1);
	assert_int_equal(errors.n, 1);
	assert_string_equal(errors.list[0].file, sub);
	assert_int_equal(errors.list[0].line, 1);
	assert_int_equal(errors.list[0].column, 1);
	assert_string_equal(errors.list[0].text, "more than 256 files");
	assert_string_equal(errors.list[0].hint, "put rules together");
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

/* Of many mistakes, 20 are kept with their places. */
static void mistakes(void **state)
{
	struct ox_located errors = {};
	struct ox_rules *rules;
	char *text = repeat("rules:\n", "- 5\n", 21);

	(void)state;
	assert_int_equal(ox_rules_parse("t", text, strlen(text), &rules, &errors), -EINVAL);
	assert_int_equal(errors.n, 21);
	assert_int_equal(errors.list[19].line, 21);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_things),
		cmocka_unit_test(parts),
		cmocka_unit_test(depth),
		cmocka_unit_test(numbers),
		cmocka_unit_test(files),
		cmocka_unit_test(mistakes),
	};

	return cmocka_run_group_tests_name("rules_limits", tests, NULL, NULL);
}
