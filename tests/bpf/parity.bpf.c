// SPDX-License-Identifier: GPL-2.0-only
/*
 * parity - what the kernel's oom_badness() returns, and what our own code makes of the same
 * process at the same instant: the very functions that the hooks rank with, so that a difference
 * here is one there. Only calls made by the suite itself (reading /proc/PID/oom_score) are looked
 * at: nothing else keeps still between the kernel's reading and ours.
 */
#include <oomx/facts.bpf.h>

#include "parity.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u32); /* process id */
	__type(value, struct parity_rec);
} parity_seen SEC(".maps");

struct parity_seat {
	struct parity_rec rec;
	struct oomx_facts facts;
	struct ox_domain dom;
	struct ox_prio_memo memo;
};

/* One reader, hence one seat. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct parity_seat);
} parity_seat SEC(".maps");

/* The points with the counters read in one given way, whatever was calibrated. */
static __noinline s64 parity_points(struct parity_seat *s, struct mm_struct *mm, u32 mode)
{
	struct oomx_config *cfg = ox_config();
	struct parity_rec *r = &s->rec;
	struct ox_rss rss = { .mm = mm };
	const s64 *v = rss.v;

	if (!cfg)
		return 0;
	ox_rss_read(&rss, mode, cfg->n_cpus);
	r->anon_pages = v[OX_MM_ANONPAGES];
	r->file_pages = v[OX_MM_FILEPAGES];
	r->shmem_pages = v[OX_MM_SHMEMPAGES];
	r->swap_pages = v[OX_MM_SWAPENTS];
	r->pgtable_pages = ox_pgtable_pages(mm);
	return v[0] + v[1] + v[2] + v[3] + r->pgtable_pages +
	       s->facts.oom_score_adj * (s64)(s->dom.pages / 1000);
}

static __noinline int parity_measure(struct parity_seat *s, struct task_struct *p,
				     unsigned long totalpages)
{
	struct parity_rec *r = &s->rec;
	struct ox_find_mm f = {};
	s32 adj = 0;

	ox_domain_init_global(&s->dom, NULL, NULL, NULL);
	r->domain_pages = s->dom.pages;
	s->dom.pages = totalpages;
	ox_memo_reset(&s->memo, s->dom.css);

	if (!ox_killable(p, &f, &adj)) {
		r->has_mm = ox_find_mm(p, &f);
		r->oom_skip = f.mm && (ox_mm_flags(f.mm) & (1UL << OX_MMF_OOM_SKIP));
		r->adj = BPF_CORE_READ(p, signal, oom_score_adj);
		r->ours = r->approx = r->sum = OX_LONG_MIN;
		return 0;
	}
	ox_facts_fill(&s->facts, p, f.mm, &s->dom, &s->memo);
	ox_facts_rest(&s->facts, ox_addr(p));
	s->facts.oom_score_adj = adj;
	r->has_mm = 1;
	r->adj = adj;
	r->ours = oomx_badness(&s->facts);
	r->approx = parity_points(s, f.mm, OOMX_RSS_APPROX);
	r->sum = parity_points(s, f.mm, OOMX_RSS_SUM); /* last: its counters are kept */
	return 0;
}

SEC("fexit/oom_badness")
int BPF_PROG(parity_badness, struct task_struct *p, unsigned long totalpages, long ret)
{
	struct oomx_config *cfg = ox_config();
	struct parity_rec *old;
	struct parity_seat *s;
	u32 zero = 0, pid, seen;

	if (!cfg || bpf_get_current_pid_tgid() >> 32 != cfg->daemon_pid)
		return 0;
	s = bpf_map_lookup_elem(&parity_seat, &zero);
	if (!s)
		return 0;
	pid = BPF_CORE_READ(p, tgid);
	old = bpf_map_lookup_elem(&parity_seen, &pid);
	seen = old ? old->seen : 0;
	__builtin_memset(&s->rec, 0, sizeof(s->rec));
	s->rec.kernel = ret;
	s->rec.totalpages = totalpages;
	s->rec.seen = seen + 1;
	bpf_probe_read_kernel_str(s->rec.comm, sizeof(s->rec.comm), p->comm);
	parity_measure(s, p, totalpages);
	bpf_map_update_elem(&parity_seen, &pid, &s->rec, BPF_ANY);
	return 0;
}
