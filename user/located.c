// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "located.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "record.h"

int ox_located_add(struct ox_located *l, const char *file, unsigned int line, unsigned int column,
		   const char *hint, const char *fmt, ...)
{
	char text[4 * OX_LOCATED_TEXT];
	struct ox_located_error *e;
	va_list ap;

	if (l->n++ >= OX_LOCATED_MAX)
		return -EINVAL;
	e = &l->list[l->n - 1];
	e->line = line;
	e->column = column;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0'; /* cannot be: there is no wide character in it */
	va_end(ap);
	/* parts of it are from the file, and may be anything */
	(void)ox_utf8_clean(text, sizeof(text), /* printable= */ true, e->text, sizeof(e->text));
	(void)ox_utf8_clean(hint, strlen(hint), /* printable= */ true, e->hint, sizeof(e->hint));
	(void)ox_utf8_clean(file, strlen(file), /* printable= */ true, e->file, sizeof(e->file));
	return -EINVAL;
}

void ox_located_log(const struct ox_located *l)
{
	unsigned int i;

	for (i = 0; i < l->n && i < OX_LOCATED_MAX; i++)
		ox_err("%s:%u:%u: %s: %s", l->list[i].file, l->list[i].line, l->list[i].column,
		       l->list[i].text, l->list[i].hint);
	if (i < l->n)
		ox_err("and %u more", l->n - i);
}

json_t *ox_located_json(const struct ox_located *l)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < l->n && i < OX_LOCATED_MAX; i++) {
		const struct ox_located_error *e = &l->list[i];

		if (json_array_append_new(list, json_pack("{ss si si ss ss}", "file", e->file, "line",
							  e->line, "column", e->column, "message",
							  e->text, "hint", e->hint))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

#define WORD_MAX 24

/* Levenshtein: letters to change, add or leave out */
static unsigned int distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), i, j;
	unsigned int row[WORD_MAX + 1], left, up;

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		left = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			up = row[j];
			row[j] = left + (a[i - 1] != b[j - 1]);
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			left = up;
		}
	}
	return row[lb];
}

const char *ox_nearest_word(const char *word, const char *const words[])
{
	unsigned int d, best = 3; /* more is another word */
	const char *found = NULL;

	for (; *words; words++) {
		d = distance(word, *words);
		if (d < best && d < strlen(*words)) {
			best = d;
			found = *words;
		}
	}
	return found;
}
