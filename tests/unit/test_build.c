// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Builds: what tells one from another, and what one oomx may go on with unasked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "build.h"
#include "policy.h"
#include "replace.h"

static void hashes(void **state)
{
	const struct ox_blob abc = { "abc", 3 }, parts[] = { { "a", 1 }, { "bc", 2 } };

	(void)state;
	/* FIPS 180-4's own example */
	assert_true(ox_hash(&abc, 1) == 0xba7816bf8f01cfeaULL);
	assert_true(ox_hash(parts, 2) == 0xba7816bf8f01cfeaULL);
	assert_true(ox_hash(NULL, 0) == 0xe3b0c44298fc1c14ULL);
}

static void text(void **state)
{
	char buf[OX_BUILD_LEN];

	(void)state;
	assert_true(ox_build());
	assert_true(ox_build() == ox_build());
	assert_string_equal(ox_build_text(0xabcULL, buf), "0000000000000abc");
	assert_string_equal(ox_build_text(~0ULL, buf), "ffffffffffffffff");
	assert_string_equal(ox_build_text(0, buf), "unknown");
}

/* It goes on with its own: the same objects, the same policy. All else takes --replace. */
static void continues(void **state)
{
	struct oomx_config config = { .abi = OOMX_ABI, .build = ox_build() };
	struct ox_policy policy, other;

	(void)state;
	assert_int_equal(ox_policy_load("priority", &policy), 0);
	assert_int_equal(ox_policy_load("kernel", &other), 0);
	config.policy_hash = policy.hash;
	assert_true(ox_replace_continues(&config, &policy));
	assert_false(ox_replace_continues(&config, &other));
	config.build ^= 1;
	assert_false(ox_replace_continues(&config, &policy));
	config.build = 0; /* from before there were builds */
	assert_false(ox_replace_continues(&config, &policy));
	ox_policy_done(&policy);
	ox_policy_done(&other);
}

/* Older ones' entries end before `build`, and that is read as none. */
static void layout(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct oomx_config, protected_percent), 168);
	assert_int_equal(offsetof(struct oomx_config, build), 192);
	assert_int_equal(sizeof(struct oomx_config), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(text),
		cmocka_unit_test(continues),
		cmocka_unit_test(layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
