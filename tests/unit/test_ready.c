// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A service manager is told that oomx is ready, by a file's name and by an abstract one. */
#include "ready.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static const struct oomx_config config = { .hook = OOMX_HOOK_NOMINATE, .policy = "priority",
					   .n_rules = 7 };

/* Listens at a name as in $NOTIFY_SOCKET, and expects one message there. */
static void expect_told(const char *name)
{
	static const char wanted[] =
		"READY=1\nSTATUS=hook nominate, policy priority, 7 rules, enforcing";
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	char text[256] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	assert_int_equal(ox_ready_notify(&config, true), 0);
	assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), strlen(wanted));
	assert_string_equal(text, wanted);
	close(fd);
}

static void told(void **state)
{
	char dir[] = "/tmp/oomx-ready-XXXXXX", path[64], name[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/notify", dir);
	expect_told(path);
	unlink(path);
	rmdir(dir);
	snprintf(name, sizeof(name), "@oomx-ready-%d", (int)getpid());
	expect_told(name);
}

static void nobody_to_tell(void **state)
{
	char longest[200];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(ox_ready_notify(&config, false), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(ox_ready_notify(&config, false), 0);
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	assert_int_equal(ox_ready_notify(&config, false), -ENOENT);
	setenv("NOTIFY_SOCKET", "notify", 1);
	assert_int_equal(ox_ready_notify(&config, false), -EINVAL);
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	assert_int_equal(ox_ready_notify(&config, false), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told),
		cmocka_unit_test(nobody_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
