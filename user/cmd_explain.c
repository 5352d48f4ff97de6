// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * oomx explain: which rule is about a process or a cgroup, and why that one; what is in force; and
 * where that puts it in the ranking.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "cgroup.h"
#include "cleanup.h"
#include "cmd.h"
#include "engine.h"
#include "exit.h"
#include "glob.h"
#include "log.h"
#include "parse.h"
#include "pinned.h"
#include "priority.h"
#include "record.h"
#include "rule_names.h"
#include "rules_decide.h"
#include "score.h"

#define CLEAN (3 * PATH_MAX + 1)

static const char usage[] =
	"Usage: oomx explain PID|CGROUP [OPTION]...\n"
	"\n"
	"Which rule is about it and why, what is in force, the facts, the badness and the rank.\n"
	"Exit status 8 where the rule files have mistakes: then no rule is looked at.\n"
	"\n"
	"      --rules FILE|DIR  rules to look at (/etc/oomx)\n"
	"      --cgroup CGROUP   rank as if this cgroup were at its limit (the whole machine)\n"
	"  -j, --json            as JSON\n"
	"  -h, --help            print this\n";

struct explain {
	const char *what, *rules_path, *domain;
	bool json;

	__u32 pid; /* 0: it is a cgroup */
	struct ox_process process;
	char cgroup[PATH_MAX];
	struct ox_identity id;

	struct ox_rules *rules; /* NULL: none */
	struct ox_located errors;
	struct ox_decision decision;
	bool by_process; /* the rule is about the process, not its cgroup */
	struct ox_identity decided; /* the cgroup that the rule matches */

	bool in_force; /* an oomx is running */
	struct oomx_prio prio;
	char prio_from[PATH_MAX];

	struct ox_policy policy;
	struct ox_scores scores;
	size_t rank; /* from 1; 0: it has no candidate */
};

/* ---- finding out ----------------------------------------------------------------------------- */

static int find_target(struct explain *e)
{
	__u64 id;
	int err;

	if (!ox_parse_u32(e->what, 1, 1U << 22, &e->pid)) {
		err = ox_process_read(e->pid, 0, /* cmdline= */ true, &e->process);
		memcpy(e->cgroup, e->process.cgroup, sizeof(e->cgroup));
		return err ? ox_err_r(-ENXIO, "explain: process %u: %s", e->pid, strerror(-err)) : 0;
	}
	err = ox_cgroup_id(e->what, &id);
	if (!err)
		err = ox_cgroup_path_by_id(id, e->cgroup, sizeof(e->cgroup));
	return err ? ox_err_r(-ENXIO, "explain: cgroup '%s': %s", e->what, strerror(-err)) : 0;
}

/* A rule about the process itself, in its cgroup's place? */
static void find_process_rule(struct explain *e)
{
	const struct ox_subject s = { .id = &e->id, .process = &e->process };
	size_t rule = ox_rules_match_process(e->rules, &s, e->decision.rule);

	if (rule == e->decision.rule)
		return;
	e->decision.rule = rule;
	memcpy(e->decision.from, e->cgroup, sizeof(e->decision.from));
	e->by_process = true;
}

static int find_rule(struct explain *e)
{
	const char *path = e->rules_path ? e->rules_path : OX_RULES_DIR;
	int err = ox_rules_load_all(&e->rules_path, !!e->rules_path, ox_rules_shipped(), &e->rules,
				    &e->errors);

	if (err == -ENOENT && e->rules_path)
		return ox_err_r(-ENXIO, "explain: %s has neither oomx.yaml nor oomx.d", path);
	if (err == -ENOENT || err == -EINVAL)
		return 0;
	if (!err)
		err = ox_rules_decide(e->rules, e->cgroup, ox_identify_fully, NULL, &e->decision);
	if (!err && e->pid)
		find_process_rule(e);
	if (!err && e->decision.rule)
		err = ox_identify_fully(NULL, e->decision.from, &e->decided);
	return err ? ox_err_r(err, "explain: %s", strerror(-err)) : 0;
}

static void find_in_force(struct explain *e)
{
	_cleanup_close_ int map = ox_pinned_or_running() ? ox_engine_pinned("oomx_prio") : -1;

	e->in_force = map >= 0 && !ox_priority_find(map, e->cgroup, e->prio_from, &e->prio);
}

static bool is_below(const char *path, const char *cgroup)
{
	size_t n = strlen(cgroup);

	n -= n == 1; /* "/" */
	return !strncmp(path, cgroup, n) && (!path[n] || path[n] == '/');
}

/* The process; of a cgroup, the one that would die first. */
static bool is_it(const struct explain *e, const struct oomx_score_rec *r)
{
	char path[OX_CGROUP_RECORD_LEN];

	if (e->pid)
		return r->who.pid == e->pid;
	return !ox_cgroup_path_from_record(r->who.path, path, sizeof(path)) &&
	       is_below(path, e->cgroup);
}

static int find_rank(struct explain *e)
{
	struct ox_score_args args = {};
	size_t i;
	int err = e->domain ? ox_cgroup_id(e->domain, &args.domain_id) : 0;

	if (err)
		return ox_err_r(-ENXIO, "explain: cgroup '%s': %s", e->domain, strerror(-err));
	err = ox_score(&args, &e->policy, &e->scores);
	for (i = 0; !err && i < e->scores.n && !e->rank; i++)
		if (is_it(e, &e->scores.rec[i]))
			e->rank = i + 1;
	return err;
}

/* What the deciding rule was matched with. */
static struct ox_subject subject(const struct explain *e)
{
	return (struct ox_subject){ .id = &e->decided, .process = e->pid ? &e->process : NULL };
}

/* What the kernel side goes by for the process itself, where that is not its cgroup's. */
static void find_own_in_force(struct explain *e)
{
	const struct oomx_facts *f;

	if (!e->in_force || !e->pid || !e->rank)
		return;
	f = &e->scores.rec[e->rank - 1].facts;
	if (f->rule == e->prio.rule)
		return;
	e->prio = (struct oomx_prio){
		.priority = f->priority,
		.class = f->class,
		.rule = f->rule,
		.weight = f->weight,
		.flags = (f->flags & OOMX_FACT_NEVER ? OOMX_PRIO_NEVER : 0) |
			 (f->flags & OOMX_FACT_PROTECT ? OOMX_PRIO_PROTECT : 0),
	};
	memcpy(e->prio_from, "the process itself", sizeof("the process itself"));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *text(const char *s)
{
	char clean[CLEAN];

	if (!s || !*s)
		return json_null();
	return json_string(ox_utf8_clean(s, strlen(s), /* printable= */ false, clean,
					 sizeof(clean)));
}

static json_t *identity_json(const struct ox_identity *id)
{
	return json_pack("{so so so so so so so so so so so}", "runtime", text(id->runtime),
			 "container_id", text(id->container_id), "name", text(id->name), "image",
			 text(id->image), "namespace", text(id->ns), "pod", text(id->pod),
			 "pod_uid", text(id->pod_uid), "kubernetes_container",
			 text(id->k8s_container), "qos", text(id->qos), "unit", text(id->unit),
			 "slice", text(id->slice));
}

static json_t *tests_json(const struct ox_rule *rule, const struct ox_subject *s)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < rule->n_tests; i++) {
		const struct ox_rule_test *t = &rule->tests[i];
		const struct ox_glob *g = NULL;

		(void)ox_rule_test_holds(rule, t, s, &g);
		(void)json_array_append_new(
			list, json_pack("{ss so so so}", "field", t->field->name, "key",
					text(t->key), "value", text(t->field->get(s, t->key)),
					"pattern", text(g ? ox_glob_text(g) : NULL)));
	}
	return list;
}

static json_t *rule_json(const struct explain *e)
{
	const struct ox_subject s = subject(e);
	const struct ox_rule *r;

	if (!e->decision.rule)
		return json_null();
	r = &e->rules->rules[e->decision.rule - 1];
	return json_pack("{si so so si so so so so}", "number", (int)e->decision.rule, "name",
			 text(r->name), "file", text(r->file), "line", (int)r->line, "cgroup",
			 text(e->decision.from), "kill",
			 text(!(r->gives & OX_GIVES_KILL) ? NULL : r->group ? "group" : "task"),
			 "unshield", r->gives & OX_GIVES_UNSHIELD ? json_integer(r->unshield) :
								    json_null(),
			 "tests", tests_json(r, &s));
}

static json_t *in_force_json(const struct explain *e)
{
	char name[OOMX_RULE_LEN];

	if (!e->in_force)
		return json_null();
	return json_pack("{so so si si si sb sb sb}", "rule", text(ox_rule_name(e->prio.rule, name)),
			 "cgroup", text(e->prio_from), "priority", e->prio.priority, "class",
			 (int)e->prio.class, "weight", e->prio.weight, "never",
			 !!(e->prio.flags & OOMX_PRIO_NEVER), "protect",
			 !!(e->prio.flags & OOMX_PRIO_PROTECT), "by_hand",
			 !!(e->prio.flags & OOMX_PRIO_BY_HAND));
}

static json_t *number_or_null(__s64 v)
{
	return v == OOMX_NEVER ? json_null() : json_integer(v);
}

static json_t *rank_json(const struct explain *e)
{
	const struct oomx_score_rec *r = e->rank ? &e->scores.rec[e->rank - 1] : NULL;

	if (!r)
		return json_null();
	return json_pack("{si si ss so so so so}", "rank", (int)e->rank, "of", (int)e->scores.n,
			 "policy", e->policy.name, "process", ox_who_json(&r->who), "badness",
			 number_or_null(r->badness), "points", number_or_null(r->points), "facts",
			 ox_facts_json(&r->facts));
}

/* What there is to say is said; but a script must not take it for all. */
static int done(const struct explain *e)
{
	return e->errors.n ? OX_EXIT_BAD_RULES : OX_EXIT_OK;
}

static int print_json(const struct explain *e)
{
	json_t *o = json_pack("{so so so so so so so}", "pid",
			      e->pid ? json_integer(e->pid) : json_null(), "cgroup",
			      text(e->cgroup), "identity", identity_json(&e->id), "rule",
			      rule_json(e), "in_force", in_force_json(e), "ranking", rank_json(e),
			      "errors", ox_located_json(&e->errors));

	return ox_print_json(o) ?: done(e);
}

/* ---- for people ------------------------------------------------------------------------------ */

static void print_field(const char *name, const char *value)
{
	char clean[CLEAN];

	if (value)
		printf("  %-22s %s\n", name, ox_utf8_clean(value, strlen(value),
							   /* printable= */ true, clean,
							   sizeof(clean)));
}

static void print_identity(const struct explain *e)
{
	const struct ox_identity *id = &e->id;

	if (e->pid) {
		printf("process %u\n", e->pid);
		print_field("comm", e->process.comm);
		print_field("exe", e->process.exe_hidden ?
			    "(may not be read without CAP_SYS_PTRACE)" : e->process.exe);
		print_field("cmdline", e->process.cmdline);
		print_field("uid", e->process.uid);
	}
	print_field("cgroup", e->cgroup);
	print_field("unit", id->unit);
	print_field("slice", id->slice);
	print_field("container.runtime", id->runtime);
	print_field("container.id", id->container_id);
	print_field("container.name", id->name);
	print_field("container.image", id->image);
	print_field("kubernetes.namespace", id->ns);
	print_field("kubernetes.pod", id->pod);
	print_field("kubernetes.pod_uid", id->pod_uid);
	print_field("kubernetes.container", id->k8s_container);
	print_field("kubernetes.qos", id->qos);
	if (id->unit_nested)
		printf("  the owner of a unit or container above has named its unit\n");
	if (id->nested)
		printf("  the owner of a unit or container above has named its container\n");
}

static void print_rule(const struct explain *e)
{
	const struct ox_subject s = subject(e);
	const struct ox_rule *r;
	char clean[CLEAN];
	size_t i;

	if (e->errors.n) {
		printf("the rule files have mistakes:\n");
		(void)fflush(stdout);
		ox_located_log(&e->errors);
		return;
	}
	if (!e->decision.rule) {
		printf("no rule matches it or a cgroup above (%zu rules)\n",
		       e->rules ? e->rules->n : 0);
		return;
	}
	r = &e->rules->rules[e->decision.rule - 1];
	printf("rule '%s' (number %zu, %s:%u) decides%s: it is the first to match %s%s\n", r->name,
	       e->decision.rule, r->file, r->line,
	       !(r->gives & OX_GIVES_KILL) ? "" : r->group ? ", kill: group" : ", kill: task",
	       e->by_process ? "the process in " : "",
	       ox_utf8_clean(e->decision.from, PATH_MAX, /* printable= */ true, clean,
			     sizeof(clean)));
	for (i = 0; i < r->n_tests; i++) {
		const struct ox_rule_test *t = &r->tests[i];
		const char *value = t->field->get(&s, t->key);
		const struct ox_glob *g = NULL;

		if (ox_rule_test_holds(r, t, &s, &g))
			printf("  %s%s%s '%s' matches '%s'\n", t->field->name, t->key ? " " : "",
			       t->key ? t->key : "",
			       ox_utf8_clean(value, strlen(value), /* printable= */ true, clean,
					     sizeof(clean)), ox_glob_text(g));
	}
}

static void print_in_force(const struct explain *e)
{
	const struct oomx_prio *p = &e->prio;
	char name[OOMX_RULE_LEN], clean[CLEAN];
	const char *rule = ox_rule_name(p->rule, name);

	if (!e->in_force) {
		printf("no oomx is running: nothing is in force\n");
		return;
	}
	printf("in force: priority %d, class %u, weight %d%s%s", p->priority, p->class, p->weight,
	       p->flags & OOMX_PRIO_NEVER ? ", never chosen" : "",
	       p->flags & OOMX_PRIO_PROTECT ? ", chosen only if nobody else is left" : "");
	if (e->prio_from[0])
		printf(", %s%s%s of %s\n", rule ? "by rule '" : "", rule ? rule : "set by hand",
		       rule ? "'," : "",
		       ox_utf8_clean(e->prio_from, PATH_MAX, /* printable= */ true, clean,
				     sizeof(clean)));
	else
		printf(", the default\n");
}

static void print_rank(const struct explain *e)
{
	const struct oomx_score_rec *r = e->rank ? &e->scores.rec[e->rank - 1] : NULL;
	char comm[3 * OOMX_COMM_LEN + 1], badness[24] = "never";

	if (!r) {
		printf("%s would not be killed by the kernel, and so not by oomx%s\n",
		       e->pid ? "it" : "nobody in it; it",
		       e->domain ? ", or is not in that cgroup" : "");
		return;
	}
	if (r->badness != OOMX_NEVER)
		(void)snprintf(badness, sizeof(badness), "%" PRId64, (int64_t)r->badness);
	printf("%s %s (%u) is number %zu of %zu to die (policy %s): badness %s, the kernel's points "
	       "%" PRId64 "\n", e->pid ? "process" : "its first process",
	       ox_utf8_clean(r->who.comm, OOMX_COMM_LEN, /* printable= */ true, comm, sizeof(comm)),
	       r->who.pid, e->rank, e->scores.n, e->policy.name, badness, (int64_t)r->points);
	printf("  pages: anon %llu, file %llu, shmem %llu, swap %llu, page tables %llu; "
	       "oom_score_adj %d", (unsigned long long)r->facts.anon_pages,
	       (unsigned long long)r->facts.file_pages, (unsigned long long)r->facts.shmem_pages,
	       (unsigned long long)r->facts.swap_pages,
	       (unsigned long long)r->facts.pgtable_pages, r->facts.oom_score_adj);
	if (r->facts.memcg_protection)
		printf("; memory.min and memory.low protect %u thousandths of its cgroup's memory",
		       r->facts.memcg_protection);
	printf("\n");
}

static int print_text(const struct explain *e)
{
	print_identity(e);
	print_rule(e);
	print_in_force(e);
	print_rank(e);
	return fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : done(e);
}

/* ---- the command ----------------------------------------------------------------------------- */

/* -1: go on; else the exit status */
static int parse_options(int argc, char **argv, struct explain *e)
{
	static const struct option table[] = {
		{ "rules", required_argument, NULL, 'r' },
		{ "cgroup", required_argument, NULL, 'c' },
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
			e->rules_path = optarg;
		else if (c == 'c')
			e->domain = optarg;
		else if (c == 'j')
			e->json = true;
		else if (c == 'h')
			return ox_help(usage);
		else
			return ox_bad_option(c, shorts, argv);
	}
	if (argc - optind != 1)
		return ox_err_r(OX_EXIT_USAGE, "explain: which process or cgroup? See --help");
	e->what = argv[optind];
	return -1;
}

int ox_cmd_explain(int argc, char **argv)
{
	struct explain e = {};
	int status = parse_options(argc, argv, &e), err;

	if (status >= 0)
		return status;
	status = ox_need_root("explain");
	if (status)
		return status;
	err = find_target(&e);
	if (!err)
		err = ox_identify_fully(NULL, e.cgroup, &e.id);
	if (!err)
		err = find_rule(&e);
	if (!err) {
		find_in_force(&e);
		err = find_rank(&e);
		find_own_in_force(&e);
	}
	if (err)
		status = ox_exit_status(err);
	else
		status = e.json ? print_json(&e) : print_text(&e);
	ox_identity_done(&e.id);
	ox_identity_done(&e.decided);
	ox_rules_free(e.rules);
	free(e.scores.rec);
	ox_policy_done(&e.policy);
	return status;
}
