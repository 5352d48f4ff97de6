// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shields.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "capability.h"
#include "cleanup.h"
#include "lockfile.h"
#include "log.h"
#include "paths.h"
#include "restore.h"
#include "symbols.h"

#define SHIELDED (-1000) /* OOM_SCORE_ADJ_MIN: the kernel never kills it */
#define PROGRAMS 2
#define PIN_PREFIX "ox_shield_" /* of their names */
#define PASSES 3 /* over the map: children may be added while it is gone through */

struct ox_shields {
	struct bpf_object *obj;
	struct bpf_link *links[PROGRAMS];
	unsigned int n_links;
	int map, raised; /* the engine's */
	const struct oomx_config *config; /* the engine's */
};

/* ---- one process ----------------------------------------------------------------------------- */

/*
 * An entry and the value that it stands for are changed one after the other, by whoever holds
 * OX_ALTERED_LOCK: another oomx that came in between would take what it finds for somebody else's.
 */

/* With CAP_SYS_RESOURCE the minimum would go with the value. */
static int write_adj(__u32 pid, __u64 start_ns, int adj, bool capped)
{
	bool was = false;
	int err = ox_cap_resource_use(capped, &was);

	if (err)
		return err;
	err = ox_adj_write(pid, start_ns, adj);
	(void)ox_cap_resource_use(was, NULL); /* as it was a moment ago */
	return err;
}

static bool is_known(int map, __u32 pid, __u64 start_ns, struct oomx_shield *ret)
{
	return !bpf_map_lookup_elem(map, &pid, ret) && ret->start_ns == start_ns;
}

/* oomx protects itself; also one that is about to be replaced. */
static bool is_oomx(const struct ox_shields *s, __u32 pid)
{
	struct stat its, ours;
	char path[32];

	if (pid == (__u32)getpid() || pid == s->config->responder_pid ||
	    pid == s->config->demoter_pid)
		return true;
	(void)snprintf(path, sizeof(path), "/proc/%u/exe", pid); /* fits */
	return !stat(path, &its) && !stat("/proc/self/exe", &ours) && its.st_dev == ours.st_dev &&
	       its.st_ino == ours.st_ino;
}

bool ox_shields_concern(const struct ox_shields *s, __u32 pid, __u64 start_ns)
{
	struct oomx_shield known;
	int now;

	if (pid == 1)
		return false;
	if (!is_known(s->map, pid, start_ns, &known) &&
	    (ox_adj_read(pid, start_ns, &now) || now != SHIELDED))
		return false;
	/* known, too, is one that another build's oomx took for any process: it is swept */
	return !is_oomx(s, pid);
}

int ox_shields_take(struct ox_shields *s, __u32 pid, __u64 start_ns, int adj, __u32 load)
{
	_cleanup_close_ int lock = ox_lockfile_take(OX_ALTERED_LOCK);
	struct oomx_shield e;
	bool known = is_known(s->map, pid, start_ns, &e), ours;
	int now, err = ox_adj_read(pid, start_ns, &now);

	if (err)
		return err;
	ours = now == SHIELDED || (known && now == e.set_adj);
	if (!known && !ours)
		return 0;
	if (!known)
		e = (struct oomx_shield){ .start_ns = start_ns, .old_adj = SHIELDED };
	if (ours)
		e.set_adj = adj;
	e.load = load;
	/* remembered first: a crash after this is put right by whoever comes next */
	err = bpf_map_update_elem(s->map, &pid, &e, BPF_ANY);
	if (err || !ours || now == adj)
		return err;
	err = write_adj(pid, start_ns, adj, /* capped= */ false);
	if (err && !known)
		(void)bpf_map_delete_elem(s->map, &pid);
	return err;
}

/* In an OOM, for a moment, it has another value of ours. */
static bool is_raised(int raised, __u32 pid, __u64 start_ns, int now)
{
	struct oomx_raised r;

	return raised >= 0 && !bpf_map_lookup_elem(raised, &pid, &r) && r.start_ns == start_ns &&
	       r.set_adj == now;
}

/* locked */
static int give_back(int map, int raised, __u32 pid, const struct oomx_shield *e)
{
	int now, err = ox_adj_read(pid, e->start_ns, &now);

	if (!err && now == e->set_adj) {
		err = write_adj(pid, e->start_ns, e->old_adj, /* capped= */ false);
		/* its minimum was raised meanwhile: a changed minimum is better than no shield */
		if (err == -EACCES)
			err = write_adj(pid, e->start_ns, e->old_adj, /* capped= */ true);
	} else if (!err && is_raised(raised, pid, e->start_ns, now)) {
		return -EBUSY; /* the next time */
	}
	if (!err || err == -ESRCH)
		(void)bpf_map_delete_elem(map, &pid); /* absent is what we want */
	return err == -ESRCH ? 0 : err;
}

int ox_shields_give_back(struct ox_shields *s, __u32 pid)
{
	_cleanup_close_ int lock = ox_lockfile_take(OX_ALTERED_LOCK);
	struct oomx_shield e;

	return bpf_map_lookup_elem(s->map, &pid, &e) ? 0 : give_back(s->map, s->raised, pid, &e);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* all, or those of other loads */
static unsigned int give_back_those(int map, int raised, bool all, __u32 load)
{
	struct oomx_shield e;
	unsigned int failed = 0;
	__u32 pid, next;
	bool more = !bpf_map_get_next_key(map, NULL, &next);

	while (more) {
		_cleanup_close_ int lock = ox_lockfile_take(OX_ALTERED_LOCK);

		pid = next;
		more = !bpf_map_get_next_key(map, &pid, &next);
		if (!bpf_map_lookup_elem(map, &pid, &e) && (all || e.load != load))
			failed += give_back(map, raised, pid, &e) != 0;
	}
	return failed;
}

void ox_shields_sweep(int map, int raised, __u32 load)
{
	/* what failed is tried again at the end */
	(void)give_back_those(map, raised, /* all= */ false, load);
}

unsigned int ox_shields_restore(int map, int raised)
{
	unsigned int failed = 0;
	int i;

	for (i = 0; i < PASSES; i++)
		failed = give_back_those(map, raised, /* all= */ true, 0);
	return failed;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static int load_probe(struct ox_shields *s)
{
	struct bpf_map *map;
	int err;

	s->obj = ox_engine_open(OX_BLOB(shields), "oomx_shields");
	if (!s->obj)
		return -errno;
	map = bpf_object__find_map_by_name(s->obj, "oomx_shields");
	err = map ? bpf_map__reuse_fd(map, s->map) : -ENOENT;
	return err ?: ox_object_load(s->obj);
}

/*
 * Pinned, before anything is rewritten. The links by process id: while one oomx takes over from
 * another, there are two. BPF file systems refuse names with a dot (kernel/bpf/inode.c).
 */
static int attach(struct ox_shields *s)
{
	struct bpf_program *prog;
	char path[128];
	int err;

	bpf_object__for_each_program(prog, s->obj) {
		if (s->n_links == PROGRAMS)
			return -E2BIG;
		s->links[s->n_links] = bpf_program__attach(prog);
		if (!s->links[s->n_links])
			return -errno;
		(void)snprintf(path, sizeof(path), OX_PIN_DIR "/%s_%d", bpf_program__name(prog),
			       getpid()); /* fits */
		err = bpf_link__pin(s->links[s->n_links++], path);
		if (err)
			return err;
	}
	return 0;
}

/* What `oomx stop` goes by after a crash; the engine does the same with all its maps, later. */
static int pin_map(const struct ox_shields *s)
{
	if (mkdir(OX_PIN_DIR, 0700) && errno != EEXIST)
		return -errno;
	return bpf_obj_pin(s->map, OX_PIN_DIR "/oomx_shields") && errno != EEXIST ? -errno : 0;
}

void ox_shields_unpin_others(void)
{
	char mine[16], path[512];
	struct dirent *d;
	DIR *dir = opendir(OX_PIN_DIR);

	if (!dir)
		return;
	(void)snprintf(mine, sizeof(mine), "_%d", getpid()); /* fits */
	while ((d = readdir(dir))) {
		const char *pid = strrchr(d->d_name, '_');

		if (strncmp(d->d_name, PIN_PREFIX, strlen(PIN_PREFIX)) || !strcmp(pid, mine))
			continue;
		(void)snprintf(path, sizeof(path), OX_PIN_DIR "/%s", d->d_name); /* fits */
		if (unlink(path) && errno != ENOENT)
			ox_err("cannot remove %s: %m", path);
	}
	(void)closedir(dir); /* read only */
}

int ox_shields_new(const struct ox_engine *e, struct ox_shields **ret)
{
	struct ox_shields *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return ox_err_r(-ENOMEM, "no memory");
	s->config = e->config;
	s->map = ox_engine_map(e, "oomx_shields");
	s->raised = ox_engine_map(e, "oomx_raised");
	err = pin_map(s) ?: load_probe(s);
	if (!err)
		err = attach(s);
	if (err) {
		ox_shields_free(s);
		return ox_err_r(err, "rules: 'unshield' cannot be had here, since children of those "
				     "that it is about cannot be followed: %s", strerror(-err));
	}
	*ret = s;
	return 0;
}

void ox_shields_free(struct ox_shields *s)
{
	if (!s)
		return;
	while (s->n_links) {
		struct bpf_link *l = s->links[--s->n_links];

		(void)bpf_link__unpin(l); /* one that could not be pinned */
		bpf_link__destroy(l);
	}
	bpf_object__close(s->obj);
	free(s);
}
