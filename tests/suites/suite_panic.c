// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_panic - vm.panic_on_oom means what it says while oomx enforces: the kernel panics, and
 * nobody is killed first. A case (--only) that goes well ends its guest: tests/vm/suite looks for
 * the panic in the kernel log. What comes back here has failed.
 */
#include <signal.h>
#include <string.h>

#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/proc.h"
#include "lib/scene.h"
#include "lib/suite.h"

#define PANIC "/proc/sys/vm/panic_on_oom"
#define SELF_BIG_MIB 90
#define SELF_GROW_MIB 48 /* of lp, the trigger: too much beside the big one */

static const char *const enforce[] = { "--enforce", "--policy", "priority",
				       "--priority", SCENE_LP "=-100", NULL };

static struct scene scene;

static void set_panic(const char *value)
{
	int err = proc_write(PANIC, value);

	if (err)
		suite_fatal(PANIC " cannot be set to %s: %s", value, strerror(-err));
}

static void expect_gone(const char *fate)
{
	suite_fail("expected the kernel to panic; it logged %u kills, lp %s", kmsg_kills(NULL),
		   fate);
	daemon_complain_events();
}

static void play_scene(bool global, const char *value)
{
	scene_open(&scene, global, 1);
	daemon_start(enforce);
	set_panic(value);
	(void)scene_play(&scene); /* complains, too */
	expect_gone(worker_fate(scene.lp));
}

static void play_global(void)
{
	play_scene(true, "1");
}

static void play_memcg(void)
{
	play_scene(false, "2");
}

static bool over(void *lp)
{
	return !worker_alive(lp) || worker_done(lp);
}

/* The responder does not answer, and the choice is the trigger: oomx must not help itself. */
static void play_self(void)
{
	const struct worker_growth g = { .mib = SELF_GROW_MIB, .threads = 1 };
	struct worker_spec spec = { .comm = "big", .cgroup = SCENE_H2,
				    .anon_kib = SELF_BIG_MIB * 1024 };
	struct worker_spec small = { .comm = "lp", .cgroup = SCENE_LP };
	struct worker *big, *lp;
	pid_t pid;

	scene_open(&scene, false, 1);
	daemon_start(enforce);
	pid = (pid_t)daemon_status("responder_pid");
	if (pid <= 0)
		suite_fatal("oomx has no responder");
	kill(pid, SIGSTOP);
	big = worker_start(&spec);
	lp = worker_start(&small);
	worker_wait_ready(big);
	worker_wait_ready(lp);
	set_panic("2");
	worker_grow(lp, &g);
	(void)suite_wait(over, lp, SUITE_STEP_MS); /* either way it is too late for a panic */
	expect_gone(worker_fate(lp));
	kill(pid, SIGCONT);
	worker_end(lp);
	worker_end(big);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*play)(void);
	} cases[] = {
		{ "global", play_global },
		{ "memcg", play_memcg },
		{ "self", play_self },
	};
	struct suite_options o = { .runs = 1 };
	size_t i;

	suite_begin("panic", argc, argv, &o);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (o.only && !strcmp(o.only, cases[i].name))
			break;
	if (i == sizeof(cases) / sizeof(cases[0]))
		suite_fatal("no case %s", o.only ?: "given");
	suite_run_begin(cases[i].name, 1);
	cases[i].play();
	set_panic("0");
	suite_run_end();
	daemon_stop();
	scene_close(&scene);
	return suite_end();
}
