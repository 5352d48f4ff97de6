/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * vmlinux.h - the kernel types that oomx reads, and of each only the fields it reads.
 *
 * Written by hand, so that it says exactly what oomx depends on. Offsets and sizes here mean
 * nothing: every access is relocated against the running kernel's BTF when a program is loaded
 * (CO-RE). Where kernels differ, the newest form stands here and the older ones are flavours in
 * bpf/include/oomx/compat.bpf.h. README.md in this directory says which kernels each name was
 * compared with, and how.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned int gfp_t;

/*
 * A field that is read by the size that it has, not by the one declared: oomx compares the sizes of
 * all others with the running kernel's before it loads a program (user/fields.h).
 */
#define OX_ANY_SIZE __attribute__((btf_decl_tag("any_size")))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic_long_t;

typedef struct {
	unsigned long bits[16];
} nodemask_t;

typedef struct {
	unsigned long __mm_flags[1];
} mm_flags_t;

typedef struct {
	u32 val;
} kuid_t;

struct list_head {
	struct list_head *next;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct percpu_counter {
	s64 count;
	s32 *counters;
};

struct mm_struct {
	struct percpu_counter rss_stat[4];
	atomic_t mm_users;
	atomic_long_t pgtables_bytes;
	unsigned long total_vm;
	mm_flags_t flags;
};

struct mmu_gather {
	struct mm_struct *mm;
};

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct sigpending {
	sigset_t signal;
};

struct mempolicy {
	unsigned short mode;
	nodemask_t nodes;
};

typedef struct {
	u64 val; /* two u32 before 6.3: the same 8 bytes */
} kernel_cap_t;

struct cred {
	kuid_t uid;
	kernel_cap_t cap_effective;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct list_head thread_head;
	unsigned int flags;
	unsigned long long sum_sched_runtime;
	bool oom_flag_origin;
	short oom_score_adj;
	short oom_score_adj_min;
	struct mm_struct *oom_mm;
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct completion;
struct css_set;
struct sighand_struct;

struct thread_info {
	u32 cpu;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int on_cpu OX_ANY_SIZE;
	int on_rq OX_ANY_SIZE;
	int prio;
	unsigned short migration_disabled;
	int exit_state;
	unsigned long nivcsw;
	struct sched_entity se;
	struct list_head tasks;
	struct mm_struct *mm;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct sighand_struct *sighand;
	struct list_head thread_node;
	struct completion *vfork_done;
	u64 start_boottime;
	const struct cred *cred;
	const struct cred *real_cred;
	char comm[16];
	struct signal_struct *signal;
	struct sigpending pending;
	nodemask_t mems_allowed;
	struct css_set *cgroups;
	struct list_head cg_list;
	struct mempolicy *mempolicy;
};

struct pid_namespace {
	struct task_struct *child_reaper;
};

struct kernfs_node {
	struct kernfs_node *__parent;
	const char *name;
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct list_head sibling;
	struct list_head children;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
	unsigned int flags;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct list_head cset_links;
	struct cgroup_root *root;
};

struct cgrp_cset_link {
	struct cgroup *cgrp;
	struct css_set *cset;
	struct list_head cset_link;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
	struct list_head tasks;
	struct list_head mg_tasks;
	struct list_head dying_tasks;
};

struct page_counter {
	atomic_long_t usage;
	unsigned long min;
	unsigned long low;
	atomic_long_t children_min_usage;
	atomic_long_t children_low_usage;
	unsigned long max;
};

struct notifier_block;

struct blocking_notifier_head {
	struct notifier_block *head;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct page_counter swap;
	struct page_counter memsw; /* in its place, of cgroup v1 */
	bool oom_group;
	int swappiness;
};

struct pglist_data {
	unsigned long node_present_pages;
};

struct free_area {
	unsigned long nr_free;
};

struct zone {
	unsigned long _watermark[4];
	unsigned long watermark_boost;
	long lowmem_reserve[4];
	int node;
	struct free_area free_area[1];
	atomic_long_t vm_stat[1];
};

struct zoneref {
	struct zone *zone;
	int zone_idx;
};

struct zonelist {
	struct zoneref _zonerefs[1];
};

struct alloc_context {
	struct zonelist *zonelist;
	nodemask_t *nodemask;
};

enum oom_constraint {
	CONSTRAINT_NONE,
	CONSTRAINT_CPUSET,
	CONSTRAINT_MEMORY_POLICY,
	CONSTRAINT_MEMCG,
};

struct oom_control {
	struct zonelist *zonelist;
	nodemask_t *nodemask;
	struct mem_cgroup *memcg;
	gfp_t gfp_mask;
	int order;
	unsigned long totalpages;
	struct task_struct *chosen;
	long chosen_points;
	enum oom_constraint constraint;
};

struct seq_file;

struct bpf_iter_meta {
	__bpf_md_ptr(struct seq_file *, seq);
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	__bpf_md_ptr(struct bpf_iter_meta *, meta);
	__bpf_md_ptr(struct task_struct *, task);
};

#pragma clang attribute pop

/* Values are those of one kernel; bpf_core_enum_value() reads the running kernel's. */
enum cgroup_subsys_id { memory_cgrp_id = 4 };
enum node_states { N_MEMORY = 3 };
enum zone_watermarks { WMARK_MIN = 0, WMARK_HIGH = 2 };
enum zone_stat_item { NR_FREE_PAGES = 0 };
enum zone_type { ZONE_NORMAL = 2 };
enum css_task_iter_flags { CSS_TASK_ITER_WITH_DEAD = 4 };

#endif
