// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/suite.h"
#include "lib/worker_slot.h"

struct worker {
	bool used, reaped;
	pid_t pid;
	int status;
	struct worker_slot *slot;
};

static struct {
	int memfd;
	struct worker_slot *slots;
	struct worker workers[WORKERS_MAX];
} pool;

extern char **environ;

void worker_init(void)
{
	size_t size = WORKERS_MAX * sizeof(struct worker_slot);

	pool.memfd = memfd_create("workers", MFD_CLOEXEC);
	if (pool.memfd < 0 || ftruncate(pool.memfd, (off_t)size))
		suite_fatal("memfd: %s", strerror(errno));
	pool.slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, pool.memfd,
			  0);
	if (pool.slots == MAP_FAILED)
		suite_fatal("mmap: %s", strerror(errno));
}

bool worker_asked(int argc, char **argv)
{
	return argc == 3 && !strcmp(argv[1], WORKER_ARG);
}

void worker_main(int argc, char **argv)
{
	struct worker_slot *slots;
	unsigned long i = strtoul(argv[argc - 1], NULL, 10);

	slots = mmap(NULL, WORKERS_MAX * sizeof(*slots), PROT_READ | PROT_WRITE, MAP_SHARED,
		     WORKER_FD, 0);
	if (i >= WORKERS_MAX || slots == MAP_FAILED)
		_exit(99);
	worker_live(&slots[i]);
}

static struct worker *unused(void)
{
	unsigned int i;

	for (i = 0; i < WORKERS_MAX; i++) {
		if (!pool.workers[i].used) {
			pool.workers[i].slot = &pool.slots[i];
			return &pool.workers[i];
		}
	}
	suite_fatal("more than %d workers", WORKERS_MAX);
}

struct worker *worker_start(const struct worker_spec *spec)
{
	struct worker *w = unused();
	struct worker_slot *s = w->slot;
	posix_spawn_file_actions_t actions;
	char index[16];
	char *argv[] = { (char *)spec->comm, (char *)WORKER_ARG, index, NULL };
	int err;

	memset(s, 0, sizeof(*s));
	snprintf(s->comm, sizeof(s->comm), "%s", spec->comm);
	snprintf(s->cgroup, sizeof(s->cgroup), "%s", spec->cgroup ? spec->cgroup : "");
	s->adj = spec->adj;
	s->anon_kib = spec->anon_kib;
	s->file_kib = spec->file_kib;
	s->shmem_kib = spec->shmem_kib;
	s->pgtables_kib = spec->pgtables_kib;
	s->threads = spec->threads;
	s->uid = spec->uid;
	s->leader_exits = spec->leader_exits;
	s->adj_keeps_min = spec->adj_keeps_min;
	s->sharers = spec->sharers;
	s->pid_ns = spec->pid_ns;
	s->nodes = spec->nodes;
	s->nodes_preferred = spec->nodes_preferred;
	snprintf(s->stuck_at, sizeof(s->stuck_at), "%s", spec->stuck_at ? spec->stuck_at : "");
	s->stuck_mapping = spec->stuck_mapping;
	s->room_kib = spec->room_kib;

	snprintf(index, sizeof(index), "%zu", (size_t)(w - pool.workers));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pool.memfd, WORKER_FD);
	err = posix_spawn(&w->pid, spec->exe ? spec->exe : "/proc/self/exe", &actions, NULL, argv,
			  environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		suite_fatal("cannot start worker %s: %s", spec->comm, strerror(err));
	w->used = true;
	w->reaped = false;
	w->status = 0;
	return w;
}

static bool settled(void *arg)
{
	struct worker *w = arg;

	return w->reaped || w->slot->state != WORKER_STARTING;
}

void worker_wait_ready(struct worker *w)
{
	if (!suite_wait(settled, w, SUITE_STEP_MS) || w->reaped ||
	    w->slot->state == WORKER_FAILED)
		suite_fatal("worker %s (pid %d) is not ready: %s", w->slot->comm, w->pid,
			    worker_fate(w));
}

void worker_grow(struct worker *w, const struct worker_growth *g)
{
	struct worker_slot *s = w->slot;

	s->growth = *g;
	s->growth.into = NULL;
	s->growth.device = NULL;
	s->growth.reads_to = NULL;
	snprintf(s->device, sizeof(s->device), "%s", g->device ?: "");
	snprintf(s->reads_to, sizeof(s->reads_to), "%s", g->reads_to ?: "");
	s->into_pid = g->into ? worker_pid(g->into) : 0;
	s->into_base = g->into ? g->into->slot->room_base : 0;
	if (g->into && g->into->slot->room_kib < g->mib * 1024)
		suite_fatal("%s has not room for %u MiB", g->into->slot->comm, g->mib);
	__atomic_store_n(&s->go, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &s->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

pid_t worker_pid(const struct worker *w)
{
	return w->pid;
}

pid_t worker_victim_pid(const struct worker *w)
{
	return w->slot->inner_pid ? (pid_t)w->slot->inner_pid : w->pid;
}

unsigned int worker_sharers(const struct worker *w, const uint32_t **ret_pids)
{
	*ret_pids = w->slot->sharer_pids;
	return w->slot->n_sharers;
}

unsigned long worker_grown_kib(const struct worker *w)
{
	return __atomic_load_n(&w->slot->grown_kib, __ATOMIC_RELAXED);
}

const char *worker_comm(const struct worker *w)
{
	return w->slot->comm;
}

const char *worker_cgroup(const struct worker *w)
{
	return w->slot->cgroup;
}

bool worker_alive(const struct worker *w)
{
	return !w->reaped;
}

bool worker_killed(const struct worker *w)
{
	return w->reaped && WIFSIGNALED(w->status) && WTERMSIG(w->status) == SIGKILL;
}

bool worker_ready(const struct worker *w)
{
	return __atomic_load_n(&w->slot->state, __ATOMIC_ACQUIRE) == WORKER_READY && !w->slot->go;
}

bool worker_done(const struct worker *w)
{
	return __atomic_load_n(&w->slot->state, __ATOMIC_ACQUIRE) == WORKER_DONE;
}

bool worker_failed(const struct worker *w, const char **ret_why)
{
	if (w->slot->state != WORKER_FAILED)
		return false;
	if (ret_why)
		*ret_why = w->slot->why;
	return true;
}

const char *worker_fate(const struct worker *w)
{
	static char buf[4][128];
	static unsigned int turn;
	char *s = buf[turn++ % 4];

	if (worker_killed(w))
		snprintf(s, sizeof(buf[0]), "killed");
	else if (w->reaped && WIFSIGNALED(w->status))
		snprintf(s, sizeof(buf[0]), "ended by signal %d", WTERMSIG(w->status));
	else if (w->reaped)
		snprintf(s, sizeof(buf[0]), "exited %d", WEXITSTATUS(w->status));
	else if (w->slot->state == WORKER_FAILED)
		snprintf(s, sizeof(buf[0]), "failed: %s", w->slot->why);
	else if (w->slot->state == WORKER_DONE)
		snprintf(s, sizeof(buf[0]), "finished and alive");
	else if (w->slot->state == WORKER_GROWING)
		snprintf(s, sizeof(buf[0]), "alive, at %lu MiB", w->slot->grown_kib / 1024);
	else if (w->slot->state == WORKER_STARTING)
		snprintf(s, sizeof(buf[0]), "still starting");
	else
		snprintf(s, sizeof(buf[0]), "alive");
	return s;
}

struct worker *worker_by_pid(pid_t pid)
{
	unsigned int i;

	for (i = 0; i < WORKERS_MAX; i++) {
		if (pool.workers[i].used &&
		    (pool.workers[i].pid == pid || worker_victim_pid(&pool.workers[i]) == pid))
			return &pool.workers[i];
	}
	return NULL;
}

pid_t worker_process_of(pid_t tid)
{
	const struct worker_slot *s;
	unsigned int i, j;

	for (i = 0; i < WORKERS_MAX; i++) {
		s = pool.workers[i].slot;
		for (j = 0; pool.workers[i].used && j < s->n_tids && j < WORKER_TIDS_MAX; j++) {
			if ((pid_t)s->tids[j] == tid)
				return pool.workers[i].pid;
		}
	}
	return tid;
}

bool worker_reaped(pid_t pid, int status)
{
	struct worker *w = worker_by_pid(pid);

	if (!w)
		return false;
	w->reaped = true;
	w->status = status;
	return true;
}

static bool is_reaped(void *arg)
{
	return ((struct worker *)arg)->reaped;
}

/* They are no children of ours, and outlive a worker that not the OOM killer kills. */
static void end_sharers(const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->slot->n_sharers; i++)
		kill((pid_t)w->slot->sharer_pids[i], SIGKILL);
}

void worker_end(struct worker *w)
{
	if (!w || !w->used)
		return;
	if (!w->reaped)
		kill(w->pid, SIGKILL);
	end_sharers(w);
	/* Not suite_fatal(): that comes here again. */
	if (!suite_wait(is_reaped, w, SUITE_STEP_MS))
		suite_fail("%s (pid %d) survives SIGKILL", w->slot->comm, w->pid);
	w->used = false;
}

void worker_end_all(void)
{
	unsigned int i;

	for (i = 0; i < WORKERS_MAX; i++) {
		if (pool.workers[i].used && !pool.workers[i].reaped)
			kill(pool.workers[i].pid, SIGKILL);
	}
	for (i = 0; i < WORKERS_MAX; i++)
		worker_end(&pool.workers[i]);
}
