/* SPDX-License-Identifier: GPL-2.0-only */
/* emit.bpf.h - records: reserve, fill every byte, submit; what does not fit is counted. */
#ifndef OOMX_EMIT_BPF_H
#define OOMX_EMIT_BPF_H

#include <oomx/state.bpf.h>

#define ox_emit_reserve(ring, rectype, rec)                                                        \
	({                                                                                         \
		(rec) = bpf_ringbuf_reserve(&ring, sizeof(*(rec)), 0);                             \
		if (rec)                                                                           \
			ox_emit_header(&(rec)->hdr, rectype, sizeof(*(rec)));                      \
		else                                                                               \
			ox_count(dropped[rectype]);                                                \
		(rec) != NULL;                                                                     \
	})

#define ox_emit_submit(rectype, rec)                                                               \
	do {                                                                                       \
		bpf_ringbuf_submit(rec, 0);                                                        \
		ox_count(sent[rectype]);                                                           \
	} while (0)

static __always_inline void ox_emit_header(struct oomx_rec_hdr *h, u32 type, u32 size)
{
	struct oomx_config *cfg = ox_config();

	h->type = type;
	h->size = size;
	h->abi = OOMX_ABI;
	h->hook = cfg ? cfg->hook : 0;
	h->decision = ox_now.decision;
	h->ktime_ns = bpf_ktime_get_ns();
}

static __always_inline void ox_emit_comm(char *to, struct task_struct *t)
{
	__builtin_memset(to, 0, OOMX_COMM_LEN);
	if (t)
		bpf_probe_read_kernel_str(to, OOMX_COMM_LEN, t->comm);
}

static __always_inline void ox_emit_who(struct oomx_who *w, struct task_struct *t, s32 adj,
					struct ox_seat *s)
{
	struct cgroup *cgrp = BPF_CORE_READ(t, cgroups, dfl_cgrp);

	w->pid = BPF_CORE_READ(t, tgid);
	w->uid = BPF_CORE_READ(t, real_cred, uid.val);
	w->oom_score_adj = adj;
	w->_pad = 0;
	w->start_ns = BPF_CORE_READ(t, group_leader, start_boottime);
	w->cgroup_id = cgrp ? BPF_CORE_READ(cgrp, kn, id) : 0;
	/* the process's name, as dmesg's "Killed process" gives that of the thread it found */
	ox_emit_comm(w->comm, t);
	ox_cgroup_path(w->path, cgrp, &s->path);
}

/* The OOM itself: once, before its first kill. Called under oom_lock. */
static __noinline int ox_emit_oom(struct ox_seat *s)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	struct oomx_rec_oom *r;
	struct mem_cgroup *memcg;

	if (!ox_emit_reserve(oomx_vital, OOMX_REC_OOM, r))
		return 0;
	ox_emit_who(&r->trigger, cur, BPF_CORE_READ(cur, signal, oom_score_adj), s);
	r->constraint = s->dom.constraint;
	r->order = s->dom.order;
	r->gfp = s->dom.gfp;
	r->n_candidates = s->n_offered;
	r->n_tasks = s->n_tasks;
	r->_pad = 0;
	r->domain_pages = s->dom.pages;
	r->rank_ns = s->rank_ns;
	r->domain_id = 0;
	r->limit_pages = 0;
	r->usage_pages = 0;
	if (s->dom.css) {
		struct cgroup_subsys_state *css = s->dom.css;

		memcg = ox_css_memcg(css);
		r->domain_id = ox_css_cgroup_id(css);
		r->limit_pages = BPF_CORE_READ(memcg, memory.max);
		r->usage_pages = BPF_CORE_READ(memcg, memory.usage.counter);
		ox_cgroup_path(r->domain_path, BPF_CORE_READ(css, cgroup), &s->path);
	} else {
		__builtin_memset(r->domain_path, 0, sizeof(r->domain_path));
	}
	ox_emit_submit(OOMX_REC_OOM, r);
	return 0;
}

static __noinline int ox_emit_candidates(struct ox_seat *s)
{
	struct oomx_rec_candidates *r;

	if (!ox_emit_reserve(oomx_bulk, OOMX_REC_CANDIDATES, r))
		return 0;
	ox_top_complete(s);
	r->n = s->n_top;
	r->n_offered = s->n_offered;
	r->stride = sizeof(struct oomx_candidate);
	r->_pad = 0;
	bpf_probe_read_kernel(r->top, sizeof(r->top), s->top);
	ox_emit_submit(OOMX_REC_CANDIDATES, r);
	return 0;
}

#endif
