/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How much rules protect: of the processes that run this test, and when it is worth a word. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "protected.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIB (1024u * 1024)
#define NAME "oomx-big-one"

static struct ox_rules *good(const char *text)
{
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;

	assert_int_equal(ox_rules_parse("t.yaml", text, strlen(text), &rules, &errors), 0);
	return rules;
}

static void measure(const char *text, struct ox_protected *ret)
{
	struct ox_rules *rules = good(text);
	json_t *o;

	assert_int_equal(ox_protected_measure(rules, ret), 0);
	o = ox_protected_json(ret, rules); /* every rule named is there */
	assert_int_equal(json_array_size(json_object_get(o, "largest")), ret->n);
	json_decref(o);
	ox_rules_free(rules);
}

/* Somebody of this name who has so much memory of its own and so much shared. */
static pid_t start(unsigned int own_mib, unsigned int shared_mib)
{
	int ready[2], protection = PROT_READ | PROT_WRITE;
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		char *own = mmap(NULL, own_mib * MIB, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				 0);
		char *shared = mmap(NULL, shared_mib * MIB, protection,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		prctl(PR_SET_NAME, NAME);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(own, 1, own_mib * MIB);
		memset(shared, 1, shared_mib * MIB);
		(void)!write(ready[1], &byte, 1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#define BY_NAME "rules:\n- name: big\n  match: {comm: " NAME "}\n  "

static void processes_are_added_up(void **state)
{
	pid_t pid = start(32, 16), other = start(8, 16);
	struct ox_protected p;

	(void)state;
	measure(BY_NAME "protect: true\n", &p);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.top[0].pid, pid);
	assert_int_equal(p.top[1].pid, other);
	assert_string_equal(p.top[0].comm, NAME);
	assert_int_equal(p.top[0].rule, 1);
	assert_in_range(p.top[0].kib, 48 * 1024, 64 * 1024);
	/* what is shared counts once: 32 + 8 + 16, and the little that a process has anyway */
	assert_in_range(p.protected_kib, 56 * 1024, 70 * 1024);
	assert_true(p.all_kib > p.protected_kib); /* this test, for one */
	assert_true(p.machine_kib > p.protected_kib);
	measure(BY_NAME "never: true\n", &p);
	assert_int_equal(p.n, 2);
	measure(BY_NAME "priority: 1000\n", &p); /* does not protect: nothing is looked at */
	assert_int_equal(p.n + p.all_kib + p.protected_kib, 0);
	measure(BY_NAME "class: 1\n- match: {cgroup: /none}\n  never: true\n", &p);
	assert_int_equal(p.n, 0);
	assert_true(p.all_kib);
	measure("rules:\n- name: all\n  match: {cgroup: \"/**\"}\n  protect: true\n", &p);
	assert_int_equal(p.n, OX_PROTECTED_TOP);
	assert_int_equal(p.protected_kib, p.all_kib);
	assert_int_equal(ox_protected_percent(&p), 100);
	for (size_t i = 1; i < p.n; i++)
		assert_true(p.top[i - 1].kib >= p.top[i].kib);
	end(pid);
	end(other);
}

/* The kernel does not kill them: what they have is nobody's to get. */
static void shielded_ones_do_not_count(void **state)
{
	pid_t pid = start(32, 1);
	struct ox_protected p;
	char path[48];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	f = fopen(path, "we");
	assert_non_null(f);
	if (fputs("-1000", f) >= 0 && !fclose(f)) { /* takes CAP_SYS_RESOURCE */
		measure(BY_NAME "protect: true\n", &p);
		assert_int_equal(p.n, 0);
	}
	end(pid);
}

static void when_it_is_most(void **state)
{
	static const struct {
		__u64 kib, of, machine;
		unsigned int percent;
		bool most;
	} rows[] = {
		{ 0, 0, 1000, 0, false },     { 50, 100, 500, 50, false },
		{ 51, 100, 500, 51, true },
		{ 51, 100, 520, 51, false }, /* hardly anything runs */
		{ 100, 100, 1000, 100, true }, { 99, 100, 1000, 99, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ox_protected p = { .all_kib = rows[i].of, .protected_kib = rows[i].kib,
					  .machine_kib = rows[i].machine };

		if (ox_protected_is_most(&p) != rows[i].most ||
		    ox_protected_percent(&p) != rows[i].percent)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(processes_are_added_up),
		cmocka_unit_test(shielded_ones_do_not_count),
		cmocka_unit_test(when_it_is_most),
	};

	return cmocka_run_group_tests_name("protected", tests, NULL, NULL);
}
