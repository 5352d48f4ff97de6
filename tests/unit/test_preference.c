/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose extended attributes count, which of them, and what they are taken for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "preference.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct row {
	uid_t uid;
	mode_t mode;
	bool contained;
	const char *names[3], *values[3];
	enum ox_preference want;
};

static ssize_t get(void *ctx, const char *name, char *value, size_t size)
{
	const struct row *r = ctx;

	for (size_t i = 0; i < 3 && r->names[i]; i++) {
		if (strcmp(r->names[i], name))
			continue;
		if (strlen(r->values[i]) > size)
			return -ERANGE;
		memcpy(value, r->values[i], strlen(r->values[i]));
		return (ssize_t)strlen(r->values[i]);
	}
	return -ENODATA;
}

#define UA "user.oomd_avoid"
#define UO "user.oomd_omit"
#define TA "trusted.oomd_avoid"
#define TO "trusted.oomd_omit"
#define NONE OX_PREFERENCE_NONE
#define AVOID OX_PREFERENCE_AVOID
#define OMIT OX_PREFERENCE_OMIT

static void who_counts(void **state)
{
	static const struct row rows[] = {
		{ 0, 0755, false, { NULL }, { NULL }, NONE },
		{ 0, 0755, false, { UA }, { "1" }, AVOID },
		{ 0, 0755, false, { UO }, { "1" }, OMIT },
		{ 0, 0755, false, { UA, UO }, { "1", "1" }, OMIT },
		{ 0, 0755, false, { UA, UO }, { "1", "0" }, AVOID },
		{ 0, 0755, false, { UA, TO }, { "1", "1" }, OMIT },
		{ 0, 0755, false, { UA }, { "yes" }, AVOID },
		{ 0, 0755, false, { UA }, { "On" }, AVOID },
		{ 0, 0755, false, { UA }, { "" }, NONE },
		{ 0, 0755, false, { UA }, { "0" }, NONE },
		{ 0, 0755, false, { UA }, { "11" }, NONE },
		{ 0, 0755, false, { UA }, { "1234567890" }, NONE },
		{ 0, 0755, false, { "user.oomd_prefer" }, { "1" }, NONE },
		/* whoever can write to it can write that */
		{ 1000, 0755, false, { UA, UO }, { "1", "1" }, NONE },
		{ 0, 0775, false, { UO }, { "1" }, NONE },
		{ 0, 0757, false, { UO }, { "1" }, NONE },
		{ 0, 0755, true, { UA, UO }, { "1", "1" }, NONE },
		/* and these take the machine's own root */
		{ 1000, 0777, true, { TA }, { "1" }, AVOID },
		{ 1000, 0777, true, { TO, UA }, { "1", "1" }, OMIT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct ox_preference_owner o = { rows[i].uid, rows[i].mode,
						       rows[i].contained };
		enum ox_preference p = ox_preference_of(&o, get, (void *)&rows[i]);

		if (p != rows[i].want)
			fail_msg("row %zu: %d", i, p);
	}
}

static void what_they_are_taken_for(void **state)
{
	(void)state;
	assert_int_equal(ox_preference_prio(OMIT, 7).flags, OOMX_PRIO_NEVER);
	assert_int_equal(ox_preference_prio(AVOID, 7).flags, OOMX_PRIO_PROTECT);
	assert_int_equal(ox_preference_prio(AVOID, 7).rule, 7);
	assert_true(strlen(ox_preference_name(AVOID)) < OOMX_RULE_LEN);
	assert_string_equal(ox_preference_name(OMIT), "ManagedOOMPreference=omit");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_counts),
		cmocka_unit_test(what_they_are_taken_for),
	};

	return cmocka_run_group_tests_name("preference", tests, NULL, NULL);
}
