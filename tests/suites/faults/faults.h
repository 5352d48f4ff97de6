/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * faults.h - what suite_faults is made of: cases in which something is broken, full, stopped, set
 * or attached while oomx enforces. Whoever then dies, it is one of the two that oomx or the kernel
 * would choose, one process, and with an end; everybody else keeps his oom_score_adj; and the next
 * OOM after the repair is oomx's again.
 */
#ifndef SUITE_FAULTS_H
#define SUITE_FAULTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/bpfcount.h"
#include "lib/scene.h"
#include "lib/suite.h"

#define FAULTS_TRIP_AFTER 10 /* failures in a row that end enforcing */

struct fault_case {
	const char *name;
	void (*play)(void);
	/* Without oomx, for comparison, in the same guest; NULL: the scene as it is. */
	void (*alone)(void);
};

extern const struct fault_case faults_broken[], faults_full[], faults_around[]; /* up to no name */

struct faults {
	struct scene scene; /* open, a memcg's unless somebody has it otherwise */
	const char *hook;
	struct bpf_count at_rest; /* with no oomx */
};
extern struct faults faults;

void faults_start(void); /* oomx, lp having the lowest priority */
pid_t faults_responder(void); /* fatal if there is none */
void faults_await_other_responder(pid_t than);

#define FAULTS_PIN(map) "/sys/fs/bpf/oomx/" #map

/* Whether the kernel alone loses sight of a dying victim, and kills a second one: tried once. */
bool faults_kernel_hides(void);

/*
 * One OOM of the scene each: whom it takes, and that it is told: lp as oomx's choice, hp as the
 * kernel's, with the reason why oomx stood back. Nobody looks at that after _untold() and _hp().
 */
void faults_expect_lp(void);
void faults_expect_lp_untold(void);
void faults_expect_hp(void);
void faults_expect_abstained(const char *reason); /* hp */
void faults_expect_either(void);
void faults_expect_either_untold(void);
/* Of one that has been played: a has died, or else b; NULL: nobody. */
void faults_expect_one_of(struct worker *a, struct worker *b);
/* lp, and told. */
void faults_expect_played_lp(void);

void faults_fill_ring(const char *name); /* whoever reads it is woken */
/*
 * That the circuit breaker has ended enforcing, once, by the events since daemon_clear() and by
 * `oomx status`; or that it has not.
 */
void faults_expect_tripped(bool tripped);

/* Cases with names and counts of their own (nominate.c); how many were played. */
unsigned int faults_nominate(const struct suite_options *o);
/* Four of them (self.c). */
void faults_self(unsigned int runs);
void faults_self_group(unsigned int runs);
void faults_self_untold(unsigned int runs);
void faults_self_second(unsigned int runs);
/* Four of them (held.c). */
void faults_children(unsigned int runs);
void faults_renewed(unsigned int runs);
void faults_disobeyed(unsigned int runs);
void faults_crash_raised(unsigned int runs);
void faults_sharers(unsigned int runs); /* sharers.c */
void faults_out_of_sight(unsigned int runs); /* sight.c */
void faults_nested(unsigned int runs);	     /* the same */
void faults_starved(unsigned int runs); /* starved.c */
/* And four (freed.c). */
void faults_freed_memcg(unsigned int runs);
void faults_freed_global(unsigned int runs);
void faults_looked_for_memcg(unsigned int runs);
void faults_looked_for_long(unsigned int runs);
void faults_looked_for_global(unsigned int runs);

#endif
