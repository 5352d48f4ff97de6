/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * log.h - messages for people, on standard error, one write() per line, "oomx: " in front.
 *
 * Never allocates, never changes errno (and `%m` prints the caller's). Lines longer than
 * OX_LOG_LINE bytes are cut, and control characters are shown as '?': a process may choose its own
 * name, and must not drive the terminal with it.
 *
 * Library code logs at debug level only; who understands the intent logs once. Messages that do
 * not end the operation end in ", ignoring".
 */
#ifndef OX_LOG_H
#define OX_LOG_H

#include <stdbool.h>

#define OX_LOG_LINE 1024

enum ox_log_level {
	OX_LOG_ERR = 1,
	OX_LOG_WARN,
	OX_LOG_INFO,
	OX_LOG_DEBUG,
	_OX_LOG_MAX,
};

/* Messages above this level are not written. OX_LOG_INFO until set; not for use by two threads. */
void ox_log_set_level(enum ox_log_level level);
enum ox_log_level ox_log_level(void);

/*
 * false: a pipe or socket that is full is not waited for; what is lost is counted, and told when
 * there is room again. For who has more important things to do than to be read.
 */
void ox_log_set_wait(bool wait);

/* Logs, and returns `err` as it is. */
int ox_log(enum ox_log_level level, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define ox_err(...) ((void)ox_log(OX_LOG_ERR, 0, __VA_ARGS__))
#define ox_warn(...) ((void)ox_log(OX_LOG_WARN, 0, __VA_ARGS__))
#define ox_info(...) ((void)ox_log(OX_LOG_INFO, 0, __VA_ARGS__))
#define ox_debug(...) ((void)ox_log(OX_LOG_DEBUG, 0, __VA_ARGS__))

/* return ox_err_r(-EINVAL, "bad limit '%s'", s); */
#define ox_err_r(err, ...) ox_log(OX_LOG_ERR, (err), __VA_ARGS__)
#define ox_warn_r(err, ...) ox_log(OX_LOG_WARN, (err), __VA_ARGS__)
#define ox_info_r(err, ...) ox_log(OX_LOG_INFO, (err), __VA_ARGS__)
#define ox_debug_r(err, ...) ox_log(OX_LOG_DEBUG, (err), __VA_ARGS__)

#endif
