/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * By the path of the container's own cgroup: events have the path, and what is asked about may be
 * gone, or further down. A path that is used again means the new container.
 */
#include "idcache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "cleanup.h"

#define BUCKETS 4096
#define LOST "…/" /* how a path begins whose topmost parts are lost */

/* From its cgroup's creation; crun writes its status some milliseconds later, under load more. */
static const __u64 retry_after_ns[] = { 20000000, 100000000, 500000000, 2000000000, 10000000000 };
#define TRIES (sizeof(retry_after_ns) / sizeof(retry_after_ns[0]))

struct entry {
	TAILQ_ENTRY(entry) order; /* oldest first */
	TAILQ_ENTRY(entry) turn;  /* of those that wait, and were looked up as often: the same */
	struct entry *next;	  /* in its bucket */
	struct ox_identity id;	  /* .cgroup is the key; no container: one may yet be found */
	__u64 made_ns;
	unsigned int tries; /* made; TRIES: no more */
	bool gone;
};

TAILQ_HEAD(entries, entry);

struct ox_idcache {
	const char *root;
	struct entry *bucket[BUCKETS];
	struct entries live, past;
	struct entries waiting[TRIES]; /* by tries: in each, who comes first is due first */
	struct ox_idcache_stats stats;
	struct ox_identity answer; /* to what is not, or not all, remembered */
};

/* ---- entries --------------------------------------------------------------------------------- */

/* FNV-1a */
static struct entry **bucket(struct ox_idcache *c, const char *path, size_t n)
{
	__u32 h = 2166136261;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)path[i]) * 16777619;
	return &c->bucket[h % BUCKETS];
}

static struct entry *find(struct ox_idcache *c, const char *path, size_t n)
{
	struct entry *e = *bucket(c, path, n);

	while (e && (strncmp(e->id.cgroup, path, n) || e->id.cgroup[n]))
		e = e->next;
	return e;
}

/* The container that has the cgroup, or one above. */
static struct entry *find_around(struct ox_idcache *c, const char *path)
{
	struct entry *e = NULL;

	for (size_t n = strlen(path); n && !e; n--)
		if (!path[n] || path[n] == '/')
			e = find(c, path, n);
	return e;
}

static bool waits(const struct entry *e)
{
	return !e->gone && e->tries < TRIES;
}

/* As it has been looked up so often. TRIES: it waits no more. */
static void wait_for(struct ox_idcache *c, struct entry *e, unsigned int tries)
{
	if (waits(e)) {
		TAILQ_REMOVE(&c->waiting[e->tries], e, turn);
		c->stats.waiting--;
	}
	e->tries = tries;
	if (waits(e)) {
		TAILQ_INSERT_TAIL(&c->waiting[tries], e, turn);
		c->stats.waiting++;
	}
}

static void drop(struct ox_idcache *c, struct entry *e)
{
	struct entry **at = bucket(c, e->id.cgroup, strlen(e->id.cgroup));

	wait_for(c, e, TRIES);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	TAILQ_REMOVE(e->gone ? &c->past : &c->live, e, order);
	if (e->gone)
		c->stats.gone--;
	else
		c->stats.live--;
	ox_identity_done(&e->id);
	free(e);
}

/* Takes the identity over, cut to the container's own cgroup. NULL: no memory. */
static struct entry *add(struct ox_idcache *c, struct ox_identity *id)
{
	size_t n = id->container_len ? id->container_len : strlen(id->cgroup);
	struct entry **at, *old, *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	old = find(c, id->cgroup, n);
	if (old)
		drop(c, old);
	if (c->stats.live == OX_IDCACHE_LIVE)
		drop(c, TAILQ_FIRST(&c->live));
	e->id = *id;
	*id = (struct ox_identity){};
	e->id.cgroup[n] = '\0';
	e->tries = TRIES;
	at = bucket(c, e->id.cgroup, n);
	e->next = *at;
	*at = e;
	TAILQ_INSERT_TAIL(&c->live, e, order);
	c->stats.live++;
	return e;
}

/* Rules want labels, and ask for themselves; events do not. */
static void forget_labels(struct ox_identity *id)
{
	for (size_t i = 0; i < id->n_labels; i++) {
		free(id->labels[i].key);
		free(id->labels[i].value);
	}
	free(id->labels);
	id->labels = NULL;
	id->n_labels = 0;
}

/* ---- looking up ------------------------------------------------------------------------------ */

static int look(struct ox_idcache *c, const char *cgroup, struct ox_identity *ret)
{
	int err = ox_identity_from_path(cgroup, ret);

	if (!err)
		err = ox_identity_resolve_at(c->root, ret);
	forget_labels(ret);
	return err;
}

/* Once more. True: known now. (What is found above instead has, or will have, its own entry.) */
static bool look_again(struct ox_idcache *c, struct entry *e)
{
	struct ox_identity id;
	bool found = !look(c, e->id.cgroup, &id) && !id.cgroup[id.container_len];

	if (found) {
		ox_identity_done(&e->id);
		e->id = id;
		wait_for(c, e, TRIES);
	} else {
		ox_identity_done(&id);
	}
	return found;
}

/*
 * May a container without a mark in its path be there? Not where systemd has its units: there are
 * thousands, and each would be asked for a few times.
 */
static bool may_be_unmarked(const struct ox_identity *id)
{
	static const char *const units[] = { ".service", ".scope", ".slice", ".mount", ".socket",
					     ".swap" };
	size_t n = strlen(id->cgroup);

	if (id->container_id || id->pod_uid || n < 2)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t m = strlen(units[i]);

		if (n > m && !strcmp(id->cgroup + n - m, units[i]))
			return false;
	}
	return true;
}

void ox_idcache_made(struct ox_idcache *c, const char *cgroup, __u64 now_ns)
{
	struct ox_identity id;
	struct entry *around, *e;
	int err = ox_identity_from_path(cgroup, &id);
	bool marked = id.container_id;

	if (err || (!marked && !may_be_unmarked(&id)))
		goto out;
	around = find_around(c, cgroup);
	/* a container's own cgroups; but its own may have been there before, as another's */
	if (around && !around->gone && around->id.container_id &&
	    strlen(around->id.cgroup) < strlen(cgroup) &&
	    (!marked || id.container_len <= strlen(around->id.cgroup)))
		goto out;
	err = ox_identity_resolve_at(c->root, &id);
	forget_labels(&id);
	if (err == -ENODATA && marked)
		goto out; /* a virtual machine */
	e = add(c, &id);
	if (e && err) {
		e->made_ns = now_ns;
		wait_for(c, e, 0);
	}
out:
	ox_identity_done(&id);
}

void ox_idcache_gone(struct ox_idcache *c, const char *cgroup)
{
	struct entry *e = find(c, cgroup, strlen(cgroup));

	if (!e || e->gone)
		return;
	if (!e->id.container_id) {
		drop(c, e);
		return;
	}
	wait_for(c, e, TRIES);
	TAILQ_REMOVE(&c->live, e, order);
	TAILQ_INSERT_TAIL(&c->past, e, order);
	e->gone = true;
	c->stats.live--;
	c->stats.gone++;
	if (c->stats.gone > OX_IDCACHE_GONE)
		drop(c, TAILQ_FIRST(&c->past));
}

__u64 ox_idcache_due(const struct ox_idcache *c)
{
	const struct entry *e;
	__u64 due = 0, t;

	for (size_t i = 0; i < TRIES; i++) {
		e = TAILQ_FIRST(&c->waiting[i]);
		t = e ? e->made_ns + retry_after_ns[i] : 0;
		if (e && (!due || t < due))
			due = t;
	}
	return due;
}

/* Once more, and if that was the last time: without a container it is none. */
static void retry(struct ox_idcache *c, struct entry *e)
{
	if (look_again(c, e))
		return;
	wait_for(c, e, e->tries + 1);
	if (!waits(e) && !e->id.container_id)
		drop(c, e);
}

void ox_idcache_retry(struct ox_idcache *c, __u64 now_ns)
{
	unsigned int left = OX_IDCACHE_RETRIES;
	struct entry *e;

	/* from the first: who is new is more likely to be a container, and may be in an OOM */
	for (size_t i = 0; i < TRIES; i++)
		while ((e = TAILQ_FIRST(&c->waiting[i])) && left &&
		       now_ns >= e->made_ns + retry_after_ns[i]) {
			retry(c, e);
			left--;
		}
}

/* ---- answers --------------------------------------------------------------------------------- */

/* By the id alone: of the path there is only the end. */
static struct entry *find_by_id(struct ox_idcache *c, const struct ox_identity *id)
{
	struct entries *const lists[] = { &c->live, &c->past };
	struct entry *e;

	for (size_t i = 0; i < 2 && id->container_id; i++)
		for (e = TAILQ_FIRST(lists[i]); e; e = TAILQ_NEXT(e, order))
			if (e->id.container_id && !strcmp(e->id.container_id, id->container_id))
				return e;
	return NULL;
}

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

/* A pod has no state of its own: what its containers say of it. */
static void name_pod(struct ox_idcache *c, struct ox_identity *pod)
{
	struct entries *const lists[] = { &c->live, &c->past };
	struct entry *e;

	for (size_t i = 0; i < 2; i++) {
		for (e = TAILQ_FIRST(lists[i]); e; e = TAILQ_NEXT(e, order)) {
			if (!e->id.pod || e->id.nested || e->id.pod_len != pod->pod_len ||
			    strncmp(e->id.cgroup, pod->cgroup, pod->pod_len))
				continue;
			pod->pod = copy(e->id.pod);
			pod->ns = copy(e->id.ns);
			return;
		}
	}
}

const struct ox_identity *ox_idcache_get(struct ox_idcache *c, const char *cgroup)
{
	bool cut = !strncmp(cgroup, LOST, strlen(LOST));
	struct ox_identity *id = &c->answer;
	struct entry *e;
	int err;

	ox_identity_done(id);
	if (ox_identity_from_path(cgroup, id))
		return NULL;
	e = cut ? find_by_id(c, id) :
	    id->container_id ? find(c, cgroup, id->container_len) : find_around(c, cgroup);
	if (e && e->id.container_id && (e->gone || !waits(e) || look_again(c, e)))
		return &e->id;
	if (cut)
		return id->container_id || id->pod_uid ? id : NULL;
	if (!id->container_id && id->pod_uid) {
		name_pod(c, id);
		return id;
	}
	/* it was just now that memory ran out: open no files without need */
	if (!id->container_id && !may_be_unmarked(id))
		return NULL;
	err = ox_identity_resolve_at(c->root, id);
	forget_labels(id);
	return err == -ENOMEM || !id->container_id ? NULL : id;
}

void ox_idcache_stats(const struct ox_idcache *c, struct ox_idcache_stats *ret)
{
	*ret = c->stats;
}

int ox_idcache_new(const char *root, struct ox_idcache **ret)
{
	struct ox_idcache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->root = root;
	TAILQ_INIT(&c->live);
	TAILQ_INIT(&c->past);
	for (size_t i = 0; i < TRIES; i++)
		TAILQ_INIT(&c->waiting[i]);
	*ret = c;
	return 0;
}

void ox_idcache_free(struct ox_idcache *c)
{
	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->live))
		drop(c, TAILQ_FIRST(&c->live));
	while (!TAILQ_EMPTY(&c->past))
		drop(c, TAILQ_FIRST(&c->past));
	ox_identity_done(&c->answer);
	free(c);
}
