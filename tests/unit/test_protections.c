/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rules that come with oomx: whom they are about, and that the operator's go before them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rules.h"
#include "rules_decide.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SHIPPED "user/protections.yaml" /* the tests run from the top of the tree */

static char dir[] = "/tmp/oomx-protections-XXXXXX";

static const char *own_file(const char *text)
{
	static char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/oomx.yaml", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static struct ox_rules *load(const char *text)
{
	const char *path = own_file(text);
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;

	if (ox_rules_load_all(&path, 1, SHIPPED, &rules, &errors))
		fail_msg("refused: %s:%u: %s", errors.list[0].file, errors.list[0].line,
			 errors.list[0].text);
	return rules;
}

struct who {
	const char *cgroup, *exe, *uid; /* exe NULL: the cgroup itself */
	bool foreign;
	const char *rule; /* "": none */
};

static const char *rule_of(const struct ox_rules *rules, const struct who *w)
{
	struct ox_process p = { .exe_foreign = w->foreign };
	struct ox_identity id = {};
	struct ox_subject s = { .id = &id, .process = &p };
	struct ox_decision d;
	size_t n;

	assert_int_equal(ox_rules_decide(rules, w->cgroup, ox_identify_by_path, NULL, &d), 0);
	n = d.rule;
	if (w->exe) {
		snprintf(p.exe, sizeof(p.exe), "%s", w->exe);
		snprintf(p.uid, sizeof(p.uid), "%s", w->uid);
		assert_int_equal(ox_identity_from_path(w->cgroup, &id), 0);
		n = ox_rules_match_process(rules, &s, d.rule);
		ox_identity_done(&id);
	}
	return n ? rules->rules[n - 1].name : "";
}

static void check(const struct ox_rules *rules, const struct who *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rule_of(rules, &rows[i]), rows[i].rule))
			fail_msg("row %zu: %s %s: '%s'", i, rows[i].cgroup,
				 rows[i].exe ? rows[i].exe : "", rule_of(rules, &rows[i]));
}

#define SYSTEM "/system.slice/"
#define SESSION "/user.slice/user-1000.slice/session-2.scope"

static void they_are_known(void **state)
{
	static const struct who rows[] = {
		{ "/init.scope", .rule = "shipped-init" },
		{ SYSTEM "systemd-journald.service", .rule = "shipped-init" },
		{ SYSTEM "systemd-udevd.service/udev", .rule = "shipped-init" },
		{ SYSTEM "systemd-logind.service", .rule = "shipped-init" },
		{ SYSTEM "dbus.service", .rule = "shipped-dbus" },
		{ SYSTEM "dbus-broker.service", .rule = "shipped-dbus" },
		{ SYSTEM "oomx.service", .rule = "shipped-oomx" },
		{ SYSTEM "containerd.service", .rule = "shipped-runtime" },
		{ SYSTEM "docker.service", .rule = "shipped-runtime" },
		{ SYSTEM "crio.service", .rule = "shipped-runtime" },
		{ SYSTEM "kubelet.service", .rule = "shipped-runtime" },
		{ "/machine.slice/libpod-conmon-1f.scope", .rule = "shipped-runtime" },
		{ "/x", "/usr/lib/systemd/systemd-udevd", "0", false, "shipped-init-exe" },
		{ "/x", "/usr/bin/runsvdir", "0", false, "shipped-init-exe" },
		{ SYSTEM "ssh.service", "/usr/sbin/sshd", "0", false, "shipped-sshd" },
		{ SESSION, "/usr/lib/openssh/sshd-session", "0", false, "shipped-sshd" },
		{ SESSION, "/usr/libexec/openssh/sshd-session", "0", false, "shipped-sshd" },
		{ "/x", "/usr/local/sbin/oomx", "0", false, "shipped-oomx-exe" },
		{ "/x", "/usr/bin/containerd-shim-runc-v2", "0", false, "shipped-runtime-exe" },
		{ "/x", "/usr/bin/dockerd", "0", false, "shipped-runtime-exe" },
		{ "/x", "/usr/libexec/crio/conmon", "0", false, "shipped-runtime-exe" },
		{ "/x", "/usr/local/bin/kubelet", "0", false, "shipped-runtime-exe" },
		/* and what only looks like them is not */
		{ SYSTEM "ssh.service", .rule = "" },
		{ SYSTEM "ssh.service", "/usr/bin/python3", "0", false, "" },
		{ SESSION, "/usr/sbin/sshd", "1000", false, "" },
		{ SESSION, "/home/u/bin/sshd", "1000", false, "" },
		{ "/x", "/usr/sbin/sshd", "0", true, "" },
		{ SYSTEM "user@0.service/dbus.service", .rule = "" },
		{ SYSTEM "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		  ".scope/dbus.service", .rule = "" },
		{ SYSTEM "systemd-coredump@1.service", .rule = "" },
		{ SYSTEM, .rule = "" },
		{ "/", .rule = "" },
	};
	struct ox_rules *rules = load("");

	(void)state;
	assert_int_equal(rules->n_own, 0);
	check(rules, rows, ARRAY_SIZE(rows));
	for (size_t i = 0; i < rules->n; i++)
		if (!(ox_rule_prio(&rules->rules[i], 1, NULL).flags & OOMX_PRIO_PROTECT) ||
		    strncmp(rules->rules[i].name, OX_RULES_SHIPPED, strlen(OX_RULES_SHIPPED)))
			fail_msg("%s", rules->rules[i].name);
	ox_rules_free(rules);
}

static void the_operator_goes_first(void **state)
{
	static const struct who rows[] = {
		{ SYSTEM "docker.service", .rule = "mine" },
		{ SYSTEM "docker.service", "/usr/bin/dockerd", "0", false, "mine" },
		{ SYSTEM "containerd.service", .rule = "shipped-runtime" },
		{ "/x", "/usr/sbin/sshd", "0", false, "no-sshd" },
		{ "/y", "/usr/bin/dockerd", "0", false, "all-of-y" },
	};
	struct ox_rules *rules = load("rules:\n- name: mine\n  match: {unit: docker.service}\n"
				      "  class: 1\n"
				      "- name: no-sshd\n  match: {exe: /usr/sbin/sshd}\n  class: 1\n"
				      "- name: all-of-y\n  match: {cgroup: /y}\n  class: 1\n");

	(void)state;
	assert_int_equal(rules->n_own, 3);
	check(rules, rows, ARRAY_SIZE(rows));
	ox_rules_free(rules);
}

static void they_can_be_switched_off(void **state)
{
	struct ox_rules *off = load("protections: false\n"), *on = load("protections: true\n");

	(void)state;
	assert_int_equal(off->n, 0);
	assert_true(off->unprotected);
	assert_true(on->n > 0);
	assert_true(on->hash != off->hash);
	ox_rules_free(off);
	ox_rules_free(on);
}

/* The number of mistakes, and where the first is. */
static unsigned int mistakes(const char *const names[], size_t n, const char *shipped,
			     struct ox_located_error *ret)
{
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;

	assert_int_equal(ox_rules_load_all(names, n, shipped, &rules, &errors), -EINVAL);
	assert_null(rules);
	*ret = errors.list[0];
	return errors.n;
}

static void mistakes_are_told(void **state)
{
	struct ox_located_error e;
	const char *path = own_file("protections: maybe\n");

	(void)state;
	assert_int_equal(mistakes(&path, 1, SHIPPED, &e), 1);
	assert_int_equal(e.column, 14);
	path = own_file("rules:\n- name: shipped-sshd\n  match: {cgroup: /}\n  class: 1\n");
	assert_int_equal(mistakes(&path, 1, SHIPPED, &e), 1);
	assert_string_equal(e.file, SHIPPED);
	assert_non_null(strstr(e.hint, "protections: false"));
	/* a bad file of ours is one like any other */
	path = "/nonexistent";
	assert_int_equal(mistakes(&path, 1, SHIPPED, &e), 1);
	assert_string_equal(e.file, path);
	path = own_file("");
	assert_int_equal(mistakes(&path, 1, "/dev/zero", &e), 1);
	assert_string_equal(e.file, "/dev/zero");
}

static void what_is_not_there(void **state)
{
	const char *names[] = { own_file("rules:\n- match: {cgroup: /}\n  class: 1\n"), NULL };
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;
	const char *empty = "/proc/self/fdinfo"; /* a directory without rules in it */

	(void)state;
	assert_int_equal(ox_rules_load_all(names, 1, "/nonexistent", &rules, &errors), 0);
	assert_int_equal(rules->n, 1);
	ox_rules_free(rules);
	assert_int_equal(ox_rules_load_all(&empty, 1, SHIPPED, &rules, &errors), -ENOENT);
	names[0] = SHIPPED; /* itself, not twice */
	assert_int_equal(ox_rules_load_all(names, 1, SHIPPED, &rules, &errors), 0);
	ox_rules_free(rules);
	names[0] = names[1] = own_file("rules: []\n"); /* several files: ours follow, too */
	assert_int_equal(ox_rules_load_all(names, 2, SHIPPED, &rules, &errors), 0);
	assert_int_equal(rules->n_own, 0);
	assert_true(rules->n > 0);
	ox_rules_free(rules);
	assert_int_equal(errors.n, 0);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return unlink(own_file("")) || rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_known),
		cmocka_unit_test(the_operator_goes_first),
		cmocka_unit_test(they_can_be_switched_off),
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(what_is_not_there),
	};

	return cmocka_run_group_tests_name("protections", tests, make_dir, remove_dir);
}
