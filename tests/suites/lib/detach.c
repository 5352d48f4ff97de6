// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/detach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "lib/proc.h"
#include "lib/suite.h"

#define FDS_MAX 256
#define SYSCALL_INSN 0x050f /* 0f 05 */
#define SYSCALL_LEN 2

static bool program_is(__u32 id, const char *name)
{
	struct bpf_prog_info info;
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);
	bool is;

	memset(&info, 0, sizeof(info));
	is = fd >= 0 && !bpf_prog_get_info_by_fd(fd, &info, &len) &&
	     !strncmp(info.name, name, sizeof(info.name) - 1);
	if (fd >= 0)
		close(fd);
	return is;
}

static int link_of(pid_t pid, const char *name)
{
	char path[64], buf[1024], *at;
	int fd;

	for (fd = 0; fd < FDS_MAX; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
		if (proc_read(path, buf, sizeof(buf)) || !strstr(buf, "link_type:"))
			continue;
		at = strstr(buf, "prog_id:");
		if (at && program_is((__u32)strtoul(at + strlen("prog_id:"), NULL, 10), name))
			return fd;
	}
	suite_fatal("oomx has no link of %s", name);
}

static void must(long result, const char *what)
{
	if (result < 0)
		suite_fatal("ptrace: %s: %s", what, strerror(errno));
}

static void stopped(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		suite_fatal("ptrace: process %d does not stop", pid);
}

void thread_stop(pid_t tid)
{
	must(ptrace(PTRACE_SEIZE, tid, 0, 0), "seize");
	must(ptrace(PTRACE_INTERRUPT, tid, 0, 0), "interrupt");
	stopped(tid);
}

void thread_go_on(pid_t tid)
{
	must(ptrace(PTRACE_DETACH, tid, 0, 0), "detach");
}

void detach_program(pid_t pid, const char *name)
{
	struct user_regs_struct was, regs;
	int fd = link_of(pid, name);

	thread_stop(pid);
	must(ptrace(PTRACE_GETREGS, pid, 0, &was), "registers");
	/* it waits in a system call: the instruction for one is right before */
	if ((ptrace(PTRACE_PEEKTEXT, pid, was.rip - SYSCALL_LEN, 0) & 0xffff) != SYSCALL_INSN)
		suite_fatal("oomx is not in a system call");
	regs = was;
	regs.rip -= SYSCALL_LEN;
	regs.orig_rax = ~0ull; /* nothing to begin anew */
	regs.rax = SYS_close;
	regs.rdi = (unsigned int)fd;
	must(ptrace(PTRACE_SETREGS, pid, 0, &regs), "set registers");
	must(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), "step");
	stopped(pid);
	must(ptrace(PTRACE_GETREGS, pid, 0, &regs), "registers");
	if (regs.rax)
		suite_fatal("oomx cannot close descriptor %d: %lld", fd, (long long)regs.rax);
	must(ptrace(PTRACE_SETREGS, pid, 0, &was), "set registers");
	thread_go_on(pid);
}
