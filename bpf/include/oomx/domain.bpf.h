/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * domain.bpf.h - the OOM domain: whose limit was hit, how much memory that is, who is in it, and
 * when it has room again.
 */
#ifndef OOMX_DOMAIN_BPF_H
#define OOMX_DOMAIN_BPF_H

#include <oomx/cgroup.bpf.h>
#include <oomx/symbols.bpf.h>
#include <oomx/task.bpf.h>

#define OX_NODE_WORDS 16 /* of a nodemask_t: 1024 nodes */
#define OX_ZONES_MAX 64	 /* zones of a zonelist that are looked at */
#define OX_OWN_PAGES 64 /* more than an open() takes, with what the counters may be off by */
#define OX_ORDERS 11	 /* MAX_ORDER, later NR_PAGE_ORDERS, where nobody has set it */

struct ox_domain {
	struct cgroup_subsys_state *css; /* of the memcg; NULL: global */
	struct zoneref *zones; /* global: those of the allocation that failed; NULL: unknown */
	nodemask_t *nodes; /* CPUSET, MEMPOLICY: only candidates that use them */
	u64 pages;	   /* oom_control.totalpages */
	u32 constraint;
	s32 order;
	u32 gfp;
	u32 trigger; /* its process id */
};

/* do_memsw_account() (mm/memcontrol-v1.h): in cgroup v1, a limit of memory and swap together. */
static __always_inline bool ox_memcg_v1(struct mem_cgroup *memcg)
{
	return bpf_core_field_exists(memcg->memsw) &&
	       BPF_CORE_READ(memcg, css.cgroup, root, hierarchy_id); /* 0 is that of cgroup v2 */
}

/* mem_cgroup_get_max() ?: 1 (mm/memcontrol.c, 6.1 to 7.3) */
static __always_inline u64 ox_memcg_pages(struct cgroup_subsys_state *css)
{
	struct mem_cgroup *memcg = ox_css_memcg(css);
	u64 swap_total = ox_symbol_u64(ox_symbol(total_swap_pages));
	u32 swappiness = ox_symbol_u32(ox_symbol(vm_swappiness));
	u64 max = BPF_CORE_READ(memcg, memory.max), swap;

	if (ox_memcg_v1(memcg)) {
		swap = BPF_CORE_READ(memcg, memsw.max) - max;
		if (bpf_core_field_exists(memcg->swappiness))
			swappiness = BPF_CORE_READ(memcg, swappiness);
	} else {
		swap = BPF_CORE_READ(memcg, swap.max);
	}
	if (swappiness)
		max += swap < swap_total ? swap : swap_total;
	return max ?: 1;
}

struct ox_nodes {
	u64 allowed[OX_NODE_WORDS];
	u64 memory[OX_NODE_WORDS];
};

struct ox_node_sum {
	struct ox_nodes *n;
	u64 pages;
};

static int ox_node_add(u32 nid, struct ox_node_sum *s)
{
	struct pglist_data *node;

	if (!(s->n->allowed[(nid >> 6) & (OX_NODE_WORDS - 1)] & (1UL << (nid & 63))))
		return 0;
	node = (void *)ox_symbol_u64(ox_symbol(node_data) + nid * 8UL);
	if (node)
		s->pages += BPF_CORE_READ(node, node_present_pages);
	return 0;
}

/*
 * constrained_alloc() (mm/oom_kill.c, 6.1 to 7.3): a nodemask, or a cpuset of the trigger, that
 * leaves out nodes with memory makes the OOM theirs. One thing is coarser: a zone that a hardwall
 * exception would allow counts as forbidden.
 */
static __noinline int ox_domain_constrain(struct ox_domain *d, nodemask_t *mask, struct ox_nodes *n)
{
	struct task_struct *cur = (void *)bpf_get_current_task();
	u32 state = bpf_core_enum_value(enum node_states, N_MEMORY);
	struct ox_node_sum sum = { .n = n };
	u64 beyond = 0;
	int i;

	d->nodes = mask ?: (nodemask_t *)((char *)cur +
					   bpf_core_field_offset(struct task_struct, mems_allowed));
	bpf_probe_read_kernel(n->allowed, sizeof(n->allowed), d->nodes);
	bpf_probe_read_kernel(n->memory, sizeof(n->memory),
			      ox_symbol(node_states) + state * sizeof(n->memory));
	for (i = 0; i < OX_NODE_WORDS; i++)
		beyond |= n->memory[i] & ~n->allowed[i];
	if (!beyond) {
		d->nodes = NULL;
		return 0;
	}
	d->constraint = mask ? OOMX_CONSTRAINT_MEMPOLICY : OOMX_CONSTRAINT_CPUSET;
	bpf_loop(OX_NODE_WORDS * 64, ox_node_add, &sum, 0);
	d->pages = ox_symbol_u64(ox_symbol(total_swap_pages)) + sum.pages;
	return 0;
}

static __always_inline void ox_domain_init_memcg(struct ox_domain *d,
						 struct cgroup_subsys_state *css, s32 order,
						 u32 gfp)
{
	d->css = css;
	d->zones = NULL;
	d->nodes = NULL;
	d->pages = ox_memcg_pages(css);
	d->constraint = OOMX_CONSTRAINT_MEMCG;
	d->order = order;
	d->gfp = gfp;
	d->trigger = bpf_get_current_pid_tgid() >> 32;
}

static __always_inline struct zoneref *ox_zones_of(struct zonelist *zl)
{
	return zl ? (void *)zl + bpf_core_field_offset(zl->_zonerefs) : NULL;
}

static __always_inline void ox_domain_init_global(struct ox_domain *d, struct zonelist *zonelist,
						  nodemask_t *mask, struct ox_nodes *scratch)
{
	d->css = NULL;
	d->zones = ox_zones_of(zonelist);
	d->nodes = NULL;
	d->pages = ox_symbol_u64(ox_symbol(_totalram_pages)) +
		   ox_symbol_u64(ox_symbol(total_swap_pages));
	d->constraint = OOMX_CONSTRAINT_NONE;
	d->order = 0;
	d->gfp = OX_GFP_FS;
	d->trigger = bpf_get_current_pid_tgid() >> 32;
	if (zonelist)
		ox_domain_constrain(d, mask, scratch);
}

/* The domain of an OOM as out_of_memory() will see it; at its entry totalpages is not set yet. */
static __always_inline void ox_domain_init(struct ox_domain *d, struct oom_control *oc,
					   struct ox_nodes *scratch)
{
	struct mem_cgroup *memcg = BPF_CORE_READ(oc, memcg);
	u32 gfp = BPF_CORE_READ(oc, gfp_mask);

	if (memcg) {
		ox_domain_init_memcg(d, ox_memcg_css(memcg), BPF_CORE_READ(oc, order), gfp);
		return;
	}
	ox_domain_init_global(d, gfp & OX_GFP_THISNODE ? NULL : BPF_CORE_READ(oc, zonelist),
			      BPF_CORE_READ(oc, nodemask), scratch);
	d->zones = ox_zones_of(BPF_CORE_READ(oc, zonelist));
	d->order = BPF_CORE_READ(oc, order);
	d->gfp = gfp;
}

struct ox_node_scan {
	struct list_head *head;
	struct list_head *node;
	nodemask_t *mask;
	u32 constraint;
	bool found;
};

struct ox_nodes_pair {
	const void *a, *b;
	bool meet;
};

static int ox_nodes_meet_step(u32 i, struct ox_nodes_pair *p)
{
	u64 x = 0, y = 0;

	bpf_probe_read_kernel(&x, sizeof(x), p->a + i * 8UL);
	bpf_probe_read_kernel(&y, sizeof(y), p->b + i * 8UL);
	p->meet = x & y;
	return p->meet;
}

static __always_inline bool ox_nodes_meet(const void *a, const void *b)
{
	struct ox_nodes_pair p = { .a = a, .b = b };

	bpf_loop(OX_NODE_WORDS, ox_nodes_meet_step, &p, 0);
	return p.meet;
}

static int ox_node_scan_step(u32 i, struct ox_node_scan *s)
{
	struct list_head *node = s->node;
	struct task_struct *t;
	struct mempolicy *pol;
	bool found, bound = true;
	const void *nodes;

	if (!node || node == s->head)
		return 1;
	t = ox_task_of_thread(node);
	nodes = (char *)t + bpf_core_field_offset(t->mems_allowed);
	if (s->constraint != OOMX_CONSTRAINT_CPUSET) {
		pol = BPF_CORE_READ(t, mempolicy);
		bound = pol && BPF_CORE_READ(pol, mode) == OX_MPOL_BIND;
		nodes = (char *)pol + bpf_core_field_offset(pol->nodes);
	}
	found = !bound || ox_nodes_meet(s->mask, nodes);
	s->node = BPF_CORE_READ(node, next);
	if (!found)
		return 0;
	s->found = true;
	return 1;
}

/* oom_cpuset_eligible() (mm/oom_kill.c, 6.1 to 7.3): any thread that may use the nodes */
static __always_inline bool ox_domain_nodes_eligible(struct ox_domain *d, struct task_struct *p)
{
	struct ox_node_scan s = { .mask = d->nodes, .constraint = d->constraint };

	struct list_head *head = ox_thread_head(BPF_CORE_READ(p, signal));

	s.head = head;
	s.node = BPF_CORE_READ(head, next);
	bpf_loop(OX_THREADS_MAX, ox_node_scan_step, &s, 0);
	return s.found;
}

/* task: its address, see ox_css_under() */
__noinline int ox_domain_has(struct ox_domain *d, u64 task)
{
	u32 id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct task_struct *p = (void *)task;

	if (!d)
		return false;
	if (d->css)
		return ox_css_under((u64)BPF_CORE_READ(p, cgroups, subsys[id]), (u64)d->css);
	return !d->nodes || ox_domain_nodes_eligible(d, p);
}

static __always_inline u64 ox_pages_of_order(s32 order)
{
	return 1UL << (order < 0 ? 0 : order & 15);
}

struct ox_zone_scan {
	struct zoneref *ref;
	nodemask_t *nodes; /* NULL: any */
	u32 mark;	   /* enum zone_watermarks */
	u32 class;	   /* of the allocation: from lower zones it may not take all */
	u32 order;
	bool room;
};

/* Its free lists have a block that large, of whatever migrate type. */
static __always_inline bool ox_zone_block(struct zone *zone, u32 order)
{
	unsigned long free = 0;
	u32 i;

	for (i = 1; i < OX_ORDERS && !free; i++) {
		if (i >= order)
			bpf_probe_read_kernel(&free, sizeof(free),
					      (void *)&zone->free_area[0].nr_free +
					      i * bpf_core_type_size(struct free_area));
	}
	return free;
}

/* One zone of __zone_watermark_ok() by wmark_pages() (mm/page_alloc.c, mmzone.h, 6.1 to 7.3) */
static __always_inline bool ox_zone_room(struct ox_zone_scan *s, struct zone *zone)
{
	u32 nr = bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES);
	u32 nid = bpf_core_field_exists(zone->node) ? BPF_CORE_READ(zone, node) : 0;
	u64 mark = 0, word = 0;
	s64 free = 0, reserve = 0;

	if (s->nodes) {
		bpf_probe_read_kernel(&word, sizeof(word), (u64 *)s->nodes + (nid >> 6));
		if (!(word >> (nid & 63) & 1))
			return false;
	}
	bpf_probe_read_kernel(&mark, sizeof(mark), &zone->_watermark[0] + s->mark);
	bpf_probe_read_kernel(&free, sizeof(free), &zone->vm_stat[0].counter + nr);
	bpf_probe_read_kernel(&reserve, sizeof(reserve), &zone->lowmem_reserve[0] + s->class);
	mark += BPF_CORE_READ(zone, watermark_boost);
	if (free < (s64)(mark + ox_pages_of_order(s->order)) + reserve)
		return false;
	return !s->order || ox_zone_block(zone, s->order);
}

static int ox_zone_step(u32 i, struct ox_zone_scan *s)
{
	struct zoneref *ref = s->ref;
	struct zone *zone = BPF_CORE_READ(ref, zone);

	if (!zone)
		return 1;
	if (!i) /* the highest that there is */
		s->class = BPF_CORE_READ(ref, zone_idx) & 7;
	s->room = ox_zone_room(s, zone);
	s->ref = (void *)ref + bpf_core_type_size(struct zoneref);
	return s->room;
}

/* One of these zones, on one of these nodes, is above this watermark. Addresses of both. */
__noinline int ox_zones_room(u64 zones, u64 nodes, u32 mark, s32 order)
{
	struct ox_zone_scan s = {
		.ref = (void *)zones,
		.nodes = (void *)nodes,
		.mark = mark,
		.order = order < 0 ? 0 : order & 15,
	};

	if (zones)
		bpf_loop(OX_ZONES_MAX, ox_zone_step, &s, 0);
	return s.room;
}

struct ox_lack_scan {
	struct zoneref *ref;
	s64 pages; /* of the first zone: that is where memory comes from. 0: one has enough */
};

/*
 * What a zone lacks for an allocation of the kernel's own by a real-time task. That may go down to
 * half of the min watermark, on 6.1 to three quarters (__zone_watermark_ok() with
 * ALLOC_MIN_RESERVE, ALLOC_HARDER: mm/page_alloc.c).
 */
static int ox_lack_step(u32 i, struct ox_lack_scan *s)
{
	u32 min = bpf_core_enum_value(enum zone_watermarks, WMARK_MIN);
	u32 nr = bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES);
	u32 normal = bpf_core_enum_value(enum zone_type, ZONE_NORMAL);
	struct zoneref *ref = s->ref;
	struct zone *zone = BPF_CORE_READ(ref, zone);
	s64 free = 0, reserve = 0, lack;
	u64 mark = 0;

	if (!zone)
		return 1;
	s->ref = (void *)ref + bpf_core_type_size(struct zoneref);
	if ((u32)BPF_CORE_READ(ref, zone_idx) > normal)
		return 0;
	bpf_probe_read_kernel(&mark, sizeof(mark), &zone->_watermark[0] + min);
	bpf_probe_read_kernel(&free, sizeof(free), &zone->vm_stat[0].counter + nr);
	bpf_probe_read_kernel(&reserve, sizeof(reserve), &zone->lowmem_reserve[0] + normal);
	mark += BPF_CORE_READ(zone, watermark_boost);
	lack = (s64)(mark - mark / 4 + OX_OWN_PAGES) + reserve - free;
	if (lack <= 0)
		s->pages = 0;
	else if (s->pages < 0)
		s->pages = lack;
	return !s->pages;
}

/* Pages without which the responder might itself run out of memory; 0: there are enough. */
static __noinline u32 ox_domain_lack(struct ox_domain *d)
{
	struct ox_lack_scan s = { .ref = d->zones, .pages = -1 };

	if (!s.ref)
		return 0;
	bpf_loop(OX_ZONES_MAX, ox_lack_step, &s, 0);
	return s.pages > 0 ? s.pages : 0;
}

/*
 * What the kernel checks before it kills: memcg margin >= 1 << order (mem_cgroup_margin());
 * globally, free pages above the high watermark in a zone of the allocation's list
 * (__alloc_pages_may_oom()). Nodes that it is bound to are not looked at: a hint, for events only.
 */
static __noinline bool ox_domain_room(struct cgroup_subsys_state *css, struct zoneref *zones,
				      s32 order)
{
	u32 high = bpf_core_enum_value(enum zone_watermarks, WMARK_HIGH);
	u64 need = ox_pages_of_order(order), memory, memsw;
	struct mem_cgroup *memcg;

	if (!css)
		return ox_zones_room((u64)zones, 0, high, order);
	memcg = ox_css_memcg(css);
	memory = BPF_CORE_READ(memcg, memory.usage.counter);
	if (ox_memcg_v1(memcg)) {
		memsw = BPF_CORE_READ(memcg, memsw.usage.counter);
		if (memsw + need > BPF_CORE_READ(memcg, memsw.max))
			return false;
	}
	return memory + need <= BPF_CORE_READ(memcg, memory.max);
}

#endif
