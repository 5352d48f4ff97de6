// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_bpf - the BPF code under BPF_PROG_TEST_RUN, as the kernel's verifier and JIT have made it:
 * policies over made-up facts, the arithmetic they stand on, the order of candidates, how long
 * oom_lock may be held, who waits for the CPU of who holds it, cgroup paths and priorities, and the
 * walk over all processes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <bpf/bpf.h>

#include "../bpf/runs.h"
#include "bpf/bpf_runs.h"
#include "calibrate.h"
#include "cgroup.h"
#include "lib/cgroup.h"
#include "lib/nested.h"
#include "lib/suite.h"
#include "lib/testbpf.h"
#include "lib/worker.h"
#include "policy_rows.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define COMPLAINTS_MAX 10

static unsigned int complaints;

bool bpf_differs(__s64 found, __s64 expected)
{
	return found != expected && complaints++ < COMPLAINTS_MAX;
}

void bpf_begin(const char *what)
{
	complaints = 0;
	suite_run_begin(what, 1);
}

/* ---- policies: what they say ---------------------------------------------------------------- */

static void check_rows(struct bpf_object *obj, struct run_policy *cases, const struct row *rows,
		       unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		cases[i].facts = rows[i].f;
	testbpf_run_cases(obj, "policy_run", n);
	for (i = 0; i < n; i++) {
		if (bpf_differs(cases[i].badness, rows[i].want))
			suite_fail("%s: expected %lld, found %lld", rows[i].what, rows[i].want,
				   cases[i].badness);
		if (i && cases[i].badness >= cases[i - 1].badness)
			suite_fail("'%s' does not die before '%s'", rows[i - 1].what, rows[i].what);
	}
}

static __u64 extreme(void)
{
	static const __u64 edges[] = { 0,	1,	   999,	    1000,	GIB,	    P39 - 1,
				       P39,	P39 + 1,   1ull << 40, 1ull << 52, 1ull << 62,
				       (1ull << 63) - 1, 1ull << 63, ~0ull - 1, ~0ull };

	if (suite_random(0, 3))
		return edges[suite_random(0, N(edges) - 1)];
	return (__u64)suite_random(0, (1l << 62) - 1);
}

/* Any facts at all, possible or not: the policy must neither fault nor differ from its formula. */
static void check_extremes(struct bpf_object *obj, struct run_policy *cases,
			   __s64 (*formula)(const struct oomx_facts *f))
{
	static const __s32 prio[] = { -1000, -1, 0, 1, 1000, INT32_MIN, INT32_MAX };
	struct oomx_facts *f;
	unsigned int i;

	for (i = 0; i < RUN_CASES; i++) {
		f = &cases[i].facts;
		*f = (struct oomx_facts){ .anon_pages = extreme(), .domain_pages = extreme() };
		f->file_pages = i % 2 ? 0 : extreme();
		f->swap_pages = i % 3 ? 0 : extreme();
		f->pgtable_pages = i % 5 ? 0 : extreme();
		f->shmem_pages = i % 7 ? 0 : extreme();
		f->oom_score_adj = (__s32)suite_random(-1000, 1000);
		f->priority = i % 3 ? (__s32)suite_random(-1000, 1000) :
				      prio[suite_random(0, N(prio) - 1)];
		f->class = i % 2 ? (__u32)suite_random(0, OOMX_CLASS_MAX) : 0;
		f->weight = i % 4 ? 0 : (__s32)suite_random(-OOMX_WEIGHT_MAX, OOMX_WEIGHT_MAX);
		f->memcg_protection = i % 6 ? 0 : (__u32)suite_random(0, 1000);
		f->age_ns = extreme();
		f->flags = (__u32)i;
	}
	testbpf_run_cases(obj, "policy_run", RUN_CASES);
	for (i = 0; i < RUN_CASES; i++) {
		f = &cases[i].facts;
		if (bpf_differs(cases[i].badness, formula(f)))
			suite_fail("anon %llu of %llu, adj %d, prio %d: expected %lld, found %lld",
				   f->anon_pages, f->domain_pages, f->oom_score_adj, f->priority,
				   formula(f), cases[i].badness);
	}
}

struct bpf_object *bpf_load_policy(const char *program, const char *what)
{
	struct ox_policy p;
	struct bpf_object *obj;

	if (ox_policy_load(what, &p))
		suite_fatal("no policy %s", what);
	obj = testbpf_load(program, &p);
	ox_policy_done(&p);
	return obj;
}

static void play_policy(const char *name, const char *what, const struct row *rows, unsigned int n,
			__s64 (*formula)(const struct oomx_facts *f))
{
	struct bpf_object *obj;
	struct run_policy *cases;
	struct run_ctx ctx = {};

	bpf_begin(name);
	obj = bpf_load_policy("policy_run", what);
	cases = testbpf_memory(obj, "policy_cases", RUN_CASES * sizeof(*cases));
	check_rows(obj, cases, rows, n);
	check_extremes(obj, cases, formula);
	if (testbpf_run(testbpf_program(obj, "policy_run_null"), &ctx, sizeof(ctx)) != 1)
		suite_fail("without facts the answer is not 'never'");
	munmap(cases, RUN_CASES * sizeof(*cases));
	bpf_object__close(obj);
	suite_run_end();
}

/* ---- policies: strict order ----------------------------------------------------------------- */

static const struct oomx_facts shapes[] = {
	{ .oom_score_adj = -999, .domain_pages = P39 },
	{ .oom_score_adj = -999, .domain_pages = 1ull << 52 },
	{},
	{ .anon_pages = 1 },
	{ .anon_pages = P39 - 1, .domain_pages = P39 },
	{ .anon_pages = P39, .oom_score_adj = 1000, .domain_pages = P39 },
	{ .anon_pages = 1ull << 52, .swap_pages = P39, .oom_score_adj = 1000,
	  .domain_pages = 1ull << 52 },
};

/*
 * Between neighbouring priorities no size and no oom_score_adj turns the order round; so for every
 * pair of priorities.
 */
static void play_strict(void)
{
	const unsigned int n_prio = OOMX_PRIO_MAX - OOMX_PRIO_MIN + 1;
	struct bpf_object *obj = bpf_load_policy("policy_run", "priority");
	struct run_policy *cases, *c;
	__s64 low, high, low_before = OOMX_NEVER;
	unsigned int i, j;

	_Static_assert((OOMX_PRIO_MAX - OOMX_PRIO_MIN + 1) * N(shapes) <= RUN_CASES, "they fit");
	bpf_begin("strict order");
	cases = testbpf_memory(obj, "policy_cases", RUN_CASES * sizeof(*cases));
	for (i = 0; i < n_prio * N(shapes); i++) {
		cases[i].facts = shapes[i % N(shapes)];
		cases[i].facts.priority = OOMX_PRIO_MIN + (__s32)(i / N(shapes));
	}
	testbpf_run_cases(obj, "policy_run", n_prio * N(shapes));
	for (i = 0; i < n_prio; i++) {
		low = INT64_MAX;
		high = INT64_MIN;
		for (j = 0, c = &cases[i * N(shapes)]; j < N(shapes); j++, c++) {
			low = c->badness < low ? c->badness : low;
			high = c->badness > high ? c->badness : high;
		}
		if (low == OOMX_NEVER || (i && high >= low_before))
			suite_fail("priority %d: up to %lld, %d: from %lld", OOMX_PRIO_MIN + (int)i,
				   high, OOMX_PRIO_MIN + (int)i - 1, low_before);
		low_before = low;
	}
	munmap(cases, RUN_CASES * sizeof(*cases));
	bpf_object__close(obj);
	suite_run_end();
}

/* ---- arithmetic and order ------------------------------------------------------------------- */

#define SMALLEST INT64_MIN
#define LARGEST INT64_MAX
static const struct run_helper helper_rows[] = {
	{ RUN_DIV, 0, 7, 2, 0, 0, 3 },
	{ RUN_DIV, 0, -7, 2, 0, 0, -3 },
	{ RUN_DIV, 0, 7, -2, 0, 0, -3 },
	{ RUN_DIV, 0, -7, -2, 0, 0, 3 },
	{ RUN_DIV, 0, 5, 0, 0, 0, 0 },
	{ RUN_DIV, 0, LARGEST, -1, 0, 0, -LARGEST },
	{ RUN_DIV, 0, SMALLEST, 1, 0, 0, SMALLEST },
	{ RUN_DIV, 0, SMALLEST, 2, 0, 0, SMALLEST / 2 },
	{ RUN_DIV, 0, SMALLEST, -1, 0, 0, SMALLEST }, /* what no s64 holds goes round */
	{ RUN_DIV, 0, SMALLEST, SMALLEST, 0, 0, 1 },
	{ RUN_DIV, 0, LARGEST, SMALLEST, 0, 0, 0 },
	{ RUN_CLAMP, 0, 5, 1, 9, 0, 5 },
	{ RUN_CLAMP, 0, 1, 1, 9, 0, 1 },
	{ RUN_CLAMP, 0, 9, 1, 9, 0, 9 },
	{ RUN_CLAMP, 0, 0, 1, 9, 0, 1 },
	{ RUN_CLAMP, 0, 10, 1, 9, 0, 9 },
	{ RUN_CLAMP, 0, SMALLEST, -3, 3, 0, -3 },
	{ RUN_CLAMP, 0, LARGEST, -3, 3, 0, 3 },
	{ RUN_CLAMP, 0, -1, SMALLEST, LARGEST, 0, -1 },
	{ RUN_LEXICAL, 0, 1, -7, 0, 0, WANT(1, -7) },
	{ RUN_LEXICAL, 0, -1, 7, 0, 0, WANT(-1, 7) },
	{ RUN_LEXICAL, 0, 1ll << 22, LARGEST, 0, 0, WANT(1ll << 22, (1ll << 39) - 1) },
	{ RUN_LEXICAL, 0, -(1ll << 22), SMALLEST, 0, 0, WANT(-(1ll << 22), 1 - (1ll << 39)) },
	{ RUN_LEXICAL, 0, 3, 1ll << 39, 0, 0, WANT(3, (1ll << 39) - 1) },
	/* badness and start of one, of the other: more badness, else the later start */
	{ RUN_BEFORE, 0, 2, 0, 1, 9, 1 },
	{ RUN_BEFORE, 0, 1, 9, 2, 0, 0 },
	{ RUN_BEFORE, 0, 1, 9, 1, 8, 1 },
	{ RUN_BEFORE, 0, 1, 8, 1, 9, 0 },
	{ RUN_BEFORE, 0, 1, 8, 1, 8, 1 }, /* the kernel takes the last it meets */
	{ RUN_BEFORE, 0, -1, 0, -2, 9, 1 },
	{ RUN_BEFORE, 0, SMALLEST + 1, 0, SMALLEST, ~0ll, 1 },
	{ RUN_BEFORE, 0, 0, ~0ll, 0, 1, 1 }, /* starts are unsigned */
	/* whom a rule protects comes after all others, whatever else there is */
	{ RUN_BEFORE, OOMX_FACT_PROTECT, LARGEST, 9, SMALLEST + 1, 0, 0 },
	{ RUN_BEFORE, OOMX_FACT_PROTECT << 16, SMALLEST + 1, 0, LARGEST, 9, 1 },
	{ RUN_BEFORE, OOMX_FACT_PROTECT << 16 | OOMX_FACT_PROTECT, 2, 0, 1, 9, 1 },
	{ RUN_BEFORE, OOMX_FACT_PROTECT << 16 | OOMX_FACT_PROTECT, 1, 0, 2, 9, 0 },
	{ RUN_BEFORE, ~OOMX_FACT_PROTECT & 0xffff, 2, 0, 1, 9, 1 }, /* other flags do not count */
};

static void check_random_div(struct bpf_object *obj, struct run_helper *cases)
{
	unsigned int i;

	for (i = 0; i < RUN_CASES; i++) {
		cases[i] = (struct run_helper){ .op = RUN_DIV };
		cases[i].a = (__s64)(i % 2 ? extreme() : -extreme());
		cases[i].b = suite_random(1, 1l << suite_random(1, 62)) * (i % 3 ? 1 : -1);
	}
	testbpf_run_cases(obj, "helper_run", RUN_CASES);
	for (i = 0; i < RUN_CASES; i++)
		if (!(cases[i].a == SMALLEST && cases[i].b == -1) &&
		    bpf_differs(cases[i].result, cases[i].a / cases[i].b))
			suite_fail("%lld / %lld: expected %lld, found %lld", cases[i].a, cases[i].b,
				   cases[i].a / cases[i].b, cases[i].result);
}

static int worst_first(const void *a, const void *b)
{
	const struct run_helper *x = a, *y = b;

	if (x->a != y->a)
		return x->a < y->a ? 1 : -1;
	return (x->b < y->b) - (x->b > y->b);
}

/* n candidates among whom many are equally bad: are the OOMX_TOP_K kept the first? */
static void check_top(struct bpf_object *obj, struct run_helper *cases, unsigned int n)
{
	static struct run_helper sorted[RUN_CASES];
	unsigned int i, j, kept = n < OOMX_TOP_K ? n : OOMX_TOP_K;
	struct run_top top;
	__u32 zero = 0;

	for (i = 0; i < n; i++) {
		cases[i] = (struct run_helper){ .a = suite_random(-3, 3) };
		cases[i].b = suite_random(0, 1l << 40) << 12 | i; /* no two the same */
		cases[i].c = 1 + i;
	}
	memcpy(sorted, cases, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), worst_first);
	testbpf_run_cases(obj, "helper_run_top", n);
	testbpf_get(obj, "helper_top", &zero, &top);
	if (top.n != kept)
		suite_fail("of %u candidates: expected %u kept, found %u", n, kept, top.n);
	for (i = 0; i < kept; i++) {
		for (j = 0; j < kept && top.top[j].pid != sorted[i].c; j++)
			;
		if (j == kept)
			suite_fail("of %u candidates number %u is not kept", n, i + 1);
	}
}

static void play_helpers(void)
{
	struct bpf_object *obj = bpf_load_policy("helpers_run", "kernel");
	struct run_helper *cases = testbpf_memory(obj, "helper_cases", RUN_CASES * sizeof(*cases));
	const struct run_helper *r;
	unsigned int i, n;

	bpf_begin("arithmetic");
	memcpy(cases, helper_rows, sizeof(helper_rows));
	testbpf_run_cases(obj, "helper_run", N(helper_rows));
	for (i = 0, r = helper_rows; i < N(helper_rows); i++, r++)
		if (bpf_differs(cases[i].result, r->result))
			suite_fail("op %u (%lld, %lld, %lld, %lld): expected %lld, found %lld",
				   r->op, r->a, r->b, r->c, r->d, r->result, cases[i].result);
	check_random_div(obj, cases);
	suite_run_end();

	bpf_begin("the best few");
	for (n = 0; n < 40; n++)
		check_top(obj, cases, n);
	for (i = 0; i < 20; i++)
		check_top(obj, cases, 1000);
	suite_run_end();
	munmap(cases, RUN_CASES * sizeof(*cases));
	bpf_object__close(obj);
}

/* ---- cgroups -------------------------------------------------------------------------------- */

#define DEEPEST 40

static void look(struct bpf_object *obj, struct run_cgroup *ret)
{
	struct run_ctx ctx = {};
	__u32 zero = 0;

	if (testbpf_run(testbpf_program(obj, "helper_run_cgroup"), &ctx, sizeof(ctx)))
		suite_fatal("helper_run_cgroup failed");
	testbpf_get(obj, "helper_cgroup", &zero, ret);
}

/* As docs/events.md has it: all of the path, or "…/" and what there is room for of its end. */
static void check_path(struct bpf_object *obj, unsigned int depth, unsigned int name_len)
{
	char path[NESTED_PATH_LEN], found[OX_CGROUP_RECORD_LEN];
	struct run_cgroup c;
	const char *end;
	__u64 id = 0;

	nested_make(path, depth, name_len);
	nested_enter(path);
	look(obj, &c);
	nested_enter("");
	if (ox_cgroup_path_from_record(c.path, found, sizeof(found)))
		suite_fatal("no path comes from the record");
	if (ox_cgroup_id(depth ? path : "/", &id) || id != c.id)
		suite_fail("%s: expected id %llu, found %llu", path, id, c.id);
	end = path + strlen(path) - strlen(found) + strlen("…");
	if (strlen(path) + 1 < OOMX_PATH_LEN) {
		if (strcmp(found, depth ? path : "/"))
			suite_fail("expected '%s', found '%s'", depth ? path : "/", found);
	} else if (strncmp(found, "…/", strlen("…/")) || strcmp(end, found + strlen("…"))) {
		suite_fail("expected the end of '%s', found '%s'", path, found);
	}
	nested_remove(path);
}

static void play_paths(struct bpf_object *obj)
{
	static const struct {
		unsigned int depth, name_len;
	} rows[] = {
		{ 0, 0 },  { 1, 4 },   { 3, 8 },   { 15, 3 },  { 16, 3 },   { 17, 3 },
		{ 20, 3 }, { 20, 10 }, { 31, 4 },  { 40, 4 },  { 20, 30 },  { 3, 100 },
		{ 1, 127 }, { 1, 128 }, { 1, 200 }, { 1, 253 }, { 2, 126 }, { 2, 200 },
	};
	unsigned int i;

	bpf_begin("cgroup paths");
	for (i = 0; i < N(rows); i++)
		check_path(obj, rows[i].depth, rows[i].name_len);
	suite_run_end();
}

/* Whose priority is found from the caller's cgroup, level's or nobody's (-1)? */
static void expect_level(struct bpf_object *obj, int depth, int want)
{
	struct run_cgroup c;
	int found;

	look(obj, &c);
	found = c.found ? (int)c.prio.class : -1;
	if (found != want && complaints++ < COMPLAINTS_MAX)
		suite_fail("at depth %d: expected the priority of level %d, found %d", depth, want,
			   found);
	if (c.found && (c.prio.priority != found - 500 || (int)c.prio.rule != found + 1000))
		suite_fail("a priority came back as another");
}

/* The nearest wins, however many have one; what is more than 31 levels up is not looked at. */
static void play_priorities(struct bpf_object *obj)
{
	char path[NESTED_PATH_LEN];
	struct oomx_prio prio = {};
	__u64 ids[DEEPEST + 1];
	int depth, k, reach = OOMX_DEPTH_MAX - 1;

	bpf_begin("priorities");
	for (depth = 0; depth <= DEEPEST; depth++) {
		nested_make(path, (unsigned int)depth, 1);
		if (ox_cgroup_id(depth ? path : "/", &ids[depth]))
			suite_fatal("no id of %s", path);
		nested_enter(path);
		expect_level(obj, depth, -1);
		for (k = 0; k <= depth; k++) {
			prio = (struct oomx_prio){ .priority = k - 500, .class = (__u32)k,
						   .rule = (__u32)k + 1000 };
			testbpf_put(obj, "oomx_prio", &ids[k], &prio);
			expect_level(obj, depth, depth - k > reach ? -1 : k);
		}
		for (k = depth; k >= 0; k--) {
			bpf_map_delete_elem(testbpf_map(obj, "oomx_prio"), &ids[k]);
			expect_level(obj, depth, depth - (k - 1) > reach ? -1 : k - 1);
		}
		nested_enter("");
	}
	nested_remove(path);
	suite_run_end();
}

/* ---- the walk ------------------------------------------------------------------------------- */

static struct run_rank rank(struct bpf_object *obj, const char *domain)
{
	struct run_rank_args args = { .domain_id = domain ? cgroup_id(domain) : 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct run_rank r = {};
	__u32 zero = 0;

	testbpf_put(obj, "rank_args", &zero, &args);
	testbpf_put(obj, "rank_result", &zero, &r);
	if (bpf_prog_test_run_opts(testbpf_program(obj, "rank_run"), &opts))
		suite_fatal("rank_run: %s", strerror(errno));
	testbpf_get(obj, "rank_result", &zero, &r);
	if (!r.done || !r.n_tasks)
		suite_fail("the walk did not come to its end: %u tasks", r.n_tasks);
	return r;
}

static void expect_rank(const char *what, const struct run_rank *r, pid_t best, __s64 points,
			unsigned int n_top)
{
	if (r->best_pid != (__u32)best || (best && r->badness != points) || r->n_top != n_top)
		suite_fail("%s: expected pid %d (%lld) of %u, found %u (%lld) of %u", what, best,
			   points, n_top, r->best_pid, r->badness, r->n_top);
}

static struct bpf_object *load_rank(const char *policy, __u32 mode, struct bpf_link **ret_link)
{
	struct bpf_object *obj = bpf_load_policy("rank_run", policy);

	testbpf_configure(obj, mode);
	*ret_link = testbpf_attach(obj, "rank_run");
	return obj;
}

/* picky.bpf.c refuses all but the marked, who are equals: the youngest is taken. */
static void play_walk(void)
{
	struct worker_spec spec = { .comm = "marked", .adj = RUN_MARK, .anon_kib = 1024 };
	char path[TESTBPF_PATH_LEN];
	struct bpf_object *kernel, *picky;
	struct bpf_link *links[2];
	struct worker *w[3];
	struct run_rank r;
	__u32 mode;
	int i;

	bpf_begin("the walk");
	if (ox_calibrate(&mode))
		suite_fatal("calibration failed");
	testbpf_path("picky", path);
	kernel = load_rank("kernel", mode, &links[0]);
	picky = load_rank(path, mode, &links[1]);

	r = rank(picky, NULL);
	expect_rank("all refused", &r, 0, 0, 0);
	for (i = 0; i < 3; i++) {
		spec.cgroup = i == 2 ? NULL : "/walk";
		if (i == 0)
			cgroup_make("/walk");
		w[i] = worker_start(&spec);
		worker_wait_ready(w[i]);
	}
	r = rank(picky, NULL);
	expect_rank("the youngest", &r, worker_pid(w[2]), -5, 3);
	nested_enter("/walk");
	r = rank(picky, "/walk");
	nested_enter("");
	expect_rank("the youngest of the memcg", &r, worker_pid(w[1]), -5, 2);
	if (r.n_offered != 2)
		suite_fail("offered of the memcg: expected 2, found %u", r.n_offered);
	r = rank(kernel, NULL);
	if (!r.best_pid || r.best_pid != r.kernel_pid || r.badness != r.points)
		suite_fail("expected the kernel's choice, pid %u (%lld), found %u (%lld)",
			   r.kernel_pid, r.points, r.best_pid, r.badness);
	for (i = 0; i < 3; i++)
		worker_end(w[i]);
	cgroup_remove("/walk");
	bpf_link__destroy(links[0]);
	bpf_link__destroy(links[1]);
	bpf_object__close(kernel);
	bpf_object__close(picky);
	suite_run_end();
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 1 };
	char example[TESTBPF_PATH_LEN];
	struct bpf_object *obj;
	unsigned int i;

	suite_begin("bpf", argc, argv, &o);
	testbpf_path("example_newest", example);
	for (i = 0; i < o.runs; i++) {
		play_policy("kernel", "kernel", kernel_rows, N(kernel_rows), badness);
		play_policy("priority", "priority", priority_rows, N(priority_rows), priority);
		play_policy("newest", example, newest_rows, N(newest_rows), newest);
		play_strict();
		play_helpers();
		bpf_play_hold();
		bpf_play_queued();
		obj = bpf_load_policy("helpers_run", "kernel");
		play_paths(obj);
		play_priorities(obj);
		bpf_object__close(obj);
		play_walk();
	}
	suite_times("all");
	return suite_end();
}
