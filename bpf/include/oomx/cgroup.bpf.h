/* SPDX-License-Identifier: GPL-2.0-only */
/* cgroup.bpf.h - where a task lives: its memcg, its priority, its path. */
#ifndef OOMX_CGROUP_BPF_H
#define OOMX_CGROUP_BPF_H

#include <oomx/compat.bpf.h>
#include <oomx/maps.bpf.h>

#define OX_NAME_MAX 128 /* longer cgroup names are cut in paths */

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

	return BPF_CORE_READ(p, cgroups, subsys[id]);
}

static __always_inline u64 ox_css_cgroup_id(struct cgroup_subsys_state *css)
{
	return css ? BPF_CORE_READ(css, cgroup, kn, id) : 0;
}

/* mem_cgroup_is_descendant(): css is top or below it */
static __noinline bool ox_css_under(struct cgroup_subsys_state *css,
				    struct cgroup_subsys_state *top)
{
	int i;

	for (i = 0; i < OOMX_DEPTH_MAX && css; i++) {
		if (css == top)
			return true;
		css = BPF_CORE_READ(css, parent);
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
		css = BPF_CORE_READ(css, parent);
	}
	return false;
}

/*
 * Path of a cgroup, leaf first, NUL between components and zeroes after them (abi.h). `buf` has
 * OX_NAME_MAX bytes beyond OOMX_PATH_LEN, so that the last name may run over and be cut off.
 */
static __noinline int ox_cgroup_path(struct cgroup *cgrp, char *buf)
{
	struct kernfs_node *kn, *up;
	u32 off = 0;
	long n;
	int i;

	__builtin_memset(buf, 0, OOMX_PATH_LEN);
	if (!cgrp)
		return 0;
	kn = BPF_CORE_READ(cgrp, kn);
	for (i = 0; i < 16 && kn; i++) {
		up = ox_kn_parent(kn);
		if (!up) /* the root has no name */
			break;
		if (off >= OOMX_PATH_LEN)
			break;
		n = bpf_probe_read_kernel_str(buf + off, OX_NAME_MAX, BPF_CORE_READ(kn, name));
		if (n <= 0)
			break;
		off += n;
		kn = up;
	}
	return 0;
}

#endif
