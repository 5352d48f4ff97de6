/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages: one write, one line, errno as it was, and no terminal driven by a process's name. */
#define _GNU_SOURCE 1 /* pipe2() */
#include <errno.h>
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
#include "log.h"

static int saved_stderr = -1, reader = -1;

/* stderr into a pipe; each test reads what it wrote, and restores it before it asserts */
static int setup(void **state)
{
	int p[2];

	(void)state;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	saved_stderr = dup(STDERR_FILENO);
	reader = p[0];
	(void)dup2(p[1], STDERR_FILENO);
	(void)close(p[1]);
	ox_log_set_level(OX_LOG_INFO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (saved_stderr >= 0) {
		(void)dup2(saved_stderr, STDERR_FILENO);
		(void)close(saved_stderr);
		saved_stderr = -1;
	}
	(void)close(reader);
	return 0;
}

static const char *written(void)
{
	static char buf[4 * OX_LOG_LINE];
	ssize_t n = read(reader, buf, sizeof(buf) - 1);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void lines(void **state)
{
	(void)state;
	ox_err("bad limit '%s'", "x");
	assert_string_equal(written(), "oomx: bad limit 'x'\n");
	ox_warn("rule %d, ignoring", 3);
	assert_string_equal(written(), "oomx: warning: rule 3, ignoring\n");
	ox_info("ready");
	assert_string_equal(written(), "oomx: ready\n");
}

static void levels(void **state)
{
	(void)state;
	ox_debug("not shown");
	assert_string_equal(written(), "");
	ox_log_set_level(OX_LOG_DEBUG);
	ox_debug("shown");
	assert_string_equal(written(), "oomx: debug: shown\n");
	ox_log_set_level(OX_LOG_ERR);
	assert_int_equal(ox_log_level(), OX_LOG_ERR);
	ox_warn("not shown");
	assert_string_equal(written(), "");
	(void)ox_log(0, 0, "no such level");
	(void)ox_log(_OX_LOG_MAX, 0, "no such level");
	(void)ox_log(-1, 0, "no such level");
	assert_string_equal(written(), "");
}

static void returns_what_it_got(void **state)
{
	(void)state;
	assert_int_equal(ox_err_r(-EINVAL, "a"), -EINVAL);
	assert_int_equal(ox_warn_r(0, "b"), 0);
	assert_int_equal(ox_debug_r(-ENOENT, "not shown"), -ENOENT);
	assert_string_equal(written(), "oomx: a\noomx: warning: b\n");
}

static void errno_survives(void **state)
{
	(void)state;
	errno = ENOENT;
	ox_err("cannot open it: %m");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(written(), "oomx: cannot open it: No such file or directory\n");

	/* also if it cannot be written */
	(void)close(STDERR_FILENO);
	errno = EPERM;
	assert_int_equal(ox_err_r(-EPERM, "lost"), -EPERM);
	assert_int_equal(errno, EPERM);
}

static void hostile_text(void **state)
{
	(void)state;
	ox_err("%s", "a\nfake: b\x1b[2J\x7f\r\xc2\x9b" "1m\xc3\xbc\xff");
	assert_string_equal(written(), "oomx: a?fake: b?[2J????1m\xc3\xbc\xff\n");
	ox_err("%s", "%s%n%s");
	assert_string_equal(written(), "oomx: %s%n%s\n");
}

static void long_text(void **state)
{
	char big[3 * OX_LOG_LINE];
	const char *line;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	ox_err("%s", big);
	line = written();
	assert_int_equal(strlen(line), OX_LOG_LINE);
	assert_ptr_equal(strchr(line, '\n'), line + OX_LOG_LINE - 1);
}

/* A pipe that nobody reads is not waited for; what is lost is told once there is room. */
static void not_read(void **state)
{
	char filler[4096] = {};
	int flags;

	(void)state;
	ox_log_set_wait(false);
	flags = fcntl(STDERR_FILENO, F_GETFL);
	while (write(STDERR_FILENO, filler, sizeof(filler)) > 0)
		;
	(void)fcntl(STDERR_FILENO, F_SETFL, flags & ~O_NONBLOCK);
	(void)alarm(600); /* what blocks would block for ever */
	ox_err("one");
	ox_err("two");
	while (read(reader, filler, sizeof(filler)) > 0)
		;
	ox_err("three");
	ox_err("four");
	(void)alarm(0);
	ox_log_set_wait(true);
	assert_string_equal(written(),
			    "oomx: warning: 2 messages were lost here: nobody was reading standard "
			    "error\noomx: three\noomx: four\n");
}

static void ownership(void **state)
{
	int kept = -1, p[2];
	char *moved;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	{
		_cleanup_close_ int a = p[0];
		_cleanup_close_ int b = p[1];
		_cleanup_free_ char *s = strdup("owned"), *t = strdup("freed");

		kept = TAKE_FD(b);
		assert_int_equal(b, -1);
		moved = TAKE_PTR(s);
		assert_null(s);
		assert_non_null(t);
		assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
		errno = E2BIG;
	}
	assert_int_equal(errno, E2BIG);
	assert_int_equal(fcntl(p[0], F_GETFD), -1);
	assert_int_equal(fcntl(kept, F_GETFD), FD_CLOEXEC);
	(void)close(kept);
	assert_string_equal(moved, "owned");
	free(moved);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines, setup, teardown),
		cmocka_unit_test_setup_teardown(levels, setup, teardown),
		cmocka_unit_test_setup_teardown(returns_what_it_got, setup, teardown),
		cmocka_unit_test_setup_teardown(errno_survives, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_text, setup, teardown),
		cmocka_unit_test_setup_teardown(long_text, setup, teardown),
		cmocka_unit_test_setup_teardown(not_read, setup, teardown),
		cmocka_unit_test(ownership),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
