/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oomx status: what is running, and the kernel side's counters. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <jansson.h>

#include "build.h"
#include "cleanup.h"
#include "cmd.h"
#include "daemon.h"
#include "engine.h"
#include "exit.h"
#include "log.h"
#include "paths.h"
#include "pinned.h"
#include "process.h"
#include "programs.h"
#include "record.h"
#include "restore.h"

static const char usage[] =
	"Usage: oomx status [--json]\n"
	"\n"
	"Says what is running, and its counters. Exit status 7 if nothing is, also if one\n"
	"that was killed has left its policy in force; then that is told.\n"
	"\n"
	"  -j, --json  as one JSON object\n"
	"  -h, --help  print this\n";

/* The counters that are one number each, in the order of struct oomx_stats. */
#define COUNTER(name, text) { #name, text, offsetof(struct oomx_stats, name) }
static const struct {
	const char *name;
	const char *text;
	size_t offset;
} counters[] = {
	COUNTER(ooms, "out-of-memory situations"),
	COUNTER(joined, "of which: a victim was already on its way out"),
	COUNTER(exiting, "of which: the trigger itself was already dying"),
	COUNTER(standing_down, "of which: ended without a kill for another reason"),
	COUNTER(kills, "processes killed"),
	COUNTER(agreed, "times that the kernel would have chosen the same"),
	COUNTER(nominated, "requests to raise an oom_score_adj"),
	COUNTER(early, "of which: sent before the OOM killer's lock was taken"),
	COUNTER(false_alarms, "nominations that no kill followed"),
	COUNTER(self_signals, "victims that were the trigger, signalled directly"),
	COUNTER(waits, "times that the OOM killer was held for a nomination"),
	COUNTER(wait_ns, "nanoseconds of that in all"),
	COUNTER(guards, "OOMs held until an earlier victim was gone"),
	COUNTER(guard_timeouts, "of which: the victim took too long"),
	COUNTER(guard_ns, "nanoseconds of these in all"),
	COUNTER(totals_differ, "times that our totalpages was not the kernel's"),
	COUNTER(demoted, "rivals lowered for the time of an OOM"),
	COUNTER(inherited, "children put right that inherited a raised oom_score_adj"),
	COUNTER(out_of_scope, "OOMs left to the kernel: outside of --scope"),
	COUNTER(renewed, "early requests repeated, the kernel having been slow"),
	COUNTER(exits_held, "victims that waited until the kernel had looked for them"),
	COUNTER(exit_timeouts, "of which: the kernel took too long"),
	COUNTER(hastened, "victims given real time for the last of their way"),
	COUNTER(moved, "threads of victims sent away from a CPU that was held"),
	COUNTER(guards_yielded, "OOMs held no longer, a victim needing the CPU"),
	COUNTER(reserve_given, "times the responder needed the memory kept for it"),
};

#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))
_Static_assert(sizeof(struct oomx_stats) ==
		       (2 * OOMX_REC_MAX + OOMX_ABSTAIN_SLOTS + N_COUNTERS) * sizeof(__u64),
	       "a counter is missing");

struct status {
	pid_t pid;    /* 0: it was killed, and what is pinned decides without it */
	bool pinned;  /* its programs stay when it is killed */
	struct oomx_config config;
	struct oomx_stats stats;
	__s64 uptime_s; /* -1: unknown */
	int n_programs;	/* negative: unknown */
	struct ox_program programs[OX_PROGRAMS_MAX];
};

static __u64 counter(const struct oomx_stats *s, unsigned int i)
{
	__u64 v;

	memcpy(&v, (const char *)s + counters[i].offset, sizeof(v));
	return v;
}

/* When the process started, in seconds ago; -1: unknown. */
static __s64 uptime(pid_t pid)
{
	_cleanup_close_ int dir = ox_process_open((__u32)pid, 0);
	struct timespec now;
	__u64 ticks;

	if (dir < 0 || ox_process_start_ticks(dir, &ticks))
		return -1;
	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail on Linux */
	return now.tv_sec - (__s64)(ticks / sysconf(_SC_CLK_TCK));
}

/* No daemon: has one that was killed left its policy in force? 0, or an exit status, logged. */
static int read_killed(struct status *s)
{
	struct ox_pinned p;
	int found = ox_pinned_find(&p);

	if (found == -EPROTO)
		return ox_err_r(OX_EXIT_NOT_RUNNING, "no oomx is running, but one that was killed left "
				"its policy in force; it has ABI %u, this one %u: use its own",
				p.config.abi, OOMX_ABI);
	if (found == -EACCES || found == -EPERM)
		return ox_info_r(OX_EXIT_NOT_RUNNING, "no oomx is running; whether one that was killed "
				 "left its policy in force, root can see");
	if (found < 0)
		return ox_err_r(OX_EXIT_FAILURE, "no oomx is running; cannot look at what one that was "
				"killed has left: %s", strerror(-found));
	if (!found)
		return ox_info_r(OX_EXIT_NOT_RUNNING, "no oomx is running");
	s->config = p.config;
	s->stats = p.stats;
	s->pinned = true;
	s->uptime_s = -1;
	s->n_programs = -ESRCH;
	return 0;
}

/* 0, or an exit status, logged */
static int read_status(struct status *s)
{
	struct ox_pinned p;
	int err;

	s->pid = ox_daemon_pid();
	if (!s->pid)
		return read_killed(s);
	if (s->pid == -EACCES)
		return ox_err_r(OX_EXIT_NOT_PERMITTED, "whether an oomx is running, root can see");
	if (s->pid < 0)
		return ox_err_r(OX_EXIT_FAILURE, "cannot look at " OX_LOCK ": %s",
				strerror(-s->pid));
	err = ox_need_root("status");
	if (err)
		return err;
	err = ox_pinned_value("oomx_config", &s->config, sizeof(s->config));
	if (err == -ENOENT)
		return ox_err_r(OX_EXIT_NOT_RUNNING, "oomx (process %d) is just starting or ending",
				s->pid);
	if (!err && s->config.abi != OOMX_ABI)
		return ox_err_r(OX_EXIT_FAILURE,
				"the running oomx (process %d) has ABI %u, this one %u: use its own",
				s->pid, s->config.abi, OOMX_ABI);
	if (!err)
		err = ox_pinned_value("oomx_stats", &s->stats, sizeof(s->stats));
	if (err)
		return ox_err_r(err == -EPERM || err == -EACCES ? OX_EXIT_NOT_PERMITTED :
								  OX_EXIT_FAILURE,
				"cannot read the maps of the running oomx: %s", strerror(-err));
	s->config.policy[sizeof(s->config.policy) - 1] = '\0';
	s->config.version[sizeof(s->config.version) - 1] = '\0';
	s->pinned = ox_pinned_find(&p) > 0 && p.generation == s->config.generation;
	s->uptime_s = uptime(s->pid);
	s->n_programs = ox_programs_of(s->pid, s->programs);
	return 0;
}

static bool enforcing(const struct status *s)
{
	return s->config.flags & OOMX_CFG_ENFORCE;
}

static bool degraded(const struct status *s)
{
	return (s->config.flags & OOMX_CFG_ASKED) &&
	       (!enforcing(s) || (s->config.flags & OOMX_CFG_STALLED) ||
		(s->config.hook == OOMX_HOOK_NOMINATE && !s->config.responder_pid));
}

/* Why it is degraded */
static const char *why(const struct status *s)
{
	if (s->config.flags & OOMX_CFG_TRIPPED)
		return "enforcing failed too often (see 'abstain' events); restart oomx to try again";
	if (s->config.flags & OOMX_CFG_STALLED)
		return "the responder does not answer";
	return "no responder";
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *by_type(const __u64 v[OOMX_REC_MAX])
{
	json_t *o = json_object();
	unsigned int i;

	for (i = 1; i < OOMX_REC_MAX; i++)
		(void)json_object_set_new(o, ox_record_type_name(i),
					  json_integer((json_int_t)v[i]));
	return o;
}

static json_t *counters_json(const struct oomx_stats *s)
{
	json_t *o = json_object(), *abstained = json_object();
	unsigned int i;

	for (i = 1; i < OOMX_ABSTAIN_MAX; i++)
		(void)json_object_set_new(abstained, ox_abstain_name(i),
					  json_integer((json_int_t)s->abstained[i]));
	(void)json_object_set_new(o, "sent", by_type(s->sent));
	(void)json_object_set_new(o, "dropped", by_type(s->dropped));
	(void)json_object_set_new(o, "abstained", abstained);
	for (i = 0; i < N_COUNTERS; i++)
		(void)json_object_set_new(o, counters[i].name,
					  json_integer((json_int_t)counter(s, i)));
	return o;
}

/* By program; null: not known. */
static json_t *misses_json(const struct status *s)
{
	json_t *o = s->n_programs < 0 ? json_null() : json_object();
	int i;

	for (i = 0; i < s->n_programs; i++)
		(void)json_object_set_new(
			o, s->programs[i].name,
			json_integer((json_int_t)s->programs[i].recursion_misses));
	return o;
}

static json_t *number_or_null(__s64 v, bool valid)
{
	return valid ? json_integer(v) : json_null();
}

static int print_json(const struct status *s)
{
	const struct oomx_config *c = &s->config;
	char hash[16 + 1], build[OX_BUILD_LEN];
	json_t *o;

	(void)snprintf(hash, sizeof(hash), "%016" PRIx64, (uint64_t)c->policy_hash); /* fits */
	/* "o" takes the value over; the whole is NULL if any part is */
	o = json_pack("{s:b, s:o, s:b, s:s, s:o, s:b, s:s, s:b, s:b, s:o, s:b, s:s, s:s, s:s, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:o}",
		      "running", s->pid > 0, "pid", number_or_null(s->pid, s->pid > 0), "pinned",
		      s->pinned, "version", c->version, "build",
		      c->build ? json_string(ox_build_text(c->build, build)) : json_null(),
		      "same_build", c->build == ox_build(), "hook",
		      ox_hook_name(c->hook), "enforce", enforcing(s), "degraded", degraded(s),
		      "degraded_reason", degraded(s) ? json_string(why(s)) : json_null(),
		      "scoped", !!(s->config.flags & OOMX_CFG_SCOPED),
		      "policy", c->policy, "policy_hash", hash, "rss_mode",
		      ox_rss_mode_name(c->rss_mode), "rules_generation",
		      (int)c->rules_generation, "rules", (int)c->n_rules, "rules_bad",
		      !!c->rules_bad, "protected_percent",
		      number_or_null(c->protected_percent, c->protected_percent), "responder_pid",
		      number_or_null(c->responder_pid, c->responder_pid), "uptime_s",
		      number_or_null(s->uptime_s, s->uptime_s >= 0), "counters",
		      counters_json(&s->stats), "recursion_misses", misses_json(s));
	return ox_print_json(o);
}

/* ---- for people ----------------------------------------------------------------------------- */

static void print_duration(__s64 s)
{
	if (s < 0)
		return;
	printf(", for ");
	if (s >= 86400)
		printf("%" PRId64 " d ", (int64_t)s / 86400);
	if (s >= 3600)
		printf("%" PRId64 " h ", (int64_t)s / 3600 % 24);
	if (s >= 60)
		printf("%" PRId64 " min ", (int64_t)s / 60 % 60);
	printf("%" PRId64 " s", (int64_t)s % 60);
}

static void print_counter(__u64 v, const char *text, const char *suffix)
{
	if (v)
		printf("  %12" PRIu64 "  %s%s\n", (uint64_t)v, text, suffix);
}

static int print_text(const struct status *s)
{
	const struct oomx_config *c = &s->config;
	char build[OX_BUILD_LEN], ours[OX_BUILD_LEN];
	bool same = c->build == ox_build();
	unsigned int i;
	int j;

	if (s->pid)
		printf("oomx %s is running, process %d", c->version, s->pid);
	else
		printf("no oomx is running: one (%s) was killed, and its policy %s (%016" PRIx64
		       ") is in force, pinned;\n'oomx run%s' takes over from it, 'oomx stop' removes it",
		       c->version, c->policy, (uint64_t)c->policy_hash, same ? "" : " --replace");
	print_duration(s->uptime_s);
	printf("\n  hook      %s, %s\n", ox_hook_name(c->hook),
	       enforcing(s) ? "enforcing" : "watching only");
	if (degraded(s))
		printf("  degraded: the kernel decides: %s\n", why(s));
	else if (c->responder_pid)
		printf("  responder process %u\n", c->responder_pid);
	printf("  policy    %s (%016" PRIx64 ")\n", c->policy, (uint64_t)c->policy_hash);
	printf("  build     %s\n", ox_build_text(c->build, build));
	if (!same)
		printf("  this oomx has build %s: 'oomx run --replace' puts that in force\n",
		       ox_build_text(ox_build(), ours));
	printf("  rss_mode  %s\n", ox_rss_mode_name(c->rss_mode));
	printf("  rules     %u, generation %u\n%s\n", c->n_rules, c->rules_generation,
	       c->rules_bad ? "  the rule files have mistakes: older rules are in force, see "
			      "'oomx check-config'\n" : "");
	if (c->protected_percent)
		printf("  rules protect %u %% of the memory that a kill could free, as it was when they "
		       "were read: see 'oomx check-config'\n", c->protected_percent);
	printf("  %12" PRIu64 "  %s\n", (uint64_t)s->stats.ooms, counters[0].text);
	for (i = 1; i < N_COUNTERS; i++)
		print_counter(counter(&s->stats, i), counters[i].text, "");
	for (i = 1; i < OOMX_ABSTAIN_MAX; i++)
		print_counter(s->stats.abstained[i], "left to the kernel: ", ox_abstain_name(i));
	for (i = 1; i < OOMX_REC_MAX; i++)
		print_counter(s->stats.sent[i], "records: ", ox_record_type_name(i));
	for (i = 1; i < OOMX_REC_MAX; i++)
		print_counter(s->stats.dropped[i], "records lost: ", ox_record_type_name(i));
	for (j = 0; j < s->n_programs; j++)
		print_counter(s->programs[j].recursion_misses,
			      "calls of a program left out by the kernel's recursion guard: ",
			      s->programs[j].name);
	return fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write the status: %m") :
				OX_EXIT_OK;
}

int ox_cmd_status(int argc, char **argv)
{
	struct status s = {};
	bool json = false;
	int c = ox_parse_json_option(argc, argv, usage, &json);

	if (c < 0)
		c = ox_no_words(argc, argv);
	if (c >= 0)
		return c;
	c = read_status(&s);
	if (c)
		return c;
	c = json ? print_json(&s) : print_text(&s);
	return c || s.pid ? c : OX_EXIT_NOT_RUNNING;
}
