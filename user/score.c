// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "score.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "bpflog.h"
#include "calibrate.h"
#include "cleanup.h"
#include "engine.h"
#include "log.h"
#include "pinned.h"
#include "symbols.h"

/* ---- the running oomx ----------------------------------------------------------------------- */

/* Its configuration. False: none runs, or of another ABI. */
static bool running_config(struct oomx_config *ret)
{
	_cleanup_close_ int fd = ox_pinned_or_running() ? ox_engine_pinned("oomx_config") : -1;
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

static int add(struct ox_scores *s, const struct oomx_score_rec *r)
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
static int read_records(int fd, struct ox_scores *s, bool ineligible)
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

static int iterate(struct bpf_object *obj, struct ox_scores *s, bool ineligible)
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

static int configure(struct bpf_object *obj, __u32 rss_mode, __u64 domain_id, __u32 flags)
{
	struct oomx_config c = { .abi = OOMX_ABI, .rss_mode = rss_mode, .flags = flags,
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
	int err = ox_symbols_fill(obj);

	if (err)
		return err;
	err = bpf_object__load(obj);
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

static int score_with(const struct ox_score_args *args, const struct ox_policy *policy,
		      const struct oomx_config *running, struct ox_scores *s)
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
		err = share_map(obj, "oomx_prio") ?: share_map(obj, "oomx_raised") ?:
		      share_map(obj, "oomx_procs");
	if (!err)
		err = load(obj, policy);
	if (!err)
		err = configure(obj, rss_mode, args->domain_id,
				running ? running->flags & OOMX_CFG_PROCS : 0);
	if (!err)
		err = iterate(obj, s, args->ineligible);
	bpf_object__close(obj);
	return err;
}

/* Who dies first comes first: the protected last, among equals the youngest first. */
static int by_badness(const void *a, const void *b)
{
	const struct oomx_score_rec *x = a, *y = b;

	if (x->eligible != y->eligible)
		return x->eligible ? -1 : 1;
	if ((x->badness == OOMX_NEVER) != (y->badness == OOMX_NEVER))
		return x->badness == OOMX_NEVER ? 1 : -1;
	if ((x->facts.flags ^ y->facts.flags) & OOMX_FACT_PROTECT)
		return x->facts.flags & OOMX_FACT_PROTECT ? 1 : -1;
	if (x->badness != y->badness)
		return x->badness > y->badness ? -1 : 1;
	if (x->who.start_ns != y->who.start_ns)
		return x->who.start_ns > y->who.start_ns ? -1 : 1;
	return (x->who.pid < y->who.pid) - (x->who.pid > y->who.pid);
}

int ox_score(const struct ox_score_args *args, struct ox_policy *ret_policy,
	     struct ox_scores *ret)
{
	struct oomx_config running = {};
	bool daemon = running_config(&running);
	const char *name = args->policy;
	int err;

	if (!name)
		name = daemon ? running_policy(&running) : "kernel";
	err = ox_policy_load(name, ret_policy);
	if (!err)
		err = score_with(args, ret_policy, daemon ? &running : NULL, ret);
	if (!err && ret->n)
		qsort(ret->rec, ret->n, sizeof(*ret->rec), by_badness);
	return err;
}
