/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * policy.h - the contract of a policy: the one header its author includes.
 *
 *	#include <oomx/policy.h>
 *
 *	OOMX_POLICY(biggest_swap)
 *	{
 *		return f->swap_pages;
 *	}
 *
 * The body gets `const struct oomx_facts *f` (never NULL) and returns a badness: higher dies
 * first, OOMX_NEVER is never chosen. It is called once per candidate, inside the kernel, under
 * oom_lock: no maps, no calls of the kernel, no state between calls. Division is unsigned only
 * (BPF before -mcpu=v4 has no signed one); use oomx_div() for signed numbers.
 *
 * Candidates that the kernel itself would not kill (init, kernel threads, oom_score_adj -1000,
 * other OOM domains, ...) are never chosen, and hardly ever offered: what tells them apart may be
 * asked only of those whose badness matters. Among equals the youngest dies.
 */
#ifndef OOMX_POLICY_H
#define OOMX_POLICY_H

#include <oomx/facts.h>

#define OOMX_POLICY_MAGIC 0x6f6f6d78u /* "oomx" */
#define OOMX_POLICY_NAME_LEN 32

/*
 * oomx_policy_note.flags: the policy is not told age_ns, cpu_ns, uid, caps and memcg_* but for
 * memcg_protection (they are zero when it is asked): what it does not look at need not be read,
 * and ranking is faster.
 */
#define OOMX_NOTE_LEAN (1u << 0)
/* With LEAN: the policy is not told total_vm_pages either. */
#define OOMX_NOTE_NO_VM (1u << 1)

/* What `oomx` reads from the object file before it lets the kernel see it. */
struct oomx_policy_note {
	__u32 magic;
	__u32 abi;	  /* OOMX_POLICY_ABI the policy was built for */
	__u32 facts_size; /* sizeof(struct oomx_facts) it was built with */
	__u32 flags;	  /* OOMX_NOTE_* */
	char name[OOMX_POLICY_NAME_LEN];
};

/* kernel: oom_badness() points before oom_score_adj (mm/oom_kill.c, 6.1 to 7.3) */
static inline __attribute__((always_inline)) __s64 oomx_pages(const struct oomx_facts *f)
{
	return f->anon_pages + f->file_pages + f->shmem_pages + f->swap_pages + f->pgtable_pages;
}

/*
 * kernel: oom_badness() (mm/oom_kill.c, 6.1 to 7.3): the pages a kill would free, plus
 * oom_score_adj thousandths of the domain. In pages; may be negative. Hardly any process has an
 * oom_score_adj, and dividing is slow.
 */
static inline __attribute__((always_inline)) __s64 oomx_badness(const struct oomx_facts *f)
{
	__s64 pages = oomx_pages(f);

	if (f->oom_score_adj)
		pages += f->oom_score_adj * (__s64)(f->domain_pages / 1000);
	return pages;
}

/* Of oomx_pages(), its share of what memory.min and memory.low protect in its memory cgroup. */
static inline __attribute__((always_inline)) __s64 oomx_protected_pages(const struct oomx_facts *f)
{
	if (!f->memcg_protection) /* hardly any cgroup has it, and dividing is slow */
		return 0;
	return (__u64)oomx_pages(f) / 1000 * f->memcg_protection;
}

static inline __attribute__((always_inline)) __s64 oomx_clamp(__s64 v, __s64 lo, __s64 hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* signed division rounding towards zero; by 0 gives 0 */
static inline __attribute__((always_inline)) __s64 oomx_div(__s64 a, __s64 b)
{
	__u64 ua = a < 0 ? -(__u64)a : (__u64)a, ub = b < 0 ? -(__u64)b : (__u64)b;
	__u64 q = ub ? ua / ub : 0;

	return (a < 0) != (b < 0) ? -(__s64)q : (__s64)q;
}

/*
 * One strict key above another: the first decides, the second breaks its ties. `major` must be
 * within +-2^22; `minor` is clamped to +-2^39 (2 PiB in 4 KiB pages).
 */
static inline __attribute__((always_inline)) __s64 oomx_lexical(__s64 major, __s64 minor)
{
	const __s64 lim = ((__s64)1 << 39) - 1;

	return major * ((__s64)1 << 40) + oomx_clamp(minor, -lim, lim);
}

/*
 * The licence string is part of the contract: objects link only where theirs are byte-identical.
 * The body is inlined into a global function, so that the verifier checks it once, on its own,
 * for every possible fact; such a function must accept NULL (the verifier of 6.1 insists).
 */
#define OOMX_POLICY(_name) _OOMX_POLICY(_name, 0)
#define OOMX_POLICY_LEAN(_name) _OOMX_POLICY(_name, OOMX_NOTE_LEAN)
#define OOMX_POLICY_LEANEST(_name) _OOMX_POLICY(_name, OOMX_NOTE_LEAN | OOMX_NOTE_NO_VM)

#define _OOMX_POLICY(_name, _flags)                                                                \
	char _license[] __attribute__((section("license"), used)) = "GPL";                         \
	const struct oomx_policy_note oomx_policy_note __attribute__((used)) = {                   \
		.magic = OOMX_POLICY_MAGIC,                                                        \
		.abi = OOMX_POLICY_ABI,                                                            \
		.facts_size = sizeof(struct oomx_facts),                                           \
		.flags = (_flags),                                                                 \
		.name = #_name,                                                                    \
	};                                                                                         \
	static inline __attribute__((always_inline)) __s64 _oomx_rank_##_name(                     \
		const struct oomx_facts *f);                                                       \
	__attribute__((noinline)) __s64 oomx_policy_rank(const struct oomx_facts *f);              \
	__attribute__((noinline)) __s64 oomx_policy_rank(const struct oomx_facts *f)               \
	{                                                                                          \
		return f ? _oomx_rank_##_name(f) : OOMX_NEVER;                                     \
	}                                                                                          \
	static inline __attribute__((always_inline)) __s64 _oomx_rank_##_name(                     \
		const struct oomx_facts *f)

#endif
