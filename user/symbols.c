// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "parse.h"

#define LINE_MAX_LEN 1024 /* KSYM_NAME_LEN and a module's name, and much to spare */
#define BUFFER_SIZE 65536

static const struct {
	const char *name;
	size_t len;
	size_t offset;
} wanted[] = {
#define ROW(name) { #name, sizeof(#name) - 1, offsetof(struct oomx_symbols, name) },
	OOMX_SYMBOLS(ROW)
#undef ROW
};

#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

static __u64 *field(struct oomx_symbols *s, size_t i)
{
	return (__u64 *)((char *)s + wanted[i].offset);
}

/* Its index; -1: none. What follows in a module's line is no end of a name. */
static int find_wanted(const char *name)
{
	size_t i;

	for (i = 0; i < N_WANTED; i++)
		if (name[0] == wanted[i].name[0] && !strncmp(name, wanted[i].name, wanted[i].len) &&
		    (!name[wanted[i].len] || name[wanted[i].len] == '\n'))
			return (int)i;
	return -1;
}

/*
 * "ffffffff81000000 D name\n", and in a module "\t[module]" before the end. There are some hundred
 * thousand of them: the name first, for which most are not wanted.
 */
static int take_line(const char *line, struct oomx_symbols *s, bool found[N_WANTED])
{
	const char *rest = strchr(line, ' '), *end;
	__u64 address;
	int i;

	if (!rest || !rest[1] || rest[2] != ' ')
		return 0;
	i = find_wanted(rest + 3);
	if (i < 0 || ox_parse_hex(line, &end, &address) || end != rest)
		return 0;
	if (!address)
		return ox_err_r(-EPERM, "the addresses in /proc/kallsyms are hidden: it takes "
					"CAP_SYSLOG, and the sysctl kernel.kptr_restrict below 2");
	if (found[i] && *field(s, (size_t)i) != address)
		return ox_err_r(-ENOTSUP, "this kernel has two variables called %s", wanted[i].name);
	found[i] = true;
	*field(s, (size_t)i) = address;
	return 0;
}

int ox_symbols_read(const char *kallsyms, struct oomx_symbols *ret)
{
	static char buffer[BUFFER_SIZE];
	bool found[N_WANTED] = {};
	char line[LINE_MAX_LEN];
	int err = 0;
	FILE *f = fopen(kallsyms, "re");
	size_t i;

	*ret = (struct oomx_symbols){};
	if (!f)
		return ox_err_r(-errno, "cannot open %s: %m", kallsyms);
	/* stdio takes 1 KiB in /proc, and glibc takes no size without a buffer */
	(void)setvbuf(f, buffer, _IOFBF, sizeof(buffer));
	while (!err && fgets(line, sizeof(line), f))
		err = take_line(line, ret, found);
	if (!err && ferror(f))
		err = ox_err_r(-EIO, "cannot read %s", kallsyms);
	(void)fclose(f); /* was only read */
	for (i = 0; !err && i < N_WANTED; i++)
		if (!found[i])
			err = ox_err_r(-ENOTSUP, "this kernel has no variable %s, which the BPF "
						 "programs read", wanted[i].name);
	return err;
}

/* They are the same as long as this process lives. */
static int fill(struct bpf_map *map)
{
	static struct oomx_symbols symbols;
	static bool known;
	size_t size = 0;
	void *value;
	int err;

	if (!known) {
		err = ox_symbols_read("/proc/kallsyms", &symbols);
		if (err)
			return err;
		known = true;
	}
	value = bpf_map__initial_value(map, &size);
	if (!value || size != sizeof(symbols))
		return ox_err_r(-EINVAL, "the object's symbols are another version's");
	memcpy(value, &symbols, sizeof(symbols));
	return 0;
}

int ox_symbols_fill(struct bpf_object *obj)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, OOMX_SYMBOLS_SECTION);

	return map ? fill(map) : 0;
}

int ox_object_load(struct bpf_object *obj)
{
	int err = ox_symbols_fill(obj) ?: bpf_object__load(obj);

	errno = -err;
	return err;
}
