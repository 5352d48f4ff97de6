/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * glob.h - patterns of names and paths, as rules have them.
 *
 *	*	any number of characters; in a path none of them is '/'
 *	**	any number of characters, '/' included
 *	?	one character; in a path not '/'
 *	[a-z]	one of these; [!a-z]: none of them. ASCII only
 *
 * All else stands for itself, the backslash too: systemd writes "\x2d" into the names of units.
 * "[*]" is a literal '*'. The whole text must match. No locale, no surprises with leading dots.
 */
#ifndef OX_GLOB_H
#define OX_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#define OX_GLOB_MAX 255 /* bytes of a pattern */

struct ox_glob;

/*
 * *ret is the caller's, for ox_glob_free(). 0; -ENOMEM; -EINVAL: *ret_why says why (static text),
 * and *ret_at where, a byte of the pattern counted from 0. On failure *ret is untouched.
 */
int ox_glob_new(const char *pattern, bool path, struct ox_glob **ret, const char **ret_why,
		size_t *ret_at);

/* Takes time in proportion to the lengths of both, whatever is in them. */
bool ox_glob_match(const struct ox_glob *g, const char *text);

/* The pattern it was made from. */
const char *ox_glob_text(const struct ox_glob *g);

void ox_glob_free(struct ox_glob *g);

#endif
