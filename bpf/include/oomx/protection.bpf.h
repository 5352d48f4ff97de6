/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * protection.bpf.h - how much of a memcg's memory memory.min and memory.low protect where a memcg
 * above it, or the whole machine, is out of memory. Worked out from the settings and usages of all
 * on the way down: what reclaim leaves in emin and elow is for the target that it last had, and
 * with the multi-generational LRU it does not look at each memcg each time.
 *
 * mem_cgroup_calculate_protection() (mm/memcontrol.c 6.1), page_counter_calculate_protection()
 * (mm/page_counter.c 6.12 to 7.3).
 */
#ifndef OOMX_PROTECTION_BPF_H
#define OOMX_PROTECTION_BPF_H

#include <oomx/cgroup.bpf.h>

/* include/linux/cgroup-defs.h, 6.1 to 7.3: mount option memory_recursiveprot */
#define OX_CGROUP_ROOT_RECURSIVE_PROT (1u << 18)

enum { OX_KEPT_MIN, OX_KEPT_LOW, OX_KEPT_KINDS };

/* What the formula takes of one memcg, in pages; KEPT is the result. */
struct ox_kept {
	u64 usage;
	u64 setting[OX_KEPT_KINDS];
	u64 children[OX_KEPT_KINDS]; /* what those below claim and use of it, all together */
	u64 kept[OX_KEPT_KINDS];
};

struct ox_way {
	u64 css[OOMX_DEPTH_MAX]; /* from the memcg upwards, those below the domain */
	u32 n;
	bool whole;	/* it leads up to the domain */
	bool recursive; /* what nobody claims is shared out */
	u64 domain;	/* a css; 0: of the root's */
	u64 next;
	struct ox_kept here, above;
};

/* The helper wants it on the stack. */
struct ox_way_walk {
	struct ox_way *way;
};

static int ox_way_step(u32 i, struct ox_way_walk *w)
{
	struct ox_way *way = w->way;
	struct cgroup_subsys_state *css = (void *)way->next;
	u64 up;

	if (!css || way->next == way->domain) {
		way->whole = true;
		return 1;
	}
	up = (u64)ox_read(css, parent);
	if (!up && !way->domain) { /* the root protects nothing of its own */
		way->whole = true;
		return 1;
	}
	if (i >= OOMX_DEPTH_MAX)
		return 1;
	way->css[i] = way->next;
	way->n = i + 1;
	way->next = up;
	return 0;
}

static __always_inline void ox_kept_read(struct ox_kept *k, struct cgroup_subsys_state *css)
{
	struct mem_cgroup *memcg = ox_css_memcg(css);

	memcg = ox_cast(memcg);
	k->usage = ox_get(memcg, memory.usage.counter);
	k->setting[OX_KEPT_MIN] = ox_get(memcg, memory.min);
	k->setting[OX_KEPT_LOW] = ox_get(memcg, memory.low);
	k->children[OX_KEPT_MIN] = ox_get(memcg, memory.children_min_usage.counter);
	k->children[OX_KEPT_LOW] = ox_get(memcg, memory.children_low_usage.counter);
}

/*
 * effective_protection(), mm/memcontrol.c 6.1, mm/page_counter.c 6.12 to 7.3; but never more than
 * the usage, which changes no share, and keeps the product of "max" and a usage within 64 bits.
 */
static __always_inline u64 ox_kept_share(const struct ox_way *way, u32 kind)
{
	const struct ox_kept *c = &way->here, *up = &way->above;
	u64 setting = c->setting[kind], claimed = up->children[kind], afforded = up->kept[kind];
	u64 kept = setting < c->usage ? setting : c->usage;

	if (claimed > afforded)
		return kept * afforded / claimed;
	if (way->recursive && afforded > claimed && up->usage > claimed && c->usage > kept)
		kept += (afforded - claimed) * (c->usage - kept) / (up->usage - claimed);
	return kept < c->usage ? kept : c->usage;
}

/* One further down. Ends where nothing is protected: there is nothing to share out below that. */
static int ox_kept_step(u32 i, struct ox_way_walk *w)
{
	struct ox_way *way = w->way;
	u32 at = way->n - 1 - i, kind;
	struct ox_kept *c = &way->here;

	if (i >= way->n || at >= OOMX_DEPTH_MAX)
		return 1;
	ox_kept_read(c, (void *)way->css[at]);
	for (kind = 0; kind < OX_KEPT_KINDS; kind++) {
		if (i)
			c->kept[kind] = ox_kept_share(way, kind);
		else
			c->kept[kind] = c->setting[kind] < c->usage ? c->setting[kind] : c->usage;
	}
	way->above = *c;
	return !c->kept[OX_KEPT_MIN] && !c->kept[OX_KEPT_LOW];
}

/*
 * Thousandths of a memcg's usage. css, domain: addresses, see ox_css_under(); domain 0: the whole
 * machine. way: room to work in. One so deep that the way up to the domain is not seen has none.
 */
static __always_inline u32 ox_memcg_protection(struct ox_way *way, u64 css, u64 domain,
					       u32 root_flags)
{
	struct ox_way_walk w = { .way = way };
	u64 kept;

	way->n = 0;
	way->whole = false;
	way->recursive = root_flags & OX_CGROUP_ROOT_RECURSIVE_PROT;
	way->domain = domain;
	way->next = css;
	bpf_loop(OOMX_DEPTH_MAX + 1, ox_way_step, &w, 0);
	if (!way->whole || !way->n)
		return 0;
	bpf_loop(OOMX_DEPTH_MAX, ox_kept_step, &w, 0);
	kept = way->above.kept[OX_KEPT_MIN];
	if (way->above.kept[OX_KEPT_LOW] > kept)
		kept = way->above.kept[OX_KEPT_LOW];
	return kept ? kept * 1000 / way->above.usage : 0;
}

#endif
