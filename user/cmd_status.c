/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oomx status: what is running, and the kernel side's counters. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <jansson.h>

#include "cleanup.h"
#include "cmd.h"
#include "daemon.h"
#include "engine.h"
#include "exit.h"
#include "log.h"
#include "parse.h"
#include "paths.h"
#include "programs.h"
#include "record.h"

static const char usage[] =
	"Usage: oomx status [--json]\n"
	"\n"
	"Says what is running, and its counters. Exit status 7 if nothing is.\n"
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
	COUNTER(totals_differ, "times that our totalpages was not the kernel's"),
	COUNTER(demoted, "rivals lowered for the time of an OOM"),
	COUNTER(inherited, "children put right that inherited a raised oom_score_adj"),
	COUNTER(out_of_scope, "OOMs left to the kernel: outside of --scope"),
};

#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))
_Static_assert(sizeof(struct oomx_stats) ==
		       (2 * OOMX_REC_MAX + OOMX_ABSTAIN_SLOTS + N_COUNTERS) * sizeof(__u64),
	       "a counter is missing");

struct status {
	pid_t pid;
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

/* The one value of a pinned array map, up to `size` bytes of it. */
static int read_pinned(const char *name, void *buf, size_t size)
{
	_cleanup_close_ int fd = ox_engine_pinned(name);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;
	_cleanup_free_ void *value = NULL;
	int err;

	if (fd < 0)
		return fd;
	err = bpf_map_get_info_by_fd(fd, &info, &len);
	if (err)
		return err;
	value = calloc(1, info.value_size > size ? info.value_size : size);
	if (!value)
		return -ENOMEM;
	err = bpf_map_lookup_elem(fd, &zero, value);
	if (err)
		return err;
	memcpy(buf, value, size);
	return 0;
}

/* When the process started, in seconds ago; -1: unknown. */
static __s64 uptime(pid_t pid)
{
	char path[32], buf[1024], *p;
	struct timespec now;
	__u64 ticks;
	int field;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid); /* fits */
	f = fopen(path, "re");
	if (!f)
		return -1;
	p = fgets(buf, sizeof(buf), f) ? strrchr(buf, ')') : NULL; /* the comm may hold anything */
	(void)fclose(f);					  /* read only */
	for (field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	if (p)
		p[strcspn(p, " ")] = '\0';
	if (!p || ox_parse_u64(p, 0, INT64_MAX, &ticks))
		return -1;
	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail on Linux */
	return now.tv_sec - (__s64)(ticks / sysconf(_SC_CLK_TCK));
}

/* 0, or an exit status, logged */
static int read_status(struct status *s)
{
	int err;

	s->pid = ox_daemon_pid();
	if (!s->pid)
		return ox_info_r(OX_EXIT_NOT_RUNNING, "no oomx is running");
	if (s->pid < 0)
		return ox_err_r(OX_EXIT_FAILURE, "cannot look at " OX_LOCK ": %s",
				strerror(-s->pid));
	err = ox_need_root("status");
	if (err)
		return err;
	err = read_pinned("oomx_config", &s->config, sizeof(s->config));
	if (err == -ENOENT)
		return ox_err_r(OX_EXIT_NOT_RUNNING, "oomx (process %d) is just starting or ending",
				s->pid);
	if (!err && s->config.abi != OOMX_ABI)
		return ox_err_r(OX_EXIT_FAILURE,
				"the running oomx (process %d) has ABI %u, this one %u: use its own",
				s->pid, s->config.abi, OOMX_ABI);
	if (!err)
		err = read_pinned("oomx_stats", &s->stats, sizeof(s->stats));
	if (err)
		return ox_err_r(err == -EPERM || err == -EACCES ? OX_EXIT_NOT_PERMITTED :
								  OX_EXIT_FAILURE,
				"cannot read the maps of the running oomx: %s", strerror(-err));
	s->config.policy[sizeof(s->config.policy) - 1] = '\0';
	s->config.version[sizeof(s->config.version) - 1] = '\0';
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
	char hash[16 + 1];
	json_t *o;
	int err;

	(void)snprintf(hash, sizeof(hash), "%016" PRIx64, (uint64_t)c->policy_hash); /* fits */
	/* "o" takes the value over; the whole is NULL if any part is */
	o = json_pack("{s:b, s:i, s:s, s:s, s:b, s:b, s:o, s:b, s:s, s:s, s:s, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:o}",
		      "running", 1, "pid", (int)s->pid, "version", c->version, "hook",
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
	err = o ? json_dumpf(o, stdout, JSON_COMPACT) : -1;
	json_decref(o);
	return err || putchar('\n') == EOF || fflush(stdout) ?
		       ox_err_r(OX_EXIT_FAILURE, "cannot write the status") : OX_EXIT_OK;
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
	unsigned int i;
	int j;

	printf("oomx %s is running, process %d", c->version, s->pid);
	print_duration(s->uptime_s);
	printf("\n  hook      %s, %s\n", ox_hook_name(c->hook),
	       enforcing(s) ? "enforcing" : "watching only");
	if (degraded(s))
		printf("  degraded: the kernel decides: %s\n", why(s));
	else if (c->responder_pid)
		printf("  responder process %u\n", c->responder_pid);
	printf("  policy    %s (%016" PRIx64 ")\n", c->policy, (uint64_t)c->policy_hash);
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
	static const struct option table[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct status s = {};
	bool json = false;
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":jh", table, NULL)) != -1) {
		if (c == 'h')
			return fputs(usage, stdout) < 0 || fflush(stdout) ? OX_EXIT_FAILURE :
									    OX_EXIT_OK;
		if (c != 'j')
			return ox_err_r(OX_EXIT_USAGE, "status: no option '%s', see --help",
					argv[optind - 1]);
		json = true;
	}
	if (optind < argc)
		return ox_err_r(OX_EXIT_USAGE, "status: what is '%s'? See --help", argv[optind]);
	c = read_status(&s);
	if (c)
		return c;
	return json ? print_json(&s) : print_text(&s);
}
