/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* daemon.h - `oomx run --json` in the background, and the events it prints. */
#ifndef SUITE_DAEMON_H
#define SUITE_DAEMON_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/event.h"

#define DAEMON_FDS 3
#define DAEMON_EVENTS_MAX 1024 /* between two calls of daemon_clear() */

/* `oomx run --json ARGS...`; returns when it says that it is ready, fatal if it never does. */
void daemon_start(const char *const args[]);
/* The same with --replace, while one runs: ends when that one has, too. Events go on counting. */
void daemon_replace(const char *const args[]);
bool daemon_running(void);
void daemon_require(void); /* fatal, with what it says, where it has ended by itself */
pid_t daemon_pid(void);
bool daemon_said(const char *what); /* on standard error, until now */
const char *daemon_hook(void); /* as its "ready" line has it */

/* SIGTERM; complains (suite_fail) unless it exits 0 and has printed nothing but events. */
void daemon_stop(void);
void daemon_kill(void);	   /* SIGKILL, and wait until it is gone */
void daemon_abandon(void); /* on the way out: whatever its state */

/* Events since the last clear, in order of arrival. */
void daemon_clear(void);
unsigned int daemon_events(const struct event **ret_events);
unsigned int daemon_count(unsigned int type);
unsigned int daemon_total(unsigned int type); /* since the start, cleared or not */
const struct event *daemon_find(unsigned int type, int64_t decision, pid_t pid); /* 0: any */
void daemon_complain_events(void); /* what came, as lines of a complaint */

/* What `oomx status --json` says was sent and dropped. false: it says nothing. */
struct daemon_counters {
	int64_t sent[OOMX_REC_MAX], dropped[OOMX_REC_MAX];
};
bool daemon_counters(struct daemon_counters *ret);

/* A number of `oomx status --json`, such as "pid"; -1: it has none, or nothing is running. */
int64_t daemon_status(const char *key);
/* One that has to be there, as "counters.inherited", or it fails. */
int64_t daemon_counter(const char *name);
/* Of all programs together, as `oomx status` tells it. */
int64_t daemon_recursion_misses(void);
/* What is true or false, such as "degraded"; it has to be there as well. */
bool daemon_status_flag(const char *key);

/* For suite_pump(). */
nfds_t daemon_poll_fds(struct pollfd *fds);
bool daemon_reaped(pid_t pid, int status);
void daemon_read(void);

#endif
