/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* policy_rows.h - made-up facts and what the policies are to say of them, for suite_bpf. */
#ifndef SUITE_POLICY_ROWS_H
#define SUITE_POLICY_ROWS_H

#include <oomx/facts.h>

#define P39 (1ull << 39)

/* The same formulas once more, modulo 2^64 as the kernel's own arithmetic is. */
static __s64 badness(const struct oomx_facts *f)
{
	__u64 pages = f->anon_pages + f->file_pages + f->shmem_pages + f->swap_pages +
		      f->pgtable_pages;

	return (__s64)(pages + (__u64)(__s64)f->oom_score_adj * (f->domain_pages / 1000));
}

static __s64 lexical(__s64 major, __s64 minor)
{
	const __s64 lim = (__s64)P39 - 1;

	minor = minor > lim ? lim : minor < -lim ? -lim : minor;
	return (__s64)(((__u64)major << 40) + (__u64)minor);
}

static __s64 priority(const struct oomx_facts *f)
{
	__u64 pages = f->anon_pages + f->file_pages + f->shmem_pages + f->swap_pages +
		      f->pgtable_pages;
	__s64 weighted = (__s64)((__u64)badness(f) - pages / 1000 * f->memcg_protection +
				 (__u64)(__s64)f->weight * (f->domain_pages / 1000));

	return lexical(f->class * 2001ll - f->priority, weighted);
}

static __s64 newest(const struct oomx_facts *f)
{
	__u64 minutes = f->age_ns / 60000000000ull, most = (1u << 22) - 1;

	return lexical(-(__s64)(minutes > most ? most : minutes), badness(f));
}

struct row {
	const char *what;
	struct oomx_facts f;
	__s64 want;
};

/* Worst first. Domain: 1 GiB, or as it says. */
#define GIB 262144ull
#define MIN 60000000000ull
static const struct row kernel_rows[] = {
	{ "most pages there can be", { .anon_pages = 1ull << 62 }, 1ll << 62 },
	{ "2^39 pages", { .anon_pages = P39 }, 1ll << 39 },
	{ "adj 1000, all of it",
	  { .anon_pages = GIB, .domain_pages = GIB, .oom_score_adj = 1000 }, 262144 + 262000 },
	{ "adj 1000, a page",
	  { .anon_pages = 1, .domain_pages = GIB, .oom_score_adj = 1000 }, 262001 },
	{ "each kind counts",
	  { .anon_pages = 1, .file_pages = 20, .shmem_pages = 300, .swap_pages = 4000,
	    .pgtable_pages = 50000, .total_vm_pages = 7, .domain_pages = GIB }, 54321 },
	{ "a sum that goes round, as the kernel's would",
	  { .anon_pages = 2616, .domain_pages = ~0ull, .oom_score_adj = 1000 }, 2000 },
	{ "one page more", { .anon_pages = 1001, .domain_pages = GIB }, 1001 },
	{ "than that", { .file_pages = 1000, .domain_pages = GIB }, 1000 },
	{ "adj 1000 of 999 pages is nothing",
	  { .anon_pages = 10, .domain_pages = 999, .oom_score_adj = 1000 }, 10 },
	{ "nothing at all", {}, 0 },
	{ "below nothing", { .domain_pages = GIB, .oom_score_adj = -1 }, -262 },
	{ "far below", { .domain_pages = GIB, .oom_score_adj = -999 }, -261738 },
};

#define WANT(major, minor) ((major) * (1ll << 40) + (minor))
static const struct row priority_rows[] = {
	{ "class 1000, least important", { .class = 1000, .priority = -1000 }, WANT(2002000, 0) },
	{ "class 1, most important", { .class = 1, .priority = 1000 }, WANT(1001, 0) },
	{ "least important, nothing", { .priority = -1000 }, WANT(1000, 0) },
	{ "one more important, 2^39",
	  { .priority = -999, .anon_pages = P39 }, WANT(999, (1ll << 39) - 1) },
	{ "below the default", { .priority = -1, .oom_score_adj = -999, .domain_pages = P39 },
	  WANT(1, -549206057187ll) },
	{ "preferred", { .weight = 100, .domain_pages = GIB, .anon_pages = 1 }, WANT(0, 26201) },
	{ "default, half of it protected",
	  { .anon_pages = 5000, .memcg_protection = 500 }, WANT(0, 2500) },
	{ "default, larger", { .anon_pages = 2 }, WANT(0, 2) },
	{ "default, smaller", { .anon_pages = 1 }, WANT(0, 1) },
	{ "default, all of it protected",
	  { .anon_pages = 100000, .memcg_protection = 1000 }, WANT(0, 0) },
	{ "default, shielded", { .oom_score_adj = -1, .domain_pages = GIB }, WANT(0, -262) },
	{ "avoided", { .weight = -100, .domain_pages = GIB, .anon_pages = 1 }, WANT(0, -26199) },
	{ "important, with 2^62 pages",
	  { .priority = 1, .anon_pages = 1ull << 62 }, WANT(-1, (1ll << 39) - 1) },
	{ "most important, adj 1000",
	  { .priority = 1000, .oom_score_adj = 1000, .domain_pages = GIB }, WANT(-1000, 262000) },
	{ "most important", { .priority = 1000 }, WANT(-1000, 0) },
};

static const struct row newest_rows[] = {
	{ "just started, small", { .age_ns = 0, .anon_pages = 1 }, WANT(0, 1) },
	{ "the same minute, smaller", { .age_ns = MIN - 1 }, WANT(0, 0) },
	{ "the next, 2^39", { .age_ns = MIN, .anon_pages = P39 }, WANT(-1, (1ll << 39) - 1) },
	{ "the next, small", { .age_ns = 2 * MIN - 1, .anon_pages = 1 }, WANT(-1, 1) },
	{ "eight years, large",
	  { .age_ns = ~0ull, .anon_pages = P39 }, WANT(-((1ll << 22) - 1), (1ll << 39) - 1) },
	{ "eight years, small", { .age_ns = ~0ull }, WANT(-((1ll << 22) - 1), 0) },
};

#endif
