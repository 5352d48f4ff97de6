// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whom the rules that come with oomx protect, and the word about rules that protect too much. */
#include "rules/cases.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/command.h"
#include "lib/daemon.h"
#include "lib/event.h"
#include "lib/suite.h"
#include "rules.h"

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SSHD_DIR "/tmp/oomx-rules/bin"
#define SSHD SSHD_DIR "/sshd"

static void copy(const char *from, const char *to, mode_t mode)
{
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");
	char buf[65536];
	size_t n = 1;

	if (!in || !out)
		suite_fatal("%s, %s: %m", from, to);
	while (n && !ferror(in) && !ferror(out)) {
		n = fread(buf, 1, sizeof(buf), in);
		(void)fwrite(buf, 1, n, out);
	}
	if (fclose(in) || fclose(out) || chmod(to, mode))
		suite_fatal("%s: %m", to);
}

/* As `make install` does; the guest's file system is its own. */
static void install(void)
{
	char self[PATH_MAX], from[PATH_MAX + 32], dir[PATH_MAX], *at;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		suite_fatal("/proc/self/exe: %m");
	self[n] = '\0';
	snprintf(from, sizeof(from), "%s/protections.yaml", dirname(self));
	snprintf(dir, sizeof(dir), "%s", ox_rules_shipped());
	for (at = strchr(dir + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(dir, 0755) && errno != EEXIST)
			suite_fatal("%s: %m", dir);
		*at = '/';
	}
	copy(from, ox_rules_shipped(), 0644);
}

/* Somebody who runs a file of this name: the suite itself, copied. */
static struct worker *add_sshd(const char *cgroup, unsigned int mib, unsigned int uid, bool meant)
{
	struct worker_spec spec = { .comm = uid ? "false-sshd" : "sshd", .cgroup = cgroup,
				    .anon_kib = mib * 1024, .uid = uid, .exe = SSHD };

	if (mkdir(SSHD_DIR, 0755) && errno != EEXIST)
		suite_fatal("%s: %m", SSHD_DIR);
	if (access(SSHD, F_OK))
		copy("/proc/self/exe", SSHD, 0755);
	return cast_add(&rules_cast, &spec, meant);
}

static void reload_with(const char *text)
{
	int64_t before = daemon_status("rules_generation");

	ruled_write(RULES_FILE, text);
	if (kill(daemon_pid(), SIGHUP))
		suite_fail("SIGHUP: %m");
	while (daemon_running() && daemon_status("rules_generation") == before)
		suite_sleep(100);
}

/* The largest by far, and not chosen: by its unit, by its file. Unless the operator says so. */
void rules_play_shipped(void)
{
	const char *const cgroups[] = { RULES_TOP "/dbus.service", RULES_TOP "/s", RULES_TOP "/lp",
					RULES_TOP "/hp", NULL };
	const char *hp_rule = "rules:\n- name: hp\n  match: {cgroup: /r/hp}\n  never: true\n";
	struct worker *hp, *sshd;

	install();
	ruled_write(RULES_FILE, hp_rule);
	rules_make_all(cgroups);
	rules_start("priority");
	rules_add(RULES_TOP "/dbus.service", 24, false);
	sshd = add_sshd(RULES_TOP "/s", 24, 0, false);
	rules_add(RULES_TOP "/lp", 12, true);
	hp = rules_add(RULES_TOP "/hp", 2, false);
	cast_ready(&rules_cast);
	ruled_expect(RULES_TOP "/dbus.service", "shipped-dbus", RULES_TOP "/dbus.service");
	ruled_expect_process(sshd, "shipped-sshd");
	rules_starve(hp, 36);
	rules_expect_told(RULED_NONE);
	cast_close(&rules_cast);

	cast_open(&rules_cast); /* one who is not root only calls himself so */
	sshd = add_sshd(RULES_TOP "/s", 32, 65534, true);
	rules_add(RULES_TOP "/lp", 20, false);
	hp = rules_add(RULES_TOP "/hp", 2, false);
	cast_ready(&rules_cast);
	ruled_expect_process(sshd, RULED_NONE);
	rules_starve(hp, 56);
	cast_close(&rules_cast);

	reload_with("rules:\n- name: hp\n  match: {cgroup: /r/hp}\n  never: true\n"
		    "- name: mine\n  match: {unit: dbus.service}\n  class: 1\n");
	ruled_expect(RULES_TOP "/dbus.service", "mine", RULES_TOP "/dbus.service");
	reload_with("protections: false\n");
	ruled_expect(RULES_TOP "/dbus.service", RULED_NONE, "");
	if (daemon_status("rules"))
		suite_fail("expected no rules with 'protections: false'");
	rules_remove_all(cgroups);
	unlink(ox_rules_shipped());
}

/* ---- rules that protect most ----------------------------------------------------------------- */

static bool warns(void)
{
	const struct command_result *r = command_run_oomx(ARGS("check-config", RULES_FILE));

	return !r->exit && strstr(r->err, "rules protect") && strstr(r->err, "big (") &&
	       strstr(r->err, "by rule 'keep'");
}

static bool most_is(void *arg)
{
	return (daemon_status("protected_percent") > 50) == *(bool *)arg;
}

static void expect_most(const char *when, bool most)
{
	if (!suite_wait(most_is, &most, SUITE_STEP_MS))
		suite_fail("%s: expected protected_percent %s 50, found %lld", when,
			   most ? "above" : "not above",
			   (long long)daemon_status("protected_percent"));
	if (warns() != most)
		suite_fail("%s: expected check-config %s: %.300s", when,
			   most ? "to warn, and to name big and its rule" : "not to warn",
			   command_run_oomx(ARGS("check-config", RULES_FILE))->err);
	if (!strstr(command_run_oomx(ARGS("status"))->out, "rules protect") == most)
		suite_fail("%s: expected status to say that rules protect most: %d", when, most);
}

/* It is said when rules are read, in status and by check-config; and no more when it is over. */
void rules_play_most(void)
{
	const char *const cgroups[] = { RULES_TOP "/big", RULES_TOP "/small", "/rules-x", NULL };
	const struct worker_spec shielded = { .comm = "shielded", .cgroup = "/rules-x",
					      .adj = -1000, .anon_kib = 120 * 1024 };
	const char *keep_big = "rules:\n- name: keep\n  match: {cgroup: /r/big}\n  protect: true\n";

	ruled_write(RULES_FILE, keep_big);
	rules_make_all(cgroups);
	rules_add(RULES_TOP "/big", 80, false); /* of 512 MiB: more than a tenth */
	rules_add(RULES_TOP "/small", 4, false);
	cast_add(&rules_cast, &shielded, false); /* the kernel would not kill it: does not count */
	cast_ready(&rules_cast);
	rules_start("priority");
	expect_most("at the start", true);
	reload_with("rules:\n- name: keep\n  match: {cgroup: [/r/small, /rules-x]}\n"
		    "  never: true\n");
	expect_most("with rules that protect little", false);
	reload_with("rules:\n- name: keep\n  match: {comm: big*}\n  never: true\n");
	expect_most("by a rule about processes", true);
	rules_remove_all(cgroups);
}
