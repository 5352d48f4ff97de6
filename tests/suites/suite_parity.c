// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_parity - oomx's reading of a process against the kernel's own oom_badness(), for every
 * process of the guest, among them one of every kind that the OOM killer tells apart: equal, page
 * by page, or the run fails. Each population is compared twice, with all CPUs and with the last
 * one taken offline, whose share of the counters the kernel has then moved.
 *
 * That the comparison can fail is shown by the other form of reading the counters, which has to
 * differ from the kernel's for some of the very same processes.
 *
 * And what memory.min and memory.low protect, against what the kernel has just made of them.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "../bpf/parity.h"
#include "calibrate.h"
#include "engine.h"
#include "lib/people.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/swap.h"
#include "lib/testbpf.h"
#include "parity/parity.h"

#define PEOPLE 84 /* six of each kind */
#define SWAP_MIB 96
#define COMPLAINTS_MAX 20

static struct parity {
	struct bpf_object *obj;
	__u32 mode;
	int seen; /* fd of the map "parity_seen" */
	unsigned int cpu;    /* the last one present */
	bool cpu_was_online; /* before the suite */
	unsigned int compared, equal, never, differ, other_fails; /* over all runs */
	unsigned int complaints; /* in this run */
} par;

/* In words, for complaints. */
static const char *counts(const struct parity_rec *r)
{
	static char buf[256];

	snprintf(buf, sizeof(buf),
		 "approx %lld, sum %lld; anon %llu file %llu shmem %llu swap %llu page tables %llu",
		 r->approx, r->sum, r->anon_pages, r->file_pages, r->shmem_pages, r->swap_pages,
		 r->pgtable_pages);
	return buf;
}

static void complain(__u32 pid, const struct parity_rec *r)
{
	if (par.complaints++ < COMPLAINTS_MAX)
		suite_fail("%s (pid %u, adj %d): expected %lld, found %lld (%s); of %llu", r->comm,
			   pid, r->adj, r->kernel, r->ours, counts(r), r->totalpages);
}

/* proc_oom_score() (fs/proc/base.c, 6.1 to 7.3) */
static long score_of(const struct parity_rec *r)
{
	if (r->ours == OOMX_NEVER)
		return 0;
	return (1000 + r->ours * 1000 / (long)r->totalpages) * 2 / 3;
}

static void compare(__u32 pid, const struct parity_rec *r, long score)
{
	par.compared++;
	if (r->kernel == r->ours && score == score_of(r) && r->domain_pages == r->totalpages)
		par.equal++;
	else if (r->kernel != r->ours)
		complain(pid, r);
	else
		suite_fail("%s (pid %u): expected oom_score %ld of %llu pages, found %ld of %llu",
			   r->comm, pid, score, r->totalpages, score_of(r), r->domain_pages);
	if (r->kernel == OOMX_NEVER) {
		par.never++;
		return;
	}
	if (r->approx == r->sum)
		return;
	par.differ++;
	if (r->kernel != (par.mode == OOMX_RSS_SUM ? r->approx : r->sum))
		par.other_fails++;
}

/* Has the kernel compute the badness of one process. False: it is gone. */
static bool ask(__u32 pid, struct parity_rec *ret, long *ret_score)
{
	struct parity_rec before = {};
	char path[64], buf[32];

	(void)bpf_map_lookup_elem(par.seen, &pid, &before); /* not seen yet: zeroes */
	snprintf(path, sizeof(path), "/proc/%u/oom_score", pid);
	if (proc_read(path, buf, sizeof(buf)))
		return false;
	if (bpf_map_lookup_elem(par.seen, &pid, ret) || ret->seen != before.seen + 1)
		suite_fatal("oom_badness() of pid %u was not watched", pid);
	*ret_score = strtol(buf, NULL, 10);
	return true;
}

static void compare_all(void)
{
	DIR *dir = opendir("/proc");
	struct parity_rec r;
	struct dirent *d;
	__u32 pid;
	long score;

	if (!dir)
		suite_fatal("/proc: %s", strerror(errno));
	while ((d = readdir(dir))) {
		pid = (__u32)strtoul(d->d_name, NULL, 10);
		if (pid && ask(pid, &r, &score))
			compare(pid, &r, score);
	}
	closedir(dir);
}

/* What makes a kind what it is has to show in the facts: or it was not there to be compared. */
static bool as_meant(const struct person *p, const struct parity_rec *r)
{
	bool never = r->kernel == OOMX_NEVER;

	if (p->kind != PEOPLE_ZOMBIE && p->kind != PEOPLE_REAPED && never != (p->adj == -1000))
		return false;
	switch (p->kind) {
	case PEOPLE_ZOMBIE:
		return never && !r->has_mm;
	case PEOPLE_REAPED:
		return never && r->has_mm && r->oom_skip;
	case PEOPLE_SWAPPED:
		return never || r->swap_pages > 8;
	case PEOPLE_FILE:
		return never || r->file_pages;
	case PEOPLE_SHARED:
	case PEOPLE_MEMFD:
	case PEOPLE_HOPPER:
		return never || r->shmem_pages;
	default:
		return never || r->anon_pages;
	}
}

static void check_people(void)
{
	struct parity_rec r, second;
	const struct person *list;
	unsigned int i, n;

	list = people_list(&n);
	for (i = 0; i < n; i++) {
		const struct person *p = &list[i];

		if (bpf_map_lookup_elem(par.seen, &p->pid, &r)) {
			suite_fail("%s (pid %d) was not compared", people_kind_name(p->kind),
				   p->pid);
			continue;
		}
		if (r.adj != p->adj || !as_meant(p, &r))
			suite_fail("pid %d is not '%s', adj %d: adj %d, mm %u, oom_skip %u (%s)",
				   p->pid, people_kind_name(p->kind), p->adj, r.adj, r.has_mm,
				   r.oom_skip, counts(&r));
		if (!p->second)
			continue;
		if (bpf_map_lookup_elem(par.seen, &p->second, &second))
			suite_fail("%s: its second process (pid %d) was not compared",
				   people_kind_name(p->kind), p->second);
		else if (p->kind == PEOPLE_VFORK && (second.kernel != OOMX_NEVER || !second.has_mm))
			suite_fail("pid %d is no vfork child: the kernel has %lld", p->second,
				   second.kernel);
	}
}

static void set_cpu(bool online)
{
	char path[64];
	int err;

	if (!par.cpu) /* the first cannot be taken offline */
		return;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", par.cpu);
	err = proc_write(path, online ? "1" : "0");
	if (err)
		suite_fatal("%s: %s", path, strerror(-err));
}

static void play(unsigned int run)
{
	suite_run_begin("population", run);
	par.complaints = 0;
	set_cpu(true);
	people_start(PEOPLE + 1);
	compare_all();
	check_people();
	set_cpu(false);
	compare_all();
	people_end();
	set_cpu(par.cpu_was_online);
	suite_run_end();
}

static void find_cpu(void)
{
	char present[64], path[64], online[8];
	const char *last;

	if (proc_read("/sys/devices/system/cpu/present", present, sizeof(present)))
		suite_fatal("/sys/devices/system/cpu/present cannot be read");
	last = strrchr(present, '-'); /* "0-63"; "0" alone: none to take offline */
	par.cpu = last ? (unsigned int)strtoul(last + 1, NULL, 10) : 0;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", par.cpu);
	par.cpu_was_online = proc_read(path, online, sizeof(online)) || online[0] == '1';
}

static void set_up(void)
{
	people_open();
	swap_on(SWAP_MIB);
	if (ox_calibrate(&par.mode))
		suite_fatal("calibration failed");
	par.obj = testbpf_load("parity", NULL);
	testbpf_configure(par.obj, par.mode);
	par.seen = testbpf_map(par.obj, "parity_seen");
	testbpf_attach(par.obj, "parity_badness");
	find_cpu();
	printf("counters read as %s; %ld CPUs online, %d possible\n", ox_rss_mode_name(par.mode),
	       sysconf(_SC_NPROCESSORS_ONLN), libbpf_num_possible_cpus());
}

/* Where there are two ways of reading, the wrong one has to show. */
static void show(void)
{
	printf("%u/%u equal, %u of them never to be killed\n", par.equal, par.compared, par.never);
	printf("approximate and exact counters differ for %u; read the other way, %u would fail\n",
	       par.differ, par.other_fails);
	if (par.equal != par.compared || par.never == par.compared)
		suite_fail("expected all equal, some of them to be killed");
	if (par.mode != OOMX_RSS_ATOMIC && (!par.differ || par.other_fails != par.differ))
		suite_fail("expected the other way of reading to fail wherever the two differ");
}

static void play_populations(unsigned int runs)
{
	unsigned int i;

	set_up();
	for (i = 1; i <= runs; i++)
		play(i);
	show();
	suite_times("population");
}

static void play_protections(unsigned int runs)
{
	unsigned int i;

	protection_set_up();
	for (i = 1; i <= runs; i++)
		protection_play(i);
	protection_show();
	suite_times("protection");
}

int main(int argc, char **argv)
{
	struct suite_options o = { .runs = 5 };

	suite_begin("parity", argc, argv, &o);
	if (!o.only || !strcmp(o.only, "population"))
		play_populations(o.runs);
	if (!o.only || !strcmp(o.only, "protection"))
		play_protections(o.runs);
	return suite_end();
}
