/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * state.bpf.h - what a hook remembers: the decision at hand, victims on their way out, counters,
 * rings. A hook's object includes it once: it defines maps and data.
 *
 * out_of_memory() runs under oom_lock, so there is one decision at hand on the whole machine;
 * everything called `now` belongs to the task that holds that lock.
 */
#ifndef OOMX_STATE_BPF_H
#define OOMX_STATE_BPF_H

#include <oomx/rank.bpf.h>

#define OX_INFLIGHT 64	  /* victims that may hold back the next choice: a bit of u64 each */
#define OX_VICTIMS 16384  /* victims whose end is awaited, for their `freed` record */
#define OX_FAILING 4096	  /* threads between the failed allocation and oom_lock */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct oomx_stats);
} oomx_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct oomx_turn);
} oomx_turn SEC(".maps");

/* Two rings, so that long records can never crowd out the news of a kill. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} oomx_vital SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} oomx_bulk SEC(".maps");

/* The seat under oom_lock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ox_seat);
} oomx_seat SEC(".maps");

struct ox_victim {
	u64 decision;
	u64 start_ns;
	u64 kill_ns;
	u64 room_ns;
	u64 pages;
	u64 domain_id;
	struct cgroup_subsys_state *css; /* of the domain */
	struct zoneref *zones;
	u32 pid;
	s32 order;
	u32 slot;  /* in ox_inflight */
	u32 state; /* OX_VICTIM_*: whoever sets the second one reports */
	u64 gone_ns;
};

#define OX_VICTIM_KILLED 1 /* its kill is reported */
#define OX_VICTIM_GONE 2   /* its memory is gone */

/* By address of the mm: that is what exit_mmap() is given. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OX_VICTIMS);
	__type(key, u64);
	__type(value, struct ox_victim);
} oomx_victims SEC(".maps");

/* Between the failed allocation and out_of_memory() */
struct ox_failing {
	u64 ktime_ns;
	struct cgroup_subsys_state *css; /* of the memcg that is full; NULL: global */
	s32 order; /* global: as reclaim was last asked for */
};

/* By thread id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OX_FAILING);
	__type(key, u32);
	__type(value, struct ox_failing);
} oomx_failing SEC(".maps");

struct ox_inflight {
	u64 mm; /* 0: free */
	u64 kill_ns;
	u64 start_ns;
	struct task_struct *leader; /* of the victim, while pid and start_ns are its own */
	struct cgroup_subsys_state *memcg;  /* the victim's own */
	struct cgroup_subsys_state *domain; /* the memcg that was full; NULL: global */
	u64 hold_end_ns; /* until then, triggers of global OOMs wait for it; 0: none has yet */
	u64 unmapped_ns; /* when all was, and the kernel ceases to wait for it next; 0: not yet */
	u32 pid;
	u32 gone;
	u32 may_hide; /* the kernel may lose sight of it before it is gone */
	s32 queued;   /* threads of it that want oom_lock, and can't be killed out of that */
};

struct ox_inflight ox_inflight[OX_INFLIGHT];

/*
 * Its memory is still to come, and not overdue: counted from its last step on the way out, which a
 * machine that stands still for seconds does not take.
 */
static __always_inline bool ox_on_its_way(struct ox_inflight *v, u64 now, struct oomx_config *cfg)
{
	u64 since = ox_once(v->unmapped_ns) ?: v->kill_ns;

	return cfg && v->mm && !ox_once(v->gone) && (s64)(now - since) <= (s64)cfg->inflight_ns;
}

u32 ox_inflight_next;

struct ox_now {
	u64 decision;
	u64 enter_ns; /* entry of out_of_memory() */
	u64 fail_ns;  /* when the allocation failed */
	u64 wait_ns;
	u32 wanted_pid; /* the policy's choice; 0: none */
	u32 n_kills;
	u32 abstained;	/* OOMX_ABSTAIN_*, 0: no */
	u32 chosen_pid; /* the kernel's */
	u64 aimed_mm;	/* noted on entry of __oom_kill_process(); 0: none */
	bool mine;	/* this OOM is for this set of programs: oomx_turn */
	bool ranked;	/* the seat holds a ranking of this OOM */
	bool obeyed;	/* the kernel took the wanted one, or one who shares its memory */
	bool signalled; /* the trigger was the choice, and got SIGKILL from us */
	bool out_of_scope;
	bool enforced;	/* the kernel was told the wanted one in time, or agrees */
	bool announced; /* its `oom` record is out */
	bool in_kill;	/* between entry and exit of __oom_kill_process() */
	bool choosing;	/* between entry and exit of out_of_memory() */
	u32 awaiting;	/* as bool: ranking, or standing back for an earlier victim, seen then */
	u64 chooser;	/* the thread of which awaiting speaks */
	u64 locked_ns;	/* when oom_lock was got for a memcg's OOM; 0: awaiting tells the rest */
};

struct ox_now ox_now;
u64 ox_decisions;

static __always_inline struct oomx_turn *ox_turn(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&oomx_turn, &zero);
}

/* Not under oom_lock: would the next OOM be ours? */
static __always_inline bool ox_turn_is_ours(void)
{
	struct oomx_config *cfg = ox_config();
	struct oomx_turn *t = ox_turn();

	return t && cfg && ox_once(t->owner) == cfg->generation;
}

/* out_of_memory() entered: whose OOM is it? */
static __always_inline bool ox_turn_begin(void)
{
	struct oomx_config *cfg = ox_config();
	struct oomx_turn *t = ox_turn();

	if (!t || !cfg)
		return false;
	if (!t->latched)
		t->latched = ox_once(t->owner);
	if (t->latched != cfg->generation)
		return false;
	t->wanted = 0;
	return true;
}

/* The last thing done for an OOM of ours. */
static __always_inline void ox_turn_end(void)
{
	struct oomx_turn *t = ox_turn();

	if (t) {
		t->wanted = 0;
		t->latched = 0;
	}
}

static __always_inline struct oomx_stats *ox_stats(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&oomx_stats, &zero);
}

static __always_inline struct ox_seat *ox_seat(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&oomx_seat, &zero);
}

#define ox_count(field)                                                                            \
	do {                                                                                       \
		struct oomx_stats *_st = ox_stats();                                               \
                                                                                                   \
		if (_st)                                                                           \
			__sync_fetch_and_add(&_st->field, 1);                                      \
	} while (0)

#define ox_add(field, n)                                                                           \
	do {                                                                                       \
		struct oomx_stats *_st = ox_stats();                                               \
                                                                                                   \
		if (_st)                                                                           \
			__sync_fetch_and_add(&_st->field, (n));                                    \
	} while (0)

#endif
