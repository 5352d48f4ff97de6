/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Output that nobody reads: not waited for, lost in whole lines, and counted. */
#define _GNU_SOURCE 1 /* pipe2(), F_SETPIPE_SZ */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "cleanup.h"
#include "log.h"
#include "output.h"

#define WORD_BYTES 3000 /* a line, more or less: some are in two pieces */
#define LINES 400	/* more than fit anywhere */

static struct ox_output o;

/* stderr into a pipe while f(arg) runs; what was written to it */
static const char *told_by(void (*f)(void *arg), void *arg)
{
	static char buf[4096];
	int p[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	(void)dup2(p[1], STDERR_FILENO);
	f(arg);
	(void)dup2(saved, STDERR_FILENO);
	n = read(p[0], buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	(void)close(saved);
	(void)close(p[0]);
	(void)close(p[1]);
	return buf;
}

static void write_line(unsigned int i)
{
	(void)fprintf(o.file, "%u %0*u\n", i, WORD_BYTES + (int)(i % 5) * 700, i);
	ox_output_end_line(&o);
}

static void write_lines(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < LINES; i++)
		write_line(i);
}

/* What is there now; the lines in it are whole, in order, and counted. */
static void read_now(int fd, char *rest, size_t *len, unsigned int *ret_n, long *last)
{
	char *nl;
	ssize_t n;

	while ((n = read(fd, rest + *len, 65536 - *len)) > 0) {
		*len += (size_t)n;
		while ((nl = memchr(rest, '\n', *len))) {
			char *end;
			long i = strtol(rest, &end, 10);

			assert_true(i > *last && *end == ' ');
			assert_int_equal(strtol(end, &end, 10), i);
			assert_ptr_equal(end, nl);
			*last = i;
			(*ret_n)++;
			*len -= (size_t)(nl + 1 - rest);
			memmove(rest, nl + 1, *len);
		}
	}
}

static void send_again(void *arg)
{
	(void)arg;
	ox_output_send(&o);
}

/* A reader that comes late has all lines but those that were lost, and their number is told. */
static void late_reader(int reader, int writer)
{
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	static char rest[65536];
	char expected[64];
	struct epoll_event ev;
	unsigned long long lost;
	unsigned int n = 0;
	size_t len = 0;
	long last = -1;
	const char *said;

	assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(ox_output_open(&o, writer, epoll), 0);
	assert_string_equal(told_by(write_lines, NULL), "");
	lost = o.lost;
	assert_true(lost > 0 && lost < LINES);
	assert_false(fcntl(writer, F_GETFL) & O_NONBLOCK); /* it may be others' as well */
	assert_int_equal(epoll_wait(epoll, &ev, 1, 0), 0);

	said = "";
	while (!*said) {
		read_now(reader, rest, &len, &n, &last);
		assert_int_equal(epoll_wait(epoll, &ev, 1, 0), 1);
		assert_int_equal(ev.data.fd, writer);
		said = told_by(send_again, NULL);
	}
	(void)snprintf(expected, sizeof(expected), "oomx: warning: %llu lines were not printed", lost);
	assert_int_equal(strncmp(said, expected, strlen(expected)), 0);
	assert_int_equal(o.line, 0);
	read_now(reader, rest, &len, &n, &last);
	assert_int_equal(len, 0);
	assert_int_equal(n, LINES - lost);
	write_line(LINES);
	read_now(reader, rest, &len, &n, &last);
	assert_int_equal(last, LINES);
	assert_int_equal(epoll_wait(epoll, &ev, 1, 0), 0);
	ox_output_close(&o, 0);
}

static void late_pipe(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	late_reader(p[0], p[1]);
	(void)close(p[0]);
	(void)close(p[1]);
}

static void late_socket(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	late_reader(p[0], p[1]);
	(void)close(p[0]);
	(void)close(p[1]);
}

static void file_has_all(void **state)
{
	_cleanup_free_ char *line = NULL;
	FILE *f = tmpfile();
	unsigned int n = 0;
	size_t room = 0;

	(void)state;
	assert_non_null(f);
	assert_int_equal(ox_output_open(&o, fileno(f), -1), 0);
	write_lines(NULL);
	assert_int_equal(o.lost, 0);
	assert_int_equal(o.used, 0);
	ox_output_close(&o, 0);
	rewind(f);
	while (getline(&line, &room, f) > 0)
		assert_int_equal(strtol(line, NULL, 10), n++);
	assert_int_equal(n, LINES);
	(void)fclose(f);
}

/* One that goes is no loss, and nothing waits for it. */
static void reader_gone(void **state)
{
	int p[2];

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(ox_output_open(&o, p[1], -1), 0);
	write_lines(NULL);
	assert_true(o.line > 0);
	(void)close(p[0]);
	o.lost = 0;
	write_line(0);
	assert_int_equal(o.used, 0);
	assert_int_equal(o.lost, 0);
	ox_output_close(&o, 0);
	(void)close(p[1]);
}

static void too_long(void **state)
{
	FILE *f = tmpfile();
	size_t i;

	(void)state;
	assert_non_null(f);
	assert_int_equal(ox_output_open(&o, fileno(f), -1), 0);
	for (i = 0; i <= OX_OUTPUT_BYTES; i++)
		(void)fputc('x', o.file);
	ox_log_set_level(OX_LOG_ERR);
	ox_output_end_line(&o);
	ox_log_set_level(OX_LOG_INFO);
	write_line(7);
	ox_output_close(&o, 0);
	assert_int_equal(lseek(fileno(f), 0, SEEK_END), 2 + WORD_BYTES + 2 * 700 + 1);
	(void)fclose(f);
}

static void close_and_tell(void *arg)
{
	ox_output_close(&o, *(int *)arg);
}

/* On the way out: those that still wait are lost as well. */
static void close_tells(void **state)
{
	char expected[64];
	int p[2], ms = 20;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(ox_output_open(&o, p[1], -1), 0);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) == 4096);
	(void)fprintf(o.file, "%04095u\n", 0);
	ox_output_end_line(&o);
	assert_int_equal(o.used, 0);
	write_line(1);
	write_line(2);
	(void)snprintf(expected, sizeof(expected), "oomx: warning: 2 lines were not printed");
	assert_int_equal(strncmp(told_by(close_and_tell, &ms), expected, strlen(expected)), 0);
	assert_null(o.file);
	(void)close(p[0]);
	(void)close(p[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_pipe),   cmocka_unit_test(late_socket),
		cmocka_unit_test(file_has_all), cmocka_unit_test(reader_gone),
		cmocka_unit_test(too_long),    cmocka_unit_test(close_tells),
	};

	(void)alarm(600); /* what blocks would block for ever */
	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
