// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* systemd's ManagedOOMPreference=: what it writes to cgroups counts, where rules say nothing. */
#include "rules/cases.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/daemon.h"
#include "lib/event.h"
#include "lib/suite.h"

#define AVOID "ManagedOOMPreference=avoid"
#define OMIT "ManagedOOMPreference=omit"
#define HP_RULE "rules:\n- name: hp\n  match: {cgroup: /r/hp}\n  never: true\n"

static void mark(const char *cgroup, const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s", cgroup);
	if (setxattr(path, name, value, strlen(value), 0))
		suite_fatal("%s: %s: %m", path, name);
}

static void give_to(const char *cgroup, unsigned int uid)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s", cgroup);
	if (chown(path, uid, uid))
		suite_fatal("%s: %m", path);
}

static void reload(void)
{
	if (kill(daemon_pid(), SIGHUP))
		suite_fail("SIGHUP: %m");
}

/* Whose word counts, and that rules go first. */
static void play_trust(void)
{
	mark(RULES_TOP "/keep", "user.oomd_avoid", "1");
	mark(RULES_TOP "/other", "user.oomd_avoid", "1");
	mark(RULES_TOP "/other", "user.oomd_omit", "1");
	mark(RULES_TOP "/hp", "user.oomd_avoid", "1");
	mark(RULES_TOP "/theirs", "user.oomd_omit", "1");
	give_to(RULES_TOP "/theirs", 65534);
	reload();
	ruled_expect(RULES_TOP "/keep", AVOID, RULES_TOP "/keep");
	ruled_expect(RULES_TOP "/other", OMIT, RULES_TOP "/other");
	ruled_expect(RULES_TOP "/hp", "hp", RULES_TOP "/hp");
	ruled_expect(RULES_TOP "/theirs", RULED_NONE, "");
	mark(RULES_TOP "/theirs", "trusted.oomd_avoid", "1"); /* this, only root can write */
	mark(RULES_TOP "/other", "user.oomd_omit", "0");
	reload();
	ruled_expect(RULES_TOP "/theirs", AVOID, RULES_TOP "/theirs");
	ruled_expect(RULES_TOP "/other", AVOID, RULES_TOP "/other");
	/* a rule about the cgroup above goes first, too */
	ruled_write(RULES_FILE, HP_RULE "- name: all\n  match: {cgroup: /r}\n  class: 1\n");
	ruled_expect(RULES_TOP "/keep", "all", RULES_TOP);
	ruled_write(RULES_FILE, HP_RULE);
	ruled_expect(RULES_TOP "/keep", AVOID, RULES_TOP "/keep");
}

/* Without a reload: written after the cgroup was made, as systemd does. */
static void play_new(void)
{
	cgroup_make(RULES_TOP "/new.service");
	mark(RULES_TOP "/new.service", "user.oomd_avoid", "1");
	ruled_expect(RULES_TOP "/new.service", AVOID, RULES_TOP "/new.service");
	cgroup_remove(RULES_TOP "/new.service");
}

void rules_play_preference(void)
{
	const char *const cgroups[] = { RULES_TOP "/keep", RULES_TOP "/other", RULES_TOP "/theirs",
					RULES_TOP "/hp", NULL };
	struct worker *hp;

	ruled_write(RULES_FILE, HP_RULE);
	rules_make_all(cgroups);
	rules_start("priority");
	play_trust();
	play_new();
	mark(RULES_TOP "/theirs", "trusted.oomd_avoid", "0");
	mark(RULES_TOP "/other", "user.oomd_omit", "1");
	reload();
	ruled_expect(RULES_TOP "/theirs", RULED_NONE, "");
	ruled_expect(RULES_TOP "/other", OMIT, RULES_TOP "/other");
	/* the two larger ones are left alone */
	rules_add(RULES_TOP "/keep", 20, false);
	rules_add(RULES_TOP "/other", 24, false);
	rules_add(RULES_TOP "/theirs", 12, true);
	hp = rules_add(RULES_TOP "/hp", 2, false);
	rules_starve(hp, 40);
	rules_expect_told(RULED_NONE);
	cast_close(&rules_cast);
	/* with nobody else, he who is avoided dies, and he who is omitted does not */
	cast_open(&rules_cast);
	rules_add(RULES_TOP "/keep", 20, true);
	rules_add(RULES_TOP "/other", 24, false);
	hp = rules_add(RULES_TOP "/hp", 2, false);
	rules_starve(hp, 52);
	rules_expect_told(AVOID);
	rules_remove_all(cgroups);
}
