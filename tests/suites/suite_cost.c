// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_cost - what an OOM costs with the kernel module and a policy that chooses as the kernel
 * does, next to the plain kernel without a module, in turns in one guest. No number makes the
 * suite fail: only ratios mean something. What fails is another victim.
 */
#include <stdio.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

#include "../bpf/cost.h"
#include "lib/daemon.h"
#include "lib/module.h"
#include "lib/scene.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define PAIRS_MAX 99

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void tell(const char *what, double *plain, double *ours, unsigned int n)
{
	qsort(plain, n, sizeof(*plain), by_value);
	qsort(ours, n, sizeof(*ours), by_value);
	printf("cost, %s: %.2f times the plain kernel (medians of %u OOMs each: %.0f and "
	       "%.0f us; a tenth longer than %.0f and %.0f)\n", what, ours[n / 2] / plain[n / 2], n,
	       ours[n / 2] / 1000, plain[n / 2] / 1000, ours[n * 9 / 10] / 1000,
	       plain[n * 9 / 10] / 1000);
}

/* One with the module and the policy "kernel", one without: in turns, so that both see the same. */
static void play(const struct suite_options *o)
{
	static const char *const args[] = { "--enforce", "--hook", "struct_ops", "--policy",
					    "kernel", NULL };
	static double choice[2][PAIRS_MAX], whole[2][PAIRS_MAX];
	struct bpf_object *obj = testbpf_load("cost", NULL);
	struct bpf_link *links[] = { testbpf_attach(obj, "cost_enter"),
				     testbpf_attach(obj, "cost_chosen"),
				     testbpf_attach(obj, "cost_leave") };
	struct cost *cost = testbpf_memory(obj, "cost", sizeof(*cost));
	unsigned int i, ours, n = o->runs < PAIRS_MAX ? o->runs : PAIRS_MAX;
	static struct scene s;
	__u64 seq;

	scene_open(&s, false, o->triggers);
	for (i = 0; i < 2 * n; i++) {
		ours = (i + i / 2) % 2; /* who is first changes, too */
		suite_run_begin(ours ? "struct_ops" : "plain", i / 2 + 1);
		if (ours) {
			module_load();
			daemon_start(args);
		}
		seq = cost->seq;
		if (scene_play(&s))
			scene_expect_victim(&s, s.hp);
		if (cost->seq != seq + 1)
			suite_fail("expected one OOM, saw %llu",
				   (unsigned long long)(cost->seq - seq));
		choice[ours][i / 2] = (double)cost->choice_ns;
		whole[ours][i / 2] = (double)cost->whole_ns;
		scene_clear(&s);
		if (ours) {
			daemon_stop();
			module_unload();
		}
		suite_run_end();
	}
	scene_close(&s);
	for (i = 0; i < 3; i++)
		bpf_link__destroy(links[i]);
	bpf_object__close(obj);
	tell("choice", choice[0], choice[1], n);
	tell("whole OOM", whole[0], whole[1], n);
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 15, .domains = SUITE_DOMAIN_MEMCG, .triggers = 1 };

	suite_begin("cost", argc, argv, &o);
	if (module_known()) {
		play(&o);
	} else {
		suite_run_begin("cost", 1);
		suite_skip("there is no kernel module for this kernel");
		suite_run_end();
	}
	return suite_end();
}
