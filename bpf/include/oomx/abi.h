/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * abi.h - all that the kernel side and user space share: records, configuration, counters.
 *
 * Fixed-width fields, natural alignment, explicit padding, every byte written before a record
 * leaves the kernel. Records grow at the end only: a reader takes `size` bytes, uses those it
 * knows and zero-fills those it misses. A change of meaning raises OOMX_ABI.
 */
#ifndef OOMX_ABI_H
#define OOMX_ABI_H

#include <linux/types.h>
#include <oomx/facts.h>

#define OOMX_ABI 1

#define OOMX_COMM_LEN 16
#define OOMX_PATH_LEN 256
#define OOMX_TOP_K 8
#define OOMX_CPUS_MAX 1024
#define OOMX_DEPTH_MAX 32 /* of the cgroup tree: deeper ancestors are not looked at */
#define OOMX_POLICY_LEN 32
#define OOMX_VERSION_LEN 16

/* ---- records -------------------------------------------------------------------------------- */

#define OOMX_REC_OOM 1		/* vital: an OOM that reached the choice of a victim */
#define OOMX_REC_KILL 2		/* vital: the policy's choice was killed */
#define OOMX_REC_KERNEL_KILL 3	/* vital: the kernel killed by its own choice */
#define OOMX_REC_FREED 4	/* vital: a victim's memory is gone */
#define OOMX_REC_ABSTAIN 5	/* vital: the policy's choice could not be enforced, and why */
#define OOMX_REC_CANDIDATES 6	/* bulk: the best candidates and the facts behind them */
#define OOMX_REC_MAX 7

/* Which hook chose or watched. */
#define OOMX_HOOK_OBSERVE 1
#define OOMX_HOOK_NOMINATE 2
#define OOMX_HOOK_STRUCT_OPS 3

/* Why the policy's choice was not enforced: oomx_rec_abstain.reason, and a counter each. */
#define OOMX_ABSTAIN_NO_CANDIDATE 1  /* nothing eligible, or the policy refused everything */
#define OOMX_ABSTAIN_NO_RESPONDER 2  /* the process that raises oom_score_adj is not there */
#define OOMX_ABSTAIN_TIMEOUT 3	     /* it did not answer within wait_ns */
#define OOMX_ABSTAIN_OUTSCORED 4     /* another candidate beats oom_score_adj 1000 */
#define OOMX_ABSTAIN_RING_FULL 5     /* the request could not be queued */
#define OOMX_ABSTAIN_SYSCTL 6	     /* panic_on_oom or oom_kill_allocating_task is in force */
#define OOMX_ABSTAIN_WALK 7	     /* the task list could not be walked to its end */
#define OOMX_ABSTAIN_DISOBEYED 8     /* told in time, yet the kernel chose another */
#define OOMX_ABSTAIN_OVERTAKEN 9     /* an earlier victim held the choice back, not the kernel */
#define OOMX_ABSTAIN_BUDGET 10	     /* the domain's OOMs have held oom_lock long enough */
#define OOMX_ABSTAIN_WORKER 11	     /* the trigger is a kernel thread, which must not wait */
#define OOMX_ABSTAIN_BREAKER 12	     /* too many failures: watching only from here on */
#define OOMX_ABSTAIN_SLOW 13	     /* the choice took longer than rank_ns */
#define OOMX_ABSTAIN_MAX 14
#define OOMX_ABSTAIN_SLOTS 16 /* of counters: room for more reasons */

struct oomx_rec_hdr {
	__u32 type; /* OOMX_REC_* */
	__u32 size; /* of the whole record, bytes */
	__u32 abi;  /* OOMX_ABI */
	__u32 hook; /* OOMX_HOOK_* */
	__u64 decision;	  /* one OOM, one id: joins its records; unique while the machine is up */
	__u64 ktime_ns;	  /* CLOCK_MONOTONIC */
};

/* A process as an event names it. Taken from the process itself, never from `current`. */
struct oomx_who {
	__u32 pid;  /* process (thread group) id, initial pid namespace */
	__u32 uid;
	__s32 oom_score_adj;
	__u32 _pad;
	__u64 start_ns;	 /* CLOCK_BOOTTIME: with pid, names the process for ever */
	__u64 cgroup_id; /* its cgroup in the v2 hierarchy */
	char comm[OOMX_COMM_LEN];
	/*
	 * Cgroup path, leaf first, components separated by NUL, ended by an empty one: written
	 * in the order in which the kernel can walk it. Longer paths lose their topmost parts,
	 * and the empty one at the end.
	 */
	char path[OOMX_PATH_LEN];
};

struct oomx_rec_oom {
	struct oomx_rec_hdr hdr;
	struct oomx_who trigger;
	__u32 constraint;   /* OOMX_CONSTRAINT_* */
	__s32 order;	    /* of the failed allocation; -1: sysrq-f */
	__u32 gfp;
	__u32 n_candidates; /* offered to the policy */
	__u32 n_tasks;	    /* processes looked at */
	__u32 _pad;
	__u64 domain_id;    /* cgroup id of the memcg whose limit was hit; 0: global */
	__u64 domain_pages; /* oom_control.totalpages as the kernel computed it */
	__u64 limit_pages;  /* memcg: its memory.max; global: 0 */
	__u64 usage_pages;  /* memcg: its usage; global: 0 */
	__u64 rank_ns;	    /* time the choice took */
	char domain_path[OOMX_PATH_LEN]; /* leaf first, as in oomx_who */
};

/* oomx_rec_kill.flags */
#define OOMX_KILL_SIGNALLED (1u << 0) /* SIGKILL was ours: memory.events does not count it */

/* OOMX_REC_KILL and OOMX_REC_KERNEL_KILL */
struct oomx_rec_kill {
	struct oomx_rec_hdr hdr;
	struct oomx_who victim;
	__s64 badness;	     /* the policy's; OOMX_NEVER if it was not offered to it */
	__s64 points;	     /* the kernel's own, before any change to its oom_score_adj */
	__u32 group;	     /* a member killed by memory.oom.group, not chosen itself */
	__u32 agreed;	     /* the kernel's own first choice would have been the same */
	__u32 trigger_pid;
	__u32 rules_generation;
	__u64 latency_ns;    /* from the failed allocation to the kill */
	__u64 wait_ns;	     /* of which spent waiting for the nomination */
	__u64 domain_id;
	/* the policy's first choice; not the victim when observing or abstaining */
	__u32 would_pid;     /* 0: none */
	__u32 flags;	     /* OOMX_KILL_* */
	__s64 would_badness;
	__s64 would_points;
	char would_comm[OOMX_COMM_LEN];
	char policy[OOMX_POLICY_LEN];
	__u64 policy_hash;	 /* first 8 bytes, big-endian, of the policy object's SHA-256 */
	struct oomx_facts facts; /* last: it may grow */
};

struct oomx_rec_freed {
	struct oomx_rec_hdr hdr;
	__u32 pid;
	__u32 _pad;
	__u64 start_ns;
	__u64 pages;	   /* resident, swap and page tables at the kill */
	__u64 mm_gone_ns;  /* from the kill until the address space was gone */
	/*
	 * From the kill until the domain was seen to have room (memcg: margin >= 1 << order;
	 * global: a zone above its high watermark). Looked at when the reaper has finished and
	 * when the address space is gone: an upper bound; 0: still no room then.
	 */
	__u64 room_ns;
	__u64 domain_id;
};

struct oomx_rec_abstain {
	struct oomx_rec_hdr hdr;
	__u32 reason; /* OOMX_ABSTAIN_* */
	__u32 wanted_pid;
	__s64 wanted_badness;
	__u32 rival_pid; /* OUTSCORED, DISOBEYED, OVERTAKEN: who was in the way */
	__u32 _pad;
	__u64 domain_id;
	__u64 wait_ns;
	char wanted_comm[OOMX_COMM_LEN];
};

struct oomx_candidate {
	__u32 pid;
	__u32 _pad;
	__u64 start_ns;
	__s64 badness; /* the policy's */
	__s64 points;  /* the kernel's */
	char comm[OOMX_COMM_LEN];
	struct oomx_facts facts; /* last: it may grow */
};

struct oomx_rec_candidates {
	struct oomx_rec_hdr hdr;
	__u32 n;	 /* entries in use, unordered */
	__u32 n_offered; /* eligible candidates in all */
	__u32 stride;	 /* bytes from one entry to the next: facts may grow */
	__u32 _pad;
	struct oomx_candidate top[OOMX_TOP_K];
};

/* ---- configuration: map "oomx_config", one entry -------------------------------------------- */

#define OOMX_RSS_ATOMIC 1 /* mm counters are plain atomics (before 6.2) */
#define OOMX_RSS_APPROX 2 /* per-CPU; oom_badness() reads the shared part */
#define OOMX_RSS_SUM 3	  /* per-CPU; oom_badness() adds up every CPU */

/* oomx_config.flags */
#define OOMX_CFG_ENFORCE (1u << 0) /* else rank and report only */
#define OOMX_CFG_ASKED (1u << 1)   /* enforcing was asked for: without ENFORCE, it has failed */
#define OOMX_CFG_SCOPED (1u << 2)  /* enforce only in the cgroups of map "oomx_scope" */
#define OOMX_CFG_TRIPPED (1u << 3) /* set by the kernel side: the circuit breaker ended enforcing */
#define OOMX_CFG_STALLED (1u << 4) /* set by the kernel side: the responder does not answer */
#define OOMX_CFG_HIDES (1u << 5)   /* memcg scans do not see a victim that is exiting */
#define OOMX_CFG_PROCS (1u << 6)   /* there are rules for processes: map "oomx_procs" */

struct oomx_config {
	__u32 abi;		/* OOMX_ABI */
	__u32 rss_mode;		/* OOMX_RSS_* as calibrated */
	__u32 flags;		/* OOMX_CFG_* */
	__u32 n_cpus;		/* possible CPUs */
	__u32 responder_pid;	/* 0: none */
	__u32 rules_generation; /* raised with every change of priorities */
	__u32 daemon_pid;
	__u32 hook;
	__u64 decision_base;	/* decision ids count up from here */
	__u64 wait_ns;		/* longest wait for a nomination, per OOM */
	__u64 guard_ns;		/* longest hold of oom_lock after a kill */
	__u64 inflight_ns;	/* a victim not gone after this is no longer waited for */
	__u64 policy_hash;	/* as in oomx_rec_kill */
	char policy[OOMX_POLICY_LEN];
	char version[OOMX_VERSION_LEN];
	__u32 demoter_pid; /* lowers rivals that the responder may not touch; 0: none */
	__u32 _pad;
	/* longest hold of oom_lock per domain, waits and guards together, within a time */
	__u64 hold_budget_ns;
	__u64 hold_window_ns;
	__u32 generation; /* of this set of programs: see oomx_turn */
	__u32 _pad2;
	__u64 rank_ns; /* longest time that a choice may take; one that took longer is not used */
	__u32 n_rules;	 /* in force */
	__u32 rules_bad; /* the files have been changed since, and have mistakes */
	/* of the memory that a kill could free, where rules protect most; 0: they do not */
	__u32 protected_percent;
	/*
	 * User space's note, for the one that comes after it, of the record that it is telling:
	 * when it is killed, this one may have been told, or not. type 0: none yet.
	 */
	__u32 telling_type;
	__u64 telling_decision;
	__u64 telling_ktime_ns;
	/* first 8 bytes, big-endian, of the SHA-256 of its objects; 0: too old to say */
	__u64 build;
};

/* ---- whose turn it is: map "oomx_turn", one entry, shared by two sets of programs ------------- */

/*
 * While one oomx takes over from another, both have their programs attached. Each OOM is one
 * set's, from beginning to end: the first program to see it takes the owner's word for all.
 */
struct oomx_turn {
	__u32 owner;   /* generation whose turn is the next OOM */
	__u32 latched; /* generation whose is the OOM under way; 0: there is none */
	__u32 wanted;  /* struct_ops: process id for the kernel module, in this OOM; 0: none */
	__u32 _pad;
};

/* ---- counters: map "oomx_stats", one entry -------------------------------------------------- */

struct oomx_stats {
	__u64 sent[OOMX_REC_MAX];	  /* by record type */
	__u64 dropped[OOMX_REC_MAX];	  /* by record type: no room in the ring */
	__u64 abstained[OOMX_ABSTAIN_SLOTS];
	__u64 ooms;		/* calls of out_of_memory() */
	__u64 joined;		/* of which: a victim was already on its way out */
	__u64 exiting;		/* of which: the trigger itself was already dying */
	__u64 standing_down;	/* of which: returned without a kill for another reason */
	__u64 kills;		/* processes marked and killed by the OOM killer */
	__u64 agreed;		/* the kernel would have chosen the same: nothing to enforce */
	__u64 nominated;	/* requests to raise oom_score_adj */
	__u64 early;		/* of which sent before oom_lock was taken */
	__u64 false_alarms;	/* nominations that no kill followed: raised and restored */
	__u64 self_signals;	/* the trigger was the victim, and was signalled directly */
	__u64 waits;		/* OOMs that had to wait for the nomination */
	__u64 wait_ns;		/* total */
	__u64 guards;		/* OOMs held until an earlier victim was gone */
	__u64 guard_timeouts;
	__u64 guard_ns;		/* total */
	__u64 totals_differ;	/* our totalpages was not the kernel's */
	__u64 demoted;		/* rivals whose oom_score_adj was lowered for the time of an OOM */
	__u64 inherited;	/* children that were forked with a raised value, and put right */
	__u64 out_of_scope;	/* OOMs left to the kernel: outside the cgroups of --scope */
	__u64 renewed;		/* early requests that were about to be put back, and sent again */
	__u64 exits_held;	/* victims that waited until the kernel had looked for them */
	__u64 exit_timeouts;
	__u64 hastened;		/* victims given real time for the last of their way */
	__u64 moved;		/* threads of victims sent away from a CPU that was held */
	__u64 guards_yielded;	/* OOMs that went on, since a victim needed the CPU */
	__u64 reserve_given;	/* times the responder let go of memory, to be able to answer */
};

/* ---- priorities: map "oomx_prio", cgroup id -> ---------------------------------------------- */

/* oomx_prio.flags */
#define OOMX_PRIO_NEVER (1u << 0)   /* never chosen, by whatever policy */
#define OOMX_PRIO_PROTECT (1u << 1) /* chosen only if nobody else is left */
#define OOMX_PRIO_BY_HAND (1u << 2) /* set by a command: rules leave it as it is */

#define OOMX_CLASS_MAX 1000
#define OOMX_WEIGHT_MAX 1000

struct oomx_prio {
	__s32 priority;
	__u32 class;
	__u32 rule; /* key in "oomx_rules"; 0: none */
	__s16 weight; /* thousandths of the domain that it counts more, or less */
	__u16 flags;  /* OOMX_PRIO_* */
};

/* ---- rules: map "oomx_rules", number -> ----------------------------------------------------- */

/*
 * The lowest bits are the rule's place in its files, from 1; those above count how often the rules
 * were read. So a number means the same rule for as long as anybody may ask.
 */
#define OOMX_RULE_MASK 0xfff
#define OOMX_RULE_SHIFT 12
#define OOMX_RULE_LEN 64

struct oomx_rule {
	char name[OOMX_RULE_LEN];
};

/* ---- rules for processes: map "oomx_procs", process id -> --------------------------------------- */

struct oomx_proc {
	__u64 start_ns;	       /* CLOCK_BOOTTIME, of its first thread: another has another */
	struct oomx_prio prio; /* in place of its cgroup's, unless that was set by hand */
};

/* ---- memory.oom.group as rules have set it: map "oomx_groups", cgroup id -> -------------------- */

struct oomx_group {
	__u32 load; /* the reading of the rules that wants it */
	__u16 old;  /* its owner's */
	__u16 set;
};

/* ---- oom_score_adj -1000 that rules have rewritten: map "oomx_shields", process id -> ----------- */

struct oomx_shield {
	__u64 start_ns; /* CLOCK_BOOTTIME, of its first thread: another has another */
	__s32 old_adj;	/* -1000 */
	__s32 set_adj;
	__u32 load; /* the reading of the rules that wants it */
	__u32 _pad;
};

/* ---- cgroups that come and go: ring "oomx_cgroups" ------------------------------------------- */

#define OOMX_CGROUP_MADE 1
#define OOMX_CGROUP_GONE 2
#define OOMX_CGROUP_LEN 1024 /* of the path, as the kernel cuts it */

struct oomx_cgroup_rec {
	__u64 id;
	__u32 what; /* OOMX_CGROUP_* */
	__u32 _pad;
	char path[OOMX_CGROUP_LEN]; /* ended by NUL; what follows is not sent */
};

/* ---- processes that may have become another's rule's: ring "oomx_proc_events" ----------------- */

struct oomx_proc_rec {
	__u64 start_ns;
	__u32 pid;
	__u32 _pad;
};

/* ---- nominations: rings "oomx_requests", "oomx_demotions" and map "oomx_raised" ------------- */

#define OOMX_ADJ_RAISED 1000
/*
 * What a rival of the nominee is lowered to: hardly anybody's own value, so that an altered one is
 * told from the owner's without a search, and worth a thousandth of the domain.
 */
#define OOMX_ADJ_LOWERED 1
/* One that was altered this long ago, and has not been killed, was a false alarm: put back. */
#define OOMX_ALTERED_NS 300000000ULL

/* oomx_request.flags */
#define OOMX_REQ_EXCLUSIVE (1u << 0) /* under oom_lock: restore every other nominee first */
#define OOMX_REQ_RESTORE (1u << 1)   /* set_adj has been inherited: put old_adj in its place */
#define OOMX_REQ_SHARED (1u << 2)    /* others share its memory, and are on record as well */
/* Of a victim's thread, pid; its value stays as it is: */
#define OOMX_REQ_HASTEN (1u << 3) /* real time from now on */
#define OOMX_REQ_AWAY (1u << 4)	  /* to another CPU than cpu */

struct oomx_request {
	__u32 pid;
	__s32 old_adj;
	__s32 set_adj;
	__u32 flags; /* OOMX_REQ_* */
	__u64 start_ns;
	__u64 ktime_ns;
	__u64 mm; /* the same number: the same memory, and so the same oom_score_adj */
	__u32 cpu; /* of who asks */
	__u32 lack_pages; /* of the machine: what reading /proc might not get; 0: nothing */
};

/* Whose oom_score_adj is to be put back, key pid: outlives the daemon, so that `stop` can do it. */
struct oomx_raised {
	__u64 start_ns;
	__u64 ktime_ns;
	__s32 old_adj;
	__u32 killed;  /* by the OOM killer: nothing is put back */
	__s32 set_adj; /* OOMX_ADJ_RAISED, OOMX_ADJ_LOWERED */
	__u32 capped;  /* set with CAP_SYS_RESOURCE: oom_score_adj_min went with it */
	__u32 of;      /* altered with this process, whose memory it shares; 0: by itself */
	__u32 _pad;
};

/* ---- score: what the task iterator writes for `oomx score` ---------------------------------- */

struct oomx_score_rec {
	struct oomx_who who;
	__u32 eligible; /* the kernel would consider it */
	__u32 _pad;
	__s64 badness;
	__s64 points;
	struct oomx_facts facts;
};

struct oomx_score_args {
	__u64 domain_id; /* cgroup id of the memcg; 0: the whole machine */
};

/* ---- calibration: which form of the mm counters this kernel's oom_badness() reads ----------- */

struct oomx_calibration {
	__u32 pid;    /* in: whom to look at */
	__u32 n_cpus; /* in: possible CPUs */
	__u32 atomic; /* out: the counters are plain atomics */
	__u32 seen;   /* out: times oom_badness() was called for it */
	__s64 kernel; /* out: what the kernel returned, with oom_score_adj 0: pages */
	__s64 approx; /* out: ours at the same instant, shared part only */
	__s64 sum;    /* out: ours at the same instant, every CPU added */
};

/* ---- self-test: whether iterating a cgroup shows a process that is exiting ------------------ */

struct oomx_selftest {
	__u32 pid;     /* in: the process that exits */
	__u32 reader;  /* in: the thread that has its cgroup iterated */
	__u32 exiting; /* out: 1: at the end of its address space, and held there; 2: no more */
	__u32 release; /* in: go on */
	__u32 seen;    /* out: the iteration has met it */
	__u32 walked;  /* out: steps of the iteration while it was held */
	__u32 hides;   /* out: the kernel's types say that it is hidden */
	__u32 _pad;
};

/* ---- attachments: what user space adds to a record ------------------------------------------- */

/*
 * In a message of the events' socket, records may be followed by any number of these: the first at
 * hdr.size, each at the next multiple of 8. Behind this head come pairs of strings, each ended by
 * NUL: key, value, key, value. Types and keys that are not known are to be passed over.
 */
struct oomx_attachment {
	__u32 size; /* with this head, without what fills up to the next */
	__u32 type; /* OOMX_ATTACH_* */
};

#define OOMX_ATTACH_CONTAINER 1 /* of the victim, or (OOMX_REC_OOM) of the cgroup that is full */
#define OOMX_ATTACH_TRIGGER 2	/* OOMX_REC_OOM: of the trigger */
/*
 * No strings: an oomx that was killed was telling this record. Those who have had one of the same
 * decision, type and ktime_ns have had this one.
 */
#define OOMX_ATTACH_AGAIN 3

#define OOMX_SIZE(t, n) _Static_assert(sizeof(struct t) == (n), "ABI: struct " #t)
OOMX_SIZE(oomx_rec_hdr, 32);
OOMX_SIZE(oomx_who, 304);
OOMX_SIZE(oomx_rec_oom, 32 + 304 + 24 + 40 + 256);
OOMX_SIZE(oomx_rec_kill, 32 + 304 + 16 + 16 + 24 + 40 + 40 + 152);
OOMX_SIZE(oomx_rec_freed, 32 + 48);
OOMX_SIZE(oomx_rec_abstain, 32 + 56);
OOMX_SIZE(oomx_candidate, 48 + 152);
OOMX_SIZE(oomx_rec_candidates, 32 + 16 + OOMX_TOP_K * 200);
OOMX_SIZE(oomx_prio, 16);
OOMX_SIZE(oomx_turn, 16);
OOMX_SIZE(oomx_rule, OOMX_RULE_LEN);
OOMX_SIZE(oomx_group, 8);
OOMX_SIZE(oomx_proc, 24);
OOMX_SIZE(oomx_proc_rec, 16);
OOMX_SIZE(oomx_cgroup_rec, 16 + OOMX_CGROUP_LEN);
OOMX_SIZE(oomx_request, 48);
OOMX_SIZE(oomx_raised, 40);
OOMX_SIZE(oomx_calibration, 40);
OOMX_SIZE(oomx_selftest, 32);
OOMX_SIZE(oomx_attachment, 8);
#undef OOMX_SIZE

#endif
