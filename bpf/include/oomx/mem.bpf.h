/* SPDX-License-Identifier: GPL-2.0-only */
/* mem.bpf.h - the counters of an address space, as oom_badness() reads them. */
#ifndef OOMX_MEM_BPF_H
#define OOMX_MEM_BPF_H

#include <oomx/compat.bpf.h>
#include <oomx/symbols.bpf.h>

/* include/linux/mm_types_task.h, 6.1 to 7.3 */
#define OX_MM_FILEPAGES 0
#define OX_MM_ANONPAGES 1
#define OX_MM_SWAPENTS 2
#define OX_MM_SHMEMPAGES 3

/* include/linux/sched/coredump.h (6.1) and include/linux/mm_types.h (7.3) */
#define OX_MMF_OOM_SKIP 21

/* One value per CPU: adds every CPU's share. The four counters of an mm lie side by side. */
struct ox_percpu_sum {
	char *base[4];
	s64 v[4];
	bool together;
};

/* A cast must name a struct: this one is two words, whatever they are. */
static __always_inline struct timespec64 *ox_words(const void *p)
{
	return bpf_core_cast(p, struct timespec64);
}

static int ox_percpu_add(u32 cpu, struct ox_percpu_sum *s)
{
	const char *entry = ox_symbol(__per_cpu_offset) + cpu * 8UL;
	u64 off = 0;
	s32 d[4] = {};
	int i;

	if (ox_can_cast() && s->together) { /* two counters a word: little-endian */
		struct timespec64 *w = ox_words(s->base[0] + ox_words(entry)->tv_sec);
		s64 a = w->tv_sec, b = w->tv_nsec;

		s->v[0] += (s32)a;
		s->v[1] += a >> 32;
		s->v[2] += (s32)b;
		s->v[3] += b >> 32;
		return 0;
	}
	bpf_probe_read_kernel(&off, sizeof(off), entry);
	if (s->together) {
		bpf_probe_read_kernel(d, sizeof(d), s->base[0] + off);
	} else {
		for (i = 0; i < 4; i++)
			bpf_probe_read_kernel(&d[i], sizeof(d[i]), s->base[i] + off);
	}
	for (i = 0; i < 4; i++)
		s->v[i] += d[i];
	return 0;
}

/* v holds the shared parts: adds those of the CPUs. Offline CPUs hold nothing: all are added. */
static __always_inline void ox_rss_sum(struct mm_struct *mm, s64 v[4], u32 n_cpus)
{
	struct mm_struct *m = ox_cast(mm);
	struct ox_percpu_sum s = { .v = { v[0], v[1], v[2], v[3] } };
	int i;

	s.base[0] = (char *)ox_get(m, rss_stat[0].counters);
	s.base[1] = (char *)ox_get(m, rss_stat[1].counters);
	s.base[2] = (char *)ox_get(m, rss_stat[2].counters);
	s.base[3] = (char *)ox_get(m, rss_stat[3].counters);
	if (!s.base[0])
		return;
	/* 6.6 and later allocate them as one array; read it in one go where it is so */
	s.together = s.base[1] == s.base[0] + 4 && s.base[2] == s.base[0] + 8 &&
		     s.base[3] == s.base[0] + 12;
	bpf_loop(n_cpus < OOMX_CPUS_MAX ? n_cpus : OOMX_CPUS_MAX, ox_percpu_add, &s, 0);
	for (i = 0; i < 4; i++)
		v[i] = s.v[i];
}

/*
 * percpu_counter_read_positive() or percpu_counter_sum_positive() of the four counters
 * (lib/percpu_counter.c, 6.2 to 7.3).
 */
static __noinline int ox_rss_read_percpu(struct mm_struct *mm, s64 v[4], u32 mode, u32 n_cpus)
{
	struct mm_struct *m = ox_cast(mm);

	v[0] = ox_get(m, rss_stat[0].count);
	v[1] = ox_get(m, rss_stat[1].count);
	v[2] = ox_get(m, rss_stat[2].count);
	v[3] = ox_get(m, rss_stat[3].count);
	if (mode == OOMX_RSS_SUM)
		ox_rss_sum(mm, v, n_cpus);
	return 0;
}

/* What is asked, and pages by OX_MM_* */
struct ox_rss {
	struct mm_struct *mm;
	s64 v[4];
};

/*
 * Never negative, like get_mm_counter() (include/linux/mm.h). Global: the verifier then goes over
 * it once for each program, not once for each way to come to it.
 */
__noinline int ox_rss_read(struct ox_rss *rss, u32 mode, u32 n_cpus)
{
	struct mm_struct *mm;
	int i;

	if (!rss)
		return 0;
	mm = rss->mm;
	if (ox_rss_is_atomic())
		ox_rss_read_atomic(mm, rss->v);
	else
		ox_rss_read_percpu(mm, rss->v, mode, n_cpus);
	for (i = 0; i < 4; i++)
		if (rss->v[i] < 0)
			rss->v[i] = 0;
	return 0;
}

/* mm_pgtables_bytes() / PAGE_SIZE (include/linux/mm.h, 6.1 to 7.3) */
static __always_inline u64 ox_pgtable_pages(struct mm_struct *mm)
{
	return (u64)ox_read(mm, pgtables_bytes.counter) >> OX_PAGE_SHIFT;
}

/* What a kill would free: oom_badness() before oom_score_adj (mm/oom_kill.c, 6.1 to 7.3) */
static __always_inline s64 ox_mm_pages(struct mm_struct *mm, u32 mode, u32 n_cpus)
{
	struct ox_rss rss = { .mm = mm };

	ox_rss_read(&rss, mode, n_cpus);
	return rss.v[0] + rss.v[1] + rss.v[2] + rss.v[3] + ox_pgtable_pages(mm);
}

#endif
