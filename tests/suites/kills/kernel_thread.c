// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * kernel_thread.c - the OOMs of a cgroup that are triggered by a worker thread of the kernel's: a
 * loop device's, which allocates for whoever writes to the device.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kills/kills.h"
#include "lib/cgroup.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/loop.h"
#include "lib/suite.h"

/* Of the two, the kernel would take h2; either one makes room enough. */
#define THREAD_LP_MIB 16
#define THREAD_H2_MIB 26
#define DEVICE_MIB 44

static struct kills_count with_oomx, alone;

/*
 * Where the kernel loses sight of who is exiting, it kills the next as well, with oomx as without:
 * all three, in the worst case.
 */
static void expect_dead(void)
{
	unsigned int i, dead = 0;

	for (i = 0; i < kills_cast.n; i++) {
		kills_cast.meant[i] = !worker_alive(kills_cast.players[i]);
		dead += kills_cast.meant[i];
	}
	if (!dead)
		suite_fail("expected lp or h2 to be killed");
	cast_expect_dead(&kills_cast);
}

/* Others need that thread: it is never held, be it for a nomination or for a victim's memory. */
static void expect_not_held(void)
{
	const struct event *e;
	unsigned int i, n = daemon_events(&e), ooms = 0;

	for (i = 0; i < n; i++) {
		if (e[i].type == OOMX_REC_OOM) {
			ooms++;
			if (strncmp(e[i].who.comm, "kworker", 7))
				suite_fail("expected a kernel thread to trigger, %s (%d) did",
					   e[i].who.comm, e[i].who.pid);
		}
		if ((e[i].type == OOMX_REC_KILL || e[i].type == OOMX_REC_KERNEL_KILL) &&
		    e[i].wait_ns)
			suite_fail("the kernel thread was held for %lld ns",
				   (long long)e[i].wait_ns);
		if (e[i].type == OOMX_REC_ABSTAIN && strcmp(e[i].reason, "worker"))
			suite_fail("expected \"worker\" to be why oomx stood back: %s", e[i].reason);
	}
	if (!ooms)
		suite_fail("no \"oom\" event");
}

static void play(void)
{
	struct worker_growth g = { .mib = DEVICE_MIB, .threads = 1 };
	struct worker *hp = kills_add("hp", HP, 0, false);
	bool told = daemon_running();
	int64_t guards = told ? daemon_counter("counters.guards") : 0;

	g.device = loop_open(DEVICE_MIB);
	cgroup_set("", "cgroup.subtree_control", "+io"); /* for a cgroup's writes to be its own */
	cgroup_set(TOP, "cgroup.subtree_control", "+io");
	cast_ready(&kills_cast);
	if (cast_starve(&kills_cast, hp, &g)) {
		expect_dead();
		if (told)
			expect_not_held();
	}
	if (told && daemon_counter("counters.guards") != guards)
		suite_fail("the kernel thread was held for a victim's memory");
	loop_close();
	cgroup_set(TOP, "cgroup.subtree_control", "-io");
	cgroup_set("", "cgroup.subtree_control", "-io");
}

static void play_counting(struct kills_count *count, int lp_adj)
{
	struct worker_spec spec = kills_spec("lp", LP, THREAD_LP_MIB);
	const struct kmsg_kill *logged;
	struct worker *lp, *h2;

	spec.adj = lp_adj;
	lp = cast_add(&kills_cast, &spec, false);
	h2 = kills_add("h2", H2, THREAD_H2_MIB, false);
	play();
	if (kmsg_kills(&logged) && logged[0].pid != worker_pid(lp) &&
	    logged[0].pid != worker_pid(h2))
		suite_fail("expected lp or h2 to be the first");
	count->runs++;
	count->second += kmsg_kills(NULL) > 1;
	cast_close(&kills_cast);
}

/* Of lp and h2, the first to die is lp if it is nominated by the time that the kernel looks. */
void kills_kernel_thread(void)
{
	play_counting(&with_oomx, 0);
}

/* lp is the kernel's own choice. */
void kills_kernel_thread_alone(void)
{
	play_counting(&alone, 1000);
}

void kills_compare_threads(void)
{
	kills_compare("kernel_thread", &with_oomx, &alone);
}

static bool stopped(void *pid)
{
	return proc_state(*(pid_t *)pid) == 'T';
}

/* There is nobody to nominate lp, and the kernel chooses at once. */
void kills_kernel_thread_late(void)
{
	pid_t responder = (pid_t)daemon_status("responder_pid");
	const struct kmsg_kill *logged;
	struct worker *h2;

	if (responder <= 0) {
		printf("kills kernel_thread_late: nothing to play, this hook has no responder\n");
		return;
	}
	kills_add("lp", LP, THREAD_LP_MIB, false);
	h2 = kills_add("h2", H2, THREAD_H2_MIB, false);
	worker_wait_ready(h2);
	kill(responder, SIGSTOP);
	if (!suite_wait(stopped, &responder, SUITE_STEP_MS))
		suite_fail("the responder does not stop");
	play();
	if (kmsg_kills(&logged) && logged[0].pid != worker_pid(h2))
		suite_fail("expected the kernel's own choice, h2, to be the first");
	if (!daemon_count(OOMX_REC_ABSTAIN))
		suite_fail("expected an \"abstain\"");
	cast_close(&kills_cast);
	kill(responder, SIGCONT);
}
