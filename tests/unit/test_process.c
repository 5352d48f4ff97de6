// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is read of processes: our own, one that is gone, one that may not be looked into. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
	assert_int_equal(ox_process_read((__u32)pid, 0, true, &p), -ESRCH);
	/* another of the same id */
	assert_int_equal(ox_process_read((__u32)getpid(), 1, true, &p), -ESRCH);
}

/* cmdline only if asked for */
static void our_own(void **state)
{
	struct ox_process p;
	char exe[PATH_MAX] = "", uid[12];

	(void)state;
	assert_int_equal(ox_process_read((__u32)getpid(), 0, true, &p), 0);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_string_equal(p.exe, exe);
	assert_false(p.exe_foreign);
	assert_string_equal(p.comm, "test_process");
	assert_non_null(strstr(p.cmdline, "test_process"));
	snprintf(uid, sizeof(uid), "%u", getuid());
	assert_string_equal(p.uid, uid);
	assert_int_equal(p.cgroup[0], '/');
	assert_int_equal(ox_process_read((__u32)getpid(), 0, false, &p), 0);
	assert_string_equal(p.cmdline, "");
	assert_string_equal(p.exe, exe);
	assert_int_equal(ox_process_read(1U << 22, 0, true, &p), -ESRCH);
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
		_exit(ox_process_read((__u32)getppid(), 0, false, &p) ? 2 :
		      !p.exe_hidden || p.exe[0] ? 3 : strcmp(p.comm, "test_process") ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gone),
		cmocka_unit_test(our_own),
		cmocka_unit_test(started),
		cmocka_unit_test(hidden),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
