// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fields.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"

#define ANY_SIZE "any_size" /* OX_ANY_SIZE (vmlinux/vmlinux.h) */

struct declared {
	const char *name;
	__u32 id;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct declared *)a)->name, ((const struct declared *)b)->name);
}

static const char *name_of(const struct btf *btf, const struct btf_type *t)
{
	return btf__name_by_offset(btf, t->name_off);
}

/* Bytes of a number or a pointer, of one in an array of them; 0: it is something else. */
static __u32 scalar_bytes(const struct btf *btf, __u32 id)
{
	const struct btf_type *t;
	int type = btf__resolve_type(btf, id);

	t = type < 0 ? NULL : btf__type_by_id(btf, (__u32)type);
	while (t && btf_is_array(t)) {
		type = btf__resolve_type(btf, btf_array(t)->type);
		t = type < 0 ? NULL : btf__type_by_id(btf, (__u32)type);
	}
	if (!t)
		return 0;
	if (btf_is_ptr(t))
		return (__u32)btf__pointer_size(btf);
	return btf_is_int(t) || btf_is_any_enum(t) ? t->size : 0;
}

/* The kernel's member of this name, be it in a struct within that has none. NULL: there is none. */
static const struct btf_member *find_member(const struct btf *btf, const struct btf_type *in,
					    const char *name)
{
	const struct btf_member *m = btf_members(in), *found;
	const struct btf_type *t;
	const char *its;
	unsigned int i;

	for (i = 0; i < btf_vlen(in); i++, m++) {
		its = btf__name_by_offset(btf, m->name_off);
		if (!strcmp(its, name))
			return m;
		t = *its ? NULL : btf__type_by_id(btf, m->type);
		found = t && btf_is_composite(t) ? find_member(btf, t, name) : NULL;
		if (found)
			return found;
	}
	return NULL;
}

static bool any_size(const struct btf *ours, __u32 id, int member)
{
	const struct btf_type *t;
	__u32 i;

	for (i = 1; i < btf__type_cnt(ours); i++) {
		t = btf__type_by_id(ours, i);
		if (btf_is_decl_tag(t) && t->type == id &&
		    btf_decl_tag(t)->component_idx == member && !strcmp(name_of(ours, t), ANY_SIZE))
			return true;
	}
	return false;
}

static int check_struct(const struct btf *ours, const struct declared *d, const struct btf *kernel,
			const struct btf_type *theirs)
{
	const struct btf_type *mine = btf__type_by_id(ours, d->id);
	const struct btf_member *m = btf_members(mine), *found;
	__u32 want, is;
	const char *name;
	int i;

	for (i = 0; i < btf_vlen(mine); i++, m++) {
		name = btf__name_by_offset(ours, m->name_off);
		want = scalar_bytes(ours, m->type);
		found = *name && want ? find_member(kernel, theirs, name) : NULL;
		is = found ? scalar_bytes(kernel, found->type) : 0;
		if (is && is != want && !any_size(ours, d->id, i))
			return ox_err_r(-ENOTSUP,
					"%s.%s of this kernel has %u bytes, not %u: oomx would misread it; "
					"an oomx that knows this kernel is needed",
					d->name, name, is, want);
	}
	return 0;
}

/* Ours but for flavours, by name. The caller's to free(); NULL: no memory. */
static struct declared *declared_structs(const struct btf *ours, size_t *ret_n)
{
	struct declared *d = calloc(btf__type_cnt(ours), sizeof(*d));
	const struct btf_type *t;
	size_t n = 0;
	__u32 i;

	for (i = 1; d && i < btf__type_cnt(ours); i++) {
		t = btf__type_by_id(ours, i);
		if (!btf_is_struct(t) || !t->name_off || strstr(name_of(ours, t), "___"))
			continue;
		d[n].name = name_of(ours, t);
		d[n++].id = i;
	}
	if (d)
		qsort(d, n, sizeof(*d), by_name);
	*ret_n = n;
	return d;
}

int ox_fields_check(const struct btf *ours, const struct btf *kernel)
{
	_cleanup_free_ struct declared *declared = NULL;
	const struct declared *found;
	const struct btf_type *t;
	struct declared key;
	size_t n;
	__u32 i;
	int err;

	declared = declared_structs(ours, &n);
	if (!declared)
		return ox_err_r(-ENOMEM, "no memory to compare kernel types");
	for (i = 1; i < btf__type_cnt(kernel); i++) {
		t = btf__type_by_id(kernel, i);
		if (!btf_is_struct(t) || !t->name_off)
			continue;
		key.name = name_of(kernel, t);
		found = bsearch(&key, declared, n, sizeof(key), by_name);
		err = found ? check_struct(ours, found, kernel, t) : 0;
		if (err)
			return err;
	}
	return 0;
}
