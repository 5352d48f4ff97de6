/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "output.h"

#define PREFIX "oomx: "

static enum ox_log_level max_level = OX_LOG_INFO;
static bool waits = true;
static unsigned long long lost; /* lines, not told of yet */

static const char *const level_prefix[] = {
	[OX_LOG_ERR] = PREFIX,
	[OX_LOG_WARN] = PREFIX "warning: ",
	[OX_LOG_INFO] = PREFIX,
	[OX_LOG_DEBUG] = PREFIX "debug: ",
};
_Static_assert(sizeof(level_prefix) / sizeof(level_prefix[0]) == _OX_LOG_MAX, "a level is missing");

void ox_log_set_level(enum ox_log_level level)
{
	max_level = level;
}

enum ox_log_level ox_log_level(void)
{
	return max_level;
}

void ox_log_set_wait(bool wait)
{
	waits = wait;
}

/* false: there is no room, and so much is lost */
static bool write_now(const char *s, size_t n)
{
	ssize_t done;

	do
		done = ox_output_write(STDERR_FILENO, s, n);
	while (done == -EINTR);
	return done != -EAGAIN;
}

static void write_if_read(const char *s, size_t n)
{
	char line[128];
	int len;

	if (lost) {
		len = snprintf(line, sizeof(line), "%s%llu messages were lost here: nobody was reading "
			       "standard error\n", level_prefix[OX_LOG_WARN], lost); /* fits */
		if (write_now(line, (size_t)len))
			lost = 0;
	}
	if (lost || !write_now(s, n))
		lost++;
}

static void write_all(const char *s, size_t n)
{
	while (n) {
		ssize_t done = write(STDERR_FILENO, s, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return; /* there is nowhere left to complain to */
		s += done;
		n -= done;
	}
}

/* C0, DEL, and C1 as UTF-8 writes them: to a terminal "\xc2\x9b" may be what "\x1b[" is */
static void hide_controls(unsigned char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] < ' ' || s[i] == 0x7f)
			s[i] = '?';
		else if (s[i] == 0xc2 && i + 1 < n && s[i + 1] >= 0x80 && s[i + 1] < 0xa0)
			s[i] = s[i + 1] = '?';
	}
}

int ox_log(enum ox_log_level level, int err, const char *fmt, ...)
{
	char line[OX_LOG_LINE + 1];
	int saved = errno, n;
	size_t used;
	va_list ap;

	if (level < OX_LOG_ERR || level >= _OX_LOG_MAX || level > max_level)
		return err;

	used = strlen(level_prefix[level]);
	memcpy(line, level_prefix[level], used);

	va_start(ap, fmt);
	n = vsnprintf(line + used, OX_LOG_LINE - used, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0; /* a string that cannot be converted: a prefix is better than nothing */
	used += (size_t)n < OX_LOG_LINE - used ? (size_t)n : OX_LOG_LINE - used - 1;

	hide_controls((unsigned char *)line, used);
	line[used++] = '\n';
	if (waits)
		write_all(line, used);
	else
		write_if_read(line, used);

	errno = saved;
	return err;
}
