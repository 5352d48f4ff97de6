/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The feed: order, backlog and marker, readers that are slow, gone, too many or talkative. */
#define _GNU_SOURCE 1 /* memfd_create(), close_range() */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <oomx/abi.h>

#include "cleanup.h"
#include "exit.h"
#include "feed.h"
#include "record.h"

int ox_cmd_events(int argc, char **argv);

static char dir[64], sock[96];
static struct ox_feed *feed;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/oomx-test-feed.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(sock, sizeof(sock), "%s/sock", dir);
	return ox_feed_new(sock, 0, &feed);
}

static int teardown(void **state)
{
	(void)state;
	ox_feed_free(feed);
	feed = NULL;
	(void)unlink(sock);
	return rmdir(dir);
}

/* A record of any size whose first bytes are a number. The header's type is never 0. */
static void publish(__u32 n, size_t size)
{
	_cleanup_free_ char *rec = malloc(size);
	struct oomx_rec_hdr hdr = { .type = OOMX_REC_FREED, .decision = n };

	memset(rec, (int)n, size);
	memcpy(rec, &hdr, size < sizeof(hdr) ? size : sizeof(hdr));
	assert_int_equal(ox_feed_publish(feed, rec, size), 0);
}

static int join(void)
{
	int fd = ox_feed_connect(sock);

	assert_true(fd >= 0);
	assert_int_equal(ox_feed_work(feed), 0);
	return fd;
}

static struct ox_feed_stats stats(void)
{
	struct ox_feed_stats s;

	ox_feed_stats(feed, &s);
	return s;
}

/* The next record must be number n, whole; lets the server refill when the socket runs dry. */
static void expect(int fd, __u32 n, size_t size)
{
	static unsigned char buf[OX_RECORD_MAX];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct oomx_rec_hdr hdr;

	if (!poll(&p, 1, 0))
		assert_int_equal(ox_feed_work(feed), 0);
	if (poll(&p, 1, 0) != 1)
		fail_msg("record %u is missing", n);
	assert_int_equal(ox_feed_next(fd, buf, sizeof(buf)), size);
	memcpy(&hdr, buf, sizeof(hdr));
	assert_int_equal(hdr.decision, n);
	for (size_t i = sizeof(hdr); i < size; i++)
		if (buf[i] != (unsigned char)n)
			fail_msg("record %u: byte %zu is %u", n, i, buf[i]);
}

static void expect_marker(int fd)
{
	char buf[64];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (!poll(&p, 1, 0))
		assert_int_equal(ox_feed_work(feed), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(ox_feed_next(fd, buf, sizeof(buf)), 0);
}

static void expect_end(int fd)
{
	char buf[OX_RECORD_MAX];
	ssize_t n;

	do
		n = ox_feed_next(fd, buf, sizeof(buf));
	while (n >= 0);
	assert_int_equal(n, -ENOTCONN);
}

static void expect_nothing(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(ox_feed_work(feed), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
}

static void backlog_then_live(void **state)
{
	_cleanup_close_ int a = -1, b = -1;

	(void)state;
	a = join();
	expect_marker(a);
	publish(1, 100);
	publish(2, 33);
	expect(a, 1, 100);
	expect(a, 2, 33);
	b = join();
	publish(3, 40);
	expect(b, 1, 100);
	expect(b, 2, 33);
	expect_marker(b);
	expect(b, 3, 40);
	expect(a, 3, 40);
	expect_nothing(a);
	assert_int_equal(stats().published, 3);
	assert_int_equal(stats().clients, 2);
	assert_int_equal(stats().backlog, 3);
}

static void sizes(void **state)
{
	_cleanup_close_ int fd = join();
	static char big[OX_RECORD_MAX + 1];

	(void)state;
	expect_marker(fd);
	assert_int_equal(ox_feed_publish(feed, big, 0), -EMSGSIZE);
	assert_int_equal(ox_feed_publish(feed, big, sizeof(big)), -EMSGSIZE);
	publish(7, OX_RECORD_MAX);
	expect(fd, 7, OX_RECORD_MAX);
	publish(8, 33);
	assert_int_equal(ox_feed_next(fd, big, 32), -EMSGSIZE);
	expect_nothing(fd);
}

/* Every size and every place in the ring, around its end, many times. */
static void ring_wraps(void **state)
{
	_cleanup_close_ int fd = join(), late = -1;
	__u32 n, first;

	(void)state;
	expect_marker(fd);
	for (n = 0; n < 5000; n++) {
		publish(n, 32 + n * 37 % 2000);
		expect(fd, n, 32 + n * 37 % 2000);
	}
	late = join();
	first = n - stats().backlog;
	assert_in_range(stats().backlog, 1, 100);
	for (; first < n; first++)
		expect(late, first, 32 + first * 37 % 2000);
	expect_marker(late);
	assert_int_equal(stats().slow, 0);
}

static void slow_reader(void **state)
{
	_cleanup_close_ int slow = join(), fast = join();
	__u32 n;

	(void)state;
	expect_marker(fast);
	for (n = 0; stats().slow == 0; n++) {
		assert_true(n < 10000);
		publish(n, 4096);
		expect(fast, n, 4096);
	}
	assert_int_equal(stats().clients, 1);
	expect_marker(slow);
	expect_end(slow);
	publish(n, 50);
	expect(fast, n, 50);
}

/* More backlog than a socket takes: sent as it is read, nothing lost, marker at the right place. */
static void large_backlog(void **state)
{
	_cleanup_close_ int fd = -1;
	struct ox_feed_stats s;
	__u32 n;

	(void)state;
	ox_feed_free(feed);
	assert_int_equal(ox_feed_new(sock, 8 << 20, &feed), 0);
	for (n = 0; n < 1500; n++)
		publish(n, 5000);
	fd = join();
	for (; n < 1600; n++)
		publish(n, 5000);
	for (__u32 i = 0; i < 1600; i++) {
		if (i == 1500)
			expect_marker(fd);
		expect(fd, i, 5000);
	}
	s = stats();
	assert_int_equal(s.backlog, 1600);
	assert_int_equal(s.slow, 0);
}

/* A new reader's backlog is overtaken while it reads: it gets less, and is not called slow. */
static void backlog_overtaken(void **state)
{
	_cleanup_close_ int fd = -1;
	static unsigned char buf[OX_RECORD_MAX];
	struct oomx_rec_hdr hdr;
	__u32 n, last = 0;
	ssize_t got;

	(void)state;
	ox_feed_free(feed);
	assert_int_equal(ox_feed_new(sock, 1 << 20, &feed), 0);
	for (n = 1; n <= 400; n++)
		publish(n, 5000);
	fd = join();
	for (; n <= 500; n++)
		publish(n, 5000);
	assert_int_equal(stats().slow, 0);
	assert_int_equal(stats().clients, 1);
	while ((got = ox_feed_next(fd, buf, sizeof(buf))) > 0) {
		memcpy(&hdr, buf, sizeof(hdr));
		assert_true(hdr.decision > last && hdr.decision <= 400);
		last = hdr.decision;
		assert_int_equal(ox_feed_work(feed), 0);
	}
	assert_int_equal(got, 0);
	for (n = 401; n <= 500; n++)
		expect(fd, n, 5000);
}

static void too_many(void **state)
{
	int fd[OX_FEED_CLIENTS_MAX], extra;

	(void)state;
	for (int i = 0; i < OX_FEED_CLIENTS_MAX; i++)
		fd[i] = join();
	extra = join();
	expect_end(extra);
	(void)close(extra);
	assert_int_equal(stats().refused, 1);
	publish(1, 40);
	(void)close(fd[3]);
	fd[3] = join();
	assert_int_equal(stats().clients, OX_FEED_CLIENTS_MAX);
	expect(fd[3], 1, 40);
	expect_marker(fd[3]);
	expect_marker(fd[15]);
	expect(fd[15], 1, 40);
	for (int i = 0; i < OX_FEED_CLIENTS_MAX; i++)
		(void)close(fd[i]);
	publish(2, 40); /* finds out by EPIPE */
	assert_int_equal(stats().clients, 0);
	assert_int_equal(ox_feed_work(feed), 0);
	assert_int_equal(stats().slow, 0);
}

static void talkative(void **state)
{
	_cleanup_close_ int fd = join(), quiet = join();

	(void)state;
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	assert_int_equal(ox_feed_work(feed), 0);
	expect_end(fd);
	assert_int_equal(stats().clients, 1);
	expect_marker(quiet);
}

static void epoll_fd_nests(void **state)
{
	struct pollfd p = { .fd = ox_feed_fd(feed), .events = POLLIN };
	_cleanup_close_ int fd = -1;

	(void)state;
	assert_int_equal(poll(&p, 1, 0), 0);
	fd = ox_feed_connect(sock);
	assert_int_equal(poll(&p, 1, 0), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ox_feed_work(feed), 0);
	assert_int_equal(poll(&p, 1, 0), 0); /* idle means idle */
	(void)close(TAKE_FD(fd));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(ox_feed_work(feed), 0);
	assert_int_equal(stats().clients, 0);
	assert_int_equal(poll(&p, 1, 0), 0);
}

static void the_file(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ox_feed *second = NULL;
	char longer[200];
	struct stat st;
	mode_t mask;
	int fd;

	(void)state;
	assert_int_equal(ox_feed_new(sock, 0, &second), -EADDRINUSE);
	ox_feed_free(feed);
	feed = NULL;
	assert_int_equal(stat(sock, &st), -1);

	/* left by a process that died */
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	strcpy(addr.sun_path, sock);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	(void)close(fd);
	assert_int_equal(ox_feed_connect(sock), -ECONNREFUSED);
	mask = umask(0);
	assert_int_equal(ox_feed_new(sock, 0, &feed), 0);
	(void)umask(mask);
	assert_int_equal(stat(sock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	/* replaced by somebody else's: not removed */
	(void)unlink(sock);
	fd = open(sock, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	ox_feed_free(feed);
	feed = NULL;
	assert_int_equal(stat(sock, &st), 0);
	assert_int_equal(ox_feed_new(sock, 0, &second), -EEXIST);
	assert_null(second);
	assert_int_equal(unlink(sock), 0);

	assert_int_equal(ox_feed_connect(sock), -ENOENT);
	assert_int_equal(ox_feed_connect(""), -ENOENT);
	assert_int_equal(ox_feed_new("", 0, &second), -ENOENT);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(ox_feed_new(longer, 0, &second), -ENAMETOOLONG);
	assert_int_equal(ox_feed_connect(longer), -ENAMETOOLONG);
	assert_int_equal(ox_feed_new("/nonexistent/sock", 0, &second), -ENOENT);
	assert_int_equal(ox_feed_new(sock, SIZE_MAX, &second), -ENOMEM);
	ox_feed_free(NULL);
}

/* ---- oomx events ---------------------------------------------------------------------------- */

static int reader_pid;

/* In a child: its output to `out`, its messages to nowhere. Exits with the command's status. */
static void events_start(int out, const char *a, const char *b)
{
	char *argv[] = { "events", "--socket", sock, (char *)a, (char *)b, NULL };

	fflush(NULL);
	reader_pid = fork();
	assert_true(reader_pid >= 0);
	if (reader_pid)
		return;
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
	(void)close_range(3, ~0u, 0); /* else it would itself read the pipe it writes to */
	_exit(ox_cmd_events(a ? b ? 5 : 4 : 3, argv));
}

/* Serves until the child has ended; its exit status, 128 and more: a signal's. */
static int events_wait(void)
{
	int status;

	while (waitpid(reader_pid, &status, WNOHANG) == 0) {
		struct pollfd p = { .fd = feed ? ox_feed_fd(feed) : -1, .events = POLLIN };

		(void)poll(&p, 1, 1);
		if (feed)
			assert_int_equal(ox_feed_work(feed), 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void publish_freed(__u32 decision)
{
	struct oomx_rec_freed r = {
		.hdr = { .type = OOMX_REC_FREED, .size = sizeof(r), .abi = OOMX_ABI,
			 .decision = decision },
		.pid = 5, .pages = 256,
	};

	assert_int_equal(ox_feed_publish(feed, &r, sizeof(r)), 0);
}

static void command_json(void **state)
{
	_cleanup_close_ int out = memfd_create("out", MFD_CLOEXEC);
	char text[4096] = "";
	char *second;
	json_t *j;

	(void)state;
	publish_freed(11);
	publish(99, 40); /* no record at all: passed over */
	publish_freed(12);
	events_start(out, "--json", NULL);
	assert_int_equal(events_wait(), OX_EXIT_OK);
	assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
	second = strchr(text, '\n');
	assert_non_null(second);
	*second++ = '\0';
	j = json_loads(text, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(j, "decision")), 11);
	json_decref(j);
	j = json_loads(second, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(j, "decision")), 12);
	json_decref(j);
}

static void command_follow(void **state)
{
	int p[2];
	char text[256] = "";
	struct pollfd ready;

	(void)state;
	assert_int_equal(pipe(p), 0);
	publish_freed(1);
	events_start(p[1], "-f", NULL);
	(void)close(p[1]);
	ready = (struct pollfd){ .fd = p[0], .events = POLLIN };
	while (!poll(&ready, 1, 1))
		assert_int_equal(ox_feed_work(feed), 0);
	assert_true(read(p[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "#1 freed: 1.0 MiB of pid 5 gone"));
	/* flushed at once, live too */
	publish_freed(2);
	assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_true(read(p[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "#2 freed"));
	/* `| head`: ends by itself, quietly, without waiting for another event */
	(void)close(p[0]);
	assert_int_equal(events_wait(), OX_EXIT_OK);
}

static void command_server_stops(void **state)
{
	int p[2];
	struct pollfd ready;

	(void)state;
	assert_int_equal(pipe(p), 0);
	publish_freed(1);
	events_start(p[1], "--follow", NULL);
	ready = (struct pollfd){ .fd = p[0], .events = POLLIN };
	while (!poll(&ready, 1, 1))
		assert_int_equal(ox_feed_work(feed), 0);
	ox_feed_free(feed);
	feed = NULL;
	assert_int_equal(events_wait(), OX_EXIT_NOT_RUNNING);
	(void)close(p[0]);
	(void)close(p[1]);
}

/* Not "not running": it is, and has disconnected a reader that did not keep up. */
static void command_too_slow(void **state)
{
	_cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct ox_feed_stats stats = {};
	int status;

	(void)state;
	events_start(null, "--follow", NULL);
	for (; !stats.clients; ox_feed_stats(feed, &stats))
		assert_int_equal(ox_feed_work(feed), 0);
	assert_int_equal(kill(reader_pid, SIGSTOP), 0);
	assert_int_equal(waitpid(reader_pid, &status, WUNTRACED), reader_pid);
	for (__u32 i = 0; !stats.slow; i++, ox_feed_stats(feed, &stats))
		publish_freed(i);
	assert_int_equal(kill(reader_pid, SIGCONT), 0);
	assert_int_equal(events_wait(), OX_EXIT_TOO_SLOW);
}

static void command_status(void **state)
{
	_cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	_cleanup_close_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	events_start(null, "--help", NULL);
	assert_int_equal(events_wait(), OX_EXIT_OK);
	events_start(null, "--nonsense", NULL);
	assert_int_equal(events_wait(), OX_EXIT_USAGE);
	events_start(null, "nonsense", NULL);
	assert_int_equal(events_wait(), OX_EXIT_USAGE);
	events_start(null, "--json", "--socket");
	assert_int_equal(events_wait(), OX_EXIT_USAGE);
	publish_freed(1);
	events_start(full, "--json", NULL);
	assert_int_equal(events_wait(), OX_EXIT_FAILURE);
	ox_feed_free(feed);
	feed = NULL;
	events_start(null, NULL, NULL);
	assert_int_equal(events_wait(), OX_EXIT_NOT_RUNNING);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(backlog_then_live), TEST(sizes),		 TEST(ring_wraps),
		TEST(slow_reader),	 TEST(large_backlog),	 TEST(backlog_overtaken),
		TEST(too_many),		 TEST(talkative),	 TEST(epoll_fd_nests),
		TEST(the_file),		 TEST(command_json),	 TEST(command_follow),
		TEST(command_server_stops), TEST(command_too_slow), TEST(command_status),
	};

	return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
