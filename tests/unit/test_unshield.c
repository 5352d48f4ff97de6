/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The key `unshield`: what it may say, and that those who are never chosen have no use for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rules.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void what_it_may_say(void **state)
{
	static const struct {
		const char *says;
		int value;	    /* good: what it gives */
		unsigned int column; /* bad: where; 0: good */
	} rows[] = {
		{ "unshield: 0", 0, 0 },
		{ "unshield: -999", -999, 0 },
		{ "unshield: 1000", 1000, 0 },
		{ "unshield: -1000", 0, 13 },
		{ "unshield: 1001", 0, 13 },
		{ "unshield: true", 0, 13 },
		{ "unshield: '5'", 0, 13 },
		{ "unshield: [5]", 0, 13 },
		{ "unsheild: 5", 0, 3 },
		{ "unshield: 5\n  protect: true", 5, 0 },
		{ "unshield: 5\n  never: true", 0, 3 },
	};
	static const char *const about[] = { "cgroup: /a", "exe: /bin/a" };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		struct ox_located errors = {};
		struct ox_rules *r = NULL;
		char text[256];
		int err;

		snprintf(text, sizeof(text), "rules:\n- match: {%s}\n  %s\n", about[i % 2],
			 rows[i / 2].says);
		err = ox_rules_parse("t.yaml", text, strlen(text), &r, &errors);
		if (err != (rows[i / 2].column ? -EINVAL : 0) ||
		    (err && errors.list[0].column != rows[i / 2].column))
			fail_msg("%s: %d, column %u", text, err, errors.list[0].column);
		if (err)
			continue;
		assert_true(r->unshield);
		assert_int_equal(r->rules[0].unshield, rows[i / 2].value);
		ox_rules_free(r);
	}
}

static void without_it(void **state)
{
	static const char text[] = "rules:\n- match: {cgroup: /a}\n  class: 1\n";
	struct ox_located errors = {};
	struct ox_rules *r = NULL;

	(void)state;
	assert_int_equal(ox_rules_parse("t.yaml", text, strlen(text), &r, &errors), 0);
	assert_false(r->unshield);
	ox_rules_free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_may_say),
		cmocka_unit_test(without_it),
	};

	return cmocka_run_group_tests_name("unshield", tests, NULL, NULL);
}
