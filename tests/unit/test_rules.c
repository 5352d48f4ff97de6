/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rule files: what they say, which rule decides, and where a mistake is said to be. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "cmd.h"
#include "exit.h"
#include "rules.h"
#include "rules_decide.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct ox_rules *good(const char *text)
{
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;
	int err = ox_rules_parse("t.yaml", text, strlen(text), &rules, &errors);

	if (err)
		fail_msg("refused: %u:%u: %s", errors.list[0].line, errors.list[0].column,
			 errors.list[0].text);
	return rules;
}

#define ALL                                                                                        \
	"version: 1\n"                                                                             \
	"rules:\n"                                                                                 \
	"  - name: db\n"                                                                           \
	"    match: {unit: [\"postgres*.service\", mariadb.service]}\n"                            \
	"    priority: 500\n"                                                                      \
	"    class: 2\n"                                                                           \
	"    avoid: 30\n"                                                                          \
	"  - match:\n"                                                                             \
	"      cgroup: /batch.slice/**\n"                                                          \
	"    priority: -100\n"                                                                     \
	"    prefer: 1000\n"                                                                       \
	"  - name: shop\n"                                                                         \
	"    match:\n"                                                                             \
	"      container: {image: \"*/shop:*\", label: {tier: front, \"a.b/c\": \"*\"}}\n"         \
	"      kubernetes: {qos: burstable}\n"                                                     \
	"    protect: true\n"                                                                      \
	"  - name: ssh\n"                                                                          \
	"    match: {unit: sshd.service, slice: system.slice}\n"                                   \
	"    never: true\n"

static void all_is_read(void **state)
{
	struct ox_rules *r = good(ALL);
	struct oomx_prio p;

	(void)state;
	assert_int_equal(r->n, 4);
	assert_true(r->state);
	p = ox_rule_prio(&r->rules[0], 1, NULL);
	assert_int_equal(p.priority, 500);
	assert_int_equal(p.class, 2);
	assert_int_equal(p.weight, -30);
	assert_int_equal(p.rule, 1);
	assert_int_equal(p.flags, 0);
	assert_string_equal(r->rules[0].name, "db");
	assert_int_equal(r->rules[0].tests[0].n, 2);
	assert_string_equal(r->rules[1].name, "t.yaml:8");
	assert_int_equal(r->rules[1].line, 8);
	p = ox_rule_prio(&r->rules[1], 2, NULL);
	assert_int_equal(p.priority, -100);
	assert_int_equal(p.weight, 1000);
	assert_int_equal(r->rules[2].n_tests, 4);
	assert_int_equal(ox_rule_prio(&r->rules[2], 3, NULL).flags, OOMX_PRIO_PROTECT);
	assert_int_equal(ox_rule_prio(&r->rules[3], 4, NULL).flags, OOMX_PRIO_NEVER);
	ox_rules_free(r);
}

static void the_first_decides(void **state)
{
	static const struct {
		const char *cgroup;
		size_t rule;
		const char *from;
	} rows[] = {
		{ "/system.slice/postgresql@15.service", 1, "/system.slice/postgresql@15.service" },
		{ "/batch.slice/mariadb.service", 1, "/batch.slice/mariadb.service" },
		{ "/batch.slice/a.service", 2, "/batch.slice/a.service" },
		{ "/batch.slice", 0, "" },
		{ "/system.slice/sshd.service", 4, "/system.slice/sshd.service" },
		{ "/user.slice/sshd.service", 0, "" },
		{ "/", 0, "" },
	};
	struct ox_rules *r = good(ALL);
	struct ox_decision d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(ox_rules_decide(r, rows[i].cgroup, ox_identify_by_path, NULL, &d),
				 0);
		if (d.rule != rows[i].rule || strcmp(d.from, rows[i].from))
			fail_msg("%s: rule %zu by '%s'", rows[i].cgroup, d.rule, d.from);
	}
	ox_rules_free(r);
}

static void ancestors_count(void **state)
{
	struct ox_rules *r = good("rules:\n- match: {cgroup: /a}\n  priority: 1\n"
				  "- match: {cgroup: /a/b/*}\n  priority: 2\n"
				  "- match: {cgroup: /}\n  priority: 3\n");
	struct ox_decision d;

	(void)state;
	assert_int_equal(ox_rules_decide(r, "/a/b", ox_identify_by_path, NULL, &d), 0);
	assert_int_equal(d.rule, 1);
	assert_string_equal(d.from, "/a");
	assert_int_equal(ox_rules_decide(r, "/a/b/c/d", ox_identify_by_path, NULL, &d), 0);
	assert_int_equal(d.rule, 2);
	assert_string_equal(d.from, "/a/b/c");
	assert_int_equal(ox_rules_decide(r, "/x/y", ox_identify_by_path, NULL, &d), 0);
	assert_int_equal(d.rule, 3);
	assert_string_equal(d.from, "/");
	ox_rules_free(r);
}

static void what_a_runtime_says(void **state)
{
	struct ox_label labels[] = { { (char *)"tier", (char *)"front" },
				     { (char *)"a.b/c", (char *)"" } };
	struct ox_identity id = { .cgroup = (char *)"/k", .image = (char *)"r.io/shop:3",
				  .qos = (char *)"burstable", .labels = labels, .n_labels = 2 };
	struct ox_rules *r = good(ALL);

	(void)state;
	assert_int_equal(ox_rules_match(r, &id), 3);
	id.n_labels = 1; /* all labels are asked for */
	assert_int_equal(ox_rules_match(r, &id), 0);
	assert_string_equal(ox_rule_misses(&r->rules[2], &(struct ox_subject){ .id = &id })->key, "a.b/c");
	id.n_labels = 2;
	id.qos = (char *)"guaranteed";
	assert_int_equal(ox_rules_match(r, &id), 0);
	ox_rules_free(r);
}

static void a_band(void **state)
{
	static const struct {
		const char *asked;
		__s32 gets;
	} rows[] = {
		{ "-300", -300 }, { "-501", -500 }, { "7", 7 }, { "1000", 10 }, { "11", 10 },
		{ "1001", -5 }, { "x", -5 }, { "", -5 }, { NULL, -5 },
	};
	struct ox_rules *r = good("rules:\n- match: {container: {runtime: podman}}\n"
				  "  priority: -5\n  band: [-500, 10]\n");
	struct ox_label label = { .key = (char *)OX_LABEL_PRIORITY };
	struct ox_identity id = { .cgroup = (char *)"/c", .runtime = (char *)"podman",
				  .labels = &label };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		label.value = (char *)rows[i].asked;
		id.n_labels = !!rows[i].asked;
		assert_int_equal(ox_rule_prio(&r->rules[0], 1, &id).priority, rows[i].gets);
	}
	label.value = (char *)"-300";
	id.n_labels = 1;
	id.nested = true; /* nobody has confirmed it */
	assert_int_equal(ox_rule_prio(&r->rules[0], 1, &id).priority, -5);
	assert_true(r->state);
	ox_rules_free(r);
}

static void processes(void **state)
{
	struct ox_rules *r = good("rules:\n"
				  "- match: {comm: java}\n  class: 1\n"
				  "- match: {exe: \"/usr/**/sh\"}\n  class: 2\n"
				  "- match: {cgroup: /a}\n  class: 3\n"
				  "- match: {uid: [7, 8], cgroup: /b}\n  class: 4\n"
				  "- match: {cmdline: \"* -jar x.jar*\"}\n  class: 5\n");
	struct ox_process p = { .comm = "java", .exe = "/usr/bin/sh", .uid = "7" };
	struct ox_identity a = { .cgroup = (char *)"/a" }, b = { .cgroup = (char *)"/b" };
	struct ox_subject s = { .id = &a, .process = &p };

	(void)state;
	assert_true(r->process);
	assert_true(r->cmdline);
	assert_int_equal(ox_rules_match(r, &a), 3); /* not what is about processes */
	assert_int_equal(ox_rules_match(r, &b), 0);
	assert_int_equal(ox_rules_match_process(r, &s, 3), 2); /* exe goes before, comm gives way */
	assert_int_equal(ox_rules_match_process(r, &s, 2), 2); /* a rule before it stays */
	p.exe_foreign = true; /* a file of its own under that name */
	assert_int_equal(ox_rules_match_process(r, &s, 3), 3);
	p.exe[0] = '\0';
	assert_int_equal(ox_rules_match_process(r, &s, 3), 3);
	assert_int_equal(ox_rules_match_process(r, &s, 0), 1);
	p.comm[0] = '\0';
	assert_int_equal(ox_rules_match_process(r, &s, 0), 0);
	s.id = &b;
	assert_int_equal(ox_rules_match_process(r, &s, 0), 4);
	assert_int_equal(ox_rules_match_process(r, &s, 3), 3); /* one before it, about its cgroup */
	assert_true(ox_rules_ask_about(r, &p));
	strcpy(p.uid, "70");
	assert_int_equal(ox_rules_match_process(r, &s, 0), 0);
	assert_false(ox_rules_ask_about(r, &p));
	strcpy(p.cmdline, "java -jar x.jar y");
	assert_int_equal(ox_rules_match_process(r, &s, 0), 5);
	assert_int_equal(ox_rules_match_process(r, &s, 1), 1);
	ox_rules_free(r);
}

static void owners_names_do_not_count(void **state)
{
	static const char text[] = "rules:\n- match: {unit: sshd.service}\n  never: true\n"
				   "- match: {unit: app*.service, nested: true}\n  class: 3\n"
				   "- match: {kubernetes: {qos: guaranteed}}\n  protect: true\n";
	struct ox_identity mine = { .cgroup = (char *)"/u", .unit = (char *)"sshd.service",
				    .unit_nested = true };
	struct ox_identity pod = { .cgroup = (char *)"/k", .qos = (char *)"guaranteed" };
	struct ox_rules *r = good(text);

	(void)state;
	assert_int_equal(ox_rules_match(r, &mine), 0);
	mine.unit_nested = false;
	assert_int_equal(ox_rules_match(r, &mine), 1);
	mine.unit_nested = true;
	mine.unit = (char *)"app-1.service";
	assert_int_equal(ox_rules_match(r, &mine), 2);
	assert_int_equal(ox_rules_match(r, &pod), 3);
	pod.nested = true;
	assert_int_equal(ox_rules_match(r, &pod), 0);
	ox_rules_free(r);
}

/* ---- mistakes -------------------------------------------------------------------------------- */

#define RULE "rules:\n- match: {cgroup: /a}\n  "
#define MATCH "rules:\n- priority: 1\n  match: "

static const struct {
	const char *text;
	unsigned int line, column;
	const char *says;
} mistakes[] = {
	{ "rulez: []\n", 1, 1, "did you mean 'rules'" },
	{ "rules: {}\n", 1, 8, "list" },
	{ "- a\n", 1, 1, "rules:" },
	{ "hello\n", 1, 1, "mapping" },
	{ "version: 2\n", 1, 10, "1 to 1" },
	{ "rules:\n- 5\n", 2, 3, "rule" },
	{ RULE "priority: 1001\n", 3, 13, "-1000 to 1000" },
	{ RULE "priority: \"5\"\n", 3, 13, "quotes" },
	{ RULE "priority: 5.0\n", 3, 13, "number" },
	{ RULE "priority: 0x10\n", 3, 13, "number" },
	{ RULE "priority: 99999999999999999999999\n", 3, 13, "number" },
	{ RULE "priority: [1]\n", 3, 13, "list" },
	{ RULE "priority:\n", 3, 12, "number" },
	{ RULE "priorty: 5\n", 3, 3, "did you mean 'priority'" },
	{ RULE "class: -1\n", 3, 10, "0 to 1000" },
	{ RULE "never: yes\n", 3, 10, "true" },
	{ RULE "never: \"true\"\n", 3, 10, "true" },
	{ RULE "never: {}\n", 3, 10, "true" },
	{ RULE "prefer: 0\n", 3, 11, "1 to 1000" },
	{ RULE "prefer: 1\n  avoid: 1\n", 4, 3, "keep one" },
	{ RULE "unit: a.service\n", 3, 3, "below 'match'" },
	{ RULE "band: 5\n", 3, 9, "two numbers" },
	{ RULE "band: [1, 2, 3]\n", 3, 9, "two numbers" },
	{ RULE "band: [1, x]\n", 3, 13, "number" },
	{ RULE "band: [-1001, 0]\n", 3, 10, "number" },
	{ RULE "band: [2, 1]\n", 3, 9, "above" },
	{ MATCH "{comm: a}\n  band: [0, 1]\n", 2, 3, "band" },
	{ RULE "kill: all\n", 3, 9, "task or group" },
	{ RULE "kill: []\n", 3, 9, "task or group" },
	{ RULE "never: true\n  kill: task\n", 2, 3, "never" },
	{ RULE "oom_score_adj: 0\n", 3, 3, "no key" },
	{ RULE "name: []\n", 3, 9, "text" },
	{ RULE "name: ''\n", 3, 9, "text" },
	{ RULE "priority: 1\n  priority: 2\n", 4, 3, "twice" },
	{ "rules:\n- match: {cgroup: /a}\n", 2, 3, "says nothing" },
	{ "rules:\n- priority: 1\n", 2, 3, "add 'match'" },
	{ RULE "never: true\n  priority: 1\n", 2, 3, "never" },
	{ RULE "never: false\n", 2, 3, "says nothing" },
	{ RULE "name: x\n  never: true\n- name: x\n  match: {cgroup: /b}\n  never: true\n",
	  5, 9, "each its own" },
	{ MATCH "{}\n", 3, 10, "at least one" },
	{ MATCH "/a\n", 3, 10, "at least one" },
	{ MATCH "{cgroup: []}\n", 3, 19, "nothing" },
	{ MATCH "{cgroup: {}}\n", 3, 19, "pattern" },
	{ MATCH "{cgroup: }\n", 3, 19, "empty" },
	{ MATCH "{cgroup: [[/a]]}\n", 3, 20, "pattern" },
	{ MATCH "{cgroup: a}\n", 3, 19, "begin it with" },
	{ MATCH "{cgroup: /a/}\n", 3, 19, "last '/'" },
	{ MATCH "{cgroup: /sys/fs/cgroup/a}\n", 3, 19, "/sys/fs/cgroup" },
	{ MATCH "{cgroup: \"/a[\"}\n", 3, 22, "'['" },
	{ MATCH "{unit: nginx}\n", 3, 17, ".service" },
	{ MATCH "{slice: a.service}\n", 3, 18, ".slice" },
	{ MATCH "{kubernetes: {qos: best}}\n", 3, 29, "besteffort" },
	{ MATCH "{containr: {name: a}}\n", 3, 11, "did you mean 'container'" },
	{ MATCH "{container: {nam: a}}\n", 3, 23, "did you mean 'name'" },
	{ MATCH "{container.name: a}\n", 3, 11, "container.name" },
	{ MATCH "{container: a}\n", 3, 22, "at least one" },
	{ MATCH "{container: {label: a}}\n", 3, 30, "KEY" },
	{ MATCH "{container: {label: {a: [b, {}]}}}\n", 3, 38, "pattern" },
	{ MATCH "{uid: root}\n", 3, 16, "user id" },
	{ MATCH "{uid: -1}\n", 3, 16, "user id" },
	{ MATCH "{exe: sh}\n", 3, 16, "executable" },
	{ MATCH "{comm: a-name-of-16-byt}\n", 3, 17, "15 bytes" },
	{ MATCH "{comm: a}\n  kill: task\n", 2, 3, "about cgroups" },
	{ MATCH "{pod: x}\n", 3, 11, "nothing called 'pod'" },
	{ MATCH "{nested: false}\n", 3, 19, "only be true" },
	{ MATCH "{nested: true}\n", 3, 10, "alone" },
	{ MATCH "{nestd: true}\n", 3, 11, "did you mean 'nested'" },
	{ "rules: &a []\n", 1, 8, "anchor" },
	{ "rules: *a\n", 1, 8, "alias" },
	{ MATCH "{cgroup: **/a}\n", 3, 20, "quoted" },
	{ "rules: !!seq []\n", 1, 8, "tag" },
	{ "%YAML 1.1\n---\nrules: []\n", 1, 1, "directive" },
	{ "rules: []\n---\nrules: []\n", 2, 1, "second document" },
	{ "rules: [\n", 2, 1, "" },
	{ "rules:\n\t- a\n", 2, 1, "tabs" },
	{ "rules: []\nx: \xff\n", 2, 4, "UTF-8" },
	{ "rules: []\nx: ä\xc3(\n", 2, 5, "UTF-8" },
	{ "rules: []\nx: \"\\0\"\n", 2, 4, "control" },
	{ "rules: []\nx: \x01\n", 2, 4, "U+0001" },
	{ "? [a]\n: b\n", 1, 3, "key" },
	{ "[[[[[[[[[[[[[[[[[", 1, 13, "deep" },
};

static void mistakes_have_a_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct ox_located errors = {};
		struct ox_rules *rules = (void *)1;
		const struct ox_located_error *e = &errors.list[0];
		int err = ox_rules_parse("t.yaml", mistakes[i].text, strlen(mistakes[i].text), &rules,
					 &errors);

		if (err != -EINVAL || !errors.n)
			fail_msg("row %zu was taken: %s", i, mistakes[i].text);
		assert_ptr_equal(rules, (void *)1);
		if (e->line != mistakes[i].line || e->column != mistakes[i].column ||
		    (!strstr(e->text, mistakes[i].says) && !strstr(e->hint, mistakes[i].says)))
			fail_msg("row %zu, '%s', %u:%u: %s: %s", i, mistakes[i].text, e->line,
				 e->column, e->text, e->hint);
		assert_true(e->hint[0]);
		assert_string_equal(e->file, "t.yaml");
	}
}

static void several_mistakes_are_told(void **state)
{
	static const char text[] = "rules:\n- match: {unit: a}\n  class: x\n- mtach: 1\n- 7\n";
	struct ox_located errors = {};
	struct ox_rules *rules;

	(void)state;
	assert_int_equal(ox_rules_parse("t", text, strlen(text), &rules, &errors), -EINVAL);
	assert_int_equal(errors.n, 5);
	assert_int_equal(errors.list[0].line, 2);
	assert_int_equal(errors.list[1].line, 3);
	assert_int_equal(errors.list[4].line, 5);
}

static void nothing_is_no_mistake(void **state)
{
	static const char *const texts[] = { "", "\n", "# nothing\n", "---\n", "rules: []\n",
					     "\xef\xbb\xbf# with a mark\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct ox_rules *r = good(texts[i]);

		assert_int_equal(r->n, 0);
		ox_rules_free(r);
	}
}

/* ---- files ----------------------------------------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void a_directory(void **state)
{
	char dir[] = "/tmp/oomx-rules-XXXXXX", sub[64], cmd[96];
	struct ox_located errors = {};
	struct ox_rules *r = NULL, *again = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(ox_rules_load(dir, &r, &errors), -ENOENT);
	assert_int_equal(errors.n, 0);
	snprintf(sub, sizeof(sub), "%s/oomx.d", dir);
	assert_int_equal(mkdir(sub, 0755), 0);
	write_file(dir, "oomx.yaml", RULE "priority: 1\n");
	write_file(sub, "20.yaml", RULE "priority: 3\n");
	write_file(sub, "10.yaml", RULE "priority: 2\n");
	write_file(sub, "15.yml", "not: read\n");
	write_file(sub, ".x.yaml", "not: read\n");
	assert_int_equal(ox_rules_load(dir, &r, &errors), 0);
	assert_int_equal(r->n, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(r->rules[i].priority, i + 1);
	assert_int_equal(ox_rules_load(dir, &again, &errors), 0);
	assert_true(r->hash == again->hash);
	ox_rules_free(again);
	write_file(sub, "30.yaml", "rules: []\n");
	assert_int_equal(ox_rules_load(dir, &again, &errors), 0);
	assert_true(r->hash != again->hash);
	ox_rules_free(again);
	ox_rules_free(r);
	/* one bad file and one that cannot be read: both are told, nothing is given out */
	write_file(sub, "30.yaml", "rules: [\n");
	assert_int_equal(symlink("/nonexistent", strcat(strcpy(cmd, sub), "/40.yaml")), 0);
	assert_int_equal(ox_rules_load(dir, &r, &errors), -EINVAL);
	assert_int_equal(errors.n, 2);
	assert_non_null(strstr(errors.list[0].file, "oomx.d/30.yaml"));
	assert_non_null(strstr(errors.list[1].file, "oomx.d/40.yaml"));
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void no_files(void **state)
{
	static const char *const paths[] = { "/nonexistent", "/dev/zero", "/dev/null",
					     "/proc/self/mem" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct ox_located errors = {};
		struct ox_rules *r;

		assert_int_equal(ox_rules_load(paths[i], &r, &errors), -EINVAL);
		assert_int_equal(errors.n, 1);
		assert_string_equal(errors.list[0].file, paths[i]);
	}
}

/* ---- the commands ---------------------------------------------------------------------------- */

#ifndef OX_SRCDIR
#define OX_SRCDIR "." /* the tests run from the top of the tree */
#endif

/* Its exit status; what it prints goes nowhere. */
static int quietly(int (*cmd)(int argc, char **argv), const char *a, const char *b)
{
	const char *argv[] = { "x", a, b, NULL };
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), status;

	fflush(stdout);
	assert_non_null(freopen("/dev/null", "we", stdout));
	assert_int_equal(dup2(STDOUT_FILENO, STDERR_FILENO), STDERR_FILENO);
	status = cmd(b ? 3 : 2, (char **)argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	return status;
}

static void the_examples_are_right(void **state)
{
	(void)state;
	assert_int_equal(quietly(ox_cmd_check_config, OX_SRCDIR "/examples/oomx.yaml", NULL),
			 OX_EXIT_OK);
	assert_int_equal(quietly(ox_cmd_rules, "test", OX_SRCDIR "/examples/oomx-test.yaml"),
			 OX_EXIT_OK);
}

#define T "tests:\n- cgroup: /a\n  "

static void tests_of_rules_can_fail(void **state)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{ T "expect: {rule: x, priority: 1, class: 0, weight: 0, never: false}\n", 0 },
		{ T "expect: {rule: y}\n", 8 },
		{ T "expect: {rule: none}\n", 8 },
		{ T "expect: {priority: 2}\n", 8 },
		{ T "expect: {class: 1}\n", 8 },
		{ T "expect: {weight: 1}\n", 8 },
		{ T "expect: {never: true}\n", 8 },
		{ T "expect: {protect: true}\n", 8 },
		{ T "expect: {protect: maybe}\n", 8 },
		{ T "expect: {priority: 1.0}\n", 8 },
		{ T "expect: {}\n", 8 },
		{ T "expect: {ruel: x}\n", 8 },
		{ T "container: {nam: x}\n  expect: {rule: x}\n", 8 },
		{ T "container: {label: {a: []}}\n  expect: {rule: x}\n", 8 },
		{ T "kubernetes: []\n  expect: {rule: x}\n", 8 },
		{ T "name: []\n  expect: {rule: x}\n", 8 },
		{ "tests:\n- expect: {rule: x}\n", 8 },
		{ "tests:\n- cgroup: a\n  expect: {rule: x}\n", 8 },
		{ T "process: {comm: java}\n  expect: {rule: x}\n", 0 }, /* its cgroup has one */
		{ "tests:\n- cgroup: /c\n  process: {comm: java}\n  expect: {rule: java}\n", 0 },
		{ "tests:\n- cgroup: /c\n  process: {comm: jav}\n  expect: {rule: java}\n", 8 },
		{ T "process: {exe: /bin/sh, uid: 7}\n  expect: {rule: shell}\n", 0 },
		{ T "process: {exe: /bin/sh, uid: 8}\n  expect: {rule: x}\n", 0 },
		{ "tests:\n- cgroup: /b\n  container: {image: i, label: {l: m, oomx.priority: -7}}\n"
		  "  expect: {priority: -7}\n", 0 },
		{ "tests:\n- cgroup: /b\n  container: {image: i, label: {l: m, oomx.priority: -70}}\n"
		  "  expect: {priority: -9}\n", 0 },
		{ T "process: {com: x}\n  expect: {rule: x}\n", 8 },
		{ T "process: {uid: 123456789012}\n  expect: {rule: x}\n", 8 },
		{ T "process: x\n  expect: {rule: x}\n", 8 },
		{ "tests: 5\n", 8 },
		{ "tests: [5]\n", 8 },
		{ "test: []\n", 8 },
		{ "", 8 },
		{ "rules: /nonexistent\ntests: []\n", 8 },
		{ "tests:\n- cgroup: /b\n  container: {image: i, label: {l: m}}\n"
		  "  expect: {rule: image}\n", 0 },
		{ "tests:\n- cgroup: /b\n  container: {image: i}\n  expect: {rule: image}\n", 8 },
	};
	char dir[] = "/tmp/oomx-rules-XXXXXX", path[64], text[512], cmd[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_file(dir, "r.yaml", "rules:\n- name: shell\n  match: {exe: \"/bin/*\", uid: 7}\n"
				  "  protect: true\n"
				  "- name: java\n  match: {comm: java}\n  class: 1\n"
				  "- name: x\n  match: {cgroup: /a}\n  priority: 1\n"
				  "- name: image\n  match: {container: {image: i, label: {l: m}}}\n"
				  "  class: 1\n  band: [-9, 0]\n");
	snprintf(path, sizeof(path), "%s/t.yaml", dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status;

		snprintf(text, sizeof(text), "%s%s", rows[i].text[0] == 't' ? "rules: r.yaml\n" : "",
			 rows[i].text);
		write_file(dir, "t.yaml", text);
		status = quietly(ox_cmd_rules, "test", path);
		if (status != rows[i].status)
			fail_msg("row %zu: %d: %s", i, status, text);
	}
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_read),
		cmocka_unit_test(the_first_decides),
		cmocka_unit_test(ancestors_count),
		cmocka_unit_test(what_a_runtime_says),
		cmocka_unit_test(owners_names_do_not_count),
		cmocka_unit_test(processes),
		cmocka_unit_test(a_band),
		cmocka_unit_test(mistakes_have_a_place),
		cmocka_unit_test(several_mistakes_are_told),
		cmocka_unit_test(nothing_is_no_mistake),
		cmocka_unit_test(a_directory),
		cmocka_unit_test(no_files),
		cmocka_unit_test(the_examples_are_right),
		cmocka_unit_test(tests_of_rules_can_fail),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
