// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "scale/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "lib/daemon.h"
#include "lib/proc.h"
#include "lib/suite.h"

#define PROCESSES_MAX 8
#define THREADS_MAX 16
#define IDS_MAX 256

/* The daemon, and its children: those that raise and put back oom_score_adj. */
static unsigned int processes(pid_t pids[PROCESSES_MAX])
{
	char path[64], buf[256], *at, *end;
	unsigned int n = 1;
	pid_t child;

	pids[0] = daemon_pid();
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pids[0], pids[0]);
	if (proc_read(path, buf, sizeof(buf)))
		suite_fatal("cannot read %s", path);
	for (at = buf; n < PROCESSES_MAX; at = end) {
		child = (pid_t)strtol(at, &end, 10);
		if (end == at)
			break;
		pids[n++] = child;
	}
	return n;
}

/* What one(pid, tid) gives of each thread, added up. */
static uint64_t of_threads(uint64_t (*one)(const char *dir))
{
	pid_t pids[PROCESSES_MAX], tids[THREADS_MAX];
	unsigned int n = processes(pids), i, j, n_tids;
	uint64_t sum = 0;
	char dir[64];

	for (i = 0; i < n; i++) {
		n_tids = proc_threads(pids[i], tids, THREADS_MAX);
		if (!n_tids || n_tids > THREADS_MAX)
			suite_fatal("process %d has %u threads", pids[i], n_tids);
		for (j = 0; j < n_tids; j++) {
			snprintf(dir, sizeof(dir), "/proc/%d/task/%d", pids[i], tids[j]);
			sum += one(dir);
		}
	}
	return sum;
}

static uint64_t cpu_of(const char *dir)
{
	char path[96], buf[128];

	snprintf(path, sizeof(path), "%s/schedstat", dir);
	if (proc_read(path, buf, sizeof(buf)))
		suite_fatal("cannot read %s", path);
	return strtoull(buf, NULL, 10);
}

uint64_t usage_cpu_ns(void)
{
	return of_threads(cpu_of);
}

static uint64_t switches_of(const char *dir)
{
	int64_t wanted, unwanted;
	char path[96];

	snprintf(path, sizeof(path), "%s/status", dir);
	wanted = proc_keyed(path, "voluntary_ctxt_switches");
	unwanted = proc_keyed(path, "nonvoluntary_ctxt_switches");
	if (wanted < 0 || unwanted < 0)
		suite_fatal("%s tells of no switches", path);
	return (uint64_t)(wanted + unwanted);
}

uint64_t usage_switches(void)
{
	return of_threads(switches_of);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Maps and programs that were counted already: several descriptors may be of the same one. */
struct seen {
	unsigned int n;
	int64_t ids[IDS_MAX];
};

static bool is_new(struct seen *s, int64_t id)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (s->ids[i] == id)
			return false;
	if (s->n == IDS_MAX)
		suite_fatal("more than %d BPF maps and programs", IDS_MAX);
	s->ids[s->n++] = id;
	return true;
}

static uint64_t bpf_bytes(pid_t pid, struct seen *s)
{
	char path[64], file[sizeof(path) + sizeof(((struct dirent *)0)->d_name)];
	struct dirent *d;
	uint64_t sum = 0;
	int64_t id, size;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		suite_fatal("%s: %m", path);
	while ((d = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, d->d_name);
		size = d->d_name[0] == '.' ? -1 : proc_keyed(file, "memlock");
		if (size < 0)
			continue;
		id = proc_keyed(file, "map_id");
		/* links tell of programs, too, but of no memory; ids of both kinds begin at 1 */
		if (is_new(s, id > 0 ? id : -proc_keyed(file, "prog_id")))
			sum += (uint64_t)size;
	}
	closedir(dir);
	return sum;
}

void usage_memory(struct usage *ret)
{
	pid_t pids[PROCESSES_MAX];
	unsigned int n = processes(pids), i;
	struct seen seen = {};
	char path[64];
	int64_t kib;

	*ret = (struct usage){};
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pids[i]);
		kib = proc_keyed(path, "Pss");
		if (kib < 0)
			suite_fatal("%s tells of no Pss", path);
		ret->user_bytes += (uint64_t)kib << 10;
		ret->kernel_bytes += bpf_bytes(pids[i], &seen);
	}
}
