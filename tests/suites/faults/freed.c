// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * freed.c - the moment in which a victim's memory is on its way back, and the kernel does not wait
 * for the victim any more, made long (hold.bpf.c): nobody else dies in it. What the victim has is
 * page tables, of which the kernel gives none back before that.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../../bpf/hold.h"
#include "faults/faults.h"
#include "lib/daemon.h"
#include "lib/testbpf.h"

/* Within what oomx waits for such memory: guard_ns (user/engine.c) */
#define MOMENT_NS 200000000ULL

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

static struct scene scene;
static struct hold *hold;

static void play(unsigned int *held)
{
	struct hold_at *at = &hold->at[HOLD_FREE];
	int64_t guards = daemon_counter("counters.guards");

	*at = (struct hold_at){ .comm = "lp", .for_ns = MOMENT_NS };
	__atomic_store_n(&at->armed, 1, __ATOMIC_RELEASE);
	daemon_clear();
	if (!scene_play(&scene))
		return;
	scene_expect_victim(&scene, scene.lp);
	scene_expect_others_unchanged(&scene);
	if (!at->held)
		suite_fail("lp's memory was given back without a moment of waiting");
	*held += daemon_counter("counters.guards") != guards;
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

static void play_freed(const char *what, bool global, unsigned int runs)
{
	struct bpf_object *obj;
	struct bpf_link *link;
	unsigned int i, held = 0;

	if (!tables_come_back_at_once()) {
		printf("faults %s: nothing to play, page tables come back late\n", what);
		return;
	}
	obj = testbpf_load("hold", NULL);
	link = testbpf_attach(obj, "hold_free");
	hold = testbpf_memory(obj, "hold", sizeof(*hold));
	scene_open(&scene, global, 1);
	scene.lp_pgtables = true;
	daemon_start(enforce);
	for (i = 1; i <= runs; i++) {
		suite_run_begin(what, i);
		daemon_require();
		play(&held);
		if (suite_run_failed())
			daemon_complain_events();
		scene_clear(&scene);
		suite_run_end();
	}
	printf("faults %s: hp was held in %u of %u runs\n", what, held, runs);
	daemon_stop();
	scene_close(&scene);
	bpf_link__destroy(link);
	munmap(hold, sizeof(*hold));
	bpf_object__close(obj);
}

void faults_freed_memcg(unsigned int runs)
{
	play_freed("memory given back, memcg", false, runs);
}

void faults_freed_global(unsigned int runs)
{
	play_freed("memory given back, global", true, runs);
}
