// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From the tree of a rule file to rules. Goes on after a mistake, to tell several at once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glob.h"
#include "log.h"
#include "parse.h"
#include "rules.h"

#define NAME_MAX_BYTES (OOMX_RULE_LEN - 1)
#define UNSHIELD_MIN (-999) /* -1000 would be the shield itself */
#define UNSHIELD_MAX 1000

static const char *const top_words[] = { "version", "rules", "protections", NULL };
static const char *const rule_words[] = { "name", "match", "priority", "class", "protect", "never",
					  "prefer", "avoid", "kill", "band", "unshield",
					  NULL };

struct ctx {
	const char *file;
	struct ox_rules *rules;
	struct ox_rule *rule; /* at hand */
	struct ox_located *errors;
};

#define wrong(c, y, hint, ...)                                                                     \
	((void)ox_located_add((c)->errors, (c)->file, (y)->line, (y)->column, hint, __VA_ARGS__))

/* "did you mean", or all there are */
static void unknown_key(struct ctx *c, const struct ox_yaml *key, const char *where,
			const char *const words[])
{
	const char *near = ox_nearest_word(key->text, words);
	char hint[OX_LOCATED_TEXT] = "there are ";
	size_t i, n;

	if (near)
		(void)snprintf(hint, sizeof(hint), "did you mean '%s'?", near); /* fits */
	for (i = 0; !near && words[i]; i++) {
		n = strlen(hint);
		(void)snprintf(hint + n, sizeof(hint) - n, "%s%s", i ? ", " : "", words[i]);
	}
	if (near || !ox_field_find(key->text))
		wrong(c, key, hint, "no key '%s' in %s", key->text, where);
	else
		wrong(c, key, "put it below 'match'", "'%s' is something to match", key->text);
}

/* ---- values --------------------------------------------------------------------------------- */

static bool is_number(struct ctx *c, const struct ox_yaml *y, const char *key, __s32 min, __s32 max,
		      __s32 *ret)
{
	char hint[64];

	(void)snprintf(hint, sizeof(hint), "write a number from %d to %d", min, max); /* fits */
	if (y->type != OX_YAML_SCALAR)
		wrong(c, y, hint, "%s where the number of '%s' should be", ox_yaml_type_name(y),
		      key);
	else if (!y->plain)
		wrong(c, y, "leave out the quotes", "'%s' is a text: \"%s\"", key, y->text);
	else if (ox_parse_s32(y->text, min, max, ret))
		wrong(c, y, hint, "'%s' cannot be '%s'", key, y->text);
	else
		return true;
	return false;
}

static bool is_bool(struct ctx *c, const struct ox_yaml *y, const char *key, bool *ret)
{
	if (y->type != OX_YAML_SCALAR || !y->plain ||
	    (strcmp(y->text, "true") && strcmp(y->text, "false"))) {
		wrong(c, y, "write true or false, or leave the key out", "'%s' is true or false, not %s%s%s",
		      key, y->type == OX_YAML_SCALAR ? "'" : "",
		      y->type == OX_YAML_SCALAR ? y->text : ox_yaml_type_name(y),
		      y->type == OX_YAML_SCALAR ? "'" : "");
		return false;
	}
	*ret = y->text[0] == 't';
	return true;
}

/* One of the rules that come with oomx. */
static bool is_shipped_name(const char *name)
{
	return !strncmp(name, OX_RULES_SHIPPED, sizeof(OX_RULES_SHIPPED) - 1);
}

static int take_name(struct ctx *c, const struct ox_yaml *y)
{
	struct ox_rule *other = c->rules->rules;
	size_t i;

	if (y->type != OX_YAML_SCALAR || !y->text[0]) {
		wrong(c, y, "write a short text, or leave the key out", "a name is a text");
		return 0;
	}
	if (strlen(y->text) > NAME_MAX_BYTES) {
		wrong(c, y, "shorten it", "a name has at most %d bytes", NAME_MAX_BYTES);
		return 0;
	}
	for (i = 0; i < c->rules->n; i++, other++)
		if (other != c->rule && !strcmp(other->name, y->text))
			wrong(c, y, is_shipped_name(y->text) ?
				      "where this is a copy of them, add 'protections: false'" :
				      "events name rules: give each its own",
			      "the rule in %s:%u has the name '%s', too", other->file, other->line,
			      y->text);
	free(c->rule->name);
	c->rule->name = strdup(y->text);
	return c->rule->name ? 0 : -ENOMEM;
}

/* ---- one rule ------------------------------------------------------------------------------- */

static void take_flag(struct ctx *c, const struct ox_yaml *y, const char *key, unsigned int gives)
{
	bool on;

	if (is_bool(c, y, key, &on) && on)
		c->rule->gives |= gives;
}

static void take_weight(struct ctx *c, const struct ox_yaml *key, const struct ox_yaml *y)
{
	__s32 n;

	if (c->rule->gives & OX_GIVES_WEIGHT) {
		wrong(c, key, "keep one of them", "'prefer' and 'avoid' in one rule");
		return;
	}
	if (!is_number(c, y, key->text, 1, OOMX_WEIGHT_MAX, &n))
		return;
	c->rule->weight = key->text[0] == 'p' ? n : -n;
	c->rule->gives |= OX_GIVES_WEIGHT;
}

/* [LOWEST, HIGHEST] */
static void take_band(struct ctx *c, const struct ox_yaml *y)
{
	const char *hint = "write [LOWEST, HIGHEST], such as [-1000, 0]";
	__s32 *band = c->rule->band;

	if (y->type != OX_YAML_LIST || y->n != 2) {
		wrong(c, y, hint, "'band' is a list of two numbers");
		return;
	}
	if (!is_number(c, y->first, "band", OOMX_PRIO_MIN, OOMX_PRIO_MAX, &band[0]) ||
	    !is_number(c, y->first->next, "band", OOMX_PRIO_MIN, OOMX_PRIO_MAX, &band[1]))
		return;
	if (band[0] > band[1])
		wrong(c, y, hint, "the lowest of the band, %d, is above the highest, %d", band[0],
		      band[1]);
	c->rule->gives |= OX_GIVES_BAND;
}

static void take_kill(struct ctx *c, const struct ox_yaml *y)
{
	bool text = y->type == OX_YAML_SCALAR;

	c->rule->group = text && !strcmp(y->text, "group");
	if (c->rule->group || (text && !strcmp(y->text, "task")))
		c->rule->gives |= OX_GIVES_KILL;
	else
		wrong(c, y, "write task or group", "'kill' cannot be %s%s%s", text ? "'" : "",
		      text ? y->text : ox_yaml_type_name(y), text ? "'" : "");
}

static int take_key(struct ctx *c, const struct ox_yaml *key, const struct ox_yaml *y)
{
	struct ox_rule *r = c->rule;
	__s32 n;

	if (!strcmp(key->text, "name"))
		return take_name(c, y);
	if (!strcmp(key->text, "match"))
		return ox_rules_parse_match(r, y, c->errors);
	if (!strcmp(key->text, "priority")) {
		if (is_number(c, y, key->text, OOMX_PRIO_MIN, OOMX_PRIO_MAX, &r->priority))
			r->gives |= OX_GIVES_PRIORITY;
	} else if (!strcmp(key->text, "class")) {
		if (is_number(c, y, key->text, 0, OOMX_CLASS_MAX, &n)) {
			r->class = n;
			r->gives |= OX_GIVES_CLASS;
		}
	} else if (!strcmp(key->text, "protect")) {
		take_flag(c, y, key->text, OX_GIVES_PROTECT);
	} else if (!strcmp(key->text, "never")) {
		take_flag(c, y, key->text, OX_GIVES_NEVER);
	} else if (!strcmp(key->text, "prefer") || !strcmp(key->text, "avoid")) {
		take_weight(c, key, y);
	} else if (!strcmp(key->text, "kill")) {
		take_kill(c, y);
	} else if (!strcmp(key->text, "band")) {
		take_band(c, y);
	} else if (!strcmp(key->text, "unshield")) {
		if (is_number(c, y, key->text, UNSHIELD_MIN, UNSHIELD_MAX, &r->unshield))
			r->gives |= OX_GIVES_UNSHIELD;
	} else {
		unknown_key(c, key, "a rule", rule_words);
	}
	return 0;
}

/* What only the whole of a rule shows. */
static void check_rule(struct ctx *c, const struct ox_yaml *y, unsigned int errors_before)
{
	struct ox_rule *r = c->rule;

	if (!ox_yaml_get(y, "match"))
		wrong(c, y, "add 'match'; 'cgroup: \"/**\"' matches all",
		      "the rule does not say what it is about");
	if (c->errors->n != errors_before)
		return; /* what is missing may be what was wrong */
	if (!r->gives && !ox_yaml_get(y, "priority"))
		wrong(c, y, "add priority, class, prefer, avoid, protect, never, kill, band or unshield",
		      "the rule says nothing about what it matches");
	if (r->process && (r->gives & (OX_GIVES_KILL | OX_GIVES_BAND)))
		wrong(c, y, "make a rule for the cgroup",
		      "'%s' is about cgroups, and this rule about processes",
		      r->gives & OX_GIVES_KILL ? "kill" : "band");
	if ((r->gives & OX_GIVES_NEVER) && r->gives != OX_GIVES_NEVER)
		wrong(c, y, "keep 'never' alone, or take 'protect'",
		      "who is never chosen needs no order");
}

static int name_by_place(struct ctx *c)
{
	const char *base = strrchr(c->file, '/');
	char name[OOMX_RULE_LEN];

	/* a long file's name loses its end, not the line: fits */
	(void)snprintf(name, sizeof(name), "%.48s:%u", base ? base + 1 : c->file, c->rule->line);
	c->rule->name = strdup(name);
	return c->rule->name ? 0 : -ENOMEM;
}

static int add_rule(struct ctx *c, const struct ox_yaml *y)
{
	unsigned int before = c->errors->n;
	const struct ox_yaml *k;
	struct ox_rule *more;
	int err;

	if (y->type != OX_YAML_MAP) {
		wrong(c, y, "a rule begins with '- match:' or '- name:'",
		      "%s where a rule should be", ox_yaml_type_name(y));
		return 0;
	}
	more = reallocarray(c->rules->rules, c->rules->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->rules->rules = more;
	c->rule = &more[c->rules->n];
	*c->rule = (struct ox_rule){ .line = y->line };
	c->rules->n++; /* from here on it is freed with the others */
	c->rule->file = strdup(c->file);
	err = c->rule->file ? name_by_place(c) : -ENOMEM;
	for (k = y->first; k && !err; k = k->next->next)
		err = take_key(c, k, k->next);
	if (!err)
		check_rule(c, y, before);
	return err;
}

static int add_rules(struct ctx *c, const struct ox_yaml *list)
{
	const struct ox_yaml *y;
	int err = 0;

	if (list->type != OX_YAML_LIST) {
		wrong(c, list, "each rule begins with '- '", "'rules' is a list, this is %s",
		      ox_yaml_type_name(list));
		return 0;
	}
	for (y = list->first; y && !err; y = y->next) {
		if (c->rules->n == OX_RULES_MAX) {
			wrong(c, y, "patterns can be listed: one rule may match many",
			      "more than %d rules", OX_RULES_MAX);
			return 0;
		}
		err = add_rule(c, y);
	}
	return err;
}

int ox_rules_add(struct ox_rules *rules, const char *file, const struct ox_yaml *root,
		 struct ox_located *errors)
{
	struct ctx c = { .file = file, .rules = rules, .errors = errors };
	const struct ox_yaml *k;
	__s32 version;
	bool on = true;
	int err = 0;

	if (!root || (root->type == OX_YAML_SCALAR && root->plain && !root->text[0]))
		return 0; /* nothing but comments */
	if (root->type != OX_YAML_MAP) {
		wrong(&c, root, "begin it with 'rules:'", "%s, where a rule file is a mapping",
		      ox_yaml_type_name(root));
		return 0;
	}
	for (k = root->first; k && !err; k = k->next->next) {
		if (!strcmp(k->text, "rules"))
			err = add_rules(&c, k->next);
		else if (!strcmp(k->text, "version"))
			(void)is_number(&c, k->next, "version", 1, 1, &version);
		else if (!strcmp(k->text, "protections"))
			rules->unprotected |= is_bool(&c, k->next, k->text, &on) && !on;
		else
			unknown_key(&c, k, "a rule file", top_words);
	}
	return err;
}
