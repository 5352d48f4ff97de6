/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.bpf.h - the fence: all that differs between kernels, asked of their BTF, never of their
 * version. Nothing outside this file contains a flavour (___).
 *
 * Each accessor that picks a form is a function of its own: inlined, the compiler merges the
 * branches, and the relocation of the form that this kernel lacks stays alive in the other.
 */
#ifndef OOMX_COMPAT_BPF_H
#define OOMX_COMPAT_BPF_H

#include <oomx/kernel.bpf.h>

/*
 * 6.2 lets programs follow pointers of their own making by loads that are as fault-safe as
 * bpf_probe_read_kernel(), a few instructions each instead of a call.
 * a35b9af4ec2c ("bpf: Add a kfunc for generic type cast"); asking for it by its address takes 6.4.
 * Drop when the oldest kernel is >= 6.4.
 */
#define ox_can_cast() bpf_ksym_exists(bpf_rdonly_cast)

/* A pointer for ox_get(): cast once what is read from more than once. */
#define ox_cast(p) (ox_can_cast() ? bpf_core_cast(p, typeof(*(p))) : (p))
/* BPF_CORE_READ() from what ox_cast() gave */
#define ox_get(p, ...) (ox_can_cast() ? ___arrow(p, __VA_ARGS__) : BPF_CORE_READ(p, __VA_ARGS__))
/* Both, where one read is all. */
#define ox_read(p, ...)                                                                            \
	({                                                                                         \
		typeof(p) _from = ox_cast(p);                                                      \
                                                                                                   \
		ox_get(_from, __VA_ARGS__);                                                        \
	})

/*
 * Before 6.2 the counters of an mm are plain atomics, then per-CPU counters.
 * f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter").
 * Drop when the oldest kernel is >= 6.2.
 */
struct mm_rss_stat___atomic {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___atomic {
	struct mm_rss_stat___atomic rss_stat;
} __attribute__((preserve_access_index));

static __always_inline bool ox_rss_is_atomic(void)
{
	return bpf_core_field_exists(((struct mm_struct___atomic *)0)->rss_stat.count);
}

static __noinline int ox_rss_read_atomic(struct mm_struct *mm, s64 v[4])
{
	struct mm_struct___atomic *old = (void *)mm;

	return bpf_probe_read_kernel(v, 4 * sizeof(*v), &old->rss_stat.count);
}

/*
 * Ints in 6.12, bytes side by side in 7.2: a read of four would bring in the neighbours.
 * Drop when the oldest kernel is >= 7.2.
 */
static __always_inline bool ox_on_cpu(struct task_struct *t)
{
	return BPF_CORE_READ_BITFIELD_PROBED(t, on_cpu);
}

static __always_inline bool ox_on_rq(struct task_struct *t)
{
	return BPF_CORE_READ_BITFIELD_PROBED(t, on_rq);
}

/*
 * 6.18 turned mm->flags from a word into a bitmap type (mm_flags_t).
 * Drop when the oldest kernel is >= 6.18.
 */
struct mm_struct___word {
	unsigned long flags;
} __attribute__((preserve_access_index));

static __noinline u64 ox_mm_flags_word(struct mm_struct *mm)
{
	return BPF_CORE_READ((struct mm_struct___word *)mm, flags);
}

static __noinline u64 ox_mm_flags_bitmap(struct mm_struct *mm)
{
	return BPF_CORE_READ(mm, flags.__mm_flags[0]);
}

static __always_inline u64 ox_mm_flags(struct mm_struct *mm)
{
	return bpf_core_type_exists(mm_flags_t) ? ox_mm_flags_bitmap(mm) : ox_mm_flags_word(mm);
}

/*
 * 6.15 renamed kernfs_node.parent to __parent.
 * Drop when the oldest kernel is >= 6.15.
 */
struct kernfs_node___named {
	struct kernfs_node *parent;
} __attribute__((preserve_access_index));

static __noinline u64 ox_kn_parent_old(struct kernfs_node *kn)
{
	return (u64)BPF_CORE_READ((struct kernfs_node___named *)kn, parent);
}

static __noinline u64 ox_kn_parent_new(struct kernfs_node *kn)
{
	return (u64)BPF_CORE_READ(kn, __parent);
}

static __always_inline struct kernfs_node *ox_kn_parent(struct kernfs_node *kn)
{
	return (void *)(bpf_core_field_exists(kn->__parent) ? ox_kn_parent_new(kn) :
							       ox_kn_parent_old(kn));
}

/*
 * Where this flag exists, iterating a memcg's tasks leaves out those that are exiting, the OOM
 * victim on its way out among them: the kernel then kills a second one (seen on 7.2 and 7.3).
 */
static __always_inline bool ox_memcg_scan_hides_exiting(void)
{
	return bpf_core_enum_value_exists(enum css_task_iter_flags, CSS_TASK_ITER_WITH_DEAD);
}

#endif
