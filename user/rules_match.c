// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a rule can ask about, how it is asked for in a file, and whether it holds. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glob.h"
#include "parse.h"
#include "rules.h"

#define PATTERNS_MAX 256 /* of one test */
#define NAME_LEN 64

#define GETTER(field)                                                                              \
	static const char *get_##field(const struct ox_subject *s, const char *key)                \
	{                                                                                          \
		return s->id->field;                                                               \
	}
#define PROCESS_GETTER(field)                                                                      \
	static const char *get_##field(const struct ox_subject *s, const char *key)                \
	{                                                                                          \
		return s->process ? s->process->field : NULL;                                      \
	}

GETTER(cgroup)
GETTER(unit)
GETTER(slice)
GETTER(runtime)
GETTER(container_id)
GETTER(name)
GETTER(image)
GETTER(ns)
GETTER(pod)
GETTER(pod_uid)
GETTER(k8s_container)
GETTER(qos)
PROCESS_GETTER(comm)
PROCESS_GETTER(exe)
PROCESS_GETTER(cmdline)
PROCESS_GETTER(uid)

static const char *get_label(const struct ox_subject *s, const char *key)
{
	return ox_identity_label(s->id, key);
}

#define UNIT(field) { .name = #field, .owner = OX_OWNER_UNIT, .get = get_##field }
#define CONTAINER(field, getter)                                                                   \
	{ .name = field, .owner = OX_OWNER_CONTAINER, .get = get_##getter }
#define LABELS(field)                                                                              \
	{ .name = field, .owner = OX_OWNER_CONTAINER, .keyed = true, .get = get_label }

static const struct ox_field fields[] = {
	{ .name = "cgroup", .path = true, .get = get_cgroup },
	UNIT(unit),
	UNIT(slice),
	CONTAINER("container.runtime", runtime),
	CONTAINER("container.id", container_id),
	CONTAINER("container.name", name),
	CONTAINER("container.image", image),
	LABELS("container.label"),
	CONTAINER("kubernetes.namespace", ns),
	CONTAINER("kubernetes.pod", pod),
	CONTAINER("kubernetes.pod_uid", pod_uid),
	CONTAINER("kubernetes.container", k8s_container),
	CONTAINER("kubernetes.qos", qos),
	LABELS("kubernetes.annotation"),
	{ .name = "comm", .owner = OX_OWNER_PROCESS, .get = get_comm },
	{ .name = "cmdline", .owner = OX_OWNER_PROCESS, .get = get_cmdline },
	{ .name = "exe", .owner = OX_OWNER_KERNEL, .path = true, .get = get_exe },
	{ .name = "uid", .owner = OX_OWNER_KERNEL, .get = get_uid },
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

const struct ox_field *ox_field_find(const char *name)
{
	size_t i;

	for (i = 0; i < N_FIELDS; i++)
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

/* ---- matching ------------------------------------------------------------------------------- */

/*
 * Names below a unit or a container are given by its owner, who would like to be "sshd.service", or
 * to have a /usr/sbin/sshd: they count only for rules that ask for them.
 */
static bool is_owners_word(const struct ox_field *f, const struct ox_subject *s)
{
	return (f->owner == OX_OWNER_UNIT && s->id->unit_nested) ||
	       (f->owner == OX_OWNER_CONTAINER && s->id->nested) ||
	       (f->get == get_exe && s->process && s->process->exe_foreign);
}

static bool is_about_process(const struct ox_field *f)
{
	return f->owner == OX_OWNER_PROCESS || f->owner == OX_OWNER_KERNEL;
}

bool ox_rule_test_holds(const struct ox_rule *rule, const struct ox_rule_test *t,
			const struct ox_subject *s, const struct ox_glob **ret_glob)
{
	const char *value = t->field->get(s, t->key);
	size_t i;

	if (!rule->nested && is_owners_word(t->field, s))
		return false;
	for (i = 0; value && i < t->n; i++) {
		if (!ox_glob_match(t->globs[i], value))
			continue;
		if (ret_glob)
			*ret_glob = t->globs[i];
		return true;
	}
	return false;
}

const struct ox_rule_test *ox_rule_misses(const struct ox_rule *rule, const struct ox_subject *s)
{
	size_t i;

	for (i = 0; i < rule->n_tests; i++)
		if (!ox_rule_test_holds(rule, &rule->tests[i], s, NULL))
			return &rule->tests[i];
	return NULL;
}

size_t ox_rules_match(const struct ox_rules *rules, const struct ox_identity *id)
{
	const struct ox_subject s = { .id = id };
	size_t i;

	for (i = 0; i < rules->n; i++)
		if (!ox_rule_misses(&rules->rules[i], &s)) /* those about processes miss */
			return i + 1;
	return 0;
}

size_t ox_rules_match_process(const struct ox_rules *rules, const struct ox_subject *s,
			      size_t cgroup_rule)
{
	const struct ox_rule *r;
	size_t i;

	for (i = 0; i < rules->n && (!cgroup_rule || i + 1 < cgroup_rule); i++) {
		r = &rules->rules[i];
		if (r->process && !(r->by_name && cgroup_rule) && !ox_rule_misses(r, s))
			return i + 1;
	}
	return cgroup_rule;
}

bool ox_rules_ask_about(const struct ox_rules *rules, const struct ox_process *p)
{
	const struct ox_subject s = { .id = &(const struct ox_identity){}, .process = p };
	const struct ox_rule *r;
	size_t i, j;

	for (i = 0; i < rules->n; i++) {
		r = &rules->rules[i];
		for (j = 0; r->process && j < r->n_tests; j++)
			if (is_about_process(r->tests[j].field) &&
			    !ox_rule_test_holds(r, &r->tests[j], &s, NULL))
				break;
		if (r->process && j == r->n_tests)
			return true;
	}
	return false;
}

struct oomx_prio ox_rule_prio(const struct ox_rule *rule, __u32 number,
			      const struct ox_identity *id)
{
	__s32 priority = rule->priority;

	/* an unconfirmed container's labels are nobody's; without a number, the rule's own stays */
	if ((rule->gives & OX_GIVES_BAND) && id && !id->nested)
		(void)ox_identity_priority(id, rule->band[0], rule->band[1], &priority);
	return (struct oomx_prio){
		.priority = priority,
		.class = rule->class,
		.rule = number,
		.weight = rule->weight,
		.flags = (rule->gives & OX_GIVES_NEVER ? OOMX_PRIO_NEVER : 0) |
			 (rule->gives & OX_GIVES_PROTECT ? OOMX_PRIO_PROTECT : 0),
	};
}

/* ---- parsing -------------------------------------------------------------------------------- */

#define wrong(y, hint, ...)                                                                        \
	((void)ox_located_add(errors, rule->file, (y)->line, (y)->column, hint, __VA_ARGS__))

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* Would the kernel's or systemd's names ever look like that? Saves people a rule that never is. */
static void check_sense(const struct ox_rule *rule, const struct ox_field *f,
			const struct ox_yaml *y, struct ox_located *errors)
{
	const char *s = y->text;
	bool open_end = ends_in(s, "*") || ends_in(s, "?") || ends_in(s, "]");

	if (!strcmp(f->name, "cgroup")) {
		if (!strncmp(s, "/sys/fs/cgroup/", 15))
			wrong(y, "leave out /sys/fs/cgroup",
			      "'%s' begins with the mount, paths begin below it", s);
		else if (*s != '/' && strncmp(s, "**", 2))
			wrong(y, "begin it with '/' or with '**'", "'%s' is no path of a cgroup", s);
		else if (s[1] && ends_in(s, "/"))
			wrong(y, "leave out the last '/'; what is below a cgroup has its rule, too",
			      "'%s' ends in '/', no cgroup's path does", s);
	} else if (!strcmp(f->name, "exe")) {
		if (*s != '/' && strncmp(s, "**", 2))
			wrong(y, "begin it with '/' or with '**'",
			      "'%s' is no path of an executable", s);
	} else if (!strcmp(f->name, "comm")) {
		if (strlen(s) > OOMX_COMM_LEN - 1 && !strpbrk(s, "*?["))
			wrong(y, "end it with '*' after 15 bytes, or ask for 'exe'",
			      "the kernel cuts names to 15 bytes: '%s' never is one", s);
	} else if (!strcmp(f->name, "uid")) {
		if (ox_parse_u32(s, 0, UINT32_MAX - 1, &(__u32){ 0 }))
			wrong(y, "write a number, such as 1000", "'%s' is no user id", s);
	} else if (!strcmp(f->name, "unit")) {
		if (!open_end && !ends_in(s, ".service") && !ends_in(s, ".scope"))
			wrong(y, "for a slice there is 'slice'",
			      "'%s' is no unit with processes: those end in .service or .scope", s);
	} else if (!strcmp(f->name, "slice")) {
		if (!open_end && !ends_in(s, ".slice"))
			wrong(y, "for a service there is 'unit'",
			      "'%s' is no slice: their names end in .slice", s);
	} else if (!strcmp(f->name, "kubernetes.qos")) {
		if (strcmp(s, "guaranteed") && strcmp(s, "burstable") && strcmp(s, "besteffort"))
			wrong(y, "write guaranteed, burstable or besteffort",
			      "'%s' is no QoS class", s);
	}
}

static int add_pattern(const struct ox_rule *rule, struct ox_rule_test *t, const struct ox_yaml *y,
		       struct ox_located *errors)
{
	struct ox_glob **more, *g = NULL;
	const char *why;
	size_t at;
	int err;

	if (y->type != OX_YAML_SCALAR) {
		wrong(y, "write a pattern, or a list of patterns", "%s where a pattern should be",
		      ox_yaml_type_name(y));
		return 0;
	}
	if (t->n == PATTERNS_MAX) {
		wrong(y, "make another rule", "more than %d patterns", PATTERNS_MAX);
		return 0;
	}
	err = ox_glob_new(y->text, t->field->path, &g, &why, &at);
	if (err == -EINVAL) {
		/* the columns of a quoted text begin behind its quote */
		(void)ox_located_add(errors, rule->file, y->line, y->column + !y->plain + at,
				     "see PATTERNS in oomx.yaml(5)", "%s: '%s'", why, y->text);
		return 0;
	}
	if (err)
		return err;
	check_sense(rule, t->field, y, errors);
	more = reallocarray(t->globs, t->n + 1, sizeof(*more));
	if (!more) {
		ox_glob_free(g);
		return -ENOMEM;
	}
	t->globs = more;
	t->globs[t->n++] = g;
	return 0;
}

/* One property: its value is a pattern or a list of them. */
static int add_test(struct ox_rule *rule, const struct ox_field *field, const struct ox_yaml *key,
		    const struct ox_yaml *value, struct ox_located *errors)
{
	struct ox_rule_test *t;
	const struct ox_yaml *y;
	int err = 0;

	t = reallocarray(rule->tests, rule->n_tests + 1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	rule->tests = t;
	t += rule->n_tests++;
	*t = (struct ox_rule_test){ .field = field };
	if (field->keyed) {
		t->key = strdup(key->text);
		if (!t->key)
			return -ENOMEM;
	}
	if (value->type != OX_YAML_LIST)
		return add_pattern(rule, t, value, errors);
	if (!value->first)
		wrong(value, "leave the key out to match all", "an empty list matches nothing");
	for (y = value->first; y && !err; y = y->next)
		err = add_pattern(rule, t, y, errors);
	return err;
}

static int add_keyed(struct ox_rule *rule, const struct ox_field *field,
		     const struct ox_yaml *value, struct ox_located *errors)
{
	const struct ox_yaml *k;
	int err = 0;

	if (value->type != OX_YAML_MAP || !value->first) {
		wrong(value, "write 'KEY: PATTERN' below it", "%s needs keys and patterns",
		      field->name);
		return 0;
	}
	for (k = value->first; k && !err; k = k->next->next)
		err = add_test(rule, field, k, k->next, errors);
	return err;
}

/* The words that may stand below "container", or below "match" itself. */
static void words_below(const char *above, const char *words[N_FIELDS + 4])
{
	size_t n = strlen(above), i, used = 0;

	for (i = 0; i < N_FIELDS; i++) {
		if (n && !strncmp(fields[i].name, above, n))
			words[used++] = fields[i].name + n;
		else if (!n && !strchr(fields[i].name, '.'))
			words[used++] = fields[i].name;
	}
	if (!n) {
		words[used++] = "nested";
		words[used++] = "container";
		words[used++] = "kubernetes";
	}
	words[used] = NULL;
}

static void unknown_word(const struct ox_rule *rule, const char *above, const struct ox_yaml *key,
			 struct ox_located *errors)
{
	const char *words[N_FIELDS + 4], *near;
	char hint[OX_LOCATED_TEXT] = "there are ";
	size_t i;

	words_below(above, words);
	near = ox_nearest_word(key->text, words);
	if (near) {
		(void)snprintf(hint, sizeof(hint), "did you mean '%s'?", near); /* fits */
	} else {
		for (i = 0; words[i]; i++) {
			size_t n = strlen(hint);

			(void)snprintf(hint + n, sizeof(hint) - n, "%s%s", i ? ", " : "", words[i]);
		}
	}
	wrong(key, hint, "nothing called '%s' can be asked for %s%.*s", key->text,
	      *above ? "below " : "in 'match'", (int)strcspn(above, "."), above);
}

static void take_nested(struct ox_rule *rule, const struct ox_yaml *y, struct ox_located *errors)
{
	rule->nested = y->type == OX_YAML_SCALAR && y->plain && !strcmp(y->text, "true");
	if (!rule->nested)
		wrong(y, "write true, or leave the key out", "'nested' can only be true");
}

/* One level: `above` is "", "container." or "kubernetes.". Calls itself once for these. */
static int parse_level(struct ox_rule *rule, const char *above, const struct ox_yaml *map,
		       struct ox_located *errors)
{
	const struct ox_field *field;
	const struct ox_yaml *k;
	char name[NAME_LEN];
	bool group;
	int err = 0;

	if (map->type != OX_YAML_MAP || !map->first) {
		wrong(map, "write 'KEY: PATTERN' below it; 'cgroup: \"/**\"' matches all",
		      "%s%.*s needs at least one thing to match", *above ? "" : "match",
		      (int)strcspn(above, "."), above);
		return 0;
	}
	for (k = map->first; k && !err; k = k->next->next) {
		if (!*above && !strcmp(k->text, "nested")) {
			take_nested(rule, k->next, errors);
			continue;
		}
		group = !*above && (!strcmp(k->text, "container") || !strcmp(k->text, "kubernetes"));
		if (group) {
			(void)snprintf(name, sizeof(name), "%s.", k->text); /* fits */
			err = parse_level(rule, name, k->next, errors);
			continue;
		}
		field = NULL;
		if (!strchr(k->text, '.') &&
		    snprintf(name, sizeof(name), "%s%s", above, k->text) < NAME_LEN)
			field = ox_field_find(name);
		if (!field)
			unknown_word(rule, above, k, errors);
		else if (field->keyed)
			err = add_keyed(rule, field, k->next, errors);
		else
			err = add_test(rule, field, k, k->next, errors);
	}
	return err;
}

int ox_rules_parse_match(struct ox_rule *rule, const struct ox_yaml *match,
			 struct ox_located *errors)
{
	unsigned int before = errors->n;
	int err = parse_level(rule, "", match, errors);
	size_t i;

	rule->by_name = true;
	for (i = 0; i < rule->n_tests; i++) {
		rule->process |= is_about_process(rule->tests[i].field);
		rule->by_name &= rule->tests[i].field->owner != OX_OWNER_KERNEL;
	}
	rule->by_name &= rule->process;
	if (!err && !rule->n_tests && before == errors->n)
		wrong(match, "add what it is to match", "'nested' alone matches nothing");
	return err;
}
