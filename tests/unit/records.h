/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* records.h - a plausible record of each type, for tests of records. Include after cmocka.h. */
#ifndef OX_TEST_RECORDS_H
#define OX_TEST_RECORDS_H

#include "cleanup.h"
#include "record.h"

static inline void fill_who(struct oomx_who *w, __u32 pid, const char *comm)
{
	w->pid = pid;
	w->uid = 1000;
	w->start_ns = 5000000000 + pid;
	w->cgroup_id = 4242;
	memcpy(w->comm, comm, strlen(comm));
	memcpy(w->path, "web\0app.slice\0", 15);
}

static inline void fill_facts(struct oomx_facts *f)
{
	*f = (struct oomx_facts){
		.anon_pages = 25600, .pgtable_pages = 60, .total_vm_pages = 30000,
		.domain_pages = 131072, .oom_score_adj = -5, .priority = 10, .class = 1, .rule = 3,
		.age_ns = 1, .cpu_ns = 2, .uid = 1000, .flags = OOMX_FACT_PRIO_SET,
		.memcg_usage_pages = 25700, .memcg_max_pages = ~0ull, .memcg_id = 4242,
	};
}

static inline void fill_kill(struct oomx_rec_kill *r)
{
	fill_who(&r->victim, 124, "stress");
	r->badness = -7;
	r->points = 25660;
	r->trigger_pid = 123;
	r->rules_generation = 2;
	r->latency_ns = 1200000;
	r->wait_ns = 800000;
	r->domain_id = 4242;
	r->would_pid = 125;
	r->would_badness = 99;
	r->would_points = 98;
	memcpy(r->would_comm, "hog", 3);
	memcpy(r->policy, "priority", 8);
	r->policy_hash = 0xabc;
	fill_facts(&r->facts);
}

/* A plausible record of each type; its size. */
static inline size_t fill(union ox_record *r, __u32 type)
{
	static const size_t size[] = {
		[OOMX_REC_OOM] = sizeof(r->oom),
		[OOMX_REC_KILL] = sizeof(r->kill),
		[OOMX_REC_KERNEL_KILL] = sizeof(r->kill),
		[OOMX_REC_FREED] = sizeof(r->freed),
		[OOMX_REC_ABSTAIN] = sizeof(r->abstain),
		[OOMX_REC_CANDIDATES] = sizeof(r->candidates),
	};

	memset(r, 0, sizeof(*r));
	r->hdr = (struct oomx_rec_hdr){ .type = type, .size = size[type], .abi = OOMX_ABI,
					.hook = OOMX_HOOK_OBSERVE, .decision = 7, .ktime_ns = 1 };
	switch (type) {
	case OOMX_REC_OOM:
		fill_who(&r->oom.trigger, 123, "python3");
		r->oom.constraint = OOMX_CONSTRAINT_MEMCG;
		r->oom.domain_id = 4242;
		r->oom.limit_pages = r->oom.usage_pages = 131072;
		r->oom.n_candidates = 5;
		r->oom.n_tasks = 12;
		memcpy(r->oom.domain_path, "app.slice", 10);
		break;
	case OOMX_REC_KILL:
	case OOMX_REC_KERNEL_KILL:
		fill_kill(&r->kill);
		break;
	case OOMX_REC_FREED:
		r->freed.pid = 124;
		r->freed.pages = 25660;
		r->freed.room_ns = 900000;
		break;
	case OOMX_REC_ABSTAIN:
		r->abstain.reason = OOMX_ABSTAIN_OUTSCORED;
		r->abstain.wanted_pid = 124;
		memcpy(r->abstain.wanted_comm, "stress", 6);
		r->abstain.rival_pid = 9;
		break;
	case OOMX_REC_CANDIDATES:
		r->candidates.n = 2;
		r->candidates.n_offered = 5;
		r->candidates.stride = sizeof(struct oomx_candidate);
		r->candidates.top[0].pid = 1;
		r->candidates.top[1].pid = 2;
		r->candidates.top[1].badness = 1;
		fill_facts(&r->candidates.top[1].facts);
		break;
	}
	return size[type];
}

static inline json_t *get(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!v)
		fail_msg("no key '%s'", key);
	return v;
}

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

#endif
