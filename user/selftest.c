// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <oomx/abi.h>

#include "bpflog.h"
#include "cgroup.h"
#include "cleanup.h"
#include "engine.h"
#include "log.h"
#include "symbols.h"

#define CGROUP_NAME "oomx-selftest"
#define EXIT_MS 1000 /* for the child to come to its end */
#define TRIES 3	     /* 100 ms are too short on a machine that is very busy */

struct scan {
	struct oomx_selftest *t; /* the kernel's own, mapped */
	char dir[4200];
};

static int write_to(const char *dir, const char *name, const char *text)
{
	_cleanup_close_ int fd = -1;
	char path[4300];
	size_t len = strlen(text);

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, len) == (ssize_t)len ? 0 : -errno;
}

/* The child waits for its parent to have everything ready, or to be gone. */
static pid_t start_child(int *ret_sock)
{
	int sock[2];
	pid_t pid;
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		return -errno;
	pid = fork();
	if (!pid) {
		(void)close(sock[0]); /* or it would never see its end */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a second way to the same end */
		(void)!read(sock[1], &c, 1);
		_exit(0);
	}
	(void)close(sock[1]); /* the child has its own */
	if (pid < 0) {
		(void)close(sock[0]);
		return -EAGAIN;
	}
	*ret_sock = sock[0];
	return pid;
}

static bool wait_exiting(struct oomx_selftest *t)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < EXIT_MS; i++) {
		if (__atomic_load_n(&t->exiting, __ATOMIC_ACQUIRE))
			return true;
		(void)nanosleep(&ms, NULL); /* interrupted: looks again */
	}
	return false;
}

/* 1: it was iterated over while held, *ret_seen: it was met; 0: not this time; -errno */
static int try_once(struct scan *s, bool *ret_seen)
{
	struct oomx_selftest *t = s->t;
	char text[16];
	int sock = -1, err, held;
	pid_t pid = start_child(&sock);

	if (pid < 0)
		return pid;
	memset(t, 0, sizeof(*t));
	t->reader = gettid();
	__atomic_store_n(&t->pid, pid, __ATOMIC_SEQ_CST);
	(void)snprintf(text, sizeof(text), "%d", pid); /* fits */
	err = write_to(s->dir, "cgroup.procs", text);
	(void)close(sock); /* now it exits */
	if (!err && wait_exiting(t))
		err = write_to(s->dir, "cgroup.freeze", "1"); /* iterates, as a memcg's OOM does */
	/* what was iterated later than the hold lasted says nothing */
	held = !err && t->walked && __atomic_load_n(&t->exiting, __ATOMIC_ACQUIRE) == 1;
	__atomic_store_n(&t->release, 1, __ATOMIC_SEQ_CST);
	*ret_seen = t->seen;
	(void)write_to(s->dir, "cgroup.freeze", "0"); /* the cgroup goes in a moment */
	(void)waitpid(pid, NULL, 0); /* its socket is closed: it ends */
	return err ?: held;
}

/* A child exits with nobody looking: the program notes at least what the kernel's types say. */
static void ask_types(struct scan *s)
{
	struct oomx_selftest *t = s->t;
	int sock = -1;
	pid_t pid = start_child(&sock);

	if (pid < 0)
		return;
	__atomic_store_n(&t->pid, pid, __ATOMIC_SEQ_CST);
	(void)close(sock); /* now it exits */
	(void)wait_exiting(t);
	__atomic_store_n(&t->release, 1, __ATOMIC_SEQ_CST);
	(void)waitpid(pid, NULL, 0); /* its socket is closed: it ends */
}

static int scan(struct bpf_object *obj, bool *ret)
{
	struct scan s = {};
	char mount[4096];
	bool seen = false;
	int map, err, i;

	map = bpf_map__fd(bpf_object__find_map_by_name(obj, "oomx_selftest"));
	s.t = mmap(NULL, sizeof(*s.t), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (s.t == MAP_FAILED)
		return ox_err_r(-errno, "self-test: %m");
	err = ox_cgroup_mount(NULL, mount, sizeof(mount));
	if (!err) {
		(void)snprintf(s.dir, sizeof(s.dir), "%s/" CGROUP_NAME, mount); /* fits */
		err = mkdir(s.dir, 0755) && errno != EEXIST ? -errno : 0;
	}
	if (err)
		ask_types(&s); /* in a container, cgroups may be there to be read only */
	for (i = 0; !err && i < TRIES; i++) {
		err = try_once(&s, &seen);
		if (err == 1)
			break;
	}
	*ret = err == 1 ? !seen : s.t->hides;
	if (err == 1)
		ox_debug("self-test: memcg scans %s a victim that is exiting",
			 seen ? "see" : "do not see");
	else
		ox_debug("self-test: no answer (%s), going by the kernel's types: %s",
			 err ? strerror(-err) : "not held", *ret ? "not seen" : "seen");
	if (s.dir[0])
		(void)rmdir(s.dir); /* empty by now, or it stays without harm */
	(void)munmap(s.t, sizeof(*s.t));
	return 0;
}

int ox_selftest_scan(bool *ret)
{
	struct bpf_object *obj = ox_engine_open(OX_BLOB(selftest), "oomx_selftest");
	struct bpf_link *links[2] = {};
	struct bpf_program *prog;
	unsigned int n = 0;
	int err;

	if (!obj)
		return ox_err_r(-errno, "cannot open the self-test programs: %m");
	err = ox_object_load(obj);
	if (err) {
		ox_err("this kernel refuses the self-test (%s):", strerror(-err));
		ox_bpflog_tell();
	}
	bpf_object__for_each_program(prog, obj) {
		links[n] = err ? NULL : bpf_program__attach(prog);
		if (!err && !links[n])
			err = ox_err_r(-errno, "self-test: %s: %m", bpf_program__name(prog));
		n++;
	}
	if (!err)
		err = scan(obj, ret);
	while (n)
		bpf_link__destroy(links[--n]);
	bpf_object__close(obj);
	return err && err != -EPERM ? -ENOTSUP : err;
}
