// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Processes that are gone, and that may not be looked into. (Our own: test_rules.) */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "cleanup.h"
#include "process.h"
#include "restore.h"

#define NOBODY 65534

static void gone(void **state)
{
	struct ox_process p = {};
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(ox_process_read((__u32)pid, 0, &p), -ESRCH);
	/* another of the same id */
	assert_int_equal(ox_process_read((__u32)getpid(), 1, &p), -ESRCH);
}

/* Whatever it calls itself: blanks and brackets are where fields end. */
static void started(void **state)
{
	_cleanup_close_ int dir = ox_process_open((__u32)getpid(), 0);
	struct timespec now;
	__u64 ticks = 0, again = 0;
	char name[16] = {};

	(void)state;
	assert_true(dir >= 0);
	assert_int_equal(ox_process_start_ticks(dir, &ticks), 0);
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	assert_true(ticks > 0 && ticks <= (__u64)(now.tv_sec + 1) * sysconf(_SC_CLK_TCK));
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (b) c"), 0);
	assert_int_equal(ox_process_start_ticks(dir, &again), 0);
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	assert_int_equal(again, ticks);
}

/* All but the file is for everybody to see. */
static void hidden(void **state)
{
	struct ox_process p = {};
	int status;
	pid_t pid;

	(void)state;
	if (getuid())
		skip(); /* somebody else's process is needed, and a user to look at it */
	pid = fork();
	if (!pid) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(1);
		_exit(ox_process_read((__u32)getppid(), 0, &p) ? 2 :
		      !p.exe_hidden || p.exe[0] ? 3 : strcmp(p.comm, "test_process") ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gone),
		cmocka_unit_test(started),
		cmocka_unit_test(hidden),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
