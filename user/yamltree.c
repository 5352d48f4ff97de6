// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libyaml tells events, with their place; the tree is built from them, and building stops at the
 * first thing that is not wanted here. Its own errors about bytes carry no line, so what is not
 * text is looked for before it sees any of it.
 */
#include "yamltree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "cleanup.h"
#include "record.h"

struct builder {
	const char *file;
	struct ox_located *errors;
	struct ox_yaml *root;
	struct ox_yaml *open[OX_YAML_DEPTH_MAX]; /* from the outermost to the innermost */
	struct ox_yaml *last[OX_YAML_DEPTH_MAX]; /* their youngest children */
	unsigned int depth;
	unsigned int nodes;
	unsigned int documents;
};

void ox_yaml_free(struct ox_yaml *y)
{
	struct ox_yaml *next;

	/* calls itself, as deep as OX_YAML_DEPTH_MAX */
	for (; y; y = next) {
		next = y->next;
		ox_yaml_free(y->first);
		free(y->text);
		free(y);
	}
}

const struct ox_yaml *ox_yaml_get(const struct ox_yaml *map, const char *key)
{
	const struct ox_yaml *k;

	for (k = map && map->type == OX_YAML_MAP ? map->first : NULL; k; k = k->next->next)
		if (!strcmp(k->text, key))
			return k->next;
	return NULL;
}

const char *ox_yaml_type_name(const struct ox_yaml *y)
{
	return y->type == OX_YAML_MAP ? "a mapping" : y->type == OX_YAML_LIST ? "a list" : "text";
}

#define refuse(b, mark, hint, ...)                                                                 \
	ox_located_add((b)->errors, (b)->file, (mark)->line + 1, (mark)->column + 1, hint,         \
		       __VA_ARGS__)

/* ---- the tree ------------------------------------------------------------------------------- */

/* Is this scalar going to be a key? */
static bool key_is_next(const struct builder *b)
{
	return b->depth && b->open[b->depth - 1]->type == OX_YAML_MAP &&
	       !(b->open[b->depth - 1]->n & 1);
}

static int check_key(struct builder *b, const yaml_event_t *ev, const struct ox_yaml *y)
{
	const struct ox_yaml *map = b->open[b->depth - 1], *k;

	if (y->type != OX_YAML_SCALAR)
		return refuse(b, &ev->start_mark, "a key is a word",
			      "%s cannot be a key", ox_yaml_type_name(y));
	for (k = map->first; k; k = k->next->next)
		if (!strcmp(k->text, y->text))
			return refuse(b, &ev->start_mark, "leave one of them out",
				      "the key '%s' is there twice, first in line %u", y->text,
				      k->line);
	return 0;
}

/* Takes y over. */
static int add_node(struct builder *b, const yaml_event_t *ev, struct ox_yaml *y)
{
	struct ox_yaml *parent = b->depth ? b->open[b->depth - 1] : NULL;
	int err = 0;

	y->line = ev->start_mark.line + 1;
	y->column = ev->start_mark.column + 1;
	if (++b->nodes > OX_YAML_NODES_MAX)
		err = refuse(b, &ev->start_mark, "divide it among several files",
			     "more than %d parts in one file", OX_YAML_NODES_MAX);
	if (!err && key_is_next(b))
		err = check_key(b, ev, y);
	if (!err && y->type != OX_YAML_SCALAR && b->depth == OX_YAML_DEPTH_MAX)
		err = refuse(b, &ev->start_mark, "no rule needs that",
			     "nested more than %d deep", OX_YAML_DEPTH_MAX);
	if (err) {
		ox_yaml_free(y);
		return err;
	}
	if (!parent) {
		b->root = y;
	} else {
		if (parent->n++)
			b->last[b->depth - 1]->next = y;
		else
			parent->first = y;
		b->last[b->depth - 1] = y;
	}
	if (y->type != OX_YAML_SCALAR)
		b->open[b->depth++] = y;
	return 0;
}

static int check_text(struct builder *b, const yaml_event_t *ev)
{
	const unsigned char *s = ev->data.scalar.value;
	size_t i, n = ev->data.scalar.length;

	for (i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] == 0x7f || (s[i] == 0xc2 && s[i + 1] < 0xa0))
			return refuse(b, &ev->start_mark, "write it on one line, without escapes",
				      "a control character in a text");
	return 0;
}

static int add_scalar(struct builder *b, const yaml_event_t *ev)
{
	struct ox_yaml *y;
	int err = check_text(b, ev);

	if (err)
		return err;
	y = calloc(1, sizeof(*y));
	if (!y)
		return -ENOMEM;
	y->type = OX_YAML_SCALAR;
	y->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	y->text = strdup((const char *)ev->data.scalar.value);
	if (!y->text) {
		free(y);
		return -ENOMEM;
	}
	return add_node(b, ev, y);
}

static int add_collection(struct builder *b, const yaml_event_t *ev, enum ox_yaml_type type)
{
	struct ox_yaml *y = calloc(1, sizeof(*y));

	if (!y)
		return -ENOMEM;
	y->type = type;
	return add_node(b, ev, y);
}

static int refuse_features(struct builder *b, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_ALIAS_EVENT)
		return refuse(b, &ev->start_mark, "write out what it stands for",
			      "no aliases here ('*%s'); a pattern that begins with '*' is quoted",
			      (const char *)ev->data.alias.anchor);
	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	}
	if (anchor)
		return refuse(b, &ev->start_mark, "say it in each place",
			      "no anchors here ('&%s')", (const char *)anchor);
	if (tag)
		return refuse(b, &ev->start_mark,
			      "leave it out; a text that begins with '!' is quoted",
			      "no tags here ('%s')", (const char *)tag);
	return 0;
}

static int take_event(struct builder *b, const yaml_event_t *ev)
{
	int err = refuse_features(b, ev);

	if (err)
		return err;
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++)
			return refuse(b, &ev->start_mark, "use a file for each",
				      "a second document in one file");
		if (ev->data.document_start.version_directive ||
		    ev->data.document_start.tag_directives.start !=
			    ev->data.document_start.tag_directives.end)
			return refuse(b, &ev->start_mark, "leave the line out",
				      "no directives here");
		return 0;
	case YAML_SCALAR_EVENT:
		return add_scalar(b, ev);
	case YAML_SEQUENCE_START_EVENT:
		return add_collection(b, ev, OX_YAML_LIST);
	case YAML_MAPPING_START_EVENT:
		return add_collection(b, ev, OX_YAML_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	default:
		return 0;
	}
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* Everything libyaml's reader would refuse without saying where. */
static int check_bytes(const char *file, const char *bytes, size_t size, struct ox_located *errors)
{
	const unsigned char *s = (const unsigned char *)bytes;
	unsigned int line = 1, column = 1;
	size_t i, len;
	__u32 c;

	for (i = 0; i < size; i += len) {
		len = ox_utf8_char(s + i, size - i, &c);
		if (!len)
			return ox_located_add(errors, file, line, column, "save it as UTF-8",
					      "byte 0x%02x is not UTF-8", s[i]);
		if (c == '\n') {
			line++;
			column = 1;
			continue;
		}
		if ((c < ' ' && c != '\t' && c != '\r') || (c >= 0x7f && c < 0xa0) || c == 0xfffe ||
		    c == 0xffff || (c == 0xfeff && i))
			return ox_located_add(errors, file, line, column, "take it out",
					      "character U+%04X cannot stand in a YAML file", c);
		column++;
	}
	return 0;
}

static int syntax_error(const struct builder *b, const yaml_parser_t *p)
{
	const char *what = p->problem ? p->problem : "not YAML";
	const char *hint = "see the YAML of examples/oomx.yaml";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (strstr(what, "cannot start any token"))
		hint = "blanks indent, not tabs; texts with special characters are quoted";
	else if (strstr(what, "mapping values are not allowed"))
		hint = "look at the indentation, and quote texts that hold ': '";
	else if (strstr(what, "expected <block end>") || strstr(what, "did not find expected '-'"))
		hint = "look at the indentation of this line and of those above";
	else if (strstr(what, "unexpected end of stream"))
		hint = "a quote or a bracket is not closed";
	else if (strstr(what, "alphabetic or numeric"))
		hint = "a pattern that begins with '*' or '&' is quoted";
	return refuse(b, &p->problem_mark, hint, "%s%s%s", what, p->context ? " " : "",
		      p->context ? p->context : "");
}

static int build(struct builder *b, yaml_parser_t *p)
{
	yaml_event_t ev;
	bool end = false;
	int err = 0;

	while (!err && !end) {
		if (!yaml_parser_parse(p, &ev))
			return syntax_error(b, p);
		end = ev.type == YAML_STREAM_END_EVENT;
		err = take_event(b, &ev);
		yaml_event_delete(&ev);
	}
	return err;
}

int ox_yaml_parse(const char *file, const char *bytes, size_t size, struct ox_yaml **ret,
		  struct ox_located *errors)
{
	struct builder b = { .file = file, .errors = errors };
	yaml_parser_t p;
	int err;

	if (size > OX_YAML_BYTES_MAX)
		return ox_located_add(errors, file, 1, 1, "divide it among several files",
				      "larger than %u bytes", OX_YAML_BYTES_MAX);
	err = check_bytes(file, bytes, size, errors);
	if (err)
		return err;
	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)bytes, size);
	err = build(&b, &p);
	yaml_parser_delete(&p);
	if (err)
		ox_yaml_free(b.root);
	else
		*ret = b.root;
	return err;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int unreadable(const char *path, struct ox_located *errors, int err)
{
	const char *hint = err == -ENOENT ? "is the name right?" :
			   err == -EACCES ? "it has to be readable for this user" :
					    "a rule file is a regular file";

	return ox_located_add(errors, path, 1, 1, hint, "cannot be read: %s", strerror(-err));
}

/* 0, or -errno. One byte more than allowed is read of what is too long. */
static int read_all(int fd, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *buf = malloc(OX_YAML_BYTES_MAX + 2);
	char *fit;
	size_t n = 0;
	ssize_t got;

	if (!buf)
		return -ENOMEM;
	do {
		got = read(fd, buf + n, OX_YAML_BYTES_MAX + 1 - n);
		if (got < 0 && errno != EINTR)
			return -errno;
		n += got > 0 ? got : 0;
	} while (got && n <= OX_YAML_BYTES_MAX);
	buf[n] = '\0';
	*ret_size = n;
	fit = realloc(buf, n + 1);
	*ret = fit ? fit : buf;
	(void)TAKE_PTR(buf);
	return 0;
}

int ox_yaml_read(const char *path, struct ox_yaml **ret, struct ox_located *errors,
		 char **ret_bytes)
{
	/* not blocked by a FIFO, nor fooled into being given a terminal by one */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *bytes = NULL;
	struct stat st;
	size_t size = 0;
	int err;

	if (fd < 0)
		return unreadable(path, errors, -errno);
	if (fstat(fd, &st))
		return unreadable(path, errors, -errno);
	if (!S_ISREG(st.st_mode))
		return unreadable(path, errors, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL);
	err = read_all(fd, &bytes, &size);
	if (err == -ENOMEM)
		return err;
	if (err)
		return unreadable(path, errors, err);
	err = ox_yaml_parse(path, bytes, size, ret, errors);
	if (!err && ret_bytes)
		*ret_bytes = TAKE_PTR(bytes);
	return err;
}
