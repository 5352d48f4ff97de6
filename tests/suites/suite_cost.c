// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_cost - what an OOM costs with the kernel module and a policy that chooses as the kernel
 * does, next to the plain kernel without a module, in turns in one guest. The first OOM after oomx
 * has been loaded is told by itself: its code runs for the first time then, which an emulated CPU
 * has to translate. No number makes the suite fail: only ratios mean something. What fails is
 * another victim.
 */
#include <stdio.h>
#include <sys/utsname.h>
#include <bpf/libbpf.h>

#include "../bpf/cost.h"
#include "lib/daemon.h"
#include "lib/module.h"
#include "lib/pairs.h"
#include "lib/scene.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define LATER 3 /* OOMs after the first; their median counts */

struct costs {
	double choice[1 + LATER], whole[1 + LATER]; /* nanoseconds */
};

static struct {
	struct pairs choice, whole;
} first, later;

static void tell(const char *measure, const struct pairs *p)
{
	struct pairs_ratio r;
	struct utsname u;

	if (!p->n || uname(&u))
		return;
	r = pairs_ratio(p, false);
	printf("%-26s %9.3f %9.3f %8.2f [%.2f, %.2f]\n", measure, pairs_median(p->ours, p->n) / 1e6,
	       pairs_median(p->theirs, p->n) / 1e6, r.median, r.low, r.high);
	printf("{\"measure\":\"%s\",\"kernel\":\"%s\",\"pairs\":%u,\"ours_ns\":%.0f,"
	       "\"theirs_ns\":%.0f,\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f,\"interval\":%s}\n",
	       measure, u.release, p->n, pairs_median(p->ours, p->n),
	       pairs_median(p->theirs, p->n), r.median, r.low, r.high,
	       r.interval ? "true" : "false");
}

static void play_oom(struct scene *s, const struct cost *cost, double *choice, double *whole)
{
	__u64 seq = cost->seq;

	if (scene_play(s))
		scene_expect_victim(s, s->hp);
	if (cost->seq != seq + 1)
		suite_fail("expected one OOM, saw %llu", (unsigned long long)(cost->seq - seq));
	*choice = (double)cost->choice_ns;
	*whole = (double)cost->whole_ns;
	scene_clear(s);
}

/* With the module and the policy "kernel", or without; false if that failed. */
static bool play_side(bool ours, unsigned int run, struct scene *s, const struct cost *cost,
		      struct costs *ret)
{
	static const char *const args[] = { "--enforce", "--hook", "struct_ops", "--policy",
					    "kernel", NULL };
	unsigned int i;

	suite_run_begin(ours ? "struct_ops" : "plain", run);
	if (ours) {
		module_load();
		daemon_start(args);
	}
	for (i = 0; i < 1 + LATER && !suite_run_failed(); i++)
		play_oom(s, cost, &ret->choice[i], &ret->whole[i]);
	if (ours) {
		daemon_stop();
		module_unload();
	}
	return suite_run_end();
}

static void play(const struct suite_options *o)
{
	struct bpf_object *obj = testbpf_load("cost", NULL);
	struct bpf_link *links[] = { testbpf_attach(obj, "cost_enter"),
				     testbpf_attach(obj, "cost_chosen"),
				     testbpf_attach(obj, "cost_leave") };
	const struct cost *cost = testbpf_memory(obj, "cost", sizeof(*cost));
	static struct scene s;
	struct costs c[2]; /* plain, ours */
	unsigned int i, turn;
	bool good;

	scene_open(&s, false, o->triggers);
	for (i = 0; i < o->runs; i++) {
		turn = i % 2; /* who is first changes */
		good = play_side(turn, i + 1, &s, cost, &c[turn]);
		if (!play_side(!turn, i + 1, &s, cost, &c[!turn]) || !good)
			continue;
		pairs_add(&first.choice, c[1].choice[0], c[0].choice[0]);
		pairs_add(&first.whole, c[1].whole[0], c[0].whole[0]);
		pairs_add(&later.choice, pairs_median(c[1].choice + 1, LATER),
			  pairs_median(c[0].choice + 1, LATER));
		pairs_add(&later.whole, pairs_median(c[1].whole + 1, LATER),
			  pairs_median(c[0].whole + 1, LATER));
	}
	scene_close(&s);
	for (i = 0; i < 3; i++)
		bpf_link__destroy(links[i]);
	bpf_object__close(obj);
	printf("%-26s %9s %9s %8s\n", "", "ours ms", "plain ms", "ratio [95%]");
	tell("choice, first OOM", &first.choice);
	tell("all of it, first OOM", &first.whole);
	tell("choice, later OOMs", &later.choice);
	tell("all of it, later OOMs", &later.whole);
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 30, .domains = SUITE_DOMAIN_MEMCG, .triggers = 1 };

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
