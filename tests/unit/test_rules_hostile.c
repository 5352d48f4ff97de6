/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rule files that are wrong, made in numbers: each is refused with an error that names a line and
 * a column that are there, and nothing is given out. Run under sanitizers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cleanup.h"
#include "glob.h"
#include "rules.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define HOSTILE_MIN 500

static const char sound[] =
	"# what the hostile ones are made from\n"
	"version: 1\n"
	"rules:\n"
	"  - name: database\n"
	"    match:\n"
	"      unit: [postgresql@*.service, 'mariadb.service']\n"
	"      slice: system.slice\n"
	"    priority: 500\n"
	"    class: 0\n"
	"    avoid: 100\n"
	"  - name: \"shop ä\"\n"
	"    match:\n"
	"      container: {runtime: podman, name: shop*, image: \"*/shop:*\",\n"
	"                  label: {tier: [front, back]}}\n"
	"      kubernetes: {namespace: prod, pod: web-*, qos: burstable}\n"
	"    protect: true\n"
	"  - name: batch\n"
	"    match: {cgroup: /batch.slice/**}\n"
	"    priority: -100\n"
	"    prefer: 10\n"
	"  - name: ssh\n"
	"    match: {unit: sshd.service}\n"
	"    never: true\n";

static unsigned int tried;
static uint64_t seed = 20260301;

static uint64_t random64(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned int count_lines(const char *s, size_t n)
{
	unsigned int lines = 1;

	for (; n--; s++)
		lines += *s == '\n';
	return lines;
}

/* line, column: where the error has to be; 0: anywhere */
static void expect_refused(const char *what, const char *s, size_t n, unsigned int line,
			   unsigned int column)
{
	struct ox_located errors = {};
	struct ox_rules *rules = (void *)1;
	const struct ox_located_error *e = &errors.list[0];
	int err = ox_rules_parse("h.yaml", s, n, &rules, &errors);

	tried++;
	if (err != -EINVAL || !errors.n || rules != (void *)1)
		fail_msg("%s was taken (%d): %.300s", what, err, s);
	if (!e->line || !e->column || e->line > count_lines(s, n) + 1 || !e->text[0] || !e->hint[0])
		fail_msg("%s: an error without a place: %u:%u: %s", what, e->line, e->column,
			 e->text);
	if ((line && e->line != line) || (column && e->column != column))
		fail_msg("%s: at %u:%u, not %u:%u: %s", what, e->line, e->column, line, column,
			 e->text);
}

/* sound[], with `with` in place of the `len` bytes at `at` */
static char *splice(size_t at, size_t len, const char *with, size_t n_with, size_t *ret_n)
{
	size_t n = sizeof(sound) - 1;
	char *s = malloc(n - len + n_with + 1);

	assert_non_null(s);
	memcpy(s, sound, at);
	memcpy(s + at, with, n_with);
	memcpy(s + at + n_with, sound + at + len, n - at - len + 1);
	*ret_n = n - len + n_with;
	return s;
}

static void expect_spliced(const char *what, const char *old, const char *new)
{
	const char *at = strstr(sound, old);
	size_t n;
	_cleanup_free_ char *s = NULL;

	assert_non_null(at);
	s = splice(at - sound, strlen(old), new, strlen(new), &n);
	expect_refused(what, s, n, 0, 0);
}

static void the_sound_one_is_taken(void **state)
{
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;

	(void)state;
	assert_int_equal(ox_rules_parse("s", sound, sizeof(sound) - 1, &rules, &errors), 0);
	assert_int_equal(rules->n, 4);
	ox_rules_free(rules);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* Bytes that are no text, anywhere: the place is exact. */
static void bytes_that_are_no_text(void **state)
{
	static const char *const bad[] = { "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80",
					   "\x80", "\x01", "\x1b[31m", "\x7f", "\xc2\x85" };

	(void)state;
	for (unsigned int i = 0; i < 180; i++) {
		const char *b = bad[i % ARRAY_SIZE(bad)];
		size_t at = random64() % sizeof(sound), n, j, line_start = 0;
		unsigned int column = 1;
		_cleanup_free_ char *s = NULL;

		while ((sound[at] & 0xc0) == 0x80)
			at--; /* not into the middle of a character */
		for (j = 0; j < at; j++)
			if (sound[j] == '\n')
				line_start = j + 1;
		for (j = line_start; j < at; j++)
			column += (sound[j] & 0xc0) != 0x80;
		s = splice(at, 0, b, strlen(b), &n);
		expect_refused("a bad byte", s, n, count_lines(sound, at), column);
	}
}

static void noise(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		char s[512];

		for (size_t j = 0; j < sizeof(s); j++)
			s[j] = (char)random64();
		s[sizeof(s) - 1] = '\xff'; /* to be sure, however unlikely it is otherwise */
		expect_refused("noise", s, sizeof(s), 0, 0);
	}
	expect_refused("a NUL", "rules: []\n\0", 11, 2, 1);
	expect_refused("UTF-16", "\xff\xfer\0u\0", 6, 1, 1);
}

/* ---- words ---------------------------------------------------------------------------------- */

/* Each value in place of that of each key. */
static void splice_each(const char *const keys[], size_t n_keys, const char *const values[],
			size_t n_values)
{
	char new[128], what[160];

	for (size_t k = 0; k < n_keys; k++)
		for (size_t v = 0; v < n_values; v++) {
			size_t n = strcspn(keys[k], ":") + 1;

			snprintf(new, sizeof(new), "%.*s %s", (int)n, keys[k], values[v]);
			snprintf(what, sizeof(what), "'%s'", new);
			expect_spliced(what, keys[k], new);
		}
}

/* Each line with a key, and each value that no key takes. */
static void wrong_types(void **state)
{
	static const char *const keys[] = { "version: 1", "priority: 500", "class: 0", "avoid: 100",
					    "protect: true", "prefer: 10", "never: true",
					    "priority: -100" };
	static const char *const values[] = {
		"", "~", "[]", "{}", "[1]", "{a: 1}", "\"1\"", "'true'", "1.5", "1e3", "0x10", "010",
		"+1", "1_000", "99999999999999999999", "-99999999999999999999", "NaN", ".inf", "yes",
		"True", "FALSE", "null", "2001-01-01", "!!int 1", "&a 1", "*a", "|\n      1", "1 2",
		"[[1]]", "\"\\x31\"", "１",
	};

	(void)state;
	splice_each(keys, ARRAY_SIZE(keys), values, ARRAY_SIZE(values));
}

static void wrong_patterns(void **state)
{
	static const char *const keys[] = { "slice: system.slice", "runtime: podman", "name: shop*",
					    "pod: web-*", "qos: burstable",
					    "cgroup: /batch.slice/**", "unit: sshd.service" };
	static const char *const values[] = { "", "[]", "{}", "[[a]]", "{a: b}", "'['", "'[z-a]'",
					      "'[ä]'", "&x a", "*x", "!x a", "[a, {}]" };

	(void)state;
	splice_each(keys, ARRAY_SIZE(keys), values, ARRAY_SIZE(values));
}

/* Every key, with a letter too many, and there twice. */
static void wrong_keys(void **state)
{
	static const char *const keys[] = { "version", "rules", "match", "unit", "slice", "priority",
					    "class", "avoid", "container", "runtime", "image",
					    "label", "kubernetes", "namespace", "pod", "qos",
					    "protect", "cgroup", "prefer", "never" };
	char old[64], new[192];

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		snprintf(old, sizeof(old), "%s:", keys[k]);
		snprintf(new, sizeof(new), "%sx:", keys[k]);
		expect_spliced(new, old, new);
		snprintf(new, sizeof(new), "_%s:", keys[k]);
		expect_spliced(new, old, new);
		snprintf(new, sizeof(new), "? [%s]\n:", keys[k]);
		expect_spliced(new, old, new);
		snprintf(new, sizeof(new), "%s: 1, %s:", keys[k], keys[k]);
		expect_spliced(new, old, new);
	}
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static void repeated(const char *what, const char *head, const char *part, size_t n)
{
	size_t head_len = strlen(head), len = strlen(part), i;
	_cleanup_free_ char *s = malloc(head_len + n * len + 1);

	assert_non_null(s);
	memcpy(s, head, head_len + 1);
	for (i = 0; i < n; i++)
		memcpy(s + head_len + i * len, part, len + 1);
	expect_refused(what, s, head_len + n * len, 0, 0);
}

static void too_large(void **state)
{
	const size_t ten_mb = 10 << 20;

	(void)state;
	repeated("10 MB of blanks", "", " ", ten_mb);
	repeated("10 MB of comment", "#", "x", ten_mb);
	repeated("10 MB of brackets", "", "[", ten_mb);
	repeated("10 MB of rules", "rules:\n", "- match: {cgroup: /a}\n  never: true\n",
		 ten_mb / 36);
	repeated("1 MB of one word", "rules: ", "x", 1 << 20);
	repeated("1 MB of a text without an end", "rules: \"", "x", (1 << 20) - 8);
	repeated("1001 rules", "rules:\n", "- match: {cgroup: /a}\n  never: true\n", 1001);
	repeated("257 patterns", "rules:\n- never: true\n  match:\n    cgroup:\n", "    - /a\n", 257);
	repeated("70000 parts", "rules:\n- match: {cgroup: [", "a,", 70000);
	repeated("a long pattern", "rules:\n- never: true\n  match:\n    cgroup: /", "a", 300);
	repeated("a long name", "rules:\n- never: true\n  match: {cgroup: /a}\n  name: ", "a", 64);
	for (size_t depth = 13; depth < 400000; depth *= 2) {
		repeated("deep lists", "", "[", depth);
		repeated("deep mappings", "", "{a: ", depth);
		repeated("deep dashes", "", "- ", depth);
		repeated("deep questions", "", "? ", depth);
		repeated("deep mixture", "rules: ", "[{a: ", depth);
	}
}

static void anchors_and_cycles(void **state)
{
	static const char *const texts[] = {
		"rules: &a [*a]\n", "&a {rules: *a}\n", "rules: *a\n", "&a rules: []\n",
		"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\nrules: *d\n",
		"rules:\n- &r {match: {cgroup: /a}, never: true}\n- *r\n",
		"rules:\n- <<: *r\n", "rules:\n- <<: {match: {cgroup: /a}}\n  never: true\n",
		"--- &a\n*a\n", "rules: !!binary aGVsbG8=\n", "rules: !local []\n",
		"!!map {rules: []}\n", "%TAG ! tag:x,2000:\n---\nrules: []\n",
		"%YAML 1.2\n---\nrules: []\n", "%YAML 9.9\n---\nrules: []\n",
		"rules: []\n...\n---\nrules: []\n", "---\n---\n", "rules: []\n--- a\n", "%FOO\n",
		"rules: [\n", "rules: {\n", "rules: \"\n", "rules: '\n", "rules: ]\n", "rules: }\n",
		"rules: @\n", "rules: `\n", "rules: %\n", "rules: - a\n", "rules: []\n x\n", "- \n",
		"rules:\n- a\n b\n", "\trules: []\n", "rules: >9x\n a\n", "rules: \"\\q\"\n",
		"rules: \"\\ud800\"\n", "rules: [a, b: c, d\n", "a: b: c\n", ": []\n", "? \n", "[]\n",
		"rules: [] x\n", "rules: []\nrules: []\n", "\"rules: []\n", "|\n x\n", "rules: |\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect_refused(texts[i], texts[i], strlen(texts[i]), 0, 0);
}

static void there_were_many(void **state)
{
	(void)state;
	print_message("# %u hostile files\n", tried);
	assert_true(tried >= HOSTILE_MIN);
}

/* Any change of a few bytes: taken or refused with a place, and never anything else. */
static void mutations(void **state)
{
	unsigned int refused = 0;

	(void)state;
	for (unsigned int i = 0; i < 4000; i++) {
		static const char stuff[] = "\n\n  --::{}[]''\"\"#&*!|>%@`?,~0a\t/";
		struct ox_located errors = {};
		struct ox_rules *rules = NULL;
		char s[sizeof(sound) + 16];
		size_t n = sizeof(sound) - 1;
		int err;

		memcpy(s, sound, n);
		for (unsigned int k = 1 + random64() % 4; k; k--) {
			size_t at = random64() % n, len = 1 + random64() % 8;

			if (random64() & 1 || at + len >= n) {
				s[at] = stuff[random64() % (sizeof(stuff) - 1)];
			} else {
				memmove(s + at, s + at + len, n - at - len);
				n -= len;
			}
		}
		s[n] = '\0';
		err = ox_rules_parse("m.yaml", s, n, &rules, &errors);
		if (err ? err != -EINVAL || !errors.n || !errors.list[0].line || rules :
			  errors.n || !rules)
			fail_msg("%d: %s", err, s);
		refused += !!err;
		ox_rules_free(rules);
	}
	print_message("# %u of 4000 mutations refused\n", refused);
	assert_in_range(refused, 1000, 3999);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sound_one_is_taken),
		cmocka_unit_test(bytes_that_are_no_text),
		cmocka_unit_test(noise),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(wrong_patterns),
		cmocka_unit_test(wrong_keys),
		cmocka_unit_test(too_large),
		cmocka_unit_test(anchors_and_cycles),
		cmocka_unit_test(there_were_many),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests_name("rules_hostile", tests, NULL, NULL);
}
