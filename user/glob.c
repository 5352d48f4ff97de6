// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A pattern becomes a row of tokens; matching follows every way through them at once, one set of
 * positions per byte of text. fnmatch() would do for neither: it has no "**", depends on the
 * locale, and takes exponential time for some patterns.
 */
#include "glob.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* tokens: below 256 a byte that stands for itself, from TOK_SET on the set with that number */
#define TOK_ONE 256
#define TOK_STAR 257
#define TOK_DEEP 258
#define TOK_SET 259

#define STATES (OX_GLOB_MAX + 1) /* before each token, and after the last */
#define WORDS ((STATES + 63) / 64)

struct set {
	uint64_t bit[4];
};

struct ox_glob {
	char text[OX_GLOB_MAX + 1];
	bool path;
	unsigned int n;
	unsigned int n_plain; /* tokens at the beginning that stand for themselves */
	unsigned int n_tail;  /* ... and at the end, behind the others */
	uint16_t tok[OX_GLOB_MAX];
	unsigned int n_sets;
	struct set sets[]; /* at most one for three bytes of pattern */
};

struct states {
	uint64_t bit[WORDS];
};

static bool set_has(const struct set *s, unsigned char c)
{
	return s->bit[c / 64] >> c % 64 & 1;
}

static void set_add(struct set *s, unsigned int from, unsigned int to)
{
	for (; from <= to; from++)
		s->bit[from / 64] |= 1ull << from % 64;
}

/* From behind the '[' at p[0]. The number of bytes taken with the ']'; 0: *why. */
static size_t parse_set(const char *p, bool path, struct set *s, const char **why)
{
	bool negated = *p == '!' || *p == '^';
	size_t i = negated, first = i;

	for (; p[i] && (p[i] != ']' || i == first); i++) {
		unsigned char from = p[i], to = from;

		if (p[i + 1] == '-' && p[i + 2] && p[i + 2] != ']') {
			to = p[i + 2];
			i += 2;
		}
		if (from >= 0x80 || to >= 0x80)
			*why = "only ASCII characters can stand in [...]";
		else if (from > to)
			*why = "the range in [...] runs backwards";
		else if (path && from == '/' && to == '/')
			*why = "in a path no '/' can stand in [...]";
		if (*why)
			return 0;
		set_add(s, from, to);
	}
	if (!p[i]) {
		*why = "a '[' without its ']' (a literal one is written [[])";
		return 0;
	}
	if (negated) {
		for (unsigned int w = 0; w < 4; w++)
			s->bit[w] = ~s->bit[w];
		s->bit[2] = s->bit[3] = 0;
		set_add(s, 0xc2, 0xf4); /* a longer character begins so */
	}
	if (path)
		s->bit['/' / 64] &= ~(1ull << '/' % 64);
	return i + 1;
}

/* 0, or -EINVAL with *why and *at */
static int compile(struct ox_glob *g, const char **why, size_t *at)
{
	const char *p = g->text;
	size_t n;

	while (*p) {
		*at = p - g->text;
		if (p[0] == '*' && p[1] == '*') {
			g->tok[g->n++] = TOK_DEEP;
			p += strspn(p, "*");
		} else if (*p == '*') {
			g->tok[g->n++] = TOK_STAR;
			p++;
		} else if (*p == '?') {
			g->tok[g->n++] = TOK_ONE;
			p++;
		} else if (*p == '[') {
			n = parse_set(p + 1, g->path, &g->sets[g->n_sets], why);
			if (!n)
				return -EINVAL;
			g->tok[g->n++] = TOK_SET + g->n_sets++;
			p += 1 + n;
		} else {
			g->n_plain += g->n_plain == g->n;
			g->n_tail++;
			g->tok[g->n++] = (unsigned char)*p++;
			continue;
		}
		g->n_tail = 0;
	}
	return 0;
}

int ox_glob_new(const char *pattern, bool path, struct ox_glob **ret, const char **ret_why,
		size_t *ret_at)
{
	size_t len = strlen(pattern);
	struct ox_glob *g;
	int err;

	*ret_at = 0;
	*ret_why = NULL;
	if (!len)
		*ret_why = "an empty pattern matches nothing";
	else if (len > OX_GLOB_MAX)
		*ret_why = "a pattern has at most 255 bytes";
	if (*ret_why)
		return -EINVAL;
	g = calloc(1, sizeof(*g) + (len / 3 + 1) * sizeof(g->sets[0]));
	if (!g)
		return -ENOMEM;
	memcpy(g->text, pattern, len);
	g->path = path;
	err = compile(g, ret_why, ret_at);
	if (err)
		free(g);
	else
		*ret = g;
	return err;
}

/* The position before token i, and those that are reached from it without any text. */
static void enter(const struct ox_glob *g, struct states *s, unsigned int i)
{
	s->bit[i / 64] |= 1ull << i % 64;
	for (; i < g->n && (g->tok[i] == TOK_STAR || g->tok[i] == TOK_DEEP); i++)
		s->bit[(i + 1) / 64] |= 1ull << (i + 1) % 64;
}

/* Where byte c leads from the position before token i */
static void step(const struct ox_glob *g, unsigned int i, unsigned char c, struct states *to)
{
	bool inside = c >= 0x80 && c < 0xc0; /* not the first byte of a character */
	unsigned int tok;

	/* what took the first byte of a character takes all of it */
	if (i && inside && (g->tok[i - 1] == TOK_ONE || g->tok[i - 1] >= TOK_SET))
		enter(g, to, i);
	if (i == g->n)
		return;
	tok = g->tok[i];
	if (tok == TOK_DEEP || (tok == TOK_STAR && !(g->path && c == '/')))
		enter(g, to, i);
	else if ((tok < 256 && tok == c) || (tok == TOK_ONE && !inside && !(g->path && c == '/')) ||
		 (tok >= TOK_SET && set_has(&g->sets[tok - TOK_SET], c)))
		enter(g, to, i + 1);
}

bool ox_glob_match(const struct ox_glob *g, const char *text)
{
	struct states now = {}, next;
	size_t len, tail = g->n_tail;
	bool any;

	/* most patterns end here: with the first byte that differs, or the last ones */
	if (strncmp(text, g->text, g->n_plain))
		return false;
	text += g->n_plain;
	if (g->n_plain == g->n)
		return !*text;
	len = strlen(text);
	if (len < tail || memcmp(text + len - tail, g->text + strlen(g->text) - tail, tail))
		return false;
	enter(g, &now, g->n_plain);
	for (; *text; text++) {
		next = (struct states){};
		any = false;
		for (unsigned int w = 0; w < WORDS; w++) {
			for (uint64_t left = now.bit[w]; left; left &= left - 1)
				step(g, w * 64 + __builtin_ctzll(left), *text, &next);
		}
		for (unsigned int w = 0; w < WORDS; w++)
			any |= next.bit[w] != 0;
		if (!any)
			return false;
		now = next;
	}
	return now.bit[g->n / 64] >> g->n % 64 & 1;
}

const char *ox_glob_text(const struct ox_glob *g)
{
	return g->text;
}

void ox_glob_free(struct ox_glob *g)
{
	free(g);
}
