/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oomx priority: sets, gets, lists and removes the priorities that the running oomx goes by. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <jansson.h>

#include "cgroup.h"
#include "cleanup.h"
#include "cmd.h"
#include "daemon.h"
#include "engine.h"
#include "exit.h"
#include "lockfile.h"
#include "log.h"
#include "parse.h"
#include "paths.h"
#include "pinned.h"
#include "priority.h"
#include "record.h"
#include "rule_names.h"

static const char usage[] =
	"Usage: oomx priority set CGROUP N\n"
	"       oomx priority get CGROUP [--json]\n"
	"       oomx priority list [--json]\n"
	"       oomx priority rm CGROUP\n"
	"\n"
	"Priorities of cgroups, of the running oomx, until it stops. A cgroup without one has\n"
	"that of its nearest ancestor with one, else 0. N is -1000..1000: with the policy\n"
	"'priority' the lowest dies first. CGROUP is /a/b or /sys/fs/cgroup/a/b.\n"
	"\n"
	"  -j, --json  get, list: as JSON\n"
	"  -h, --help  print this\n";

struct args {
	bool json;
	unsigned int n;
	const char *word[3]; /* set CGROUP N */
	__s32 priority;	     /* N */
};

/* ---- the map -------------------------------------------------------------------------------- */

/* The id; 0: logged, *ret_err says why */
static __u64 find_cgroup(const char *cgroup, int *ret_err)
{
	__u64 id = 0;
	int err = ox_cgroup_id(cgroup, &id);

	*ret_err = err;
	if (err == -ENOENT || err == -ENOTDIR)
		ox_err("no cgroup '%s'", cgroup);
	else if (err == -EXDEV)
		ox_err("'%s' is not in the cgroup v2 hierarchy", cgroup);
	else if (err)
		ox_err("cgroup '%s': %s", cgroup, strerror(-err));
	return err ? 0 : id;
}

int ox_priority_check(const char *cgroup)
{
	int err;

	return find_cgroup(cgroup, &err) ? 0 : err;
}

int ox_priority_set(int map_fd, const char *cgroup, int prio)
{
	struct oomx_prio p = { .priority = prio, .flags = OOMX_PRIO_BY_HAND };
	_cleanup_close_ int lock = -1;
	__u64 id;
	int err;

	if (prio < OOMX_PRIO_MIN || prio > OOMX_PRIO_MAX)
		return ox_err_r(-ERANGE, "priority %d of '%s' is not within %d..%d", prio, cgroup,
				OOMX_PRIO_MIN, OOMX_PRIO_MAX);
	id = find_cgroup(cgroup, &err);
	if (!id)
		return err;
	lock = ox_lockfile_take(OX_PRIORITY_LOCK);
	err = ox_priority_put(map_fd, id, &p);
	return err ? ox_err_r(err, "cannot set the priority of '%s': %s", cgroup,
			      err == -E2BIG ? "too many cgroups have one" : strerror(-err)) : 0;
}

/* Events say which generation they were decided by: raised after a change, at once. */
static int raise_generation(void)
{
	_cleanup_close_ int fd = ox_engine_pinned("oomx_config");
	struct oomx_config *c;

	if (fd < 0)
		return fd;
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (c == MAP_FAILED)
		return -errno;
	(void)__atomic_fetch_add(&c->rules_generation, 1, __ATOMIC_SEQ_CST);
	(void)munmap(c, sizeof(*c)); /* it was mapped */
	return 0;
}

/* fd of the running oomx's map, or -1 with the exit status, logged */
static int open_map(int *ret_status)
{
	pid_t pid = ox_daemon_pid();
	struct oomx_config c = {};
	__u32 zero = 0;
	int fd, err;

	if (!pid && !ox_pinned_or_running()) {
		ox_err("no oomx is running: 'oomx run' starts one");
		*ret_status = OX_EXIT_NOT_RUNNING;
		return -1;
	}
	*ret_status = ox_need_root("priority");
	if (*ret_status)
		return -1;
	fd = ox_engine_pinned("oomx_config");
	err = fd < 0 ? fd : bpf_map_lookup_elem(fd, &zero, &c);
	if (fd >= 0)
		(void)close(fd); /* read only */
	*ret_status = OX_EXIT_FAILURE;
	if (!err && c.abi != OOMX_ABI)
		return ox_err_r(-1, "the running oomx has ABI %u, this one %u: use its own binary",
				c.abi, OOMX_ABI);
	fd = err ?: ox_engine_pinned("oomx_prio");
	if (fd == -ENOENT)
		*ret_status = OX_EXIT_NOT_RUNNING;
	else if (fd < 0)
		*ret_status = ox_exit_status(fd);
	if (fd < 0)
		return ox_err_r(-1, "cannot open the priorities of the running oomx: %s",
				fd == -ENOENT ? "it is just starting or ending" : strerror(-fd));
	return fd;
}

/* ---- set, rm -------------------------------------------------------------------------------- */

static int changed(void)
{
	int err = raise_generation();

	return err ? ox_err_r(OX_EXIT_FAILURE, "changed, but events will not say so: %s",
			      strerror(-err)) : OX_EXIT_OK;
}

static int set(int map, const struct args *a)
{
	return ox_priority_set(map, a->word[1], a->priority) ? OX_EXIT_FAILURE : changed();
}

/* What was set by hand was in a rule's place, perhaps: the daemon puts that back. */
static void tell_daemon(void)
{
	_cleanup_close_ int rules = ox_engine_pinned("oomx_rules"), pidfd = -1;
	pid_t pid = ox_daemon_pid();

	if (rules < 0 || pid <= 0)
		return; /* one that knows no rules, nor the signal */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* once the pidfd is there, the lock tells whether the id is still its own */
	if (pidfd < 0 || ox_daemon_pid() != pid ||
	    syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0))
		ox_warn("a rule may come back only when the rules are reloaded, ignoring");
}

static int rm(int map, const struct args *a)
{
	struct oomx_prio p;
	int err;
	__u64 id = find_cgroup(a->word[1], &err);

	if (!id)
		return OX_EXIT_FAILURE;
	if (!bpf_map_lookup_elem(map, &id, &p) && !(p.flags & OOMX_PRIO_BY_HAND))
		return ox_err_r(OX_EXIT_FAILURE, "'%s' has its priority from a rule: change the rule, "
						 "or 'oomx priority set' another", a->word[1]);
	err = bpf_map_delete_elem(map, &id);
	if (!err)
		tell_daemon();
	if (err == -ENOENT)
		return ox_err_r(OX_EXIT_FAILURE, "'%s' has no priority of its own", a->word[1]);
	return err ? ox_err_r(OX_EXIT_FAILURE, "cannot remove the priority of '%s': %s", a->word[1],
			      strerror(-err)) : changed();
}

/* ---- get ------------------------------------------------------------------------------------ */

static json_t *text_or_null(const char *s)
{
	char clean[3 * PATH_MAX + 1];

	if (!s || !*s)
		return json_null();
	(void)ox_utf8_clean(s, strlen(s), /* printable= */ false, clean, sizeof(clean));
	return json_string(clean);
}

static json_t *rule_name(const struct oomx_prio *p)
{
	char name[OOMX_RULE_LEN];

	return text_or_null(ox_rule_name(p->rule, name));
}

static const char *printable(const char *s, char clean[3 * PATH_MAX + 1])
{
	return ox_utf8_clean(s, strlen(s), /* printable= */ true, clean, 3 * PATH_MAX + 1);
}

static int get(int map, const struct args *a)
{
	char path[PATH_MAX], from[PATH_MAX], c1[3 * PATH_MAX + 1], c2[3 * PATH_MAX + 1];
	struct oomx_prio p;
	int err;
	__u64 id = find_cgroup(a->word[1], &err);

	if (!id)
		return OX_EXIT_FAILURE;
	err = ox_cgroup_path_by_id(id, path, PATH_MAX);
	if (!err)
		err = ox_priority_find(map, path, from, &p);
	if (err)
		return ox_err_r(OX_EXIT_FAILURE, "cannot look up '%s': %s", a->word[1],
				strerror(-err));
	if (a->json)
		return ox_print_json(json_pack("{s:o, s:i, s:I, s:I, s:o, s:b, s:o}", "cgroup",
					       text_or_null(path), "priority", p.priority, "class",
					       (json_int_t)p.class, "rule",
					       (json_int_t)(p.rule & OOMX_RULE_MASK), "rule_name",
					       rule_name(&p), "inherited", strcmp(path, from) != 0,
					       "from", text_or_null(from)));
	if (!*from)
		printf("%d (the default: neither %s nor any cgroup above has one)\n", p.priority,
		       printable(path, c1));
	else if (strcmp(path, from))
		printf("%d (inherited from %s%s)\n", p.priority, printable(from, c2),
		       p.flags & OOMX_PRIO_BY_HAND ? "" : ", by a rule: see 'oomx explain'");
	else
		printf("%d (%s %s)\n", p.priority, p.flags & OOMX_PRIO_BY_HAND ? "set for" :
		       "by a rule, see 'oomx explain':", printable(path, c1));
	return fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : OX_EXIT_OK;
}

/* ---- list ----------------------------------------------------------------------------------- */

struct entry {
	__u64 id;
	char *path; /* NULL: the cgroup is gone */
	struct oomx_prio prio;
};

static int by_path(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (!x->path || !y->path)
		return !x->path - !y->path ?: (x->id > y->id) - (x->id < y->id);
	return strcmp(x->path, y->path);
}

static void entries_free(struct entry *e, size_t n)
{
	while (n)
		free(e[--n].path);
	free(e);
}

/* -ENOMEM; others are passed over */
static int entries_read(int map, struct entry **ret, size_t *ret_n)
{
	struct entry *e = NULL, *more;
	size_t n = 0, room = 0;
	char path[PATH_MAX];
	__u64 id, next;
	bool again = !bpf_map_get_next_key(map, NULL, &next);

	while (again) {
		id = next;
		again = !bpf_map_get_next_key(map, &id, &next);
		if (n == room) {
			room = room ? 2 * room : 64;
			more = realloc(e, room * sizeof(*e));
			if (!more) {
				entries_free(e, n);
				return -ENOMEM;
			}
			e = more;
		}
		e[n] = (struct entry){ .id = id };
		if (bpf_map_lookup_elem(map, &id, &e[n].prio))
			continue; /* removed meanwhile */
		if (!ox_cgroup_path_by_id(id, path, sizeof(path)))
			e[n].path = strdup(path);
		n++;
	}
	if (n)
		qsort(e, n, sizeof(*e), by_path);
	*ret = e;
	*ret_n = n;
	return 0;
}

static int list_json(const struct entry *e, size_t n)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		(void)json_array_append_new(
			list, json_pack("{s:I, s:o, s:i, s:I, s:I, s:o}", "cgroup_id",
					(json_int_t)e[i].id, "cgroup", text_or_null(e[i].path),
					"priority", e[i].prio.priority, "class",
					(json_int_t)e[i].prio.class, "rule",
					(json_int_t)(e[i].prio.rule & OOMX_RULE_MASK), "rule_name",
					rule_name(&e[i].prio)));
	return ox_print_json(list);
}

static int list(int map, const struct args *a)
{
	char clean[3 * PATH_MAX + 1];
	struct entry *e = NULL;
	size_t n = 0, i;
	int status;

	if (entries_read(map, &e, &n))
		return ox_err_r(OX_EXIT_FAILURE, "no memory");
	if (a->json) {
		status = list_json(e, n);
	} else {
		if (n)
			printf("PRIORITY  CGROUP\n");
		for (i = 0; i < n; i++)
			if (e[i].path)
				printf("%8d  %s\n", e[i].prio.priority,
				       printable(e[i].path, clean));
			else
				printf("%8d  (a cgroup that is gone, id %llu)\n",
				       e[i].prio.priority, (unsigned long long)e[i].id);
		status = fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") :
					  OX_EXIT_OK;
	}
	entries_free(e, n);
	return status;
}

/* ---- arguments ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	unsigned int n_words; /* itself included */
	bool json;
	int (*run)(int map, const struct args *a);
} actions[] = {
	{ "set", 3, false, set },
	{ "get", 2, true, get },
	{ "list", 1, true, list },
	{ "rm", 2, false, rm },
};

#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* Not getopt(): it would take the -100 of "set /a -100" for options. -1: go on. */
static int parse_args(int argc, char **argv, struct args *a)
{
	bool words_only = false;
	const char *s;
	int i;

	for (i = 1; i < argc; i++) {
		s = argv[i];
		if (words_only || s[0] != '-' || (s[1] >= '0' && s[1] <= '9')) {
			if (a->n == 3)
				return ox_err_r(OX_EXIT_USAGE, "priority: what is '%s'? See --help",
						s);
			a->word[a->n++] = s;
		} else if (!strcmp(s, "--")) {
			words_only = true;
		} else if (!strcmp(s, "-j") || !strcmp(s, "--json")) {
			a->json = true;
		} else if (!strcmp(s, "-h") || !strcmp(s, "--help")) {
			return ox_help(usage);
		} else {
			return ox_err_r(OX_EXIT_USAGE, "priority: no option '%s', see --help", s);
		}
	}
	return -1;
}

int ox_cmd_priority(int argc, char **argv)
{
	_cleanup_close_ int map = -1;
	struct args a = {};
	unsigned int i;
	int status = parse_args(argc, argv, &a);

	if (status >= 0)
		return status;
	if (!a.n)
		return ox_err_r(OX_EXIT_USAGE, "priority: set, get, list or rm? See --help");
	for (i = 0; i < N_ACTIONS && strcmp(a.word[0], actions[i].name); i++)
		;
	if (i == N_ACTIONS)
		return ox_err_r(OX_EXIT_USAGE, "priority: no '%s': there are set, get, list, rm",
				a.word[0]);
	if (a.n != actions[i].n_words)
		return ox_err_r(OX_EXIT_USAGE, "priority %s: %s, see --help", a.word[0],
				a.n < actions[i].n_words ? "a word is missing" : "a word too many");
	if (a.json && !actions[i].json)
		return ox_err_r(OX_EXIT_USAGE, "priority %s: has no --json", a.word[0]);
	if (a.n == 3 && ox_parse_s32(a.word[2], OOMX_PRIO_MIN, OOMX_PRIO_MAX, &a.priority))
		return ox_err_r(OX_EXIT_USAGE, "priority: '%s' is not a number from %d to %d",
				a.word[2], OOMX_PRIO_MIN, OOMX_PRIO_MAX);
	map = open_map(&status);
	return map < 0 ? status : actions[i].run(map, &a);
}
