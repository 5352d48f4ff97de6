/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rank.bpf.h - the choice: walks every process, asks the kernel's own eligibility, fills the
 * facts, calls the policy, keeps the best. The only place where order and ties are defined.
 */
#ifndef OOMX_RANK_BPF_H
#define OOMX_RANK_BPF_H

#include <oomx/facts.bpf.h>
#include <oomx/members.bpf.h>

#define OX_TASKS_MAX (1 << 22) /* PID_MAX_LIMIT */

/* Someone's place in the ranking, apart from the facts. */
struct ox_pick {
	struct task_struct *task; /* NULL: none. May go at any time; reads are fault-safe */
	struct mm_struct *mm;
	s64 badness;
	s64 points;
	u64 start_ns;
	u32 pid;
	s32 adj;
};

#define OX_RIVALS 8 /* that can be lowered at once */

/* One who would be killed in place of the best, whatever is done to the best's oom_score_adj. */
struct ox_rival {
	struct task_struct *task;
	struct mm_struct *mm;
	u64 start_ns;
	u32 pid;
	s32 adj;     /* its owner's */
	s32 adj_min; /* oom_score_adj_min: below it, lowering takes CAP_SYS_RESOURCE */
	u32 _pad;
};

/*
 * A seat is the work space of one choice. Too large for the stack, so it lies in a map: one for
 * choices under oom_lock, of which there is one at a time, and per CPU for those before it.
 */
struct ox_seat {
	struct ox_domain dom;
	struct ox_pick best;
	struct ox_pick kernel; /* whom the kernel would take; its badness is not filled */
	s64 kernel_second;     /* points of its runner-up */
	s64 rival;	       /* most points of anyone but best, for the test of "outscored" */
	s64 points_bar;	       /* below both of them, a process changes nothing in the above */
	s64 badness_bar;
	u64 rank_ns;
	u32 rival_pid;
	u32 n_rivals; /* OX_RIVALS + 1: more, or one that nothing helps against */
	u32 n_tasks;
	u32 n_offered;
	u32 n_top;
	u32 worst; /* index in top of the one to give way, once it is full */
	bool torn;     /* the members of the memcg moved meanwhile: everybody was asked instead */
	bool inflight; /* the kernel's own scan would stop: a victim is on its way out */
	bool go_on;    /* set by the caller: the walk does not stop there */
	bool done;     /* the walk saw the end of the list */
	struct ox_rival rivals[OX_RIVALS]; /* filled by ox_rivals() */
	struct ox_members members; /* of a memcg: where the walk is */
	struct task_struct *pos;   /* of the whole machine: where the walk is */
	struct task_struct *visited; /* whom the walk has come to */
	bool for_rivals;		     /* a second walk, for those who beat the best */
	struct task_struct *init;
	struct task_struct *trigger;
	u32 rss_mode;
	u32 n_cpus;
	u32 cfg_flags;
	bool ask_domain; /* the walk goes beyond it: ask each whether it is in it */
	struct ox_prio_memo memo;
	struct oomx_facts facts;      /* of the candidate at hand */
	struct oomx_facts best_facts;
	struct oomx_candidate top[OOMX_TOP_K];
	struct task_struct *top_task[OOMX_TOP_K];
	struct ox_nodes nodes;
	struct ox_path path;
};

/*
 * Whom no rule protects first; then the higher badness; among equals the youngest, which the
 * kernel's own scan meets last.
 */
static __always_inline bool ox_before(u32 flags, s64 badness, u64 start_ns, u32 than_flags,
				      s64 than, u64 than_start_ns)
{
	if ((flags ^ than_flags) & OOMX_FACT_PROTECT)
		return than_flags & OOMX_FACT_PROTECT;
	return badness > than || (badness == than && start_ns >= than_start_ns);
}

static __always_inline bool ox_before_top(u32 flags, s64 badness, u64 start_ns,
					  struct oomx_candidate *c)
{
	return ox_before(flags, badness, start_ns, c->facts.flags, c->badness, c->start_ns);
}

static __always_inline void ox_top_set(struct oomx_candidate *c, struct ox_pick *p,
				       struct oomx_facts *facts)
{
	c->pid = p->pid;
	c->_pad = 0;
	c->start_ns = p->start_ns;
	c->badness = p->badness;
	c->points = p->points;
	bpf_probe_read_kernel_str(c->comm, sizeof(c->comm), p->task->comm);
	c->facts = *facts;
}

/* What bpf_loop() hands to its callback has to lie on the stack, and the seat does not. */
struct ox_walk {
	struct ox_seat *seat;
};

/* The worst so far, or this one. */
static int ox_worst_step(u32 i, struct ox_walk *w)
{
	struct ox_seat *s = w->seat;
	struct oomx_candidate *c;

	if (!s || i >= s->n_top)
		return 1;
	c = &s->top[s->worst & (OOMX_TOP_K - 1)];
	if (ox_before_top(c->facts.flags, c->badness, c->start_ns, &s->top[i & (OOMX_TOP_K - 1)]))
		s->worst = i;
	return 0;
}

/* Keeps the OOMX_TOP_K best, unordered: the reader sorts. Global, see ox_visit(). */
__noinline int ox_top_insert(struct ox_seat *s, struct ox_pick *p, struct oomx_facts *facts)
{
	struct ox_walk w = { .seat = s };
	struct oomx_candidate *c;
	u32 at;

	if (!s || !p || !facts)
		return 0;
	if (s->n_top < OOMX_TOP_K) {
		at = s->n_top++;
	} else {
		at = s->worst;
		c = &s->top[at & (OOMX_TOP_K - 1)];
		if (!ox_before_top(facts->flags, p->badness, p->start_ns, c))
			return 0;
	}
	s->top_task[at & (OOMX_TOP_K - 1)] = p->task;
	ox_top_set(&s->top[at & (OOMX_TOP_K - 1)], p, facts);
	if (s->n_top < OOMX_TOP_K)
		return 0;
	s->worst = 0;
	bpf_loop(OOMX_TOP_K, ox_worst_step, &w, 0);
	return 0;
}

/*
 * For the walk, which keeps the best itself apart until its end. An equal of the last does not
 * take its place: crowds of equal processes are no news.
 */
static __always_inline void ox_top_offer(struct ox_seat *s, struct ox_pick *p,
					 struct oomx_facts *facts)
{
	struct oomx_candidate *last = &s->top[s->worst & (OOMX_TOP_K - 1)];

	if (s->n_top < OOMX_TOP_K || p->badness != last->badness ||
	    (facts->flags ^ last->facts.flags) & OOMX_FACT_PROTECT)
		ox_top_insert(s, p, facts); /* if it is before the last */
}

/*
 * What a lean policy is not told is read when it is reported: the choice itself does not wait for
 * it. One that is gone by then has none of it.
 */
static __always_inline void ox_top_complete(struct ox_seat *s)
{
	u32 i;

	for (i = 0; i < OOMX_TOP_K && i < s->n_top; i++) {
		struct oomx_candidate *c = &s->top[i];
		struct task_struct *t = s->top_task[i];

		if ((u32)ox_read(t, tgid) == c->pid && ox_read(t, start_boottime) == c->start_ns)
			ox_facts_complete(&c->facts, (u64)t);
	}
}

/* After each change of those that a process has to beat to change anything. */
static __always_inline void ox_bars_set(struct ox_seat *s)
{
	s64 points = s->kernel_second < s->rival ? s->kernel_second : s->rival;
	struct oomx_candidate *last = &s->top[s->worst & (OOMX_TOP_K - 1)];
	s64 badness = last->badness;

	s->points_bar = points < s->kernel.points ? points + 1 : s->kernel.points;
	/* one that is protected is before none that is not, however low that one's badness */
	if (s->n_top < OOMX_TOP_K ||
	    (last->facts.flags | s->best_facts.flags) & OOMX_FACT_PROTECT)
		s->badness_bar = OX_LONG_MIN;
	else
		s->badness_bar = badness < s->best.badness ? badness + 1 : s->best.badness;
}

/* select_bad_process()'s choice and its runner-up: the last scanned of the highest points */
static __always_inline void ox_kernel_consider(struct ox_seat *s, struct ox_pick *p)
{
	if (!s->kernel.task || p->points >= s->kernel.points) {
		s->kernel_second = s->kernel.task ? s->kernel.points : OX_LONG_MIN;
		s->kernel = *p;
	} else if (p->points > s->kernel_second) {
		s->kernel_second = p->points;
	}
}

/*
 * css_task_iter_advance() (kernel/cgroup/cgroup.c, 6.1): of those without a thread that lives, it
 * leaves out whose leader is through with its exit; where OOMX_CFG_HIDES, also whose leader has
 * only begun it.
 */
static __always_inline bool ox_hidden(struct oomx_config *cfg, struct task_struct *t)
{
	struct task_struct *leader = BPF_CORE_READ(t, group_leader);

	if (BPF_CORE_READ(t, signal, live.counter))
		return false;
	return BPF_CORE_READ(leader, exit_state) ||
	       ((cfg->flags & OOMX_CFG_HIDES) && BPF_CORE_READ(leader, flags) & OX_PF_EXITING);
}

/*
 * Will this victim stay in sight until its memory is gone? Not for sure if its last thread may be
 * another than the leader, or the last to let go of its memory another process.
 */
static __always_inline bool ox_may_hide(struct task_struct *t, struct mm_struct *mm)
{
	struct task_struct *leader = BPF_CORE_READ(t, group_leader);

	return BPF_CORE_READ(mm, mm_users.counter) > 1 || BPF_CORE_READ(leader, exit_state);
}

/*
 * oom_evaluate_task() gives up on finding a new victim when it meets an earlier one, unless that
 * one's memory is gone or given up on. In a memcg it does not meet all that are exiting.
 */
static __always_inline bool ox_holds_back(struct ox_seat *s, struct task_struct *victim)
{
	struct mm_struct *mm = BPF_CORE_READ(victim, signal, oom_mm);
	struct oomx_config *cfg = ox_config();

	if (ox_mm_flags(mm) & (1UL << OX_MMF_OOM_SKIP))
		return false;
	return !s->dom.css || !cfg || !ox_hidden(cfg, victim);
}

/* Not the best (any more): its points still count against the best's. */
static __always_inline void ox_beaten(struct ox_seat *s, s64 points, u32 pid)
{
	if (points > s->rival) {
		s->rival = points;
		s->rival_pid = pid;
	}
}

/* One for whom more is asked, because the choice may depend on it. */
static __noinline int ox_contend(struct ox_seat *s, struct ox_look *l, s64 points, s64 badness)
{
	struct ox_pick p = { .badness = badness, .points = points };
	struct task_struct *t;

	if (!ox_look_closer(l)) {
		s->n_offered--;
		return 0;
	}
	p.task = l->task;
	p.mm = l->mm;
	p.adj = l->adj;
	t = ox_cast(p.task);
	p.pid = ox_get(t, tgid);
	p.start_ns = ox_get(t, start_boottime);
	ox_kernel_consider(s, &p);
	if (badness == OOMX_NEVER) { /* not for the kernel */
		ox_beaten(s, points, p.pid);
	} else if (s->best.task &&
		   !ox_before(s->facts.flags, badness, p.start_ns, s->best_facts.flags,
			      s->best.badness, s->best.start_ns)) {
		ox_beaten(s, points, p.pid);
		ox_top_offer(s, &p, &s->facts);
	} else {
		if (s->best.task) {
			ox_beaten(s, s->best.points, s->best.pid);
			ox_top_offer(s, &s->best, &s->best_facts);
		}
		s->best = p;
		s->best_facts = s->facts;
	}
	ox_bars_set(s);
	return 0;
}

/*
 * Reads into l and s->facts what points and badness are made of. False: not to be killed. Those
 * that pass are still to be looked at closer before they count for anything.
 */
static __always_inline bool ox_weigh(struct ox_seat *s, struct task_struct *t, struct ox_look *l)
{
	struct mm_struct *mm;

	if (!ox_look_killable(l) || t == s->init)
		return false;
	mm = l->mm;
	if (l->adj == OOMX_ADJ_RAISED || l->adj == OOMX_ADJ_LOWERED)
		l->adj = ox_adj_of_sharer(ox_read(t, tgid), ox_read(t, start_boottime), (u64)mm,
					  l->adj);
	ox_facts_mem(&s->facts, mm, s->rss_mode, s->n_cpus);
	if (!OX_POLICY_NO_VM)
		s->facts.total_vm_pages = ox_read(mm, total_vm);
	s->facts.oom_score_adj = l->adj;
	s->facts.flags = (t == s->trigger ? OOMX_FACT_IS_TRIGGER : 0) |
			 (l->origin ? OOMX_FACT_ORIGIN : 0);
	return true;
}

static __always_inline void ox_consider(struct ox_seat *s, struct task_struct *t)
{
	struct ox_look l;
	s64 points, badness;

	if (!ox_look(&l, t))
		return;
	if (l.oom_mm) {
		if (ox_holds_back(s, t))
			s->inflight = true;
		return;
	}
	if (!ox_weigh(s, t, &l))
		return;
	ox_facts_prio(&s->facts, t, &s->memo, s->cfg_flags);
	if (!OX_POLICY_LEAN)
		ox_facts_rest(&s->facts, (u64)t);
	points = l.origin ? OX_LONG_MAX : oomx_badness(&s->facts);
	badness = ox_policy_badness(&s->facts);
	s->n_offered++;
	if (points >= s->points_bar || badness >= s->badness_bar)
		ox_contend(s, &l, points, badness);
}

/* The points that the kernel will see once the best's oom_score_adj is raised. */
static __always_inline s64 ox_points_raised(struct ox_seat *s)
{
	return s->best.points + (OOMX_ADJ_RAISED - s->best.adj) * (s64)(s->dom.pages / 1000);
}

/* Notes who has as many points as the best will have. */
static __always_inline void ox_rival_consider(struct ox_seat *s, struct task_struct *t)
{
	struct ox_rival r = { .task = t };
	struct ox_look l;

	if (!ox_look(&l, t) || l.oom_mm || !ox_weigh(s, t, &l))
		return;
	if (l.mm == s->best.mm) /* it dies with the best */
		return;
	if (!l.origin && oomx_badness(&s->facts) < ox_points_raised(s))
		return;
	if (!ox_look_closer(&l))
		return;
	r.mm = l.mm;
	r.pid = BPF_CORE_READ(t, tgid);
	r.start_ns = BPF_CORE_READ(t, start_boottime);
	r.adj = l.adj;
	r.adj_min = BPF_CORE_READ(t, signal, oom_score_adj_min);
	if (l.origin || s->n_rivals >= OX_RIVALS || r.adj <= OOMX_ADJ_LOWERED ||
	    (r.adj_min > OOMX_ADJ_LOWERED && r.adj_min != r.adj)) {
		s->n_rivals = OX_RIVALS + 1;
		return;
	}
	s->rivals[s->n_rivals++ & (OX_RIVALS - 1)] = r;
}

/* Before a walk begins, or begins anew. */
static __always_inline void ox_rank_reset(struct ox_seat *s, bool rivals)
{
	s->n_rivals = 0;
	if (rivals)
		return;
	s->best.task = NULL;
	s->kernel.task = NULL;
	s->kernel_second = OX_LONG_MIN;
	s->rival = OX_LONG_MIN;
	s->points_bar = OX_LONG_MIN;
	s->badness_bar = OX_LONG_MIN;
	s->rival_pid = 0;
	s->n_tasks = 0;
	s->n_offered = 0;
	s->n_top = 0;
	s->worst = 0;
	s->inflight = false;
	ox_memo_reset(&s->memo, s->dom.css);
}

/*
 * s->visited. Not 0: the walk may end. Global, as all that is called from several places and is
 * long: the verifier then goes over it once for each program, not once for each way to come to it.
 */
__noinline int ox_visit(struct ox_seat *s)
{
	struct task_struct *t;

	if (!s)
		return 1;
	t = s->visited;
	s->n_tasks += !s->for_rivals;
	if (s->ask_domain && !ox_domain_has(&s->dom, (u64)t))
		return 0;
	if (s->for_rivals) {
		ox_rival_consider(s, t);
		return s->n_rivals > OX_RIVALS;
	}
	ox_consider(s, t);
	if (!s->inflight || s->go_on)
		return 0;
	s->done = true; /* nobody will be chosen: it has seen enough */
	return 1;
}

/* 1: the walk is to end. To the verifier a global function may return anything. */
static __always_inline int ox_visit_ends(struct ox_seat *s)
{
	int end = ox_visit(s);

	barrier_var(end);
	return end != 0;
}

static int ox_walk_step(u32 i, struct ox_walk *w)
{
	struct ox_seat *s = w->seat;
	struct list_head *next;
	struct task_struct *t;

	if (!s)
		return 1;
	next = ox_read(s->pos, tasks.next);
	t = ox_task_of_tasks(next);
	s->pos = t;
	if (!next || t == (struct task_struct *)ox_symbol(init_task)) {
		s->done = next;
		return 1;
	}
	s->visited = t;
	return ox_visit_ends(s);
}

/*
 * Where it is, is kept in the seat, not on the stack: the verifier of 6.1 takes what the stack
 * holds when the loop begins for what it holds ever after, and leaves out the rest of the code.
 */
static int ox_member_step(u32 i, struct ox_walk *w)
{
	struct ox_seat *s = w->seat;
	struct task_struct *t;

	if (!s)
		return 1;
	t = ox_members_next(&s->members);
	if (s->members.end) {
		s->done = !s->members.torn;
		s->torn = s->members.torn;
		return 1;
	}
	s->visited = t;
	return t ? ox_visit_ends(s) : 0;
}

/* What is the same for all processes. */
static __always_inline void ox_walk_prepare(struct ox_seat *s)
{
	struct task_struct *reaper = NULL, *cur = (void *)bpf_get_current_task();
	struct oomx_config *cfg = ox_config();

	/* is_global_init() is asked of leaders only: the pid need not be read of each */
	bpf_probe_read_kernel(&reaper, sizeof(reaper),
			      ox_symbol(init_pid_ns) +
				      bpf_core_field_offset(struct pid_namespace, child_reaper));
	s->init = ox_read(reaper, group_leader);
	s->trigger = ox_read(cur, group_leader);
	s->rss_mode = cfg ? cfg->rss_mode : 0;
	s->n_cpus = cfg ? cfg->n_cpus : 0;
	s->cfg_flags = cfg ? cfg->flags : 0;
	__builtin_memset(&s->facts, 0, sizeof(s->facts));
	s->facts.domain_pages = s->dom.pages;
}

/*
 * Visits every process of the seat's domain, and sets seat->done at the end of it. A memcg's are
 * found from its cgroups, however many there are on the machine; where that fails, and for the
 * whole machine, it is the list of for_each_process(), under the RCU read lock that every program
 * here holds.
 */
static __always_inline void ox_walk(struct ox_seat *s, bool rivals)
{
	struct ox_walk w = { .seat = s };

	s->for_rivals = rivals;
	s->done = false;
	s->torn = false;
	s->ask_domain = s->dom.nodes;
	ox_walk_prepare(s);
	ox_rank_reset(s, rivals);
	if (s->dom.css) {
		ox_members_begin(&s->members, s->dom.css);
		bpf_loop(OX_TASKS_MAX, ox_member_step, &w, 0);
		if (!s->torn)
			return;
		s->ask_domain = true;
		ox_rank_reset(s, rivals);
	}
	s->pos = (struct task_struct *)ox_symbol(init_task);
	bpf_loop(OX_TASKS_MAX, ox_walk_step, &w, 0);
}

/*
 * Ranks every process of the seat's domain. The caller has filled seat->dom. One pass; no locks.
 * What it costs is reading: of a process that changes nothing, the list, mm, signal, three numbers
 * of the signal struct, cgroups, and of the mm the counters and the page tables: seven reads, and
 * as many calls where ox_can_cast() is false. It adds to this with every fact that a policy wants.
 * False: the walk did not reach its end, do not trust the result. With a victim in flight it may
 * end there (seat->go_on), and the result is no more than that.
 */
__noinline int ox_rank(struct ox_seat *s)
{
	u64 t0 = bpf_ktime_get_ns();

	if (!s)
		return false;
	ox_walk(s, /* rivals= */ false);
	if (s->best.task)
		ox_top_insert(s, &s->best, &s->best_facts);
	s->rank_ns = bpf_ktime_get_ns() - t0;
	return s->done;
}

/*
 * Who would be killed in the best's place even at oom_score_adj 1000: fills seat->rivals. False:
 * there are too many of them, or one that cannot be lowered and put back as it was.
 */
__noinline int ox_rivals(struct ox_seat *s)
{
	if (!s)
		return false;
	if (!s->rival_pid || s->rival < ox_points_raised(s)) {
		s->n_rivals = 0;
		return true;
	}
	ox_walk(s, /* rivals= */ true);
	return s->n_rivals <= OX_RIVALS;
}

/*
 * The kernel would take the best by itself, and by a margin (an eighth of its pages) that
 * allocations going on meanwhile will not turn round.
 */
static __always_inline bool ox_agreed(struct ox_seat *s)
{
	s64 lead = s->kernel.points - s->kernel_second;

	if (s->best.task != s->kernel.task)
		return false;
	return s->kernel_second == OX_LONG_MIN || lead > oomx_pages(&s->best_facts) >> 3;
}

#endif
