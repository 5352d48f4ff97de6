/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oomx demo: the same out-of-memory twice, without oomx and with it. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>

#include "cmd.h"
#include "daemon.h"
#include "demo.h"
#include "exit.h"
#include "log.h"
#include "pinned.h"
#include "record.h"

/* Only tests/vm's guests have it (tests/vm/guest/init). */
#define MARKER "/run/oomx-vm/series"

static const char usage[] =
	"Usage: oomx demo [--keep-going] [--i-know]\n"
	"\n"
	"Runs the same workload twice in a cgroup with memory.max=128M: a database that grows\n"
	"to 90 MiB, a batch job of 32 MiB, a helper of 24 MiB. The first time the kernel\n"
	"chooses who dies; the second time oomx does, and the batch job has priority -100.\n"
	"\n"
	"Exit status 0 if the kernel alone killed the database and oomx the batch job.\n"
	"\n"
	"      --keep-going  do the second round whatever came of the first\n"
	"      --i-know      run outside of a test machine: while the second round lasts,\n"
	"                    oomx decides for the whole machine\n"
	"  -h, --help        print this\n";

struct options {
	bool keep_going;
	bool i_know;
};

struct watch {
	struct ox_demo_daemon *daemon;
};

/* -1: go on; else the exit status */
static int parse_options(int argc, char **argv, struct options *opt)
{
	enum { OPT_KEEP_GOING = 256, OPT_I_KNOW };
	static const struct option table[] = {
		{ "keep-going", no_argument, NULL, OPT_KEEP_GOING },
		{ "i-know", no_argument, NULL, OPT_I_KNOW },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	static const char shorts[] = ":h";
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		if (c == OPT_KEEP_GOING)
			opt->keep_going = true;
		else if (c == OPT_I_KNOW)
			opt->i_know = true;
		else if (c == 'h')
			return ox_help(usage);
		else
			return ox_bad_option(c, shorts, argv);
	}
	return ox_no_words(argc, argv);
}

/* 0, or an exit status, logged */
static int may_run(const struct options *opt)
{
	pid_t pid;
	int err;

	if (access(MARKER, F_OK) && !opt->i_know)
		return ox_err_r(OX_EXIT_USAGE,
				"demo: runs a cgroup out of memory, so only in a test machine, which "
				"has " MARKER ": 'make run' starts one. --i-know insists");
	err = ox_need_root("demo");
	if (err)
		return err;
	pid = ox_daemon_pid();
	if (pid > 0)
		return ox_err_r(OX_EXIT_ALREADY_RUNNING,
				"demo: an oomx is running (process %d): 'oomx stop' ends it", pid);
	if (ox_pinned_or_running())
		return ox_err_r(OX_EXIT_ALREADY_RUNNING, "demo: an oomx that was killed has left its "
				"policy in force: 'oomx stop' removes it");
	return 0;
}

/* ---- what came of it ------------------------------------------------------------------------ */

static bool survived(const struct ox_demo_round *r, enum ox_demo_role role)
{
	return r->fate[role].finished;
}

static bool kernel_took_database(const struct ox_demo_round *r)
{
	return r->fate[OX_DEMO_DATABASE].signal == SIGKILL && r->oom_kill;
}

static bool oomx_took_batch(const struct ox_demo_round *r, const struct oomx_rec_kill *kill)
{
	return kill && r->fate[OX_DEMO_BATCH].signal == SIGKILL &&
	       survived(r, OX_DEMO_DATABASE) && survived(r, OX_DEMO_HELPER);
}

static void print_fate(const struct ox_demo_fate *f)
{
	char text[32];

	if (f->signal)
		(void)snprintf(text, sizeof(text), "DIED at %u MiB", f->mib);
	else
		(void)snprintf(text, sizeof(text), "%s, %u MiB",
			       f->finished ? "lived" : "unfinished", f->mib);
	printf(" %-18s", text);
}

static void print_row(const char *title, const struct ox_demo_round *r,
		      const struct oomx_rec_kill *kill)
{
	unsigned int i;

	printf("%-18s", title);
	for (i = 0; i < _OX_DEMO_MAX; i++)
		print_fate(&r->fate[i]);
	if (kill)
		printf(" %-18s %.1f ms\n", "oomx (priority)", kill->latency_ns / 1e6);
	else
		printf(" %-18s -\n", r->oom_kill ? "the kernel" : "nobody");
}

static void print_table(const struct ox_demo_round *alone, const struct ox_demo_round *with,
			const struct oomx_rec_kill *kill)
{
	char title[32];
	unsigned int i;

	printf("\n%-18s", "");
	for (i = 0; i < _OX_DEMO_MAX; i++) {
		(void)snprintf(title, sizeof(title), "%s (%u MiB)", ox_demo_parts[i].name,
			       ox_demo_parts[i].mib);
		printf(" %-18s", title);
	}
	printf(" %-18s %s\n", "decided by", "latency");
	print_row("the kernel alone", alone, NULL);
	print_row("with oomx", with, kill);
}

/* The OOM as a person reads it, and the kill as a program does. */
static void print_events(const struct ox_demo_daemon *d, const void *kill, size_t kill_size)
{
	json_t *o = kill ? ox_record_json(kill, kill_size) : NULL;
	unsigned int i;

	printf("\nWhat oomx says:\n");
	for (i = 0; i < d->n; i++)
		(void)ox_record_print(stdout, d->rec[i].data, d->rec[i].size);
	if (o) {
		printf("\nThe kill as JSON:\n");
		(void)json_dumpf(o, stdout, JSON_COMPACT);
		(void)putchar('\n');
	}
	json_decref(o);
}

/* ---- rounds --------------------------------------------------------------------------------- */

/* For ox_demo_play(): takes the events, until a victim's memory is gone. */
static bool seen(void *arg)
{
	struct watch *w = arg;

	ox_demo_daemon_read(w->daemon);
	return ox_demo_daemon_find(w->daemon, OOMX_REC_FREED, 0);
}

static int play_alone(struct ox_demo_round *r)
{
	int err = ox_demo_cgroups_make();

	printf("The kernel alone: a cgroup of %d MiB, and more than it holds ...\n",
	       OX_DEMO_LIMIT_MIB);
	(void)fflush(stdout);
	if (!err)
		err = ox_demo_play(r, NULL, NULL);
	ox_demo_cgroups_remove();
	if (!err)
		printf("... the kernel killed %s\n\n",
		       kernel_took_database(r) ? "the database" : "somebody else, or nobody");
	return err;
}

/* *ret_kill is all zero if oomx did not kill the batch job. */
static int play_with(struct ox_demo_round *r, union ox_record *ret_kill)
{
	static struct ox_demo_daemon d;
	struct watch w = { .daemon = &d };
	const struct oomx_rec_hdr *kill;
	int err, stopped;

	printf("The same with oomx: the batch job has priority -100 ...\n");
	err = ox_demo_cgroups_make();
	if (!err)
		err = ox_demo_daemon_start(&d);
	if (err) {
		ox_demo_cgroups_remove();
		return err;
	}
	(void)fflush(stdout);
	err = ox_demo_play(r, seen, &w);
	stopped = ox_demo_daemon_stop(&d);
	kill = ox_demo_daemon_find(&d, OOMX_REC_KILL, r->fate[OX_DEMO_BATCH].pid);
	if (kill)
		(void)ox_record_load(kill, kill->size, ret_kill); /* it has been checked */
	if (!err)
		print_events(&d, kill, kill ? kill->size : 0);
	ox_demo_daemon_free(&d);
	ox_demo_cgroups_remove();
	return err ?: stopped;
}

int ox_cmd_demo(int argc, char **argv)
{
	struct ox_demo_round alone = {}, with = {};
	union ox_record kill = {};
	struct options opt = {};
	bool first, second;
	int err = parse_options(argc, argv, &opt);

	if (err >= 0)
		return err;
	err = may_run(&opt);
	if (err)
		return err;
	err = play_alone(&alone);
	first = !err && kernel_took_database(&alone);
	if (!first && !opt.keep_going)
		return ox_err_r(OX_EXIT_FAILURE,
				"demo: the kernel alone did not kill the database: nothing to show");
	err = play_with(&with, &kill);
	second = !err && oomx_took_batch(&with, kill.hdr.type ? &kill.kill : NULL);
	if (!err)
		print_table(&alone, &with, kill.hdr.type ? &kill.kill : NULL);
	if (second)
		printf("\n%s\n", first ? "The kernel killed the database. With oomx the batch job "
					 "died, and the database lives." :
					 "With oomx the batch job died, and the database lives.");
	if (fflush(stdout))
		return ox_err_r(OX_EXIT_FAILURE, "demo: cannot write: %m");
	if (!second)
		return ox_err_r(OX_EXIT_FAILURE, "demo: oomx did not have the batch job killed");
	return first ? OX_EXIT_OK : OX_EXIT_FAILURE;
}
