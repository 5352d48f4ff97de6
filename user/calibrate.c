// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "calibrate.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <oomx/abi.h>

#include "bpflog.h"
#include "cleanup.h"
#include "engine.h"
#include "log.h"
#include "symbols.h"

#define ROUNDS 20 /* of touching a little more memory until the counts differ */
#define PAGES 7	  /* each round: too few for a CPU's share to be folded into the shared count */

/* The child: touches memory when told to, waits, ends with its parent. */
static void child(int sock)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	char c;
	char *p;

	/* points without oom_score_adj are what we compare; lowering needs root, which we are */
	if (fd < 0 || write(fd, "0", 1) != 1 || prctl(PR_SET_PDEATHSIG, SIGKILL))
		_exit(1);
	while (read(sock, &c, 1) == 1) {
		p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			_exit(1);
		memset(p, 1, PAGES * 4096);
		if (write(sock, &c, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static int read_score(pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[64], buf[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/oom_score", pid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return read(fd, buf, sizeof(buf)) < 0 ? -errno : 0;
}

/* 0: undecided so far; OOMX_RSS_*: decided; -errno. */
static int decide(const struct oomx_calibration *c)
{
	if (c->atomic)
		return c->kernel == c->sum ? OOMX_RSS_ATOMIC : -ENOTSUP;
	if (c->approx == c->sum)
		return 0;
	if (c->kernel == c->sum)
		return OOMX_RSS_SUM;
	return c->kernel == c->approx ? OOMX_RSS_APPROX : -ENOTSUP;
}

static int measure(int map, pid_t pid, int sock)
{
	struct oomx_calibration c = { .pid = pid, .n_cpus = libbpf_num_possible_cpus() };
	__u32 zero = 0;
	int i, got = 0;
	char byte = 0;

	for (i = 0; i < ROUNDS && !got; i++) {
		if (write(sock, &byte, 1) != 1 || read(sock, &byte, 1) != 1)
			return ox_err_r(-EIO, "calibration: the child process failed");
		c.seen = 0;
		if (bpf_map_update_elem(map, &zero, &c, BPF_ANY))
			return ox_err_r(-errno, "calibration: %m");
		got = read_score(pid);
		if (got)
			return ox_err_r(got, "calibration: cannot read oom_score");
		if (bpf_map_lookup_elem(map, &zero, &c))
			return ox_err_r(-errno, "calibration: %m");
		if (!c.seen)
			return ox_err_r(-ENOTSUP, "calibration: this kernel's oom_badness() cannot be "
						  "watched");
		got = decide(&c);
	}
	ox_debug("calibration: kernel %lld, approx %lld, sum %lld, atomic %u",
		 (long long)c.kernel, (long long)c.approx, (long long)c.sum, c.atomic);
	if (got <= 0)
		return ox_err_r(-ENOTSUP, "calibration: no known form of the memory counters gives "
					  "this kernel's badness (kernel %lld, approximate %lld, "
					  "exact %lld pages)", (long long)c.kernel,
				(long long)c.approx, (long long)c.sum);
	return got;
}

static int with_child(int map)
{
	int sock[2], got;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		return ox_err_r(-errno, "calibration: %m");
	pid = fork();
	if (pid < 0) {
		got = ox_err_r(-errno, "calibration: %m");
		(void)close(sock[0]); /* nothing was written */
		(void)close(sock[1]);
		return got;
	}
	if (!pid) {
		(void)close(sock[0]); /* or the child would never see its end */
		child(sock[1]);
	}
	(void)close(sock[1]); /* the child has its own */
	got = measure(map, pid, sock[0]);
	(void)close(sock[0]); /* ends the child */
	(void)waitpid(pid, NULL, 0);
	return got;
}

static int run(struct bpf_object *obj)
{
	struct bpf_program *prog = bpf_object__next_program(obj, NULL);
	struct bpf_link *link;
	int err = ox_symbols_fill(obj);

	if (err)
		return err;
	err = bpf_object__load(obj);
	if (err == -EPERM)
		return ox_err_r(err, "loading BPF programs is not permitted here: run as root; "
				     "kernel lockdown or a container may forbid it, too");
	if (err) {
		ox_err("this kernel cannot run oomx's BPF programs (%s):", strerror(-err));
		ox_bpflog_tell();
		return -ENOTSUP;
	}
	link = bpf_program__attach(prog);
	if (!link)
		return ox_err_r(-ENOTSUP, "this kernel's oom_badness() cannot be watched (fexit: %m)");
	err = with_child(bpf_map__fd(bpf_object__find_map_by_name(obj, "oomx_calibration")));
	bpf_link__destroy(link);
	return err;
}

int ox_calibrate_judge(int found, int n_cpus)
{
	if (n_cpus <= OOMX_CPUS_MAX || (found != OOMX_RSS_SUM && found != -ENOTSUP))
		return found;
	return ox_err_r(-ENOTSUP, "%d CPUs are possible here, and this kernel counts memory for each: "
			"oomx adds up %d at most; boot with nr_cpus=%d", n_cpus, OOMX_CPUS_MAX,
			OOMX_CPUS_MAX);
}

int ox_calibrate(__u32 *ret_rss_mode)
{
	struct bpf_object *obj = ox_engine_open(OX_BLOB(calibrate), "oomx_calibrate");
	int got, n_cpus = libbpf_num_possible_cpus();

	if (n_cpus < 0) {
		bpf_object__close(obj);
		return ox_err_r(n_cpus, "cannot tell how many CPUs are possible: %s",
				strerror(-n_cpus));
	}
	if (!obj)
		return ox_err_r(-errno, "cannot open the calibration programs: %m");
	got = ox_calibrate_judge(run(obj), n_cpus);
	bpf_object__close(obj);
	if (got < 0)
		return got;
	*ret_rss_mode = got;
	return 0;
}
