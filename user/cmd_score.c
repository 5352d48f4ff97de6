/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oomx score: who would be killed now, and the facts behind it, from the code that decides. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>

#include "cgroup.h"
#include "cmd.h"
#include "exit.h"
#include "log.h"
#include "policy.h"
#include "record.h"
#include "score.h"

#define TOP 20

static const char usage[] =
	"Usage: oomx score [OPTION]...\n"
	"\n"
	"Ranks the processes as an out-of-memory now would: the first one would be killed.\n"
	"\n"
	"      --cgroup CGROUP     as if this cgroup were at its limit (the whole machine)\n"
	"      --policy NAME|FILE  kernel, priority, or an object file (the running oomx's,\n"
	"                          else kernel)\n"
	"  -a, --all               more than the first 20; with --json also those that the\n"
	"                          kernel would not kill\n"
	"  -j, --json              as a JSON array, with every fact\n"
	"  -h, --help              print this\n"
	"\n"
	"BADNESS is the policy's, POINTS the kernel's own. Sizes are in MiB.\n";

struct options {
	const char *cgroup;
	const char *policy;
	bool all;
	bool json;
};

/* -1: go on; else the exit status */
static int parse_options(int argc, char **argv, struct options *opt)
{
	enum { OPT_CGROUP = 256, OPT_POLICY };
	static const struct option table[] = {
		{ "cgroup", required_argument, NULL, OPT_CGROUP },
		{ "policy", required_argument, NULL, OPT_POLICY },
		{ "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	static const char shorts[] = ":ajh";
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		switch (c) {
		case OPT_CGROUP:
			opt->cgroup = optarg;
			break;
		case OPT_POLICY:
			opt->policy = optarg;
			break;
		case 'a':
			opt->all = true;
			break;
		case 'j':
			opt->json = true;
			break;
		case 'h':
			return ox_help(usage);
		default:
			return ox_bad_option(c, shorts, argv);
		}
	}
	return ox_no_words(argc, argv);
}

/* ---- printing ------------------------------------------------------------------------------- */

static json_t *number_or_null(__s64 v)
{
	return v == OOMX_NEVER ? json_null() : json_integer(v);
}

static json_t *record_json(const struct oomx_score_rec *r, size_t rank)
{
	json_t *o = ox_who_json(&r->who);

	if (!o)
		return NULL;
	(void)json_object_set_new(o, "rank", r->eligible ? json_integer((json_int_t)rank) :
							   json_null());
	(void)json_object_set_new(o, "eligible", json_boolean(r->eligible));
	(void)json_object_set_new(o, "badness", number_or_null(r->badness));
	(void)json_object_set_new(o, "points", number_or_null(r->points));
	(void)json_object_set_new(o, "facts", ox_facts_json(&r->facts));
	return o;
}

static int print_json(const struct ox_scores *s, size_t n)
{
	json_t *o;
	size_t i;
	int err = 0;

	(void)putchar('[');
	for (i = 0; i < n && !err; i++) {
		/* one by one: there may be many */
		o = record_json(&s->rec[i], i + 1);
		(void)fputs(i ? ",\n" : "", stdout);
		err = !o || json_dumpf(o, stdout, JSON_COMPACT);
		json_decref(o);
	}
	(void)fputs("]\n", stdout);
	return err || fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write the ranking") :
				       OX_EXIT_OK;
}

static double mib(__u64 pages)
{
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void print_row(const struct oomx_score_rec *r, size_t rank)
{
	char raw[OX_CGROUP_RECORD_LEN], path[3 * sizeof(raw) + 1], comm[3 * OOMX_COMM_LEN + 1];
	char badness[24] = "never";

	if (r->badness != OOMX_NEVER)
		(void)snprintf(badness, sizeof(badness), "%" PRId64, (int64_t)r->badness);
	if (ox_cgroup_path_from_record(r->who.path, raw, sizeof(raw)))
		memcpy(raw, "?", 2); /* cannot happen: `raw` takes all */
	(void)ox_utf8_clean(raw, sizeof(raw), /* printable= */ true, path, sizeof(path));
	(void)ox_utf8_clean(r->who.comm, OOMX_COMM_LEN, /* printable= */ true, comm, sizeof(comm));
	printf("%4zu %7u %-15s %18s %10" PRId64 " %5d %5d %8.1f %8.1f %8.1f %8.1f %s\n", rank,
	       r->who.pid, comm, badness, (int64_t)r->points, r->facts.priority,
	       r->who.oom_score_adj, mib(r->facts.anon_pages), mib(r->facts.file_pages),
	       mib(r->facts.shmem_pages), mib(r->facts.swap_pages), path);
}

static int print_table(const struct options *opt, const struct ox_policy *policy,
		       const struct ox_scores *s, size_t n)
{
	size_t i;

	printf("policy %s (%016" PRIx64 "), %s%s, %zu candidates\n", policy->name,
	       (uint64_t)policy->hash, opt->cgroup ? "cgroup " : "the whole machine",
	       opt->cgroup ?: "", s->n);
	printf("%4s %7s %-15s %18s %10s %5s %5s %8s %8s %8s %8s %s\n", "RANK", "PID", "COMM",
	       "BADNESS", "POINTS", "PRIO", "ADJ", "ANON", "FILE", "SHMEM", "SWAP", "CGROUP");
	for (i = 0; i < n; i++)
		print_row(&s->rec[i], i + 1);
	if (n < s->n)
		printf("... and %zu more: --all\n", s->n - n);
	return fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write the ranking: %m") :
				OX_EXIT_OK;
}

static int find_domain(const char *cgroup, __u64 *ret_id)
{
	int err = cgroup ? ox_cgroup_id(cgroup, ret_id) : 0;

	return err ? ox_err_r(OX_EXIT_FAILURE, "score: cgroup '%s': %s", cgroup, strerror(-err)) :
		     0;
}

int ox_cmd_score(int argc, char **argv)
{
	struct ox_policy policy = {};
	struct ox_score_args args = {};
	struct ox_scores s = {};
	struct options opt = {};
	size_t n;
	int err = parse_options(argc, argv, &opt);

	if (err >= 0)
		return err;
	err = ox_need_root("score");
	if (!err)
		err = find_domain(opt.cgroup, &args.domain_id);
	if (err)
		return err;
	args.policy = opt.policy;
	args.ineligible = opt.all && opt.json;
	err = ox_score(&args, &policy, &s);
	if (err) {
		err = ox_exit_status(err);
	} else {
		n = opt.all || s.n < TOP ? s.n : TOP;
		err = opt.json ? print_json(&s, n) : print_table(&opt, &policy, &s, n);
	}
	free(s.rec);
	ox_policy_done(&policy);
	return err;
}
