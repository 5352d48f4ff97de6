// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_baseline - the scene without oomx: the kernel kills hp, the largest, every time, and
 * never lp. It makes suite_choose mean something.
 */
#include "lib/scene.h"
#include "lib/suite.h"

static void play(bool global, const struct suite_options *o)
{
	const char *what = global ? "global" : "memcg";
	static struct scene s;
	unsigned int i;

	scene_open(&s, global, o->triggers);
	for (i = 1; i <= o->runs; i++) {
		suite_run_begin(what, i);
		if (scene_play(&s)) {
			scene_expect_victim(&s, s.hp);
			scene_expect_others_unchanged(&s);
		}
		scene_clear(&s);
		suite_run_end();
	}
	scene_close(&s);
	suite_times(what);
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 10, .domains = SUITE_DOMAIN_BOTH, .triggers = 1 };

	suite_begin("baseline", argc, argv, &o);
	if (o.domains & SUITE_DOMAIN_MEMCG)
		play(false, &o);
	if (o.domains & SUITE_DOMAIN_GLOBAL)
		play(true, &o);
	return suite_end();
}
