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

/* One of them, or, where the kernel kills a second one by itself, both. */
static void expect_dead(struct worker *lp, struct worker *h2)
{
	unsigned int i;

	for (i = 0; i < kills_cast.n; i++) {
		struct worker *w = kills_cast.players[i];

		kills_cast.meant[i] = (w == lp || w == h2) && !worker_alive(w);
	}
	if (worker_alive(lp) && worker_alive(h2))
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

static void play(struct worker *lp, struct worker *h2)
{
	struct worker_growth g = { .mib = DEVICE_MIB, .threads = 1 };
	struct worker *hp = kills_add("hp", HP, 0, false);
	int64_t guards = daemon_counter("counters.guards");

	g.device = loop_open(DEVICE_MIB);
	cgroup_set("", "cgroup.subtree_control", "+io"); /* for a cgroup's writes to be its own */
	cgroup_set(TOP, "cgroup.subtree_control", "+io");
	cast_ready(&kills_cast);
	if (cast_starve(&kills_cast, hp, &g)) {
		expect_dead(lp, h2);
		expect_not_held();
	}
	if (daemon_counter("counters.guards") != guards)
		suite_fail("the kernel thread was held for a victim's memory");
	loop_close();
	cgroup_set(TOP, "cgroup.subtree_control", "-io");
	cgroup_set("", "cgroup.subtree_control", "-io");
}

/* lp dies if it is nominated by the time that the kernel looks: it mostly is. */
void kills_kernel_thread(void)
{
	struct worker *lp = kills_add("lp", LP, THREAD_LP_MIB, false);

	play(lp, kills_add("h2", H2, THREAD_H2_MIB, false));
	printf("kills kernel_thread: %s died\n", worker_alive(lp) ? "h2" : "lp");
	cast_close(&kills_cast);
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
	struct worker *lp, *h2;

	if (responder <= 0) {
		printf("kills kernel_thread_late: nothing to play, this hook has no responder\n");
		return;
	}
	lp = kills_add("lp", LP, THREAD_LP_MIB, false);
	h2 = kills_add("h2", H2, THREAD_H2_MIB, false);
	worker_wait_ready(h2);
	kill(responder, SIGSTOP);
	if (!suite_wait(stopped, &responder, SUITE_STEP_MS))
		suite_fail("the responder does not stop");
	play(lp, h2);
	if (kmsg_kills(&logged) && logged[0].pid != worker_pid(h2))
		suite_fail("expected the kernel's own choice, h2, to be the first");
	if (!daemon_count(OOMX_REC_ABSTAIN))
		suite_fail("expected an \"abstain\"");
	cast_close(&kills_cast);
	kill(responder, SIGCONT);
}
