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
#include <bpf/bpf.h>
#include <jansson.h>

#include "bpflog.h"
#include "calibrate.h"
#include "cgroup.h"
#include "cleanup.h"
#include "cmd.h"
#include "daemon.h"
#include "engine.h"
#include "exit.h"
#include "log.h"
#include "policy.h"
#include "record.h"

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

struct scores {
	struct oomx_score_rec *rec;
	size_t n;
	size_t room;
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
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":ajh", table, NULL)) != -1) {
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
			return fputs(usage, stdout) < 0 || fflush(stdout) ? OX_EXIT_FAILURE :
									    OX_EXIT_OK;
		case ':':
			return ox_err_r(OX_EXIT_USAGE, "score: %s needs a value, see --help",
					argv[optind - 1]);
		default:
			return ox_err_r(OX_EXIT_USAGE, "score: no option '%s', see --help",
					argv[optind - 1]);
		}
	}
	if (optind < argc)
		return ox_err_r(OX_EXIT_USAGE, "score: what is '%s'? See --help", argv[optind]);
	return -1;
}

/* ---- the running oomx ----------------------------------------------------------------------- */

/* Its configuration. False: none runs, or of another ABI. */
static bool running_config(struct oomx_config *ret)
{
	_cleanup_close_ int fd = ox_daemon_pid() > 0 ? ox_engine_pinned("oomx_config") : -1;
	__u32 zero = 0;

	if (fd < 0 || bpf_map_lookup_elem(fd, &zero, ret) || ret->abi != OOMX_ABI)
		return false;
	ret->policy[sizeof(ret->policy) - 1] = '\0';
	return true;
}

static const char *running_policy(const struct oomx_config *running)
{
	const char *name;
	unsigned int i;

	for (i = 0; (name = ox_policy_builtin(i)); i++)
		if (!strcmp(name, running->policy))
			return name;
	ox_warn("the running policy '%s' is not built in: give its file by --policy; taking kernel",
		running->policy);
	return "kernel";
}

/* Whoever is ranked has the priorities and the oom_score_adj that the running oomx goes by. */
static int share_map(struct bpf_object *obj, const char *name)
{
	_cleanup_close_ int fd = ox_engine_pinned(name);
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);
	int err;

	if (!map)
		return 0; /* the score programs do without */
	err = fd < 0 ? fd : bpf_map__reuse_fd(map, fd);
	return err ? ox_err_r(err, "cannot open the running oomx's map %s: %s", name,
			      strerror(-err)) : 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int add(struct scores *s, const struct oomx_score_rec *r)
{
	struct oomx_score_rec *more;

	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 256;
		more = realloc(s->rec, s->room * sizeof(*more));
		if (!more)
			return ox_err_r(-ENOMEM, "no memory for %zu processes", s->room);
		s->rec = more;
	}
	s->rec[s->n++] = *r;
	return 0;
}

/* One read() may end in the middle of a record. */
static int read_records(int fd, struct scores *s, bool ineligible)
{
	struct oomx_score_rec r;
	size_t have = 0;
	ssize_t n;
	int err;

	for (;;) {
		n = read(fd, (char *)&r + have, sizeof(r) - have);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return ox_err_r(-errno, "cannot read the ranking: %m");
		if (!n)
			return have ? ox_err_r(-EIO, "the ranking ends in the middle") : 0;
		have += n;
		if (have < sizeof(r))
			continue;
		have = 0;
		err = r.eligible || ineligible ? add(s, &r) : 0;
		if (err)
			return err;
	}
}

static int iterate(struct bpf_object *obj, struct scores *s, bool ineligible)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, "ox_score");
	struct bpf_link *link = prog ? bpf_program__attach_iter(prog, NULL) : NULL;
	_cleanup_close_ int fd = -1;
	int err;

	if (!link)
		return ox_err_r(-ENOTSUP, "this kernel does not iterate tasks for BPF: %m");
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		err = ox_err_r(fd, "cannot iterate tasks: %s", strerror(-fd));
	else
		err = read_records(fd, s, ineligible);
	bpf_link__destroy(link);
	return err;
}

static int configure(struct bpf_object *obj, __u32 rss_mode, __u64 domain_id)
{
	struct oomx_config c = { .abi = OOMX_ABI, .rss_mode = rss_mode,
				 .n_cpus = libbpf_num_possible_cpus() };
	struct oomx_score_args args = { .domain_id = domain_id };
	int map = bpf_object__find_map_fd_by_name(obj, "oomx_config");
	__u32 zero = 0;
	int err = map < 0 ? map : bpf_map_update_elem(map, &zero, &c, BPF_ANY);

	map = bpf_object__find_map_fd_by_name(obj, "oomx_score_args");
	if (!err)
		err = map < 0 ? map : bpf_map_update_elem(map, &zero, &args, BPF_ANY);
	return err ? ox_err_r(err, "cannot configure the score programs: %s", strerror(-err)) : 0;
}

/* As in engine.c: a built-in policy is sound, then it is the kernel that lacks something. */
static int load(struct bpf_object *obj, const struct ox_policy *policy)
{
	int err = bpf_object__load(obj);

	if (!err)
		return 0;
	if (err == -EPERM)
		return ox_err_r(err, "loading BPF programs is not permitted here: run as root; "
				     "kernel lockdown or a container may forbid it, too");
	ox_err("policy '%s': the kernel refuses to load it (%s):", policy->name, strerror(-err));
	ox_bpflog_tell();
	if (err == -ENOMEM)
		return err;
	return policy->owned ? -ENOEXEC : -ENOTSUP;
}

static int score_with(const struct options *opt, const struct ox_policy *policy,
		      const struct oomx_config *running, __u64 domain_id, struct scores *s)
{
	__u32 rss_mode = running ? running->rss_mode : 0;
	_cleanup_free_ void *image = NULL;
	struct ox_blob blob = {};
	struct bpf_object *obj;
	int err = ox_policy_link(policy, OX_BLOB(score), &blob);

	if (!err && !rss_mode)
		err = ox_calibrate(&rss_mode);
	image = (void *)blob.data;
	if (err)
		return err;
	obj = ox_engine_open(blob, "oomx_score");
	if (!obj)
		return ox_err_r(-ENOEXEC, "policy '%s': the linked object cannot be opened: %m",
				policy->name);
	if (running)
		err = share_map(obj, "oomx_prio") ?: share_map(obj, "oomx_raised");
	if (!err)
		err = load(obj, policy);
	if (!err)
		err = configure(obj, rss_mode, domain_id);
	if (!err)
		err = iterate(obj, s, opt->all && opt->json);
	bpf_object__close(obj);
	return err;
}

/* ---- printing ------------------------------------------------------------------------------- */

/* Who dies first comes first; among equals the youngest. */
static int by_badness(const void *a, const void *b)
{
	const struct oomx_score_rec *x = a, *y = b;

	if (x->eligible != y->eligible)
		return x->eligible ? -1 : 1;
	if (x->badness != y->badness)
		return x->badness > y->badness ? -1 : 1;
	if (x->who.start_ns != y->who.start_ns)
		return x->who.start_ns > y->who.start_ns ? -1 : 1;
	return (x->who.pid < y->who.pid) - (x->who.pid > y->who.pid);
}

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

static int print_json(const struct scores *s, size_t n)
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
		       const struct scores *s, size_t n)
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
	struct oomx_config running = {};
	struct ox_policy policy = {};
	struct options opt = {};
	struct scores s = {};
	__u64 domain_id = 0;
	size_t n;
	bool daemon;
	int err = parse_options(argc, argv, &opt);

	if (err >= 0)
		return err;
	err = ox_need_root("score");
	if (!err)
		err = find_domain(opt.cgroup, &domain_id);
	if (err)
		return err;
	daemon = running_config(&running);
	if (!opt.policy)
		opt.policy = daemon ? running_policy(&running) : "kernel";
	err = ox_policy_load(opt.policy, &policy);
	if (err)
		return ox_exit_status(err);
	err = score_with(&opt, &policy, daemon ? &running : NULL, domain_id, &s);
	if (err) {
		err = ox_exit_status(err);
	} else {
		if (s.n)
			qsort(s.rec, s.n, sizeof(*s.rec), by_badness);
		n = opt.all || s.n < TOP ? s.n : TOP;
		err = opt.json ? print_json(&s, n) : print_table(&opt, &policy, &s, n);
	}
	free(s.rec);
	ox_policy_done(&policy);
	return err;
}
