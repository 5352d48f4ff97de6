// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The user side of the kernel module, as far as it goes without one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/types.h>

#include "../../kmod/oomx_choice.h"
#include "engine.h"
#include "struct_ops.h"

/* Objects and modules of different builds meet: this layout is for ever. */
static void test_layout(void **state)
{
	assert_int_equal(OOMX_CHOICE_ABI, 1);
	assert_int_equal(sizeof(struct oomx_choice), 32);
	assert_int_equal(offsetof(struct oomx_choice, cgroup_id), 8);
	assert_int_equal(offsetof(struct oomx_choice, trigger), 16);
	assert_int_equal(offsetof(struct oomx_choice, order), 20);
	assert_int_equal(offsetof(struct oomx_choice, gfp), 24);
	assert_int_equal(offsetof(struct oomx_choice_ops, choose), 0);
	assert_int_equal(offsetof(struct oomx_choice_ops, abi), 8);
	assert_int_equal(offsetof(struct oomx_choice_ops, name), 12);
}

/* Linked to a policy, it has its one program for the module, and that alone is not attached. */
static void test_linked(void **state)
{
	struct ox_blob linked;
	struct ox_policy p;
	struct bpf_object *obj;
	struct bpf_program *prog;
	struct bpf_map *map;
	unsigned int asked = 0, others = 0;

	assert_int_equal(ox_policy_load("priority", &p), 0);
	assert_int_equal(ox_policy_link(&p, OX_BLOB(struct_ops), &linked), 0);
	obj = ox_engine_open(linked, "oomx");
	assert_non_null(obj);
	map = bpf_object__find_map_by_name(obj, "oomx_choice_ops");
	assert_non_null(map);
	assert_int_equal(bpf_map__type(map), BPF_MAP_TYPE_STRUCT_OPS);
	bpf_object__for_each_program(prog, obj) {
		if (ox_engine_is_asked(prog))
			asked++;
		else
			others++;
	}
	assert_int_equal(asked, 1);
	assert_true(others > 5 && others < OX_ENGINE_LINKS);
	bpf_object__close(obj);
	free((void *)linked.data);
	ox_policy_done(&p);
}

static void test_no_module(void **state)
{
	char why[128] = "", cut[8] = "";

	if (!access("/sys/module/oomx", F_OK))
		skip();
	assert_int_equal(ox_struct_ops_offered(why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "not loaded"));
	assert_int_equal(ox_struct_ops_offered(cut, sizeof(cut)), -ENOENT);
	assert_int_equal(strlen(cut), sizeof(cut) - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_linked),
		cmocka_unit_test(test_no_module),
	};

	return cmocka_run_group_tests_name("struct_ops", tests, NULL, NULL);
}
