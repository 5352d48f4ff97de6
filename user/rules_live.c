// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Nothing is remembered about cgroups but what lies in the map: an entry's rule number tells which
 * reading of the rules it is from, so that what is out of date is found without a list.
 */
#include "rules_live.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "cgroup.h"
#include "cleanup.h"
#include "clock.h"
#include "lockfile.h"
#include "log.h"
#include "oom_group.h"
#include "paths.h"
#include "preference.h"
#include "priority.h"
#include "procs_live.h"
#include "protected.h"
#include "rules_decide.h"
#include "rules_watch.h"
#include "shields.h"

#define SETTLE_NS 100000000ULL /* a file that was just written is read after this */
#define LOADS_MASK (UINT_MAX >> OOMX_RULE_SHIFT) /* no more fit into an entry's number */
#define LATE_MAX 4096	       /* containers that are asked about again */
#define KEEP_LOADS 4	       /* readings of the rules whose names are kept, for old events */

/* A container's runtime writes down what it is a little later than its cgroup is made. */
static const __u64 late_ns[] = { 10000000,  20000000,  50000000,   100000000,
				 300000000, 600000000, 1000000000, 3000000000 };
#define LATE_TRIES ((int)(sizeof(late_ns) / sizeof(late_ns[0])))
/* systemd writes a unit's attributes right after it has made its cgroup: 180 ms are plenty. */
#define PREFERENCE_TRIES 4
/* In place of a rule's number, behind those of all rules. */
#define PREFERENCE_RULE(p) (OOMX_RULE_MASK - OX_PREFERENCES + 1 + (p))

struct late {
	__u64 id;
	__u64 due_ns; /* CLOCK_MONOTONIC */
	int tries;
};

struct ox_live {
	char *path; /* NULL: the default */
	struct ox_rules *rules;
	__u32 load; /* how often rules were put in force: upper part of their numbers, goes round */
	struct oomx_config *config;
	int prio_map, names_map, groups_map, shields_map, raised_map; /* the engine's */
	int epoll, timer, inotify;
	__u64 settle_ns; /* when files that have changed are read; 0: none have */
	struct ox_engine *engine;
	struct ox_procs *procs; /* NULL: no rule has been about processes yet */
	bool full; /* told, of these rules, that there was no room in the map */
	bool again; /* cgroups came that nobody could tell of: all have to be looked at */
	void (*between)(void *ctx); /* NULL: nobody waits */
	void *between_ctx;
	unsigned int n_late;
	struct late late[LATE_MAX];
};

/* ---- one cgroup ----------------------------------------------------------------------------- */

/* Sets the timer to whatever is due next. */
static void set_timer(struct ox_live *l)
{
	struct itimerspec when = {};
	__u64 due = l->settle_ns;
	unsigned int i;

	for (i = 0; i < l->n_late; i++)
		if (!due || l->late[i].due_ns < due)
			due = l->late[i].due_ns;
	if (l->again)
		due = 1; /* long past: at once */
	when.it_value.tv_sec = (time_t)(due / 1000000000);
	when.it_value.tv_nsec = (long)(due % 1000000000);
	(void)timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL); /* valid: cannot fail */
}

/* No runtime knows it yet: once more, later. */
static void ask_later(struct ox_live *l, __u64 id, int tries)
{
	if (tries >= LATE_TRIES || l->n_late == LATE_MAX)
		return;
	l->late[l->n_late++] =
		(struct late){ .id = id, .due_ns = ox_now_ns() + late_ns[tries],
			       .tries = tries + 1 };
}

/* What is said of it where no rule is about it, nor about a cgroup above: rules go first. */
static enum ox_preference preference(const struct ox_live *l, const struct ox_identity *who,
				     __u64 id)
{
	ox_identify_fn identify = l->rules->state ? ox_identify_fully : ox_identify_by_path;
	enum ox_preference p = ox_preference_read(id, who);
	struct ox_decision d;

	if (p && (ox_rules_decide(l->rules, who->cgroup, identify, NULL, &d) || d.rule))
		return OX_PREFERENCE_NONE;
	return p;
}

static const char *entry_name(const struct ox_live *l, size_t number)
{
	return number > l->rules->n ? ox_preference_name(number - PREFERENCE_RULE(0)) :
				      l->rules->rules[number - 1].name;
}

/* `number`: of a rule, or PREFERENCE_RULE(); 0: none */
static void write_entry(struct ox_live *l, const struct ox_identity *who, __u64 id, size_t number)
{
	_cleanup_close_ int lock = ox_lockfile_take(OX_PRIORITY_LOCK);
	struct oomx_prio old = {}, p;
	bool have = !bpf_map_lookup_elem(l->prio_map, &id, &old);
	int err;

	if (have && (old.flags & OOMX_PRIO_BY_HAND))
		return;
	if (!number) {
		if (have)
			(void)bpf_map_delete_elem(l->prio_map, &id); /* gone is what we want */
		return;
	}
	if (number > l->rules->n)
		p = ox_preference_prio(number - PREFERENCE_RULE(0),
				       l->load << OOMX_RULE_SHIFT | number);
	else
		p = ox_rule_prio(&l->rules->rules[number - 1],
				 l->load << OOMX_RULE_SHIFT | number, who);
	err = ox_priority_put(l->prio_map, id, &p);
	if (err && !l->full)
		ox_err("the rule '%s' is not in force for %s%s: %s", entry_name(l, number),
		       who->cgroup,
		       err == -E2BIG ? " and others" : "",
		       err == -E2BIG ? "too many cgroups have one of their own" : strerror(-err));
	if (err)
		l->full = true; /* until the rules are put in force anew */
}

/* False: not yet, it may be before long. */
static bool write_group(struct ox_live *l, const char *path, __u64 id, size_t number)
{
	const struct ox_rule *rule = number ? &l->rules->rules[number - 1] : NULL;
	int err = 0;

	if (rule && (rule->gives & OX_GIVES_KILL))
		err = ox_oom_group_set(l->groups_map, id, rule->group, l->load);
	if (err && err != -ENOENT && err != -ESRCH)
		ox_warn("rule '%s': memory.oom.group of %s: %s, ignoring", rule->name, path,
			strerror(-err));
	return err != -ENOENT || !path[1]; /* the root has none, ever */
}

/*
 * The rules' word about one cgroup. `tries`: how often the runtimes were asked in vain; -1: it was
 * there before, and if nobody calls it a container now, it is none.
 */
static void apply(struct ox_live *l, const char *path, __u64 id, int tries)
{
	struct ox_identity who = {};
	int err = ox_identity_from_path(path, &who), known;
	enum ox_preference wish = OX_PREFERENCE_NONE;
	size_t number;
	bool late = false;

	known = err || !l->rules->state ? 0 : ox_identity_resolve(&who);
	if (err) {
		ox_err("no memory to look at %s: it has what its parent has, ignoring", path);
	} else {
		number = ox_rules_match(l->rules, &who);
		if (!number)
			wish = preference(l, &who, id);
		write_entry(l, &who, id, wish ? PREFERENCE_RULE(wish) : number);
		late = !number && !wish && who.unit && tries >= 0 && tries < PREFERENCE_TRIES;
		late |= !write_group(l, path, id, number);
		/* those in it were told when nobody knew the container yet */
		if (tries > 0 && number && l->procs &&
		    (l->rules->rules[number - 1].gives & OX_GIVES_UNSHIELD))
			ox_procs_look_again(l->procs);
	}
	if (late || known == -ENOENT || (known == -ENODATA && tries >= 0))
		ask_later(l, id, tries < 0 ? 0 : tries);
	ox_identity_done(&who);
}

/* ---- all cgroups ---------------------------------------------------------------------------- */

static int visit(void *ctx, const char *path, __u64 id)
{
	struct ox_live *l = ctx;

	apply(l, path, id, -1);
	if (l->between)
		l->between(l->between_ctx);
	if (l->procs)
		ox_procs_work(l->procs); /* they have the old rules until all are looked at */
	return 0;
}

/* Takes out entries of rules that were in force before. */
static void sweep(struct ox_live *l)
{
	_cleanup_close_ int lock = ox_lockfile_take(OX_PRIORITY_LOCK);
	struct oomx_prio p;
	__u64 id, next;
	bool more = !bpf_map_get_next_key(l->prio_map, NULL, &next);

	while (more) {
		id = next;
		more = !bpf_map_get_next_key(l->prio_map, &id, &next);
		if (!bpf_map_lookup_elem(l->prio_map, &id, &p) &&
		    !(p.flags & OOMX_PRIO_BY_HAND) && p.rule >> OOMX_RULE_SHIFT != l->load)
			(void)bpf_map_delete_elem(l->prio_map, &id);
	}
}

static int write_name(struct ox_live *l, size_t number)
{
	__u32 key = l->load << OOMX_RULE_SHIFT | (__u32)number;
	const char *text = entry_name(l, number);
	struct oomx_rule name = {};

	memcpy(name.name, text, strlen(text));
	return bpf_map_update_elem(l->names_map, &key, &name, BPF_ANY);
}

/* Names first: a number in an event must never be without one. */
static int write_names(struct ox_live *l)
{
	__u32 key, next;
	size_t i;
	bool more = !bpf_map_get_next_key(l->names_map, NULL, &next);
	int err = 0;

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(l->names_map, &key, &next);
		if (((l->load - (key >> OOMX_RULE_SHIFT)) & LOADS_MASK) > KEEP_LOADS)
			(void)bpf_map_delete_elem(l->names_map, &key);
	}
	for (i = 0; i < l->rules->n && !err; i++)
		err = write_name(l, i + 1);
	for (i = OX_PREFERENCE_AVOID; i < OX_PREFERENCES && !err; i++)
		err = write_name(l, PREFERENCE_RULE(i));
	return err;
}

static int watch_fd(struct ox_live *l, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int apply_to_processes(struct ox_live *l)
{
	int err = 0;

	if ((l->rules->process || l->rules->unshield) && !l->procs) {
		err = ox_procs_new(l->engine, &l->procs);
		if (!err)
			err = watch_fd(l, ox_procs_fd(l->procs));
	}
	return err || !l->procs ? err : ox_procs_apply(l->procs, l->rules, l->load);
}

/*
 * Entry by entry, each at once: an OOM meanwhile finds the old rule or the new one for a cgroup,
 * never none. What no rule is about any more goes last.
 */
static int apply_all(struct ox_live *l)
{
	int err, processes_err;

	l->load = (l->load + 1) & LOADS_MASK;
	l->n_late = 0;
	l->full = l->again = false;
	err = write_names(l);
	if (!err) /* also without rules: systemd's preferences count */
		err = ox_cgroup_walk(visit, l);
	processes_err = apply_to_processes(l); /* in any case: the old rules are about to go */
	if (err)
		return ox_err_r(err, "cannot put the rules in force everywhere: %s",
				strerror(-err));
	if (processes_err)
		return processes_err; /* said why */
	sweep(l);
	ox_oom_group_sweep(l->groups_map, l->load);
	/* also where these rules unshield nobody: one that was taken over from may have */
	ox_shields_sweep(l->shields_map, l->raised_map, l->load);
	set_timer(l);
	l->config->n_rules = l->rules->n;
	(void)__atomic_fetch_add(&l->config->rules_generation, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* The highest number of readings in the map: one that was taken over from may have left some. */
static __u32 last_load(int names_map)
{
	__u32 key, next, last = 0;
	bool more = !bpf_map_get_next_key(names_map, NULL, &next);

	if (!more)
		return UINT_MAX; /* the next is the first: 0 */
	for (; more; more = !bpf_map_get_next_key(names_map, &key, &next)) {
		key = next;
		last = key >> OOMX_RULE_SHIFT > last ? key >> OOMX_RULE_SHIFT : last;
	}
	return last;
}

/* ---- cgroups that come and go --------------------------------------------------------------- */

static void forget(struct ox_live *l, __u64 id)
{
	unsigned int i;

	for (i = 0; i < l->n_late; i++)
		if (l->late[i].id == id)
			l->late[i--] = l->late[--l->n_late];
	(void)bpf_map_delete_elem(l->prio_map, &id); /* most have none */
	(void)bpf_map_delete_elem(l->groups_map, &id);
}

void ox_live_told(void *ctx, __u64 id, const char *path, bool gone)
{
	struct ox_live *l = ctx;

	if (!id)
		l->again = true; /* by the timer: we may be in the midst of it */
	else if (gone)
		forget(l, id);
	else
		apply(l, path, id, 0);
	set_timer(l);
}

/* ---- files that change ---------------------------------------------------------------------- */

static int load(struct ox_live *l, struct ox_rules **ret)
{
	struct ox_located errors = {};
	const char *path = l->path;
	int err = ox_rules_load_all(&path, !!path, ox_rules_shipped(), ret, &errors);

	if (err == -ENOENT && l->path)
		return ox_err_r(-EILSEQ, "rules: %s has neither oomx.yaml nor oomx.d", l->path);
	if (err == -ENOMEM)
		return ox_err_r(err, "rules: no memory");
	ox_located_log(&errors);
	return err == -EINVAL ? -EILSEQ : err;
}

/* Once for each reading of the rules: a cgroup's or process's share changes all the time. */
static void tell_protected(struct ox_live *l)
{
	struct ox_protected p;
	int err = ox_protected_measure(l->rules, &p);

	if (err)
		ox_warn("cannot tell how much memory the rules protect (%s), ignoring",
			strerror(-err));
	l->config->protected_percent =
		!err && ox_protected_is_most(&p) ? ox_protected_percent(&p) : 0;
	if (!err)
		ox_protected_warn(&p, l->rules);
}

static void reload(struct ox_live *l, bool asked)
{
	struct ox_rules *rules = NULL, *old;
	int err;

	ox_rules_watch(l->inotify, l->path); /* first: a new directory may be filled meanwhile */
	err = load(l, &rules);
	l->config->rules_bad = err != 0 && !(err == -ENOENT && !l->rules->n);
	if (err) {
		if (l->config->rules_bad)
			ox_err("the old rules stay in force, all %zu", l->rules->n);
		return;
	}
	if (!asked && rules->hash == l->rules->hash) {
		ox_rules_free(rules);
		return;
	}
	old = l->rules;
	l->rules = rules;
	if (!apply_all(l))
		ox_info("%zu rules from %zu files are in force, of which %zu came with oomx",
			rules->n, rules->n_files, rules->n - rules->n_own);
	ox_rules_free(old); /* now nobody goes by them any more */
	tell_protected(l);
}

/* ---- outside -------------------------------------------------------------------------------- */

int ox_live_new(const char *path, struct ox_live **ret)
{
	struct ox_live *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return ox_err_r(-ENOMEM, "no memory");
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->path = path ? ox_rules_absolute(path) : NULL;
	if (l->timer < 0 || l->inotify < 0 || l->epoll < 0)
		err = ox_err_r(-errno, "rules: no event loop: %m");
	else if (path && (!l->path || access(l->path, F_OK)))
		err = ox_err_r(-EILSEQ, "rules: %s: %m", path);
	else
		err = load(l, &l->rules);
	if (err == -ENOENT) {
		l->rules = calloc(1, sizeof(*l->rules));
		err = l->rules ? 0 : ox_err_r(-ENOMEM, "no memory");
	}
	if (err)
		ox_live_free(l);
	else
		*ret = l;
	return err;
}

int ox_live_start(struct ox_live *l, struct ox_engine *e)
{
	int err = watch_fd(l, l->timer) ?: watch_fd(l, l->inotify);

	if (err)
		return ox_err_r(err, "rules: epoll: %s", strerror(-err));
	l->engine = e;
	l->config = e->config;
	l->prio_map = ox_engine_map(e, "oomx_prio");
	l->names_map = ox_engine_map(e, "oomx_rules");
	l->groups_map = ox_engine_map(e, "oomx_groups");
	l->shields_map = ox_engine_map(e, "oomx_shields");
	l->raised_map = ox_engine_map(e, "oomx_raised");
	l->load = last_load(l->names_map);
	ox_rules_watch(l->inotify, l->path);
	err = apply_all(l);
	if (!err)
		tell_protected(l);
	return err;
}

void ox_live_between(struct ox_live *l, void (*between)(void *ctx), void *ctx)
{
	l->between = between;
	l->between_ctx = ctx;
}

int ox_live_fd(const struct ox_live *l)
{
	return l->epoll;
}

static void on_timer(struct ox_live *l)
{
	struct late due[64];
	unsigned int i, n = 0;
	char path[PATH_MAX];
	__u64 now = ox_now_ns(), expired;

	(void)!read(l->timer, &expired, sizeof(expired)); /* what is due says it better */
	if (l->again)
		(void)apply_all(l); /* said what failed; the next one may do */
	if (l->settle_ns && l->settle_ns <= now) {
		l->settle_ns = 0;
		reload(l, /* asked= */ false);
	}
	for (i = 0; i < l->n_late && n < 64; i++) {
		if (l->late[i].due_ns > now)
			continue;
		due[n++] = l->late[i];
		l->late[i--] = l->late[--l->n_late];
	}
	for (i = 0; i < n; i++)
		if (!ox_cgroup_path_by_id(due[i].id, path, sizeof(path)))
			apply(l, path, due[i].id, due[i].tries);
	set_timer(l);
}

void ox_live_work(struct ox_live *l)
{
	struct epoll_event ev[4];
	int i, n = epoll_wait(l->epoll, ev, 4, 0);

	for (i = 0; i < n; i++) {
		if (ev[i].data.fd == l->timer) {
			on_timer(l);
		} else if (ev[i].data.fd == l->inotify) {
			if (!ox_rules_changed(l->inotify, l->path) || l->settle_ns)
				continue;
			l->settle_ns = ox_now_ns() + SETTLE_NS;
			set_timer(l);
		} else {
			ox_procs_work(l->procs);
		}
	}
}

void ox_live_reload(struct ox_live *l)
{
	reload(l, /* asked= */ true);
}

void ox_live_reapply(struct ox_live *l)
{
	(void)apply_all(l); /* said what failed */
}

void ox_live_undo(struct ox_live *l)
{
	unsigned int failed = l->config ? ox_oom_group_restore(l->groups_map) : 0;
	unsigned int failed_shields =
		l->config ? ox_shields_restore(l->shields_map, l->raised_map) : 0;

	if (failed_shields)
		ox_err("%u oom_score_adj could not be set to -1000 again", failed_shields);
	if (failed)
		ox_err("%u memory.oom.group could not be put back", failed);
}

void ox_live_forget(const struct ox_engine *e)
{
	/* a reading that no entry is of */
	struct ox_live none = { .prio_map = ox_engine_map(e, "oomx_prio"), .load = ~0U,
				.groups_map = ox_engine_map(e, "oomx_groups") };
	unsigned int failed = ox_oom_group_restore(none.groups_map);
	unsigned int failed_shields = ox_shields_restore(ox_engine_map(e, "oomx_shields"),
							 ox_engine_map(e, "oomx_raised"));

	sweep(&none);
	if (failed_shields)
		ox_err("%u oom_score_adj could not be set to -1000 again", failed_shields);
	if (failed)
		ox_err("%u memory.oom.group could not be put back", failed);
}

void ox_live_free(struct ox_live *l)
{
	if (!l)
		return;
	ox_procs_free(l->procs);
	if (l->timer >= 0)
		(void)close(l->timer);
	if (l->inotify >= 0)
		(void)close(l->inotify);
	if (l->epoll >= 0)
		(void)close(l->epoll);
	ox_rules_free(l->rules);
	free(l->path);
	free(l);
}
