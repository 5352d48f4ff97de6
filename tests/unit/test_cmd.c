// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands as they are typed, wrongly: each says which word is wrong and why, with status 2. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cleanup.h"
#include "cmd.h"
#include "exit.h"
#include "log.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define WORDS_MAX 8

typedef int (*command_fn)(int argc, char **argv);

struct outcome {
	int status;
	char err[4 * OX_LOG_LINE];
};

/* Puts a file in another's place; what was there, as a new file. */
static int redirect(int fd, int to)
{
	int was = dup(fd);

	assert_true(was >= 0 && dup2(to, fd) == fd);
	return was;
}

/* Runs it with standard output and standard error in place of the test's own. */
static struct outcome run(command_fn command, const char *const words[], const char *out_path)
{
	_cleanup_close_ int out = open(out_path, O_WRONLY | O_CLOEXEC);
	struct outcome ret = {};
	char *argv[WORDS_MAX + 1] = {};
	int p[2], argc, out_was, err_was;
	ssize_t n;

	assert_true(out >= 0 && !pipe(p));
	for (argc = 0; words[argc]; argc++)
		argv[argc] = (char *)words[argc]; /* getopt() moves them about, and no more */
	(void)fflush(stdout);
	out_was = redirect(STDOUT_FILENO, out);
	err_was = redirect(STDERR_FILENO, p[1]);
	ret.status = command(argc, argv);
	clearerr(stdout); /* what could not be written must not fail the next one */
	(void)close(redirect(STDOUT_FILENO, out_was));
	(void)close(redirect(STDERR_FILENO, err_was));
	(void)close(p[1]);
	n = read(p[0], ret.err, sizeof(ret.err) - 1);
	ret.err[n > 0 ? n : 0] = '\0';
	(void)close(p[0]);
	(void)close(out_was);
	(void)close(err_was);
	return ret;
}

#define WORDS(...) ((const char *const[WORDS_MAX + 1]){ __VA_ARGS__ })

static void says_what_is_wrong(void **state)
{
	static const struct {
		command_fn command;
		const char *words[WORDS_MAX];
		const char *said;
	} row[] = {
		{ ox_cmd_events, { "events", "--nonsense" }, "events: no option '--nonsense'" },
		{ ox_cmd_events, { "events", "-x" }, "events: no option '-x'" },
		/* the word that getopt() has done with is the one before */
		{ ox_cmd_events, { "events", "-xf" }, "events: no option '-x'" },
		{ ox_cmd_events, { "events", "-fx" }, "events: no option '-x'" },
		{ ox_cmd_events, { "events", "--json", "-xf" }, "events: no option '-x'" },
		{ ox_cmd_events, { "events", "-\xff" "f" }, "events: no option '-\xff'" },
		{ ox_cmd_events, { "events", "--follow=1" }, "'--follow=1': this option takes no value" },
		{ ox_cmd_events, { "events", "--socket" }, "--socket needs a value" },
		{ ox_cmd_events, { "events", "surplus", "-f" }, "events: what is 'surplus'?" },
		{ ox_cmd_run, { "run", "--enforce", "-xq" }, "run: no option '-x'" },
		{ ox_cmd_run, { "run", "--rules=/a", "-xq" }, "run: no option '-x'" },
		{ ox_cmd_run, { "run", "--enforce=1" }, "'--enforce=1': this option takes no value" },
		{ ox_cmd_run, { "run", "--policy" }, "run: --policy needs a value" },
		{ ox_cmd_run, { "run", "surplus" }, "run: what is 'surplus'?" },
		{ ox_cmd_score, { "score", "-aq" }, "score: no option '-q'" },
		{ ox_cmd_score, { "score", "--cgroup" }, "score: --cgroup needs a value" },
		{ ox_cmd_score, { "score", "surplus" }, "score: what is 'surplus'?" },
		{ ox_cmd_explain, { "explain", "-qj", "1" }, "explain: no option '-q'" },
		{ ox_cmd_explain, { "explain", "1", "--rules" }, "explain: --rules needs a value" },
		{ ox_cmd_rules, { "rules", "-qj", "test" }, "rules: no option '-q'" },
		{ ox_cmd_rules, { "rules", "test", "--rules" }, "rules: --rules needs a value" },
		{ ox_cmd_check_config, { "check-config", "-qj" }, "check-config: no option '-q'" },
		{ ox_cmd_check_config, { "check-config", "--json=1" }, "takes no value" },
		{ ox_cmd_status, { "status", "-qj" }, "status: no option '-q'" },
		{ ox_cmd_status, { "status", "surplus" }, "status: what is 'surplus'?" },
		{ ox_cmd_doctor, { "doctor", "-qj" }, "doctor: no option '-q'" },
		{ ox_cmd_doctor, { "doctor", "surplus" }, "doctor: what is 'surplus'?" },
		{ ox_cmd_stop, { "stop", "-qj" }, "stop: no option '-q'" },
		{ ox_cmd_stop, { "stop", "surplus" }, "stop: what is 'surplus'?" },
		{ ox_cmd_demo, { "demo", "--i-know=1" }, "takes no value" },
		{ ox_cmd_demo, { "demo", "--i-know", "surplus" }, "demo: what is 'surplus'?" },
		{ ox_cmd_priority, { "priority", "list", "-q" }, "priority: no option '-q'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct outcome o = run(row[i].command, row[i].words, "/dev/null");

		if (o.status != OX_EXIT_USAGE || !strstr(o.err, row[i].said))
			fail_msg("%s %s: status %d, said: %s", row[i].words[0], row[i].words[1],
				 o.status, o.err);
	}
}

static const struct {
	command_fn command;
	const char *name;
} all[] = {
	{ ox_cmd_run, "run" },
	{ ox_cmd_stop, "stop" },
	{ ox_cmd_status, "status" },
	{ ox_cmd_events, "events" },
	{ ox_cmd_score, "score" },
	{ ox_cmd_priority, "priority" },
	{ ox_cmd_explain, "explain" },
	{ ox_cmd_rules, "rules" },
	{ ox_cmd_check_config, "check-config" },
	{ ox_cmd_doctor, "doctor" },
	{ ox_cmd_demo, "demo" },
};

static void helps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct outcome o = run(all[i].command, WORDS(all[i].name, "--help"), "/dev/null");

		if (o.status != OX_EXIT_OK || o.err[0])
			fail_msg("%s --help: status %d, said: %s", all[i].name, o.status, o.err);
	}
}

static void says_that_it_cannot_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct outcome o = run(all[i].command, WORDS(all[i].name, "-h"), "/dev/full");

		if (o.status != OX_EXIT_FAILURE || !strstr(o.err, "cannot write: No space left"))
			fail_msg("%s -h: status %d, said: %s", all[i].name, o.status, o.err);
	}
}

/* Output as JSON, whatever the rules on this machine are. */
static void says_that_it_cannot_write_json(void **state)
{
	static const char rules[] = "examples/oomx.yaml", tests[] = "examples/oomx-test.yaml";
	struct outcome o;

	(void)state;
	o = run(ox_cmd_check_config, WORDS("check-config", "-j", rules), "/dev/null");
	assert_int_equal(o.status, OX_EXIT_OK);
	o = run(ox_cmd_check_config, WORDS("check-config", "-j", rules), "/dev/full");
	assert_int_equal(o.status, OX_EXIT_FAILURE);
	assert_non_null(strstr(o.err, "cannot write: No space left"));
	o = run(ox_cmd_rules, WORDS("rules", "-jj", "test", tests), "/dev/null");
	assert_int_equal(o.status, OX_EXIT_OK);
	o = run(ox_cmd_rules, WORDS("rules", "-j", "test", tests), "/dev/full");
	assert_int_equal(o.status, OX_EXIT_FAILURE);
	assert_non_null(strstr(o.err, "cannot write: No space left"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(helps),
		cmocka_unit_test(says_that_it_cannot_write),
		cmocka_unit_test(says_that_it_cannot_write_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
