// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "protected.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cleanup.h"
#include "log.h"
#include "parse.h"
#include "process.h"
#include "record.h"
#include "restore.h"
#include "rules_decide.h"

#define BUCKETS 1024
#define STATUS_MAX 4096
#define SHIELDED (-1000)
#define PROTECTS (OX_GIVES_PROTECT | OX_GIVES_NEVER)

/* What is known of a cgroup: many processes are in the same one. */
struct group {
	struct group *next;
	char *path;
	struct ox_identity id;
	size_t rule; /* that decides about it, ancestors included; 0: none */
	__u64 shmem_kib[2]; /* the most that one has, among [1] the protected, [0] the others */
};

struct measure {
	const struct ox_rules *rules;
	struct ox_protected *ret;
	struct group *groups[BUCKETS];
};

static size_t bucket_of(const char *path)
{
	__u64 hash = 0xcbf29ce484222325ull; /* FNV-1a */

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3ull;
	return hash % BUCKETS;
}

static void group_free(struct group *g)
{
	ox_identity_done(&g->id);
	free(g->path);
	free(g);
}

/* 0; -ENOMEM, or what else its cgroup could not be told for */
static int group_of(struct measure *m, const char *path, struct group **ret)
{
	ox_identify_fn identify = m->rules->state ? ox_identify_fully : ox_identify_by_path;
	struct group **head = &m->groups[bucket_of(path)], *g;
	struct ox_decision d;
	int err;

	for (g = *head; g; g = g->next) {
		if (!strcmp(g->path, path)) {
			*ret = g;
			return 0;
		}
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->path = strdup(path);
	err = g->path ? ox_rules_decide(m->rules, path, identify, NULL, &d) : -ENOMEM;
	if (!err)
		err = identify(NULL, path, &g->id);
	if (err) {
		group_free(g);
		return err;
	}
	g->rule = d.rule;
	g->next = *head;
	*head = *ret = g;
	return 0;
}

/* ---- one process ----------------------------------------------------------------------------- */

/* The number behind "\nKEY:", in KiB; 0 without */
static __u64 field(const char *status, const char *key)
{
	const char *at = strstr(status, key); /* a newline in the name is written "\n" there */
	char digits[24] = "";
	__u64 n = 0;

	if (at) {
		at += strlen(key);
		at += strspn(at, " \t");
		(void)snprintf(digits, sizeof(digits), "%.*s",
			       (int)strspn(at, "0123456789"), at); /* cut: then it is no number */
		(void)ox_parse_u64(digits, 0, ~0ULL, &n);
	}
	return n;
}

/* False: it is gone, or a kernel thread. */
static bool read_memory(__u32 pid, __u64 *ret_own, __u64 *ret_shmem)
{
	_cleanup_close_ int fd = -1;
	char path[32], status[STATUS_MAX];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%u/status", pid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, status, sizeof(status) - 1);
	if (n <= 0)
		return false;
	status[n] = '\0';
	*ret_own = field(status, "\nRssAnon:") + field(status, "\nVmSwap:");
	*ret_shmem = field(status, "\nRssShmem:");
	return *ret_own || *ret_shmem;
}

/* Into its place among the largest. */
static void note(struct ox_protected *p, const struct ox_protected_one *one)
{
	size_t i = p->n < OX_PROTECTED_TOP ? p->n++ : OX_PROTECTED_TOP;

	for (; i && p->top[i - 1].kib < one->kib; i--)
		if (i < OX_PROTECTED_TOP)
			p->top[i] = p->top[i - 1];
	if (i < OX_PROTECTED_TOP)
		p->top[i] = *one;
}

static int add_process(struct measure *m, __u32 pid)
{
	struct ox_protected_one one = { .pid = pid };
	struct ox_process proc;
	struct group *g = NULL;
	__u64 own, shmem;
	int adj, err;

	/* the kernel kills neither init nor those who are shielded */
	if (pid == 1 || !read_memory(pid, &own, &shmem) || ox_adj_read(pid, 0, &adj) ||
	    adj == SHIELDED || ox_process_read(pid, 0, m->rules->cmdline, &proc))
		return 0;
	err = group_of(m, proc.cgroup, &g);
	if (err)
		return err == -ENOMEM ? err : 0;
	one.rule = m->rules->process ?
			   ox_rules_match_process(m->rules,
						  &(struct ox_subject){ &g->id, &proc }, g->rule) :
			   g->rule;
	if (one.rule && !(m->rules->rules[one.rule - 1].gives & PROTECTS))
		one.rule = 0;
	one.kib = own + shmem;
	memcpy(one.comm, proc.comm, sizeof(one.comm));
	if (shmem > g->shmem_kib[!!one.rule])
		g->shmem_kib[!!one.rule] = shmem;
	m->ret->all_kib += own;
	if (one.rule) {
		m->ret->protected_kib += own;
		note(m->ret, &one);
	}
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int add_all(struct measure *m)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	__u32 pid;
	int err = 0;

	if (!proc)
		return -errno;
	while (!err && (d = readdir(proc)))
		if (!ox_parse_u32(d->d_name, 1, 1U << 22, &pid))
			err = add_process(m, pid);
	(void)closedir(proc); /* read only */
	return err;
}

/* Adds what is shared, and frees. */
static void finish(struct measure *m)
{
	struct group *g;
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		while ((g = m->groups[i])) {
			m->groups[i] = g->next;
			m->ret->all_kib += g->shmem_kib[0] + g->shmem_kib[1];
			m->ret->protected_kib += g->shmem_kib[1];
			group_free(g);
		}
	}
}

int ox_protected_measure(const struct ox_rules *rules, struct ox_protected *ret)
{
	struct measure m = { .rules = rules, .ret = ret };
	struct sysinfo s = {};
	bool any = false;
	size_t i;
	int err;

	*ret = (struct ox_protected){};
	for (i = 0; i < rules->n; i++)
		any |= rules->rules[i].gives & PROTECTS;
	if (!any)
		return 0;
	err = add_all(&m);
	finish(&m);
	(void)sysinfo(&s); /* cannot fail on Linux */
	ret->machine_kib = (s.totalram + s.totalswap) / 1024 * s.mem_unit;
	return err;
}

bool ox_protected_is_most(const struct ox_protected *p)
{
	return p->protected_kib > p->all_kib / 2 && p->protected_kib >= p->machine_kib / 10;
}

unsigned int ox_protected_percent(const struct ox_protected *p)
{
	return p->all_kib ? (unsigned int)(p->protected_kib * 100 / p->all_kib) : 0;
}

void ox_protected_warn(const struct ox_protected *p, const struct ox_rules *rules)
{
	char who[512] = "", clean[3 * OOMX_COMM_LEN + 1];
	size_t i, n;

	if (!ox_protected_is_most(p))
		return;
	for (i = 0; i < p->n; i++) {
		n = strlen(who);
		(void)snprintf(who + n, sizeof(who) - n, "%s%s (%u) %llu MiB by rule '%s'",
			       i ? ", " : "",
			       ox_utf8_clean(p->top[i].comm, OOMX_COMM_LEN, /* printable= */ true,
					     clean, sizeof(clean)),
			       p->top[i].pid, (unsigned long long)p->top[i].kib / 1024,
			       rules->rules[p->top[i].rule - 1].name); /* cut: long enough */
	}
	ox_warn("rules protect %u %% of the memory that a kill could free (%llu of %llu MiB), and "
		"leave little else to kill: %s", ox_protected_percent(p),
		(unsigned long long)p->protected_kib / 1024,
		(unsigned long long)p->all_kib / 1024, who);
}

json_t *ox_protected_json(const struct ox_protected *p, const struct ox_rules *rules)
{
	char clean[3 * OOMX_COMM_LEN + 1];
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < p->n; i++)
		(void)json_array_append_new(
			list, json_pack("{si ss sI ss}", "pid", (int)p->top[i].pid, "comm",
					ox_utf8_clean(p->top[i].comm, OOMX_COMM_LEN,
						      /* printable= */ false, clean,
						      sizeof(clean)),
					"kib", (json_int_t)p->top[i].kib, "rule",
					rules->rules[p->top[i].rule - 1].name));
	return json_pack("{sb sI sI so}", "most", ox_protected_is_most(p), "kib",
			 (json_int_t)p->protected_kib, "of_kib", (json_int_t)p->all_kib,
			 "largest", list);
}
