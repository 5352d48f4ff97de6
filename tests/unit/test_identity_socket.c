/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A container daemon's socket: answers, half ones, none, and sockets that are not to be trusted. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "cleanup.h"
#include "identity.h"
#include "identity_socket.h"

#define A16 "0123456789abcdef"
#define A A16 A16 A16 A16
#define OK "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define DB "{\"Name\":\"/db\",\"State\":{\"Pid\":77},\"Config\":{\"Image\":\"pg\",\"Labels\":" \
	   "{\"oomx.priority\":\"5\"}}}"

static char root[] = "/tmp/oomx-test-socket.XXXXXX";
static char path[128], proc[128];

static struct server {
	int fd;
	pthread_t thread;
	const char *answer; /* NULL: a byte again and again */
	size_t size;
	char request[512];
	bool left; /* the client, before the last of DRIPS bytes */
} server;

#define DRIPS 30000
#define LONG_NS 60000000000ULL

static __u64 deadline_ns; /* as it is for the daemon */

static void *serve(void *arg)
{
	size_t used = 0;
	int fd = accept(server.fd, NULL, NULL);

	(void)arg;
	if (fd < 0)
		return NULL;
	while (used < sizeof(server.request) - 1) {
		ssize_t n = read(fd, server.request + used, sizeof(server.request) - 1 - used);

		if (n <= 0)
			break;
		used += n;
		server.request[used] = '\0';
		if (strstr(server.request, "\r\n\r\n"))
			break;
	}
	for (int i = 0; !server.answer && i < DRIPS && !server.left; i++) {
		server.left = send(fd, " ", 1, MSG_NOSIGNAL) < 0;
		usleep(100);
	}
	for (size_t at = 0; at < server.size;) {
		ssize_t n = send(fd, server.answer + at, server.size - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += n;
	}
	close(fd);
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[64];

	(void)state;
	deadline_ns = deadline_ns ?: ox_ask_deadline_ns;
	ox_ask_deadline_ns = LONG_NS; /* a busy machine's answer is no late one */
	strcpy(root + strlen(root) - 6, "XXXXXX");
	if (!mkdtemp(root))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/run", root);
	assert_int_equal(mkdir(dir, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/docker.sock", dir);
	(void)snprintf(proc, sizeof(proc), "%s/proc/77/cgroup", root);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	server = (struct server){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	assert_true(server.fd >= 0);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(server.fd, 4), 0);
	assert_int_equal(chmod(path, 0660), 0);
	return 0;
}

static int teardown(void **state)
{
	static const char *const dirs[] = { "proc/77", "proc", "run", "" };
	char dir[128];

	(void)state;
	close(server.fd);
	(void)unlink(path);
	(void)unlink(proc);
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", root, dirs[i]);
		(void)rmdir(dir);
	}
	return 0;
}

/* One question, answered so. */
static int asked(const char *cgroup, const char *answer, size_t size,
		 struct ox_identity *ret)
{
	int err;

	server.answer = answer;
	server.size = size;
	memset(server.request, 0, sizeof(server.request));
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	assert_int_equal(ox_identity_from_path(cgroup, ret), 0);
	err = ox_identity_resolve_at(root, ret);
	assert_int_equal(pthread_join(server.thread, NULL), 0);
	return err;
}

static void answers(void **state)
{
	static const char text[] = OK DB;
	struct ox_identity id;

	(void)state;
	assert_int_equal(asked("/docker/" A, text, strlen(text), &id), 0);
	assert_string_equal(server.request,
			    "GET /containers/" A "/json HTTP/1.0\r\nHost: localhost\r\n\r\n");
	assert_string_equal(id.name, "db");
	assert_string_equal(id.image, "pg");
	assert_string_equal(id.runtime, "docker");
	assert_string_equal(ox_identity_label(&id, "oomx.priority"), "5");
	ox_identity_done(&id);
	/* of nobody's by its path */
	assert_int_equal(asked("/actions_job/" A, text, strlen(text), &id), 0);
	assert_string_equal(id.runtime, "docker");
	ox_identity_done(&id);
}

/* A tenant's cgroup of the container's name does not have the container's init. */
static void confirms(void **state)
{
	static const char text[] = OK DB, cgroup[] = "/u.service/docker/" A;
	static const char *const bad[] = { "", "0::", "0::/", "0::/x\n", "1:a:/u.service/docker/" A,
					   "0::/u.service/docker/" A "x\n" };
	struct ox_identity id;
	FILE *f;

	(void)state;
	assert_int_equal(asked(cgroup, text, strlen(text), &id), -ENOENT);
	ox_identity_done(&id);
	*strrchr(proc, '/') = '\0';
	*strrchr(proc, '/') = '\0';
	assert_int_equal(mkdir(proc, 0700), 0);
	strcat(proc, "/77");
	assert_int_equal(mkdir(proc, 0700), 0);
	strcat(proc, "/cgroup");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_non_null(f = fopen(proc, "we"));
		fputs(bad[i], f);
		assert_int_equal(fclose(f), 0);
		if (asked(cgroup, text, strlen(text), &id) != -ENOENT)
			fail_msg("confirmed by '%s'", bad[i]);
		assert_null(id.name);
		ox_identity_done(&id);
	}
	assert_non_null(f = fopen(proc, "we"));
	fprintf(f, "1:name=x:/\n0::%s/init.scope\n", cgroup);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(asked(cgroup, text, strlen(text), &id), 0);
	assert_string_equal(id.name, "db");
	assert_false(id.nested);
	ox_identity_done(&id);
}

static void bad_answers(void **state)
{
	static const char *const bad[] = {
		"", "\r\n\r\n", "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"no\"}", OK, OK "x",
		OK "[", "HTTP/1.0 200 OK\r\n", "HTTP/1.0 500\r\n\r\n" DB, "HTTP/2.0 200\r\n\r\n" DB,
		"garbage 200\r\n\r\n" DB, OK "{\"Name\":", OK "\xff\xfe", "HTTP/1." "\r\n\r\n" DB,
	};
	size_t size = 5 << 20;
	_cleanup_free_ char *endless = malloc(size);
	struct ox_identity id;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (asked("/docker/" A, bad[i], strlen(bad[i]), &id) != -ENOENT)
			fail_msg("answer %zu was taken", i);
		assert_null(id.name);
		ox_identity_done(&id);
	}
	assert_non_null(endless);
	memset(endless, ' ', size);
	memcpy(endless, OK, strlen(OK));
	memcpy(endless + size - strlen(DB), DB, strlen(DB));
	assert_int_equal(asked("/docker/" A, endless, size, &id), -ENOENT);
	ox_identity_done(&id);
	assert_int_equal(asked("/docker/" A, OK "{\"Name\":\"/a\0b\"}", strlen(OK) + 15, &id),
			 -ENOENT);
	ox_identity_done(&id);
}

static void not_to_be_asked(void **state)
{
	struct ox_identity id;

	(void)state;
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(ox_identity_from_path("/docker/" A, &id), 0);
	assert_int_equal(ox_identity_resolve_at(root, &id), -ENOENT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ox_identity_resolve_at(root, &id), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ox_identity_resolve_at(root, &id), -ENOENT);
	ox_identity_done(&id);
}

/* Never done. Last: then nobody is asked for a while. */
static void no_answer(void **state)
{
	struct ox_identity id;

	(void)state;
	ox_ask_deadline_ns = deadline_ns;
	assert_int_equal(asked("/docker/" A, NULL, 0, &id), -ENOENT);
	assert_true(server.left);
	ox_identity_done(&id);
	assert_int_equal(ox_identity_from_path("/docker/" A, &id), 0);
	assert_int_equal(ox_identity_resolve_at(root, &id), -ENOENT);
	assert_int_equal(fcntl(server.fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(accept(server.fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	ox_identity_done(&id);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, setup, teardown),
		cmocka_unit_test_setup_teardown(confirms, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(not_to_be_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(no_answer, setup, teardown),
	};

	return cmocka_run_group_tests_name("identity_socket", tests, NULL, NULL);
}
