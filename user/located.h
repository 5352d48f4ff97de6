/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * located.h - what is wrong with a file: where, what, and what to do about it.
 */
#ifndef OX_LOCATED_H
#define OX_LOCATED_H

#include <jansson.h>

#define OX_LOCATED_MAX 20	 /* kept; of more only the number */
#define OX_LOCATED_TEXT 200
#define OX_LOCATED_FILE 256

struct ox_located_error {
	char file[OX_LOCATED_FILE];
	unsigned int line, column; /* counted from 1 */
	char text[OX_LOCATED_TEXT];
	char hint[OX_LOCATED_TEXT];
};

struct ox_located {
	unsigned int n; /* in all, also those not kept */
	struct ox_located_error list[OX_LOCATED_MAX];
};

/* Adds one. Too long a text is cut between characters; returns -EINVAL. */
int ox_located_add(struct ox_located *l, const char *file, unsigned int line, unsigned int column,
		   const char *hint, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* One line each, through the log: "FILE:LINE:COLUMN: TEXT: HINT" */
void ox_located_log(const struct ox_located *l);

/* An array of objects with file, line, column, message and hint. NULL: no memory. */
json_t *ox_located_json(const struct ox_located *l);

/*
 * Of the words (ended by NULL) the one that was probably meant, or NULL.
 */
const char *ox_nearest_word(const char *word, const char *const words[]);

#endif
