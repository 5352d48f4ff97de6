// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/event.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[OOMX_REC_MAX] = {
	[OOMX_REC_OOM] = "oom",		  [OOMX_REC_KILL] = "kill",
	[OOMX_REC_KERNEL_KILL] = "kernel_kill", [OOMX_REC_FREED] = "freed",
	[OOMX_REC_ABSTAIN] = "abstain",	  [OOMX_REC_CANDIDATES] = "candidates",
};

/* The first thing found wrong with an event. */
static struct {
	char *why;
	size_t size;
	bool wrong;
} verdict;

static void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list ap;

	if (verdict.wrong)
		return;
	verdict.wrong = true;
	va_start(ap, fmt);
	vsnprintf(verdict.why, verdict.size, fmt, ap);
	va_end(ap);
}

const char *event_name(unsigned int type)
{
	return type < OOMX_REC_MAX && names[type] ? names[type] : "unknown";
}

static int64_t number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		return json_integer_value(v);
	if (!json_is_null(v))
		wrong("\"%s\" is %s", key, v ? "not a number" : "missing");
	return EVENT_NONE;
}

/* 0 and 1 do as well. */
static bool truth(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_boolean(v) && !json_is_integer(v))
		wrong("\"%s\" is %s", key, v ? "neither true nor false" : "missing");
	return json_is_true(v) || (json_is_integer(v) && json_integer_value(v));
}

static void string(const json_t *o, const char *key, char *buf, size_t size)
{
	const json_t *v = json_object_get(o, key);

	buf[0] = '\0';
	if (json_is_string(v))
		snprintf(buf, size, "%s", json_string_value(v));
	else if (!json_is_null(v))
		wrong("\"%s\" is %s", key, v ? "not a string" : "missing");
}

static pid_t pid(const json_t *o, const char *key)
{
	int64_t v = number(o, key);

	return v == EVENT_NONE ? 0 : (pid_t)v;
}

static const json_t *object(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_object(v))
		wrong("\"%s\" is %s", key, v ? "not an object" : "missing");
	return v;
}

static void who(const json_t *o, const char *key, struct event_who *w)
{
	const json_t *v = object(o, key);

	w->pid = pid(v, "pid");
	w->adj = number(v, "oom_score_adj");
	w->start_ns = number(v, "start_ns");
	w->cgroup_id = number(v, "cgroup_id");
	(void)number(v, "uid");
	string(v, "comm", w->comm, sizeof(w->comm));
	string(v, "cgroup", w->cgroup, sizeof(w->cgroup));
}

static void string_or_null(const json_t *o, const char *key, char *buf, size_t size)
{
	string(o, key, buf, size);
	if (!buf[0])
		snprintf(buf, size, "(null)");
}

static void container(const json_t *o, const char *key, struct event_container *c)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_null(v)) {
		*c = (struct event_container){ "(null)", "(null)", "(null)", "(null)", "(null)",
					       "(null)", false };
		return;
	}
	v = object(o, key);
	string_or_null(v, "runtime", c->runtime, sizeof(c->runtime));
	string_or_null(v, "id", c->id, sizeof(c->id));
	string_or_null(v, "name", c->name, sizeof(c->name));
	string_or_null(v, "image", c->image, sizeof(c->image));
	string_or_null(v, "pod_uid", c->pod_uid, sizeof(c->pod_uid));
	string_or_null(v, "qos", c->qos, sizeof(c->qos));
	c->confirmed = truth(v, "confirmed");
}

static void parse_oom(const json_t *o, struct event *e)
{
	char domain[16];

	who(o, "trigger", &e->who);
	string(o, "domain", domain, sizeof(domain));
	e->global = !strcmp(domain, "global");
	if (!e->global && strcmp(domain, "memcg"))
		wrong("\"domain\" is \"%s\"", domain);
	e->domain_id = number(o, "domain_id");
	string(o, "domain_cgroup", e->domain_cgroup, sizeof(e->domain_cgroup));
	e->candidates = number(o, "candidates");
	e->tasks = number(o, "tasks");
	e->domain_pages = number(o, "domain_pages");
	container(o, "container", &e->container);
	container(o, "trigger_container", &e->trigger_container);
	(void)number(o, "limit_pages");
	(void)number(o, "usage_pages");
	(void)number(o, "rank_ns");
	(void)number(o, "order");
	if (!json_object_get(o, "constraint") || !json_object_get(o, "gfp"))
		wrong("\"constraint\" or \"gfp\" is missing");
}

static void parse_kill(const json_t *o, struct event *e)
{
	const json_t *would = json_object_get(o, "would");

	who(o, "victim", &e->who);
	e->badness = number(o, "badness");
	e->points = number(o, "points");
	e->group = truth(o, "group");
	e->agreed = truth(o, "agreed");
	e->signalled = truth(o, "signalled");
	e->trigger_pid = pid(o, "trigger_pid");
	e->latency_ns = number(o, "latency_ns");
	e->wait_ns = number(o, "wait_ns");
	e->domain_id = number(o, "domain_id");
	container(o, "container", &e->container);
	string(o, "rule_name", e->rule, sizeof(e->rule));
	if (!e->rule[0])
		snprintf(e->rule, sizeof(e->rule), "(none)");
	(void)object(o, "facts");
	if (!json_object_get(o, "policy") || !json_object_get(o, "policy_hash"))
		wrong("\"policy\" or \"policy_hash\" is missing");
	if (!would)
		wrong("\"would\" is missing");
	if (!json_is_null(would)) {
		e->would_pid = pid(would, "pid");
		e->would_points = number(would, "points");
	}
}

static void parse_freed(const json_t *o, struct event *e)
{
	e->pid = pid(o, "pid");
	e->start_ns = number(o, "start_ns");
	e->pages = number(o, "pages");
	e->mm_gone_ns = number(o, "mm_gone_ns");
	e->room_ns = number(o, "room_ns");
	e->domain_id = number(o, "domain_id");
}

static void parse_abstain(const json_t *o, struct event *e)
{
	const json_t *wanted = json_object_get(o, "wanted");

	string(o, "reason", e->reason, sizeof(e->reason));
	if (!wanted)
		wrong("\"wanted\" is missing");
	if (!json_is_null(wanted))
		e->pid = pid(wanted, "pid");
	e->rival_pid = pid(o, "rival_pid");
	e->domain_id = number(o, "domain_id");
	e->wait_ns = number(o, "wait_ns");
}

static void parse_candidates(const json_t *o, struct event *e)
{
	const json_t *list = json_object_get(o, "candidates"), *v;
	size_t i;

	e->offered = number(o, "offered");
	if (!json_is_array(list) || json_array_size(list) > OOMX_TOP_K) {
		wrong("\"candidates\" is not a list of at most %d", OOMX_TOP_K);
		return;
	}
	e->n_top = (unsigned int)json_array_size(list);
	for (i = 0; i < e->n_top; i++) {
		v = json_array_get(list, i);
		e->top[i].pid = pid(v, "pid");
		e->top[i].badness = number(v, "badness");
		e->top[i].points = number(v, "points");
		string(v, "comm", e->top[i].comm, sizeof(e->top[i].comm));
		(void)number(v, "start_ns");
		(void)object(v, "facts");
	}
}

static void parse_any(const json_t *o, struct event *e)
{
	if (number(o, "abi") != OOMX_ABI)
		wrong("\"abi\" is not %d", OOMX_ABI);
	string(o, "hook", e->hook, sizeof(e->hook));
	e->decision = number(o, "decision");
	e->ktime_ns = number(o, "ktime_ns");
	if (!json_object_get(o, "time"))
		wrong("\"time\" is missing");
	e->again = json_object_get(o, "again") && truth(o, "again");

	switch (e->type) {
	case OOMX_REC_OOM:
		parse_oom(o, e);
		break;
	case OOMX_REC_KILL:
	case OOMX_REC_KERNEL_KILL:
		parse_kill(o, e);
		break;
	case OOMX_REC_FREED:
		parse_freed(o, e);
		break;
	case OOMX_REC_ABSTAIN:
		parse_abstain(o, e);
		break;
	case OOMX_REC_CANDIDATES:
		parse_candidates(o, e);
		break;
	}
}

int event_parse(const char *line, struct event *ret, char *ret_why, size_t size)
{
	json_error_t error;
	json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	char type[16];
	unsigned int i;

	memset(ret, 0, sizeof(*ret));
	verdict.why = ret_why;
	verdict.size = size;
	verdict.wrong = false;
	if (!o) {
		wrong("no JSON: %s at column %d", error.text, error.column);
		return -EINVAL;
	}
	string(o, "type", type, sizeof(type));
	for (i = 1; i < OOMX_REC_MAX; i++) {
		if (!strcmp(type, names[i]))
			ret->type = i;
	}
	if (ret->type)
		parse_any(o, ret);
	json_decref(o);
	return verdict.wrong ? -EINVAL : 0;
}

bool event_comm_is(const char *event_comm, const char *kernel_comm)
{
	static const char replaced[] = "\xef\xbf\xbd"; /* U+FFFD */
	const char *e = event_comm, *k = kernel_comm;

	while (*k) {
		if (*e == *k)
			e++;
		else if (*k & 0x80 && !strncmp(e, replaced, 3))
			e += 3;
		else
			return false;
		k++;
	}
	return !*e;
}

void event_describe(const struct event *e, char *buf, size_t size)
{
	switch (e->type) {
	case OOMX_REC_OOM:
		snprintf(buf, size, "oom by %s (%d) in %s", e->who.comm, e->who.pid,
			 e->global ? "the machine" : e->domain_cgroup);
		break;
	case OOMX_REC_KILL:
	case OOMX_REC_KERNEL_KILL:
		snprintf(buf, size, "%s%s of %s (%d), %lld points, %s, would %d, waited %lld us",
			 event_name(e->type), e->group ? " (group)" : "", e->who.comm, e->who.pid,
			 (long long)e->points, e->agreed ? "agreed" : "not agreed", e->would_pid,
			 (long long)e->wait_ns / 1000);
		break;
	case OOMX_REC_ABSTAIN:
		snprintf(buf, size, "abstain: %s, wanted %d, rival %d, waited %lld us", e->reason,
			 e->pid, e->rival_pid, (long long)e->wait_ns / 1000);
		break;
	case OOMX_REC_FREED:
		snprintf(buf, size, "freed of %d: %lld pages, gone after %lld us, room after %lld us",
			 e->pid, (long long)e->pages, (long long)e->mm_gone_ns / 1000,
			 e->room_ns == EVENT_NONE ? -1 : (long long)e->room_ns / 1000);
		break;
	default:
		snprintf(buf, size, "%s: %lld offered, first %s (%d)", event_name(e->type),
			 (long long)e->offered, e->n_top ? e->top[0].comm : "none",
			 e->n_top ? e->top[0].pid : 0);
	}
}
