// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * oomx rules test: a table of workloads and of what the rules are to give them. For an operator's
 * own CI: needs no privileges, no cgroups and no container runtime.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd.h"
#include "exit.h"
#include "log.h"
#include "parse.h"
#include "record.h"
#include "rules.h"
#include "rules_decide.h"

static const char usage[] =
	"Usage: oomx rules test FILE [OPTION]...\n"
	"\n"
	"Compares what rules give with what FILE expects, see oomx.yaml(5).\n"
	"\n"
	"      --rules FILE|DIR  the rules; without it those that FILE names, else /etc/oomx\n"
	"  -j, --json            as JSON\n"
	"  -h, --help            print this\n"
	"\n"
	"Exit status 0 if all is as expected, 8 if not, or if a file has mistakes.\n";

struct run {
	const char *file;
	const char *rules_path; /* of --rules */
	struct ox_rules *rules;
	struct ox_located errors;
	json_t *results; /* NULL: for people */
	unsigned int passed, failed;
};

#define wrong(r, y, hint, ...)                                                                     \
	ox_located_add(&(r)->errors, (r)->file, (y)->line, (y)->column, hint, __VA_ARGS__)

/* ---- the workload of a test ------------------------------------------------------------------ */

static const struct {
	const char *above, *key;
	size_t offset;
} given[] = {
	{ "container", "runtime", offsetof(struct ox_identity, runtime) },
	{ "container", "id", offsetof(struct ox_identity, container_id) },
	{ "container", "name", offsetof(struct ox_identity, name) },
	{ "container", "image", offsetof(struct ox_identity, image) },
	{ "kubernetes", "namespace", offsetof(struct ox_identity, ns) },
	{ "kubernetes", "pod", offsetof(struct ox_identity, pod) },
	{ "kubernetes", "pod_uid", offsetof(struct ox_identity, pod_uid) },
	{ "kubernetes", "container", offsetof(struct ox_identity, k8s_container) },
	{ "kubernetes", "qos", offsetof(struct ox_identity, qos) },
};

#define N_GIVEN (sizeof(given) / sizeof(given[0]))

static const struct {
	const char *key;
	size_t offset, size;
} given_process[] = {
	{ "comm", offsetof(struct ox_process, comm), OOMX_COMM_LEN },
	{ "exe", offsetof(struct ox_process, exe), PATH_MAX },
	{ "cmdline", offsetof(struct ox_process, cmdline), sizeof(((struct ox_process *)0)->cmdline) },
	{ "uid", offsetof(struct ox_process, uid), sizeof(((struct ox_process *)0)->uid) },
};

#define N_GIVEN_PROCESS (sizeof(given_process) / sizeof(given_process[0]))

struct workload {
	const struct ox_yaml *test;
	const char *container; /* id of the one that the test is about; NULL: none */
};

static int give_text(struct ox_identity *id, size_t offset, const char *text)
{
	char **field = (void *)((char *)id + offset);

	free(*field);
	*field = strdup(text);
	return *field ? 0 : -ENOMEM;
}

static int give_labels(struct ox_identity *id, const struct ox_yaml *map)
{
	const struct ox_yaml *k;
	struct ox_label *more;

	for (k = map ? map->first : NULL; k; k = k->next->next) {
		more = reallocarray(id->labels, id->n_labels + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		id->labels = more;
		more[id->n_labels] = (struct ox_label){ strdup(k->text), strdup(k->next->text) };
		id->n_labels++;
		if (!more[id->n_labels - 1].key || !more[id->n_labels - 1].value)
			return -ENOMEM;
	}
	return 0;
}

/* What the test says of the container holds for all cgroups of that container. */
static int identify(void *ctx, const char *cgroup, struct ox_identity *ret)
{
	const struct workload *w = ctx;
	const struct ox_yaml *y;
	int err = ox_identity_from_path(cgroup, ret);
	unsigned int i;

	if (err || (w->container ? !ret->container_id || strcmp(ret->container_id, w->container) :
				   strcmp(cgroup, ox_yaml_get(w->test, "cgroup")->text)))
		return err;
	for (i = 0; i < N_GIVEN && !err; i++) {
		y = ox_yaml_get(ox_yaml_get(w->test, given[i].above), given[i].key);
		if (y)
			err = give_text(ret, given[i].offset, y->text);
	}
	if (!err)
		err = give_labels(ret, ox_yaml_get(ox_yaml_get(w->test, "container"), "label"));
	if (!err)
		err = give_labels(ret, ox_yaml_get(ox_yaml_get(w->test, "kubernetes"),
						   "annotation"));
	return err;
}

static void check_labels(struct run *r, const struct ox_yaml *y)
{
	const struct ox_yaml *k;

	if (y->type != OX_YAML_MAP) {
		wrong(r, y, "write 'KEY: VALUE' below it", "%s where keys and values should be",
		      ox_yaml_type_name(y));
		return;
	}
	for (k = y->first; k; k = k->next->next)
		if (k->next->type != OX_YAML_SCALAR)
			wrong(r, k->next, "write a text", "%s where a value should be",
			      ox_yaml_type_name(k->next));
}

static void check_workload(struct run *r, const struct ox_yaml *map, const char *above)
{
	const char *labels = !strcmp(above, "container") ? "label" : "annotation";
	const struct ox_yaml *k;
	unsigned int i;

	if (map->type != OX_YAML_MAP) {
		wrong(r, map, "write 'KEY: VALUE' below it", "'%s' is a mapping, this is %s", above,
		      ox_yaml_type_name(map));
		return;
	}
	for (k = map->first; k; k = k->next->next) {
		for (i = 0; i < N_GIVEN; i++)
			if (!strcmp(given[i].above, above) && !strcmp(given[i].key, k->text))
				break;
		if (!strcmp(k->text, labels))
			check_labels(r, k->next);
		else if (i == N_GIVEN)
			wrong(r, k, "the keys are those of a rule's 'match'",
			      "no key '%s' below '%s'", k->text, above);
		else if (k->next->type != OX_YAML_SCALAR)
			wrong(r, k->next, "write a text", "%s where a value should be",
			      ox_yaml_type_name(k->next));
	}
}

static void check_process(struct run *r, const struct ox_yaml *map)
{
	const struct ox_yaml *k;
	unsigned int i;

	if (map->type != OX_YAML_MAP || !map->first) {
		wrong(r, map, "write 'KEY: VALUE' below it", "'process' is a mapping");
		return;
	}
	for (k = map->first; k; k = k->next->next) {
		for (i = 0; i < N_GIVEN_PROCESS && strcmp(given_process[i].key, k->text); i++)
			;
		if (i == N_GIVEN_PROCESS)
			wrong(r, k, "there are comm, exe, cmdline, uid", "no key '%s' below 'process'",
			      k->text);
		else if (k->next->type != OX_YAML_SCALAR)
			wrong(r, k->next, "write a text", "%s where a value should be",
			      ox_yaml_type_name(k->next));
		else if (strlen(k->next->text) >= given_process[i].size)
			wrong(r, k->next, "shorten it", "no process has so long a '%s'", k->text);
	}
}

static struct ox_process process_of(const struct ox_yaml *test)
{
	const struct ox_yaml *map = ox_yaml_get(test, "process"), *y;
	struct ox_process p = {};
	unsigned int i;

	for (i = 0; i < N_GIVEN_PROCESS; i++) {
		y = ox_yaml_get(map, given_process[i].key);
		if (y) /* fits: it was checked */
			memcpy((char *)&p + given_process[i].offset, y->text, strlen(y->text) + 1);
	}
	return p;
}

/* ---- what is expected ------------------------------------------------------------------------ */

static void check_expected(struct run *r, const struct ox_yaml *map)
{
	static const char *const words[] = { "rule", "priority", "class", "weight", "never",
					     "protect", NULL };
	const struct ox_yaml *k;
	unsigned int i;
	__s32 n;

	if (map->type != OX_YAML_MAP || !map->first) {
		wrong(r, map, "such as 'rule: NAME' or 'priority: 5'", "nothing is expected");
		return;
	}
	for (k = map->first; k; k = k->next->next) {
		for (i = 0; words[i] && strcmp(words[i], k->text); i++)
			;
		if (!words[i])
			wrong(r, k, "there are rule, priority, class, weight, never, protect",
			      "no key '%s' below 'expect'", k->text);
		else if (k->next->type != OX_YAML_SCALAR)
			wrong(r, k->next, "write a value", "%s where a value should be",
			      ox_yaml_type_name(k->next));
		else if (i >= 4 && strcmp(k->next->text, "true") && strcmp(k->next->text, "false"))
			wrong(r, k->next, "write true or false", "'%s' cannot be '%s'", k->text,
			      k->next->text);
		else if (i >= 1 && i < 4 && ox_parse_s32(k->next->text, -1000, 1000, &n))
			wrong(r, k->next, "write a number from -1000 to 1000", "'%s' cannot be '%s'",
			      k->text, k->next->text);
	}
}

static void check_test(struct run *r, const struct ox_yaml *t)
{
	const struct ox_yaml *k;

	if (t->type != OX_YAML_MAP) {
		wrong(r, t, "a test begins with '- cgroup:'", "%s where a test should be",
		      ox_yaml_type_name(t));
		return;
	}
	for (k = t->first; k; k = k->next->next) {
		if (!strcmp(k->text, "container") || !strcmp(k->text, "kubernetes"))
			check_workload(r, k->next, k->text);
		else if (!strcmp(k->text, "process"))
			check_process(r, k->next);
		else if (!strcmp(k->text, "expect"))
			check_expected(r, k->next);
		else if (strcmp(k->text, "cgroup") && strcmp(k->text, "name"))
			wrong(r, k, "there are name, cgroup, container, kubernetes, process, expect",
			      "no key '%s' in a test", k->text);
		else if (k->next->type != OX_YAML_SCALAR)
			wrong(r, k->next, "write a text", "%s where a text should be",
			      ox_yaml_type_name(k->next));
		else if (k->text[0] == 'c' && k->next->text[0] != '/')
			wrong(r, k->next, "it begins with '/'", "'%s' is no path of a cgroup",
			      k->next->text);
	}
	if (!ox_yaml_get(t, "cgroup"))
		wrong(r, t, "add 'cgroup: /PATH'", "a test without a cgroup");
	if (!ox_yaml_get(t, "expect"))
		wrong(r, t, "add 'expect:'", "a test that expects nothing");
}

/* ---- comparing ------------------------------------------------------------------------------ */

static void actual_value(const char *key, const struct oomx_prio *p, const char *rule, char *buf,
			 size_t size)
{
	__s32 n = !strcmp(key, "priority") ? p->priority :
		  !strcmp(key, "class")	   ? (__s32)p->class :
					     p->weight;

	if (!strcmp(key, "rule"))
		(void)snprintf(buf, size, "%s", rule); /* a name fits */
	else if (!strcmp(key, "never"))
		(void)snprintf(buf, size, "%s", p->flags & OOMX_PRIO_NEVER ? "true" : "false");
	else if (!strcmp(key, "protect"))
		(void)snprintf(buf, size, "%s", p->flags & OOMX_PRIO_PROTECT ? "true" : "false");
	else
		(void)snprintf(buf, size, "%d", n);
}

static void tell(struct run *r, const struct ox_yaml *t, const char *why)
{
	const struct ox_yaml *name = ox_yaml_get(t, "name");
	const char *what = (name ? name : ox_yaml_get(t, "cgroup"))->text;

	if (*why)
		r->failed++;
	else
		r->passed++;
	if (r->results)
		(void)json_array_append_new(
			r->results, json_pack("{ss si sb ss}", "test", what, "line", (int)t->line,
					      "passed", !*why, "why", why));
	else
		printf("%-6s %s:%u %s%s%s\n", *why ? "FAILED" : "ok", r->file, t->line, what,
		       *why ? ": " : "", why);
}

/* The rule of the workload, of its process if it has one. 0 or -ENOMEM and the like */
static int decide(struct run *r, const struct ox_yaml *t, struct ox_decision *d,
		  struct oomx_prio *ret)
{
	struct ox_identity id = {}, own = {};
	struct workload w = { .test = t };
	struct ox_process process = process_of(t);
	struct ox_subject s = { .id = &own, .process = &process };
	int err = ox_identity_from_path(ox_yaml_get(t, "cgroup")->text, &id);

	w.container = id.container_id;
	if (!err)
		err = ox_rules_decide(r->rules, id.cgroup, identify, &w, d);
	if (!err)
		err = identify(&w, id.cgroup, &own);
	if (!err && ox_yaml_get(t, "process"))
		d->rule = ox_rules_match_process(r->rules, &s, d->rule);
	ox_identity_done(&id);
	if (!err && d->rule && d->from[0])
		err = identify(&w, d->from, &id);
	if (!err && d->rule)
		*ret = ox_rule_prio(&r->rules->rules[d->rule - 1], d->rule, &id);
	ox_identity_done(&id);
	ox_identity_done(&own);
	return err;
}

static int run_test(struct run *r, const struct ox_yaml *t)
{
	char got[OOMX_RULE_LEN], why[512] = "";
	const struct ox_rule *rule;
	struct ox_decision d = {};
	const struct ox_yaml *k;
	struct oomx_prio prio = {};
	int err = decide(r, t, &d, &prio);
	size_t n;

	if (err)
		return err;
	rule = d.rule ? &r->rules->rules[d.rule - 1] : NULL;
	for (k = ox_yaml_get(t, "expect")->first; k; k = k->next->next) {
		actual_value(k->text, &prio, rule ? rule->name : "none", got, sizeof(got));
		n = strlen(why);
		if (strcmp(got, k->next->text))
			(void)snprintf(why + n, sizeof(why) - n, "%s%s is %s, not %s",
				       n ? ", " : "", k->text, got, k->next->text);
	}
	n = strlen(why);
	if (n && rule)
		(void)snprintf(why + n, sizeof(why) - n, " (rule '%s', %s:%u, matches %.200s)",
			       rule->name, rule->file, rule->line, d.from);
	tell(r, t, why);
	return 0;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int load_rules(struct run *r, const struct ox_yaml *named)
{
	const char *slash = strrchr(r->file, '/'), *path = r->rules_path;
	char beside[PATH_MAX];
	int err;

	if (!path && named && named->text[0] != '/' && slash) {
		/* a relative name is relative to the file that has it */
		if (snprintf(beside, sizeof(beside), "%.*s/%s", (int)(slash - r->file), r->file,
			     named->text) >= PATH_MAX)
			return wrong(r, named, "shorten it", "the name is too long");
		path = beside;
	} else if (!path && named) {
		path = named->text;
	}
	err = ox_rules_load_all(&path, !!path, ox_rules_shipped(), &r->rules, &r->errors);
	return err == -ENOENT ? ox_located_add(&r->errors, path ? path : OX_RULES_DIR, 1, 1, "is the name right?",
					       "has neither oomx.yaml nor oomx.d") : err;
}

static int check_file(struct run *r, const struct ox_yaml *root)
{
	const struct ox_yaml *k, *t;

	if (!root || root->type != OX_YAML_MAP)
		return ox_located_add(&r->errors, r->file, 1, 1, "see TESTS in oomx.yaml(5)",
				      "not a file of tests");
	for (k = root->first; k; k = k->next->next) {
		if (!strcmp(k->text, "rules")) {
			if (k->next->type != OX_YAML_SCALAR || !k->next->text[0])
				wrong(r, k->next, "write a name",
				      "'rules' names the file or directory of the rules");
		} else if (strcmp(k->text, "tests")) {
			wrong(r, k, "there are 'rules' and 'tests'", "no key '%s' here", k->text);
		} else if (k->next->type != OX_YAML_LIST) {
			wrong(r, k->next, "each test begins with '- cgroup:'",
			      "'tests' is a list");
		} else {
			for (t = k->next->first; t; t = t->next)
				check_test(r, t);
		}
	}
	if (!ox_yaml_get(root, "tests"))
		wrong(r, root, "add 'tests:'", "no tests in it");
	return r->errors.n ? -EINVAL : 0;
}

static int test_file(struct run *r)
{
	struct ox_yaml *root = NULL;
	const struct ox_yaml *t;
	int err = ox_yaml_read(r->file, &root, &r->errors, NULL);

	if (!err)
		err = check_file(r, root);
	if (!err)
		err = load_rules(r, ox_yaml_get(root, "rules"));
	for (t = err ? NULL : ox_yaml_get(root, "tests")->first; t && !err; t = t->next)
		err = run_test(r, t);
	ox_yaml_free(root);
	return err;
}

static int report(struct run *r, int err)
{
	if (err && err != -EINVAL)
		return ox_err_r(OX_EXIT_FAILURE, "rules test: %s", strerror(-err));
	if (r->results) {
		err = ox_print_json(json_pack("{si si sO so}", "passed", r->passed, "failed",
					      r->failed, "tests", r->results, "errors",
					      ox_located_json(&r->errors)));
		if (err)
			return err;
	} else if (r->errors.n) {
		ox_located_log(&r->errors);
	} else {
		printf("%u passed, %u failed\n", r->passed, r->failed);
	}
	if (fflush(stdout))
		return ox_err_r(OX_EXIT_FAILURE, "cannot write: %m");
	return r->errors.n || r->failed ? OX_EXIT_BAD_RULES : OX_EXIT_OK;
}

/* -1: go on; else the exit status */
static int parse_options(int argc, char **argv, struct run *r)
{
	static const struct option table[] = {
		{ "rules", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	static const char shorts[] = ":jh";
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		if (c == 'r')
			r->rules_path = optarg;
		else if (c == 'j')
			r->results = r->results ?: json_array();
		else if (c == 'h')
			return ox_help(usage);
		else
			return ox_bad_option(c, shorts, argv);
	}
	if (argc - optind != 2 || strcmp(argv[optind], "test"))
		return ox_err_r(OX_EXIT_USAGE, "rules: it is 'oomx rules test FILE', see --help");
	r->file = argv[optind + 1];
	return -1;
}

int ox_cmd_rules(int argc, char **argv)
{
	struct run r = {};
	int status = parse_options(argc, argv, &r);

	if (status < 0)
		status = report(&r, test_file(&r));
	ox_rules_free(r.rules);
	json_decref(r.results);
	return status;
}
