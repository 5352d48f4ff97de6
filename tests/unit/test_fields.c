// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sizes of the kernel's fields against ours: what would be misread is refused, and nothing else. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fields.h"

enum field {
	INT4,
	INT1,
	LONG8,
	POINTER,
	ENUM4,
	CONST_INT4, /* by way of const and typedef */
	ARRAY_OF_4, /* of four */
	ARRAY_OF_1, /* of four */
	STRUCT4,
	ABSENT,
};

static int add_type(struct btf *b, enum field f)
{
	int i;

	switch (f) {
	case INT1:
		return btf__add_int(b, "u8", 1, 0);
	case LONG8:
		return btf__add_int(b, "long", 8, BTF_INT_SIGNED);
	case POINTER:
		return btf__add_ptr(b, 0);
	case ENUM4:
		i = btf__add_enum(b, "e", 4);
		assert_int_equal(btf__add_enum_value(b, "one", 1), 0);
		return i;
	case CONST_INT4:
		i = btf__add_typedef(b, "number", btf__add_int(b, "int", 4, BTF_INT_SIGNED));
		return btf__add_const(b, i);
	case ARRAY_OF_4:
	case ARRAY_OF_1:
		i = add_type(b, f == ARRAY_OF_4 ? INT4 : INT1);
		return btf__add_array(b, i, i, 4);
	case STRUCT4:
		i = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
		f = (enum field)btf__add_struct(b, "inner", 4);
		assert_int_equal(btf__add_field(b, "counter", i, 0, 0), 0);
		return (int)f;
	default:
		return btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	}
}

/* struct NAME { long before; FIELD x; }, x being `nested` in an anonymous union or not */
static struct btf *make(const char *name, enum field f, bool nested, bool tagged)
{
	struct btf *b = btf__new_empty();
	int before, x, in = 0, s;

	assert_non_null(b);
	before = btf__add_int(b, "long", 8, BTF_INT_SIGNED);
	x = add_type(b, f);
	if (nested) {
		in = btf__add_union(b, NULL, 8);
		assert_int_equal(btf__add_field(b, "x", x, 0, 0), 0);
	}
	s = btf__add_struct(b, name, 16);
	assert_int_equal(btf__add_field(b, "before", before, 0, 0), 0);
	if (nested)
		assert_int_equal(btf__add_field(b, NULL, in, 64, 0), 0);
	else if (f != ABSENT)
		assert_int_equal(btf__add_field(b, "x", x, 64, 0), 0);
	if (tagged)
		assert_true(btf__add_decl_tag(b, "any_size", s, 1) > 0);
	return b;
}

static void compared(void **state)
{
	static const struct {
		const char *name; /* of ours */
		enum field ours, kernels;
		bool nested, tagged;
		int err;
	} rows[] = {
		{ "task", INT4, INT4, false, false, 0 },
		{ "task", INT4, INT1, false, false, -ENOTSUP },
		{ "task", INT4, LONG8, false, false, -ENOTSUP },
		{ "task", INT4, CONST_INT4, false, false, 0 },
		{ "task", INT1, CONST_INT4, false, false, -ENOTSUP },
		{ "task", INT4, ENUM4, false, false, 0 },
		{ "task", LONG8, POINTER, false, false, 0 }, /* as large */
		{ "task", INT4, POINTER, false, false, -ENOTSUP },
		{ "task", INT4, INT4, true, false, 0 },
		{ "task", INT4, INT1, true, false, -ENOTSUP },
		{ "task", ARRAY_OF_4, ARRAY_OF_4, false, false, 0 },
		{ "task", ARRAY_OF_4, INT4, false, false, 0 }, /* by its elements */
		{ "task", ARRAY_OF_4, ARRAY_OF_1, false, false, -ENOTSUP },
		{ "task", INT4, INT1, false, true, 0 },	    /* read by the size it has */
		{ "task___old", INT4, INT1, false, false, 0 }, /* a flavour */
		{ "other", INT4, INT1, false, false, 0 },
		{ "task", INT4, ABSENT, false, false, 0 }, /* libbpf says so if it is read */
		{ "task", LONG8, STRUCT4, false, false, 0 }, /* told apart elsewhere */
		{ "task", STRUCT4, LONG8, false, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct btf *ours = make(rows[i].name, rows[i].ours, false, rows[i].tagged);
		struct btf *kernel = make("task", rows[i].kernels, rows[i].nested, false);

		if (ox_fields_check(ours, kernel) != rows[i].err)
			fail_msg("row %zu", i);
		btf__free(ours);
		btf__free(kernel);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
