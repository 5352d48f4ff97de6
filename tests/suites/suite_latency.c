// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_latency - how long from the failed allocation to the signal, and to room: the kernel alone,
 * with oomx watching, and with oomx deciding, by each hook, in turns of a few OOMs each. One
 * witness sees all of them (latency.bpf.c). The same process is killed every time: where oomx does
 * not decide, because its oom_score_adj is 1000 from the start.
 *
 * No number makes the suite fail; a victim that is not the wanted one does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../bpf/latency.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/module.h"
#include "lib/scene.h"
#include "lib/suite.h"
#include "lib/testbpf.h"

#define TURN 10 /* OOMs before the next one has its turn */
#define OOMS_MAX 2000

enum side {
	SIDE_KERNEL,
	SIDE_OBSERVE,
	SIDE_NOMINATE,
	SIDE_STRUCT_OPS, /* where there is a module */
	_SIDES,
};

static const char *const side_names[_SIDES] = { "kernel alone", "observe", "nominate",
						"struct_ops" };

struct series {
	unsigned int n, seconds; /* OOMs, and those of them in which a second process died */
	double signal[OOMS_MAX], room[OOMS_MAX], gone[OOMS_MAX];
	unsigned int n_room;
};

static struct {
	struct latency *now;
	struct scene scene;
	struct series series[_SIDES];
	unsigned int n_sides; /* the first so many */
	char release[65];
} bench;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* By nearest rank; of fewer than a hundred values the 99th percentile is the largest. */
static double percentile(double *v, unsigned int n, unsigned int p)
{
	qsort(v, n, sizeof(*v), by_value);
	return n ? v[(n * p + 99) / 100 - 1] : 0;
}

static void start(enum side side)
{
	static const char *const observe[] = { "--hook", "observe", "--policy", "priority", NULL };
	const char *const enforce[] = { "--enforce", "--hook", side_names[side], "--policy",
					"priority", "--priority", SCENE_LP "=-100", NULL };

	if (side == SIDE_KERNEL)
		return;
	if (side == SIDE_STRUCT_OPS)
		module_load();
	daemon_start(side == SIDE_OBSERVE ? observe : enforce);
}

static void stop(enum side side)
{
	if (side == SIDE_KERNEL)
		return;
	daemon_stop();
	if (side == SIDE_STRUCT_OPS)
		module_unload();
}

static bool gone(void *arg)
{
	return __atomic_load_n(&bench.now->gone_ns, __ATOMIC_ACQUIRE) != 0;
}

/* A second one that the kernel alone kills (7.2, 7.3: guard.bpf.h) is not held against it. */
static void play(enum side side)
{
	struct series *s = &bench.series[side];
	struct latency *l = bench.now;

	memset(l, 0, sizeof(*l));
	daemon_clear();
	bench.scene.lp_adj = side == SIDE_KERNEL || side == SIDE_OBSERVE ? 1000 : 0;
	if (!scene_play(&bench.scene))
		return;
	if (!suite_wait(gone, NULL, SUITE_STEP_MS) || !l->signal_ns) {
		suite_fail("expected a signal and an end, got %llu and %llu ns, %u kills",
			   (unsigned long long)l->signal_ns, (unsigned long long)l->gone_ns,
			   l->kills);
		return;
	}
	if (l->victim != (__u32)worker_pid(bench.scene.lp)) {
		suite_fail("expected lp to be killed first; lp %s, h2 %s, hp %s",
			   worker_fate(bench.scene.lp), worker_fate(bench.scene.h2),
			   worker_fate(bench.scene.hp));
		daemon_complain_events();
	}
	s->signal[s->n] = (double)l->signal_ns;
	s->gone[s->n] = (double)l->gone_ns;
	s->n++;
	s->seconds += kmsg_kills(NULL) > 1;
	if (l->room_ns)
		s->room[s->n_room++] = (double)l->room_ns;
}

static void play_turn(enum side side, unsigned int first, unsigned int n)
{
	unsigned int i;

	start(side);
	for (i = 0; i < n; i++) {
		suite_run_begin(side_names[side], first + i + 1);
		play(side);
		scene_clear(&bench.scene);
		suite_run_end();
	}
	stop(side);
}

static void tell(const char *domain, enum side side)
{
	struct series *s = &bench.series[side];
	double of[6];

	of[0] = percentile(s->signal, s->n, 50);
	of[1] = percentile(s->signal, s->n, 99);
	of[2] = percentile(s->room, s->n_room, 50);
	of[3] = percentile(s->room, s->n_room, 99);
	of[4] = percentile(s->gone, s->n, 50);
	of[5] = percentile(s->gone, s->n, 99);
	printf("%-7s %-13s %5u %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f %7u\n", domain,
	       side_names[side], s->n, of[0] / 1e6, of[1] / 1e6, of[2] / 1e6, of[3] / 1e6,
	       of[4] / 1e6, of[5] / 1e6, s->seconds);
	printf("{\"measure\":\"latency\",\"kernel\":\"%s\",\"domain\":\"%s\",\"hook\":\"%s\","
	       "\"ooms\":%u,\"signal_p50_ns\":%.0f,\"signal_p99_ns\":%.0f,\"room_seen\":%u,"
	       "\"room_p50_ns\":%.0f,\"room_p99_ns\":%.0f,\"gone_p50_ns\":%.0f,"
	       "\"gone_p99_ns\":%.0f,\"second_kills\":%u}\n",
	       bench.release, domain, side == SIDE_KERNEL ? "none" : side_names[side], s->n, of[0],
	       of[1], s->n_room, of[2], of[3], of[4], of[5], s->seconds);
}

static void play_domain(bool global, unsigned int runs)
{
	const char *domain = global ? "global" : "memcg";
	unsigned int done, n;
	enum side side;

	memset(bench.series, 0, sizeof(bench.series));
	scene_open(&bench.scene, global, 1);
	for (done = 0; done < runs; done += n) {
		n = runs - done < TURN ? runs - done : TURN;
		for (side = 0; side < bench.n_sides; side++)
			play_turn(side, done, n);
	}
	scene_close(&bench.scene);
	printf("%-7s %-13s %5s %9s %9s %9s %9s %9s %9s %7s\n", "", "ms from failure to", "OOMs",
	       "signal", "99%", "room", "99%", "mm gone", "99%", "second");
	for (side = 0; side < bench.n_sides; side++)
		tell(domain, side);
	suite_times(domain);
}

int main(int argc, char **argv)
{
	static const char *const programs[] = { "latency_memcg",  "latency_global",
						"latency_chosen", "latency_kill",
						"latency_signal", "latency_reaped",
						"latency_gone" };
	struct suite_options o = { .runs = 100, .domains = SUITE_DOMAIN_BOTH };
	struct bpf_object *obj;
	struct utsname u;
	size_t i;

	suite_begin("latency", argc, argv, &o);
	uname(&u);
	snprintf(bench.release, sizeof(bench.release), "%s", u.release);
	obj = testbpf_load("latency", NULL);
	bench.n_sides = module_known() ? _SIDES : SIDE_STRUCT_OPS;
	bench.now = testbpf_memory(obj, "latency", sizeof(*bench.now));
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		testbpf_attach(obj, programs[i]);
	if (o.runs > OOMS_MAX)
		o.runs = OOMS_MAX;
	if (o.domains & SUITE_DOMAIN_MEMCG)
		play_domain(false, o.runs);
	if (o.domains & SUITE_DOMAIN_GLOBAL)
		play_domain(true, o.runs);
	return suite_end();
}
