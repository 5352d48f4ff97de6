/* SPDX-License-Identifier: GPL-2.0-only */
/* cgroup.bpf.h - where a task lives: its memcg, its priority, its path. */
#ifndef OOMX_CGROUP_BPF_H
#define OOMX_CGROUP_BPF_H

#include <oomx/compat.bpf.h>
#include <oomx/maps.bpf.h>

#define OX_NAME_MAX 256 /* NAME_MAX + 1 */

static __always_inline struct cgroup_subsys_state *ox_memcg_css(struct mem_cgroup *memcg)
{
	return (void *)memcg + bpf_core_field_offset(struct mem_cgroup, css);
}

static __always_inline struct mem_cgroup *ox_css_memcg(struct cgroup_subsys_state *css)
{
	return (void *)css - bpf_core_field_offset(struct mem_cgroup, css);
}

static __always_inline struct cgroup_subsys_state *ox_task_memcg(struct task_struct *p)
{
	u32 id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

	struct css_set *cset = ox_read(p, cgroups);

	return ox_read(cset, subsys[id]);
}

static __always_inline u64 ox_css_cgroup_id(struct cgroup_subsys_state *css)
{
	return css ? ox_read(css, cgroup, kn, id) : 0;
}

/*
 * mem_cgroup_is_descendant(): a css is another or below it. Their addresses as read from a map or
 * by a helper: to a global function the verifier lets no pointer of the kernel's pass.
 */
__noinline int ox_css_under(u64 below, u64 top)
{
	struct cgroup_subsys_state *css = (void *)below;
	int i;

	for (i = 0; i < OOMX_DEPTH_MAX && css; i++) {
		if (css == (void *)top)
			return true;
		css = ox_read(css, parent);
	}
	return false;
}

/*
 * The priority of the nearest ancestor that was given one, in the hierarchy of cgroup v2. Looked
 * up when it is needed: a new cgroup is covered by construction, and nothing goes stale.
 */
static __noinline bool ox_prio_find(struct cgroup *cgrp, struct oomx_prio *out)
{
	struct cgroup_subsys_state *css = (void *)cgrp + bpf_core_field_offset(struct cgroup, self);
	struct oomx_prio *prio;
	u64 id;
	int i;

	for (i = 0; i < OOMX_DEPTH_MAX && css; i++) {
		id = ox_css_cgroup_id(css);
		prio = bpf_map_lookup_elem(&oomx_prio, &id);
		if (prio) {
			*out = *prio;
			return true;
		}
		css = ox_read(css, parent);
	}
	return false;
}

/* The last name may run over OOMX_PATH_LEN, and is cut off. */
struct ox_path {
	char names[OOMX_PATH_LEN + OX_NAME_MAX];
};

struct ox_path_walk {
	char *buf;
	struct kernfs_node *kn;
	u32 off;
};

static int ox_path_step(u32 i, struct ox_path_walk *w)
{
	struct kernfs_node *kn = w->kn;
	struct kernfs_node *up = ox_kn_parent(kn);
	u32 off = w->off;
	long n;

	if (!up || off >= OOMX_PATH_LEN) /* the root has no name */
		return 1;
	n = bpf_probe_read_kernel_str(w->buf + off, OX_NAME_MAX, BPF_CORE_READ(kn, name));
	if (n <= 0)
		return 1;
	w->off = off + n;
	w->kn = up;
	return 0;
}

/* addr: of the cgroup, see ox_css_under(); 0: none */
__noinline int ox_path_fill(struct ox_path *path, u64 addr)
{
	struct cgroup *cgrp = (void *)addr;
	struct ox_path_walk w = {};

	if (!path)
		return 0;
	w.buf = path->names;
	__builtin_memset(path->names, 0, OOMX_PATH_LEN);
	if (!cgrp)
		return 0;
	w.kn = BPF_CORE_READ(cgrp, kn);
	bpf_loop(OOMX_PATH_LEN / 2, ox_path_step, &w, 0); /* a component takes two bytes or more */
	return 0;
}

/*
 * Path of a cgroup, leaf first, NUL between components and zeroes after them, OOMX_PATH_LEN bytes
 * (abi.h). One that does not end in an empty component has lost its top.
 */
static __always_inline void ox_cgroup_path(char *to, struct cgroup *cgrp, struct ox_path *scratch)
{
	ox_path_fill(scratch, (u64)cgrp);
	/* one instruction to the verifier; __builtin_memcpy() is some for each byte */
	bpf_probe_read_kernel(to, OOMX_PATH_LEN, scratch->names);
}

#endif
