// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "procs_live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "cleanup.h"
#include "log.h"
#include "rules_decide.h"
#include "shields.h"
#include "symbols.h"

#define LINKS 7

struct ox_procs {
	struct bpf_object *obj;
	struct bpf_link *links[LINKS];
	unsigned int n_links;
	struct ring_buffer *ring;
	const __u64 *lost; /* the kernel side's */
	__u64 lost_seen;
	struct oomx_config *config; /* the engine's */
	int map;		    /* the engine's */
	const struct ox_rules *rules;
	__u32 load;
	bool full; /* told, of these rules, that there was no room in the map */
	const struct ox_engine *engine;
	struct ox_shields *shields; /* NULL: no rule has been about them yet */
	bool told_hidden;
	bool refused; /* told that one could not be rewritten */
};

/* ---- one process ----------------------------------------------------------------------------- */

/*
 * Its own rule's number, *ret; 0: what its cgroup has. Of one that is shielded, in *ret_any, also
 * its cgroup's. 0 or -errno
 */
static int decide(struct ox_procs *p, const struct ox_process *proc, bool shielded, size_t *ret,
		  size_t *ret_any)
{
	ox_identify_fn identify = p->rules->state ? ox_identify_fully : ox_identify_by_path;
	struct ox_identity id = {};
	struct ox_subject s = { .id = &id, .process = proc };
	struct ox_decision d;
	int err;

	*ret = *ret_any = 0;
	if (!shielded && !ox_rules_ask_about(p->rules, proc))
		return 0; /* most end here, without a look at their cgroups */
	err = ox_rules_decide(p->rules, proc->cgroup, identify, NULL, &d);
	if (!err)
		err = identify(NULL, proc->cgroup, &id);
	if (!err)
		*ret = ox_rules_match_process(p->rules, &s, d.rule);
	*ret_any = *ret;
	if (*ret == d.rule)
		*ret = 0;
	ox_identity_done(&id);
	return err;
}

static bool asks_for_exe(const struct ox_rules *rules)
{
	size_t i, j;

	for (i = 0; i < rules->n; i++)
		for (j = 0; j < rules->rules[i].n_tests; j++)
			if (!strcmp(rules->rules[i].tests[j].field->name, "exe"))
				return true;
	return false;
}

/* Said once: it is so for all processes but our own user's, or for none. */
static void tell_hidden(struct ox_procs *p, __u32 pid)
{
	if (p->told_hidden || !asks_for_exe(p->rules))
		return;
	p->told_hidden = true;
	ox_warn("the file that process %u runs may not be read, and so for others: rules with 'exe' "
		"do not hold for them without CAP_SYS_PTRACE, ignoring", pid);
}

/* `number`: the rule that decides about it; 0: none */
static void look_at_shield(struct ox_procs *p, const struct oomx_proc_rec *r, size_t number)
{
	const struct ox_rule *rule = number ? &p->rules->rules[number - 1] : NULL;
	int err;

	if (rule && (rule->gives & OX_GIVES_UNSHIELD))
		err = ox_shields_take(p->shields, r->pid, r->start_ns, rule->unshield, p->load);
	else
		err = ox_shields_give_back(p->shields, r->pid);
	if (!err || err == -ESRCH || err == -EBUSY || p->refused)
		return;
	p->refused = true; /* once for all of them */
	ox_err("rule '%s': oom_score_adj of process %u cannot be %s: %s, and maybe that of others",
	       rule ? rule->name : "(none)", r->pid, rule ? "rewritten" : "put back",
	       err == -EACCES || err == -EPERM ?
		       "it takes root's rights (CAP_DAC_OVERRIDE, CAP_SYS_RESOURCE)" :
		       strerror(-err));
}

static void look_at(struct ox_procs *p, const struct oomx_proc_rec *r)
{
	struct oomx_proc entry = { .start_ns = r->start_ns };
	bool shielded = p->shields && ox_shields_concern(p->shields, r->pid, r->start_ns);
	struct ox_process proc;
	__u32 pid = r->pid;
	size_t number = 0, any = 0;
	int err = p->rules && (p->rules->process || shielded) ?
			  ox_process_read(pid, r->start_ns, p->rules->cmdline, &proc) :
			  -ESRCH;

	if (!err && proc.exe_hidden)
		tell_hidden(p, pid);
	if (!err)
		err = decide(p, &proc, shielded, &number, &any);
	if (err && err != -ESRCH)
		ox_warn("process %u has what its cgroup has: %s, ignoring", pid, strerror(-err));
	if (!err && shielded)
		look_at_shield(p, r, any);
	if (err || !number) {
		(void)bpf_map_delete_elem(p->map, &pid); /* most have none */
		return;
	}
	entry.prio = ox_rule_prio(&p->rules->rules[number - 1],
				  p->load << OOMX_RULE_SHIFT | (__u32)number, NULL);
	err = bpf_map_update_elem(p->map, &pid, &entry, BPF_ANY);
	if (err && !p->full)
		ox_err("the rule '%s' is not in force for process %u and others: %s",
		       p->rules->rules[number - 1].name, pid,
		       err == -E2BIG ? "too many processes have one of their own" : strerror(-err));
	if (err)
		p->full = true; /* until the rules are put in force anew */
}

/* libbpf's callback for one record of the ring */
static int on_event(void *ctx, void *data, size_t size)
{
	if (size >= sizeof(struct oomx_proc_rec))
		look_at(ctx, data);
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Takes out entries of rules that were in force before, and of processes that are gone. */
static void sweep(struct ox_procs *p)
{
	struct oomx_proc e;
	__u32 pid, next;
	bool more = !bpf_map_get_next_key(p->map, NULL, &next);

	while (more) {
		pid = next;
		more = !bpf_map_get_next_key(p->map, &pid, &next);
		if (!bpf_map_lookup_elem(p->map, &pid, &e) &&
		    e.prio.rule >> OOMX_RULE_SHIFT != p->load)
			(void)bpf_map_delete_elem(p->map, &pid);
	}
}

static int look_at_all(struct ox_procs *p)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(p->obj, "ox_proc_all");
	struct bpf_link *link = prog ? bpf_program__attach_iter(prog, NULL) : NULL;
	int fd = link ? bpf_iter_create(bpf_link__fd(link)) : -errno;
	struct oomx_proc_rec r;
	size_t have = 0;
	ssize_t n = 1;

	while (fd >= 0 && n) {
		n = read(fd, (char *)&r + have, sizeof(r) - have);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			break;
		have += n > 0 ? n : 0;
		if (have == sizeof(r)) {
			look_at(p, &r);
			have = 0;
		}
	}
	if (fd < 0 || n < 0)
		ox_err("cannot look at all processes: %s", strerror(fd < 0 ? -fd : errno));
	if (fd >= 0)
		(void)close(fd); /* was only read */
	bpf_link__destroy(link);
	return fd < 0 ? fd : n < 0 ? -EIO : 0;
}

int ox_procs_apply(struct ox_procs *p, const struct ox_rules *rules, __u32 load)
{
	int err;

	p->rules = rules; /* whatever fails: those of before are about to go */
	p->load = load;
	p->full = p->refused = false;
	if (rules->unshield && !p->shields) {
		err = ox_shields_new(p->engine, &p->shields);
		if (err)
			return err;
	}
	err = rules->process || rules->unshield ? look_at_all(p) : 0;
	sweep(p);
	if (rules->process)
		__atomic_fetch_or(&p->config->flags, OOMX_CFG_PROCS, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&p->config->flags, ~OOMX_CFG_PROCS, __ATOMIC_SEQ_CST);
	return err;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static int load_probe(struct ox_procs *p)
{
	struct bpf_map *map;
	int err;

	p->obj = ox_engine_open(OX_BLOB(procs), "oomx_procs");
	if (!p->obj)
		return -errno;
	map = bpf_object__find_map_by_name(p->obj, "oomx_procs");
	err = map ? bpf_map__reuse_fd(map, p->map) : -ENOENT;
	return err ? err : ox_object_load(p->obj);
}

static int attach(struct ox_procs *p)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, p->obj) {
		if (bpf_program__type(prog) == BPF_PROG_TYPE_TRACING &&
		    bpf_program__expected_attach_type(prog) == BPF_TRACE_ITER)
			continue;
		if (p->n_links == LINKS)
			return -E2BIG;
		p->links[p->n_links] = bpf_program__attach(prog);
		if (!p->links[p->n_links])
			return -errno;
		p->n_links++;
	}
	return 0;
}

static int open_ring(struct ox_procs *p)
{
	int fd = bpf_object__find_map_fd_by_name(p->obj, "oomx_procs_lost");

	p->lost = mmap(NULL, sizeof(*p->lost), PROT_READ, MAP_SHARED, fd, 0);
	if (p->lost == MAP_FAILED) {
		p->lost = NULL;
		return -errno;
	}
	fd = bpf_object__find_map_fd_by_name(p->obj, "oomx_proc_events");
	p->ring = ring_buffer__new(fd, on_event, p, NULL);
	return p->ring ? 0 : -errno;
}

int ox_procs_new(struct ox_engine *e, struct ox_procs **ret)
{
	struct ox_procs *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return ox_err_r(-ENOMEM, "no memory");
	p->engine = e;
	p->config = e->config;
	p->map = ox_engine_map(e, "oomx_procs");
	err = load_probe(p);
	if (!err)
		err = open_ring(p);
	if (!err)
		err = attach(p);
	if (err) {
		ox_procs_free(p);
		return ox_err_r(err == -EPERM ? err : -ENOTSUP,
				"rules: this kernel does not tell what becomes of processes: %s",
				strerror(-err));
	}
	*ret = p;
	return 0;
}

int ox_procs_fd(const struct ox_procs *p)
{
	return ring_buffer__epoll_fd(p->ring);
}

void ox_procs_work(struct ox_procs *p)
{
	(void)ring_buffer__consume(p->ring); /* on_event never fails */
	if (*p->lost == p->lost_seen)
		return;
	p->lost_seen = *p->lost;
	ox_warn("rules: too many new processes at once, looking at all of them");
	if (p->rules)
		(void)look_at_all(p); /* said what failed; the next one may do */
}

void ox_procs_look_again(struct ox_procs *p)
{
	if (p->rules)
		(void)look_at_all(p); /* as above */
}

void ox_procs_free(struct ox_procs *p)
{
	if (!p)
		return;
	ox_shields_free(p->shields);
	while (p->n_links)
		bpf_link__destroy(p->links[--p->n_links]);
	ring_buffer__free(p->ring);
	if (p->lost)
		(void)munmap((void *)p->lost, sizeof(*p->lost));
	bpf_object__close(p->obj);
	free(p);
}
