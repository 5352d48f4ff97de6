/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "log.h"

#define STEP_MS 5
#define READY_MS 60000	/* an emulated machine on a busy host is slow */
#define PLAY_MS 120000
#define SETTLE_MS 2000 /* a second victim would be dead by then */
#define REMOVE_MS 10000
#define PATH_LEN 600

const struct ox_demo_part ox_demo_parts[_OX_DEMO_MAX] = {
	[OX_DEMO_DATABASE] = { "database", 90 },
	[OX_DEMO_BATCH] = { "batch", 32 },
	[OX_DEMO_HELPER] = { "helper", 24 },
};

/* What a worker shows: in memory shared with us, of which the page is ours. */
struct slot {
	unsigned int mib;
	unsigned int done;
};

struct worker {
	pid_t pid;
	int go;	   /* a byte, and it starts */
	bool ended;
	int status; /* as waitpid() gave it */
};

struct play {
	struct slot *slot;
	struct worker w[_OX_DEMO_MAX];
};

static void pause_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	(void)nanosleep(&t, NULL); /* shorter is fine */
}

static __u64 now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail on Linux */
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* ---- cgroups -------------------------------------------------------------------------------- */

/* Path in the file system of a file in the demo's cgroup, or in one below it. */
static int path_of(char path[PATH_LEN], const char *part, const char *file)
{
	char mount[PATH_LEN / 2];
	int err = ox_cgroup_mount(NULL, mount, sizeof(mount));

	if (err)
		return ox_err_r(err, "demo: no cgroup v2 is mounted");
	(void)snprintf(path, PATH_LEN, "%s" OX_DEMO_CGROUP "%s%s%s%s", mount, part ? "/" : "",
		       part ?: "", file ? "/" : "", file ?: ""); /* fits */
	return 0;
}

static int write_file(const char *part, const char *file, const char *value)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_LEN];
	int err = path_of(path, part, file);

	if (err)
		return err;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return -errno;
	return 0;
}

static int make_one(const char *part)
{
	char path[PATH_LEN];
	int err = path_of(path, part, NULL);

	if (err)
		return err;
	return mkdir(path, 0755) ? ox_err_r(-errno, "demo: cannot make %s: %m", path) : 0;
}

int ox_demo_cgroups_make(void)
{
	char limit[32];
	unsigned int i;
	int err;

	ox_demo_cgroups_remove(); /* of a demo that was killed */
	err = make_one(NULL);
	if (err)
		return err;
	(void)snprintf(limit, sizeof(limit), "%llu", (unsigned long long)OX_DEMO_LIMIT_MIB << 20);
	err = write_file(NULL, "memory.max", limit);
	if (err)
		return ox_err_r(err, "demo: cannot limit memory: %s: "
				     "echo +memory >/sys/fs/cgroup/cgroup.subtree_control",
				strerror(-err));
	err = write_file(NULL, "memory.swap.max", "0");
	if (err && err != -ENOENT) /* a kernel without swap accounting, or without swap */
		return ox_err_r(err, "demo: cannot do without swap: %s", strerror(-err));
	err = write_file(NULL, "cgroup.subtree_control", "+memory");
	if (err)
		return ox_err_r(err, "demo: no memory controller: %s", strerror(-err));
	for (i = 0; !err && i < _OX_DEMO_MAX; i++)
		err = make_one(ox_demo_parts[i].name);
	return err;
}

/* The processes of a cgroup are gone a moment after they were waited for. */
static void remove_one(const char *part)
{
	__u64 end = now_ms() + REMOVE_MS;
	char path[PATH_LEN];

	if (path_of(path, part, NULL))
		return;
	while (rmdir(path) && errno == EBUSY && now_ms() < end)
		pause_ms(STEP_MS);
}

void ox_demo_cgroups_remove(void)
{
	unsigned int i;

	for (i = 0; i < _OX_DEMO_MAX; i++)
		remove_one(ox_demo_parts[i].name);
	remove_one(NULL);
}

/* "oom_kill" of memory.events: those below count, too */
static __u64 oom_kill(void)
{
	char path[PATH_LEN], key[32];
	__u64 v, found = 0;
	FILE *f;

	if (path_of(path, NULL, "memory.events"))
		return 0;
	f = fopen(path, "re");
	while (f && fscanf(f, "%31s %llu", key, (unsigned long long *)&v) == 2)
		if (!strcmp(key, "oom_kill"))
			found = v;
	if (f)
		(void)fclose(f); /* read only */
	return found;
}

/* ---- workers -------------------------------------------------------------------------------- */

static void __attribute__((noreturn))
work(const struct ox_demo_part *part, struct slot *slot, int go)
{
	unsigned int i;
	char byte;
	char *p;

	(void)prctl(PR_SET_NAME, part->name); /* cosmetics */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || read(go, &byte, 1) != 1)
		_exit(1);
	for (i = 0; i < part->mib; i++) {
		p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			_exit(1);
		memset(p, 1, 1 << 20);
		__atomic_store_n(&slot->mib, i + 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&slot->done, 1, __ATOMIC_RELEASE);
	for (;;)
		(void)pause();
}

/* Starts one in its cgroup; it waits for its byte there. */
static int start(struct play *p, enum ox_demo_role role)
{
	struct worker *w = &p->w[role];
	char text[16];
	int fd[2], err;

	if (pipe2(fd, O_CLOEXEC))
		return ox_err_r(-errno, "demo: %m");
	w->pid = fork();
	if (!w->pid) {
		(void)close(fd[1]); /* or it would never see its end */
		work(&ox_demo_parts[role], &p->slot[role], fd[0]);
	}
	err = w->pid < 0 ? -errno : 0;
	(void)close(fd[0]); /* the worker has its own */
	w->go = fd[1];
	if (err)
		return ox_err_r(err, "demo: %s", strerror(-err));
	(void)snprintf(text, sizeof(text), "%d", w->pid);
	err = write_file(ox_demo_parts[role].name, "cgroup.procs", text);
	return err ? ox_err_r(err, "demo: cannot move a process to its cgroup: %s",
			      strerror(-err)) : 0;
}

static void look(struct play *p)
{
	unsigned int i;

	for (i = 0; i < _OX_DEMO_MAX; i++) {
		struct worker *w = &p->w[i];

		if (w->pid > 0 && !w->ended)
			w->ended = waitpid(w->pid, &w->status, WNOHANG) == w->pid;
	}
}

static bool done(const struct play *p, enum ox_demo_role role)
{
	return __atomic_load_n(&p->slot[role].done, __ATOMIC_ACQUIRE);
}

/* Lets it go, and waits until it has what it wants, or is dead. */
static int let_go(struct play *p, enum ox_demo_role role, unsigned int ms, bool (*over)(void *),
		  void *arg)
{
	__u64 end = now_ms() + ms;

	if (write(p->w[role].go, "", 1) != 1)
		return ox_err_r(-EIO, "demo: %s does not start", ox_demo_parts[role].name);
	while (!done(p, role) && !p->w[role].ended) {
		if (now_ms() > end)
			return ox_err_r(-ETIMEDOUT, "demo: %s neither finished nor died in %u s",
					ox_demo_parts[role].name, ms / 1000);
		if (over)
			(void)over(arg); /* it has to be called, whatever it says */
		pause_ms(STEP_MS);
		look(p);
	}
	return 0;
}

static int play(struct play *p, bool (*over)(void *), void *arg)
{
	unsigned int i;
	__u64 end;
	int err = 0;

	for (i = 0; !err && i < _OX_DEMO_MAX; i++)
		err = start(p, i);
	if (!err)
		err = let_go(p, OX_DEMO_BATCH, READY_MS, over, arg);
	if (!err)
		err = let_go(p, OX_DEMO_HELPER, READY_MS, over, arg);
	if (!err && (p->w[OX_DEMO_BATCH].ended || p->w[OX_DEMO_HELPER].ended))
		err = ox_err_r(-EIO, "demo: a process ended too early");
	if (!err)
		err = let_go(p, OX_DEMO_DATABASE, PLAY_MS, over, arg);
	if (err)
		return err;
	end = now_ms() + SETTLE_MS;
	while (now_ms() < end) {
		if (over && over(arg))
			over = NULL;
		pause_ms(STEP_MS);
		look(p);
	}
	/* what is still missing gets more time than processes that might still die */
	for (end = now_ms() + 5 * SETTLE_MS; over && !over(arg) && now_ms() < end;)
		pause_ms(STEP_MS);
	look(p);
	return 0;
}

static void take_fates(const struct play *p, struct ox_demo_round *r)
{
	unsigned int i;

	for (i = 0; i < _OX_DEMO_MAX; i++) {
		const struct worker *w = &p->w[i];
		struct ox_demo_fate *f = &r->fate[i];

		f->pid = w->pid;
		f->mib = p->slot[i].mib;
		f->finished = done(p, i) && !w->ended;
		f->signal = w->ended && WIFSIGNALED(w->status) ? WTERMSIG(w->status) : 0;
	}
}

static void end_workers(struct play *p)
{
	unsigned int i;

	for (i = 0; i < _OX_DEMO_MAX; i++) {
		struct worker *w = &p->w[i];

		if (w->go >= 0)
			(void)close(w->go); /* nothing is lost */
		if (w->pid <= 0 || w->ended)
			continue;
		(void)kill(w->pid, SIGKILL); /* our child, not waited for: the id is its own */
		(void)waitpid(w->pid, &w->status, 0);
	}
}

int ox_demo_play(struct ox_demo_round *r, bool (*over)(void *arg), void *arg)
{
	struct play p = { .w = { { .go = -1 }, { .go = -1 }, { .go = -1 } } };
	__u64 before = oom_kill();
	int err;

	_Static_assert(_OX_DEMO_MAX == 3, "each starts with no pipe");
	p.slot = mmap(NULL, sizeof(struct slot) * _OX_DEMO_MAX, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p.slot == MAP_FAILED)
		return ox_err_r(-errno, "demo: %m");
	memset(p.slot, 0, sizeof(struct slot) * _OX_DEMO_MAX); /* now it is charged to us */
	err = play(&p, over, arg);
	take_fates(&p, r);
	r->oom_kill = oom_kill() - before;
	end_workers(&p);
	(void)munmap(p.slot, sizeof(struct slot) * _OX_DEMO_MAX);
	return err;
}
