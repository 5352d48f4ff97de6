/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records as JSON. The keys and their meaning are published: docs/events.schema.json. A key is
 * always there, null if there is nothing to say; adding keys is allowed, all else is not.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "cgroup.h"
#include "record.h"
#include "rule_names.h"

/* An object under construction. Once something has failed, nothing comes of it. */
struct object {
	json_t *json;
	bool failed;
};

static struct object object_new(void)
{
	json_t *json = json_object();

	return (struct object){ .json = json, .failed = !json };
}

static json_t *object_done(struct object *o)
{
	if (!o->failed)
		return o->json;
	json_decref(o->json);
	return NULL;
}

/* Takes the value over; NULL is a failed value. */
static void put(struct object *o, const char *key, json_t *value)
{
	if (json_object_set_new(o->json, key, value) < 0)
		o->failed = true;
}

static void put_s64(struct object *o, const char *key, __s64 v)
{
	put(o, key, json_integer(v));
}

/* JSON as most programs read it has no such number; here they all mean "none" */
static void put_u64(struct object *o, const char *key, __u64 v)
{
	put(o, key, v > INT64_MAX ? json_null() : json_integer(v));
}

/* spelt so, because a sanitizer that meets "1 << 63" in signed arithmetic stops the program */
_Static_assert(OOMX_NEVER == INT64_MIN, "what null stands for");

static void put_score(struct object *o, const char *key, __s64 v)
{
	put(o, key, v == INT64_MIN ? json_null() : json_integer(v));
}

static void put_bool(struct object *o, const char *key, bool v)
{
	put(o, key, json_boolean(v));
}

/* Up to n bytes of what need not be UTF-8 and need not be ended. */
static void put_bytes(struct object *o, const char *key, const char *s, size_t n)
{
	char clean[3 * (OX_CGROUP_RECORD_LEN) + 1];

	put(o, key, json_string(ox_utf8_clean(s, n, /* printable= */ false, clean, sizeof(clean))));
}

static void put_path(struct object *o, const char *key, const char *leaf_first)
{
	char path[OX_CGROUP_RECORD_LEN];

	if (ox_cgroup_path_from_record(leaf_first, path, sizeof(path)))
		o->failed = true;
	else
		put_bytes(o, key, path, sizeof(path));
}

/* "rule", its place in the files, and "rule_name" */
static void put_rule(struct object *o, __u32 rule)
{
	char name[OOMX_RULE_LEN];

	put_u64(o, "rule", rule & OOMX_RULE_MASK);
	if (ox_rule_name(rule, name))
		put_bytes(o, "rule_name", name, sizeof(name));
	else
		put(o, "rule_name", json_null());
}

json_t *ox_who_json(const struct oomx_who *w)
{
	struct object o = object_new();

	put_u64(&o, "pid", w->pid);
	put_u64(&o, "uid", w->uid);
	put_bytes(&o, "comm", w->comm, sizeof(w->comm));
	put_s64(&o, "oom_score_adj", w->oom_score_adj);
	put_u64(&o, "start_ns", w->start_ns);
	put_u64(&o, "cgroup_id", w->cgroup_id);
	put_path(&o, "cgroup", w->path);
	return object_done(&o);
}

json_t *ox_facts_json(const struct oomx_facts *f)
{
	struct object o = object_new();

	_Static_assert(sizeof(*f) == 152, "a new fact belongs here, and in the schema");
	put_u64(&o, "anon_pages", f->anon_pages);
	put_u64(&o, "file_pages", f->file_pages);
	put_u64(&o, "shmem_pages", f->shmem_pages);
	put_u64(&o, "swap_pages", f->swap_pages);
	put_u64(&o, "pgtable_pages", f->pgtable_pages);
	put_u64(&o, "total_vm_pages", f->total_vm_pages);
	put_u64(&o, "domain_pages", f->domain_pages);
	put_s64(&o, "oom_score_adj", f->oom_score_adj);
	put_s64(&o, "priority", f->priority);
	put_u64(&o, "class", f->class);
	put_rule(&o, f->rule);
	put_s64(&o, "weight", f->weight);
	put_u64(&o, "memcg_protection", f->memcg_protection);
	put_bool(&o, "never", f->flags & OOMX_FACT_NEVER);
	put_bool(&o, "protect", f->flags & OOMX_FACT_PROTECT);
	put_u64(&o, "age_ns", f->age_ns);
	put_u64(&o, "cpu_ns", f->cpu_ns);
	put_u64(&o, "uid", f->uid);
	put_bool(&o, "prio_set", f->flags & OOMX_FACT_PRIO_SET);
	put_bool(&o, "is_trigger", f->flags & OOMX_FACT_IS_TRIGGER);
	put_bool(&o, "origin", f->flags & OOMX_FACT_ORIGIN);
	put_u64(&o, "caps", f->caps);
	put_u64(&o, "memcg_usage_pages", f->memcg_usage_pages);
	put_u64(&o, "memcg_max_pages", f->memcg_max_pages);
	put_u64(&o, "memcg_low_pages", f->memcg_low_pages);
	put_u64(&o, "memcg_min_pages", f->memcg_min_pages);
	put_u64(&o, "memcg_id", f->memcg_id);
	return object_done(&o);
}

static void put_common(struct object *o, const struct oomx_rec_hdr *hdr)
{
	char time[OX_TIME_LEN];
	__u64 t;

	put(o, "type", json_string(ox_record_type_name(hdr->type)));
	put_u64(o, "abi", hdr->abi);
	put(o, "hook", json_string(ox_hook_name(hdr->hook)));
	put_u64(o, "decision", hdr->decision);
	if (ox_time_from_ktime(hdr->ktime_ns, &t))
		put(o, "time", json_null());
	else
		put(o, "time", json_string(ox_time_format(t, time)));
	put_u64(o, "ktime_ns", hdr->ktime_ns);
}

static void put_oom(struct object *o, const struct oomx_rec_oom *r)
{
	put(o, "trigger", ox_who_json(&r->trigger));
	put(o, "domain", json_string(r->domain_id ? "memcg" : "global"));
	put_u64(o, "domain_id", r->domain_id);
	if (r->domain_id)
		put_path(o, "domain_cgroup", r->domain_path);
	else
		put(o, "domain_cgroup", json_null());
	put(o, "constraint", json_string(ox_constraint_name(r->constraint)));
	put_s64(o, "order", r->order);
	put_u64(o, "gfp", r->gfp);
	put_u64(o, "candidates", r->n_candidates);
	put_u64(o, "tasks", r->n_tasks);
	put_u64(o, "domain_pages", r->domain_pages);
	put_u64(o, "limit_pages", r->limit_pages);
	put_u64(o, "usage_pages", r->usage_pages);
	put_u64(o, "rank_ns", r->rank_ns);
}

static json_t *would_json(const struct oomx_rec_kill *r)
{
	struct object o;

	if (!r->would_pid)
		return json_null();
	o = object_new();
	put_u64(&o, "pid", r->would_pid);
	put_bytes(&o, "comm", r->would_comm, sizeof(r->would_comm));
	put_score(&o, "badness", r->would_badness);
	put_score(&o, "points", r->would_points);
	return object_done(&o);
}

static void put_kill(struct object *o, const struct oomx_rec_kill *r)
{
	char hash[16 + 1];

	(void)snprintf(hash, sizeof(hash), "%016" PRIx64, (uint64_t)r->policy_hash); /* fits */
	put(o, "victim", ox_who_json(&r->victim));
	put_score(o, "badness", r->badness);
	put_score(o, "points", r->points);
	put_bool(o, "group", r->group);
	put_bool(o, "agreed", r->agreed);
	put_u64(o, "trigger_pid", r->trigger_pid);
	put_u64(o, "rules_generation", r->rules_generation);
	put_rule(o, r->facts.rule);
	put_s64(o, "priority", r->facts.priority);
	put_u64(o, "latency_ns", r->latency_ns);
	put_u64(o, "wait_ns", r->wait_ns);
	put_u64(o, "domain_id", r->domain_id);
	put_bytes(o, "policy", r->policy, sizeof(r->policy));
	put(o, "policy_hash", json_string(hash));
	put(o, "signalled", json_boolean(r->flags & OOMX_KILL_SIGNALLED));
	put(o, "would", would_json(r));
	put(o, "facts", ox_facts_json(&r->facts));
}

static void put_freed(struct object *o, const struct oomx_rec_freed *r)
{
	put_u64(o, "pid", r->pid);
	put_u64(o, "start_ns", r->start_ns);
	put_u64(o, "pages", r->pages);
	put_u64(o, "mm_gone_ns", r->mm_gone_ns);
	if (r->room_ns)
		put_u64(o, "room_ns", r->room_ns);
	else
		put(o, "room_ns", json_null());
	put_u64(o, "domain_id", r->domain_id);
}

static json_t *wanted_json(const struct oomx_rec_abstain *r)
{
	struct object o;

	if (!r->wanted_pid)
		return json_null();
	o = object_new();
	put_u64(&o, "pid", r->wanted_pid);
	put_bytes(&o, "comm", r->wanted_comm, sizeof(r->wanted_comm));
	put_score(&o, "badness", r->wanted_badness);
	return object_done(&o);
}

static void put_abstain(struct object *o, const struct oomx_rec_abstain *r)
{
	put(o, "reason", json_string(ox_abstain_name(r->reason)));
	put(o, "wanted", wanted_json(r));
	put(o, "rival_pid", r->rival_pid ? json_integer(r->rival_pid) : json_null());
	put_u64(o, "domain_id", r->domain_id);
	put_u64(o, "wait_ns", r->wait_ns);
}

static json_t *candidate_json(const struct oomx_candidate *c)
{
	struct object o = object_new();

	put_u64(&o, "pid", c->pid);
	put_bytes(&o, "comm", c->comm, sizeof(c->comm));
	put_u64(&o, "start_ns", c->start_ns);
	put_score(&o, "badness", c->badness);
	put_score(&o, "points", c->points);
	put(&o, "facts", ox_facts_json(&c->facts));
	return object_done(&o);
}

static void put_candidates(struct object *o, const struct oomx_rec_candidates *r)
{
	json_t *list = json_array();

	for (__u32 i = 0; i < r->n; i++)
		if (json_array_append_new(list, candidate_json(&r->top[i])) < 0)
			o->failed = true;
	put_u64(o, "offered", r->n_offered);
	put(o, "candidates", list);
}

json_t *ox_record_json(const void *rec, size_t size)
{
	union ox_record r;
	struct object o;

	if (ox_record_load(rec, size, &r))
		return NULL;

	o = object_new();
	put_common(&o, &r.hdr);
	if (ox_attached_mark(rec, size, OOMX_ATTACH_AGAIN))
		put(&o, "again", json_true());
	switch (r.hdr.type) {
	case OOMX_REC_OOM:
		put_oom(&o, &r.oom);
		put(&o, "container", ox_attached_json(rec, size, OOMX_ATTACH_CONTAINER));
		put(&o, "trigger_container", ox_attached_json(rec, size, OOMX_ATTACH_TRIGGER));
		break;
	case OOMX_REC_KILL:
	case OOMX_REC_KERNEL_KILL:
		put_kill(&o, &r.kill);
		put(&o, "container", ox_attached_json(rec, size, OOMX_ATTACH_CONTAINER));
		break;
	case OOMX_REC_FREED:
		put_freed(&o, &r.freed);
		break;
	case OOMX_REC_ABSTAIN:
		put_abstain(&o, &r.abstain);
		break;
	case OOMX_REC_CANDIDATES:
		put_candidates(&o, &r.candidates);
		break;
	}
	return object_done(&o);
}
