// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sharers.c - who shares the memory of one that is raised is raised with it, and put back with it;
 * but not by that one's being put back if it has ended by then.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "faults/faults.h"
#include "faults/moment.h"
#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/suite.h"

#define SHARERS 3

/* Of the processes with lp's memory: those that live, and those of these with another value. */
static void count_family(unsigned int *ret_alive, unsigned int *ret_altered)
{
	const uint32_t *pids;
	unsigned int i, n = worker_sharers(moment_scene.lp, &pids);

	*ret_alive = *ret_altered = 0;
	for (i = 0; i <= n; i++) {
		pid_t pid = i < n ? (pid_t)pids[i] : worker_pid(moment_scene.lp);

		if (!proc_lives(pid))
			continue;
		++*ret_alive;
		*ret_altered += proc_oom_score_adj(pid) != 0;
	}
}

/* How many oomx has on record; *ret_pid: the one that it has altered itself. */
static unsigned int on_record(uint32_t *ret_pid)
{
	int fd = bpf_obj_get(RAISED_PIN);
	struct oomx_raised r;
	unsigned int n = 0;
	uint32_t pid;
	bool more;

	if (fd < 0)
		suite_fatal(RAISED_PIN ": %s", strerror(errno));
	for (more = !bpf_map_get_next_key(fd, NULL, &pid); more;
	     more = !bpf_map_get_next_key(fd, &pid, &pid)) {
		if (bpf_map_lookup_elem(fd, &pid, &r))
			continue;
		n++;
		if (!r.of && ret_pid)
			*ret_pid = pid;
	}
	close(fd);
	return n;
}

static bool has_ended(void *pid)
{
	return !proc_lives((pid_t)*(uint32_t *)pid);
}

/* It takes the write to its own value with it; the others have theirs from that one. */
static void end_the_altered(void)
{
	unsigned int alive, altered, n;
	uint32_t pid = 0;

	n = on_record(&pid);
	count_family(&alive, &altered);
	if (n != SHARERS + 1 || alive != SHARERS + 1 || altered != alive || !pid)
		suite_fail("expected %u that share their memory to be raised and on record; "
			   "%u live, %u are raised, %u on record", SHARERS + 1, alive, altered, n);
	if (!pid)
		return;
	kill((pid_t)pid, SIGKILL);
	if (!suite_wait(has_ended, &pid, SUITE_STEP_MS))
		suite_fail("%u does not end", pid);
}

static void end_the_altered_and_go_on(void)
{
	end_the_altered();
	kill(moment.responder, SIGCONT);
}

static void end_the_altered_and_crash(void)
{
	end_the_altered();
	moment_crash();
}

static bool family_restored(void *arg)
{
	unsigned int alive, altered;

	(void)arg;
	count_family(&alive, &altered);
	return !altered;
}

static bool off_record(void *arg)
{
	(void)arg;
	return !on_record(NULL);
}

static void expect_family_restored(void)
{
	unsigned int alive, altered;

	if (!suite_wait(family_restored, NULL, SUITE_STEP_MS))
		suite_fail("who shared the memory of one that was raised has kept the value");
	count_family(&alive, &altered);
	if (alive != SHARERS)
		suite_fail("expected %u to live on, found %u", SHARERS, alive);
	if (kmsg_kills(NULL))
		suite_fail("expected a false alarm, the kernel logged %u kills", kmsg_kills(NULL));
}

/* The one that was raised, or by whose raising the others were, ends by itself. */
static void play_sharers(void)
{
	if (!moment_play(MOMENT_ROOMY_MIB, 0, end_the_altered_and_go_on))
		return;
	expect_family_restored();
	if (!suite_wait(off_record, NULL, SUITE_STEP_MS))
		suite_fail("they stay on record");
}

static void play_sharers_crash(void)
{
	static const char *const args[] = { "stop", NULL };

	if (!moment_play(MOMENT_ROOMY_MIB, 0, end_the_altered_and_crash))
		return;
	daemon_kill();
	if (command_run_oomx(args)->exit)
		suite_fail("oomx stop fails after a crash");
	expect_family_restored();
}

void faults_sharers(unsigned int runs)
{
	unsigned int i;

	scene_open(&moment_scene, false, 1);
	moment_open();
	moment_scene.lp_sharers = SHARERS;
	for (i = 1; i <= 2 * runs; i++) {
		suite_run_begin(i % 2 ? "sharers" : "sharers, crash", (i + 1) / 2);
		daemon_start(moment_enforce);
		moment_scene.oomx_ends = !(i % 2);
		if (i % 2)
			play_sharers();
		else
			play_sharers_crash();
		moment_end_run();
		if (daemon_running())
			daemon_stop();
	}
	moment_close();
	scene_close(&moment_scene);
}
