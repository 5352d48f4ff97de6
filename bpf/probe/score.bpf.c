// SPDX-License-Identifier: GPL-2.0-only
/*
 * score - what the policy says of every process now, from the very code that decides: the same
 * eligibility, facts and policy, run by the task iterator instead of by an OOM. One record a
 * process; reading the iterator runs it.
 */
#include <oomx/facts.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct oomx_score_args);
} oomx_score_args SEC(".maps");

struct ox_score_seat {
	struct oomx_score_rec rec;
	struct ox_domain dom;
	struct ox_prio_memo memo;
	struct ox_path path;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ox_score_seat);
} oomx_score_seat SEC(".maps");

/* The ancestor memcg with this cgroup id, or NULL. */
static __noinline u64 ox_memcg_by_id(struct cgroup_subsys_state *css, u64 id)
{
	int i;

	for (i = 0; i < OOMX_DEPTH_MAX && css; i++) {
		if (ox_css_cgroup_id(css) == id)
			return (u64)css;
		css = BPF_CORE_READ(css, parent);
	}
	return 0;
}

static __always_inline void ox_score_who(struct ox_score_seat *s, struct task_struct *t)
{
	struct cgroup *cgrp = BPF_CORE_READ(t, cgroups, dfl_cgrp);
	struct oomx_who *w = &s->rec.who;

	__builtin_memset(w, 0, sizeof(*w));
	w->pid = BPF_CORE_READ(t, tgid);
	w->uid = BPF_CORE_READ(t, real_cred, uid.val);
	w->start_ns = BPF_CORE_READ(t, start_boottime);
	w->oom_score_adj = ox_adj_of_owner(w->pid, w->start_ns,
					   BPF_CORE_READ(t, signal, oom_score_adj));
	w->cgroup_id = cgrp ? BPF_CORE_READ(cgrp, kn, id) : 0;
	bpf_probe_read_kernel_str(w->comm, sizeof(w->comm), t->comm);
	ox_cgroup_path(w->path, cgrp, &s->path);
}

SEC("iter/task")
int ox_score(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	struct oomx_score_args *args;
	struct ox_score_seat *s;
	struct ox_find_mm f = {};
	u32 zero = 0;
	s32 adj = 0;

	args = bpf_map_lookup_elem(&oomx_score_args, &zero);
	s = bpf_map_lookup_elem(&oomx_score_seat, &zero);
	if (!t || !args || !s || t->pid != t->tgid || (t->flags & OX_PF_KTHREAD))
		return 0;
	__builtin_memset(&s->dom, 0, sizeof(s->dom));
	s->dom.pages = ox_symbol_u64(ox_symbol(_totalram_pages)) +
		       ox_symbol_u64(ox_symbol(total_swap_pages));
	if (args->domain_id) {
		s->dom.css = (void *)ox_memcg_by_id(ox_task_memcg(t), args->domain_id);
		if (!s->dom.css)
			return 0;
		s->dom.pages = ox_memcg_pages(s->dom.css);
	}
	ox_score_who(s, t);
	s->rec._pad = 0;
	s->rec.eligible = ox_killable(t, &f, &adj);
	s->rec.badness = OOMX_NEVER;
	s->rec.points = OX_LONG_MIN;
	__builtin_memset(&s->rec.facts, 0, sizeof(s->rec.facts));
	ox_memo_reset(&s->memo, s->dom.css);
	if (f.mm) {
		ox_facts_fill(&s->rec.facts, t, f.mm, &s->dom, &s->memo);
		ox_facts_rest(&s->rec.facts, ox_addr(t));
		s->rec.facts.oom_score_adj = s->rec.who.oom_score_adj;
	}
	if (s->rec.eligible) {
		s->rec.points = oomx_badness(&s->rec.facts);
		s->rec.badness = ox_policy_badness(&s->rec.facts);
	}
	bpf_seq_write(ctx->meta->seq, &s->rec, sizeof(s->rec));
	return 0;
}
