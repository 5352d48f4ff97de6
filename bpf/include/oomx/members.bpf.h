/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * members.bpf.h - the processes of a memcg and of all below it, found from its cgroups: on a host
 * of ten thousand processes, a container's five are not looked for among the others.
 *
 * The kernel walks these lists under css_set_lock; we have the RCU read lock only. Each step
 * checks that what it has come to belongs where it was found: a process or a cgroup that moves
 * away in that instant makes the walk torn, and the caller asks everybody instead.
 */
#ifndef OOMX_MEMBERS_BPF_H
#define OOMX_MEMBERS_BPF_H

#include <oomx/cgroup.bpf.h>

#define OX_CSET_LISTS 3 /* of a css_set: tasks, mg_tasks, dying_tasks */

struct ox_members {
	struct cgroup_subsys_state *top; /* cgroup.self of the cgroup that it is about */
	struct cgroup_subsys_state *css; /* of the one at hand */
	struct list_head *link;		 /* next in its cset_links; NULL: through with them */
	struct css_set *cset;
	struct list_head *head; /* of the list of tasks at hand; NULL: through with the lists */
	struct list_head *node;
	u32 list;
	bool climbing; /* through with the cgroup and all below it */
	bool end;
	bool torn;
};

static __always_inline struct list_head *ox_css_children(struct cgroup_subsys_state *css)
{
	return (void *)css + bpf_core_field_offset(css->children);
}

static __always_inline struct list_head *ox_cset_links(struct cgroup_subsys_state *self)
{
	/* self is the cgroup's: container_of() */
	return (void *)self - bpf_core_field_offset(struct cgroup, self) +
	       bpf_core_field_offset(struct cgroup, cset_links);
}

static __always_inline struct list_head *ox_cset_list(struct css_set *cset, u32 list)
{
	if (list == 0)
		return (void *)cset + bpf_core_field_offset(cset->tasks);
	if (list == 1)
		return (void *)cset + bpf_core_field_offset(cset->mg_tasks);
	return (void *)cset + bpf_core_field_offset(cset->dying_tasks);
}

static __always_inline void ox_members_enter(struct ox_members *m, struct cgroup_subsys_state *css)
{
	struct list_head *links = ox_cset_links(css);

	m->css = css;
	m->link = ox_read(links, next);
	m->head = NULL;
	m->climbing = false;
}

/* memcg: of the OOM domain */
static __always_inline void ox_members_begin(struct ox_members *m,
					     struct cgroup_subsys_state *memcg)
{
	struct cgroup *cgrp = ox_read(memcg, cgroup);

	m->top = (void *)cgrp + bpf_core_field_offset(struct cgroup, self);
	m->end = false;
	m->torn = false;
	ox_members_enter(m, m->top);
}

static __always_inline void ox_members_torn(struct ox_members *m)
{
	m->torn = true;
	m->end = true;
}

/* Begins the list of tasks `m->list` of `m->cset`. */
static __always_inline void ox_members_open(struct ox_members *m)
{
	struct list_head *head = ox_cset_list(m->cset, m->list);

	m->head = head;
	m->node = ox_read(head, next);
}

/* The task at hand if it leads a process, else NULL; steps on. */
static __always_inline struct task_struct *ox_members_task(struct ox_members *m)
{
	struct list_head *node = m->node;
	struct task_struct *t;

	if (node == m->head) {
		m->head = NULL;
		if (++m->list < OX_CSET_LISTS)
			ox_members_open(m);
		return NULL;
	}
	t = (void *)node - bpf_core_field_offset(struct task_struct, cg_list);
	if (!node || ox_read(t, cgroups) != m->cset) {
		ox_members_torn(m);
		return NULL;
	}
	m->node = ox_read(node, next);
	return ox_read(t, pid) == ox_read(t, tgid) ? t : NULL;
}

/* The next css_set of the cgroup at hand. */
static __always_inline void ox_members_cset(struct ox_members *m)
{
	struct list_head *link = m->link;
	struct cgrp_cset_link *l;

	if (link == ox_cset_links(m->css)) {
		m->link = NULL;
		return;
	}
	l = (void *)link - bpf_core_field_offset(struct cgrp_cset_link, cset_link);
	if (!link || (void *)ox_read(l, cgrp) !=
			     (void *)m->css - bpf_core_field_offset(struct cgroup, self)) {
		ox_members_torn(m);
		return;
	}
	m->link = ox_read(link, next);
	m->cset = ox_read(l, cset);
	m->list = 0;
	ox_members_open(m);
}

static __always_inline void ox_members_descend(struct ox_members *m, struct list_head *at,
					       struct cgroup_subsys_state *parent)
{
	struct cgroup_subsys_state *css;

	css = (void *)at - bpf_core_field_offset(struct cgroup_subsys_state, sibling);
	if (!at || ox_read(css, parent) != parent) {
		ox_members_torn(m);
		return;
	}
	ox_members_enter(m, css);
}

/* css_next_descendant_pre() (kernel/cgroup/cgroup.c, 6.1 to 7.3), one move at a time */
static __always_inline void ox_members_move(struct ox_members *m)
{
	struct cgroup_subsys_state *css = m->css, *parent;
	struct list_head *children = ox_css_children(css), *at;

	if (!m->climbing) {
		at = ox_read(children, next);
		if (at != children) {
			ox_members_descend(m, at, css);
			return;
		}
		m->climbing = true;
	}
	if (css == m->top) {
		m->end = true;
		return;
	}
	parent = ox_read(css, parent);
	at = ox_read(css, sibling.next);
	if (at == ox_css_children(parent))
		m->css = parent;
	else
		ox_members_descend(m, at, parent);
}

/* One step: a process, or NULL where that step did not come to one. m->end: there are no more. */
static __always_inline struct task_struct *ox_members_next(struct ox_members *m)
{
	if (m->head)
		return ox_members_task(m);
	if (m->link)
		ox_members_cset(m);
	else
		ox_members_move(m);
	return NULL;
}

#endif
