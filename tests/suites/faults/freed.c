// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * freed.c - moments on a victim's way out, made long (hold.bpf.c), in which the kernel ceases to
 * wait for it before its memory is back: nobody else dies in them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../../bpf/hold.h"
#include "faults/faults.h"
#include "lib/daemon.h"
#include "lib/testbpf.h"

#define LOOK_NS 40000000
#define LONG_LOOK_NS 300000000

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

struct moment_of_freeing {
	const char *what;
	const char *programs[4]; /* of hold.bpf.c, a NULL behind */
	void (*arm)(void);
	unsigned int reached; /* HOLD_* where somebody has to have been */
	bool global;
	bool pgtables; /* what the victim has is page tables */
};

static struct scene scene;
static struct hold *hold;

static void arm(unsigned int where, const struct hold_at *at)
{
	hold->at[where] = *at;
	__atomic_store_n(&hold->at[where].armed, 1, __ATOMIC_RELEASE);
}

static void play(const struct moment_of_freeing *m, unsigned int *held, unsigned int *waited)
{
	int64_t guards = daemon_counter("counters.guards");
	int64_t exits = daemon_counter("counters.exits_held");

	*hold = (struct hold){};
	m->arm();
	daemon_clear();
	if (!scene_play(&scene))
		return;
	scene_expect_victim(&scene, scene.lp);
	scene_expect_others_unchanged(&scene);
	if (!hold->at[m->reached].held)
		suite_fail("lp's memory was given back without a moment of waiting");
	*held += daemon_counter("counters.guards") != guards;
	*waited += daemon_counter("counters.exits_held") != exits;
}

static void play_moment(const struct moment_of_freeing *m, unsigned int runs)
{
	struct bpf_object *obj = testbpf_load("hold", NULL);
	struct bpf_link *links[4];
	unsigned int i, n, held = 0, waited = 0;

	for (n = 0; m->programs[n]; n++)
		links[n] = testbpf_attach(obj, m->programs[n]);
	hold = testbpf_memory(obj, "hold", sizeof(*hold));
	scene_open(&scene, m->global, 1);
	scene.lp_pgtables = m->pgtables;
	daemon_start(enforce);
	for (i = 1; i <= runs; i++) {
		suite_run_begin(m->what, i);
		daemon_require();
		play(m, &held, &waited);
		if (suite_run_failed())
			daemon_complain_events();
		scene_clear(&scene);
		suite_run_end();
	}
	printf("faults %s: oomx held hp in %u of %u runs, lp in %u\n", m->what, held, runs,
	       waited);
	daemon_stop();
	scene_close(&scene);
	while (n--)
		bpf_link__destroy(links[n]);
	munmap(hold, sizeof(*hold));
	bpf_object__close(obj);
}

/* ---- it is given back ------------------------------------------------------------------------ */

/* Within what oomx waits for such memory: guard_ns (user/engine.c) */
static void arm_given_back(void)
{
	arm(HOLD_FREE, &(struct hold_at){ .comm = "lp", .for_ns = 200000000 });
}

/*
 * Kernels that have this function (CONFIG_PT_RECLAIM; 7.2, 7.3) free them after an RCU grace
 * period, for which nobody can wait in BPF.
 */
static bool tables_come_back_at_once(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	bool late = false;
	char line[256];

	if (!f)
		suite_fatal("/proc/kallsyms: %s", strerror(errno));
	while (!late && fgets(line, sizeof(line), f))
		late = strstr(line, " __tlb_remove_table_one_rcu\n");
	fclose(f);
	return !late;
}

/* What the victim has is page tables, of which the kernel gives none back before. */
static void play_given_back(const char *what, bool global, unsigned int runs)
{
	const struct moment_of_freeing m = {
		.what = what,
		.programs = { "hold_free" },
		.arm = arm_given_back,
		.reached = HOLD_FREE,
		.global = global,
		.pgtables = true,
	};

	if (tables_come_back_at_once())
		play_moment(&m, runs);
	else
		printf("faults %s: nothing to play, page tables come back late\n", what);
}

void faults_freed_memcg(unsigned int runs)
{
	play_given_back("memory given back, memcg", false, runs);
}

void faults_freed_global(unsigned int runs)
{
	play_given_back("memory given back, global", true, runs);
}

/* ---- the kernel looks at the same time ------------------------------------------------------ */

/*
 * hp has found no room for the last time, and scans the processes; before it gets to lp, lp goes
 * all the way to where the kernel does not wait for it any more, if nothing keeps it for so long.
 */
static void arm_looked_for(unsigned int lp_at, unsigned int hp_at, uint64_t for_ns)
{
	arm(HOLD_FREE, &(struct hold_at){ .comm = "lp", .for_ns = for_ns / 2 });
	arm(hp_at, &(struct hold_at){ .comm = "hp", .for_ns = for_ns, .after = lp_at + 1,
				      .until = HOLD_FREE + 1 });
	arm(lp_at, &(struct hold_at){ .comm = "lp", .until = hp_at + 1 });
}

static void arm_looked_for_global(void)
{
	arm_looked_for(HOLD_UNMAP, HOLD_LOOK, LOOK_NS);
}

/* Further back: whoever is out of its memory already is waited for before the kernel looks. */
static void arm_looked_for_memcg(void)
{
	arm_looked_for(HOLD_EXIT, HOLD_SCAN, LOOK_NS);
}

/* As on a virtual CPU that has no real one for so long: more than wait_ns (user/engine.c). */
static void arm_looked_for_long(void)
{
	arm_looked_for(HOLD_EXIT, HOLD_SCAN, LONG_LOOK_NS);
}

static void play_looked_for(const char *what, void (*arm)(void), unsigned int runs)
{
	const struct moment_of_freeing m = {
		.what = what,
		.programs = { "hold_scan", "hold_exit", "hold_free" },
		.arm = arm,
		.reached = HOLD_SCAN,
	};

	if (!faults_kernel_hides())
		play_moment(&m, runs);
	else
		printf("faults %s: nothing to play, who is exiting is waited for anyway\n", what);
}

void faults_looked_for_memcg(unsigned int runs)
{
	play_looked_for("looked for, memcg", arm_looked_for_memcg, runs);
}

void faults_looked_for_long(unsigned int runs)
{
	play_looked_for("looked for, long", arm_looked_for_long, runs);
}

void faults_looked_for_global(unsigned int runs)
{
	static const struct moment_of_freeing m = {
		.what = "looked for, global",
		.programs = { "hold_look", "hold_unmap", "hold_free" },
		.arm = arm_looked_for_global,
		.reached = HOLD_LOOK,
		.global = true,
	};

	play_moment(&m, runs);
}
