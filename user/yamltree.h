/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * yamltree.h - a YAML file as a tree that knows where each part of it stood.
 *
 * As much of YAML as a configuration needs: mappings with scalar keys, lists, scalars. Anchors,
 * aliases, tags and further documents are refused, and so is a key that is there twice: what a
 * file means must be seen in the place where it is said. Size, depth and number of parts are
 * limited. Nothing is interpreted: the reader of a scalar decides what is a number.
 */
#ifndef OX_YAMLTREE_H
#define OX_YAMLTREE_H

#include <stdbool.h>
#include <stddef.h>

#include "located.h"

#define OX_YAML_BYTES_MAX (1U << 20)
#define OX_YAML_DEPTH_MAX 12
#define OX_YAML_NODES_MAX 65536

enum ox_yaml_type {
	OX_YAML_SCALAR,
	OX_YAML_LIST,
	OX_YAML_MAP,
};

struct ox_yaml {
	enum ox_yaml_type type;
	unsigned int line, column; /* counted from 1; columns in characters */
	bool plain;		   /* a scalar without quotes */
	char *text;		   /* a scalar's; well-formed UTF-8 without control characters */
	struct ox_yaml *first;	   /* list: the entries; map: key, value, key, value ... */
	struct ox_yaml *next;
	size_t n; /* of the children; a map has two of them for each key */
};

/*
 * Parses bytes; `file` is what errors call them. *ret is the caller's, for ox_yaml_free(); NULL if
 * there is nothing but comments. 0; -EINVAL: said in `errors`; -ENOMEM.
 */
int ox_yaml_parse(const char *file, const char *bytes, size_t size, struct ox_yaml **ret,
		  struct ox_located *errors);

/*
 * The same for a regular file (what it holds is also given out in *ret_bytes if that is not NULL:
 * to be freed). What cannot be opened or read is an error in `errors`, too.
 */
int ox_yaml_read(const char *path, struct ox_yaml **ret, struct ox_located *errors,
		 char **ret_bytes);

/* The value of a key of a map, or NULL. */
const struct ox_yaml *ox_yaml_get(const struct ox_yaml *map, const char *key);

/* "a mapping", "a list", "text" */
const char *ox_yaml_type_name(const struct ox_yaml *y);

void ox_yaml_free(struct ox_yaml *y);

#endif
