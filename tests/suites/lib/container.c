// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/suite.h"

#define DIR "/tmp/oomx-containers"
#define PATH_LEN 512
#define HELD_MIB 44

/*
 * Storage must not lie on the guest's root, which is an overlay itself. Each process fills a pipe's
 * reader, which keeps what it has read and waits for more. /never is opened for writing, too: else
 * a shell would wait in open(), and a child's death would end that with an error.
 */
static const char script[] =
	"set -e\n"
	"mkdir -p /var/lib/containers " DIR "/root/bin\n"
	"mount -t tmpfs tmpfs /var/lib/containers\n"
	"cd " DIR "/root && mkdir -p proc sys dev etc run tmp\n"
	"cp -f /bin/busybox bin/busybox\n"
	"for i in sh cat head mkfifo; do ln -sf busybox bin/$i; done\n"
	"for i in big marked grow; do ln -f bin/busybox bin/busybox-$i; done\n"
	"cat >three <<'END'\n"
	"#!/bin/sh\n"
	"mkfifo /go /never\n"
	"{ head -c 30m /dev/zero; cat <>/never; } | busybox-big tail -c 30m >/dev/null &\n"
	"{ head -c 16m /dev/zero; cat <>/never; } | busybox-marked tail -c 16m >/dev/null &\n"
	"cat </go\n"
	"{ head -c 24m /dev/zero; cat <>/never; } | busybox-grow tail -c 24m >/dev/null &\n"
	"exec cat <>/never\n"
	"END\n"
	"chmod +x three\n"
	"tar -c . >../image.tar\n";

const char *container_missing(void)
{
	static const char *const programs[] = { "podman", "crun", "conmon" };
	char path[PATH_LEN];

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		snprintf(path, sizeof(path), "/usr/bin/%s", programs[i]);
		if (access(path, X_OK))
			return programs[i];
	}
	return NULL;
}

const struct command_result *container_run(const char *const argv[])
{
	const struct command_result *r = command_run(argv, 0, SUITE_START_MS);

	if (r->exit)
		suite_fatal("%s %s: exit %d: %s%s", argv[0], argv[1] ? argv[1] : "", r->exit, r->err,
			    r->out);
	return r;
}

/* No systemd there: neither its cgroups nor its journal. */
const struct command_result *container_podman(const char *const args[])
{
	const char *argv[COMMAND_ARGS_MAX] = { "/usr/bin/podman", "--cgroup-manager", "cgroupfs",
					       "--events-backend", "file" };

	for (size_t i = 0; args[i] && i + 6 < COMMAND_ARGS_MAX; i++)
		argv[5 + i] = args[i];
	return container_run(argv);
}

void container_open(void)
{
	const char *const prepare[] = { "/bin/sh", "-c", script, NULL };
	const char *const import[] = { "import", DIR "/image.tar", CONTAINER_IMAGE, NULL };

	container_run(prepare);
	container_podman(import);
}

static void take_line(char *to, size_t size, const char *text)
{
	size_t n = strcspn(text, "\n");

	if (n >= size)
		suite_fatal("podman says something too long: %s", text);
	memcpy(to, text, n);
	to[n] = '\0';
}

const char *container_inspect(const struct container *c, const char *key)
{
	char format[PATH_LEN];
	const char *const args[] = { "inspect", "-f", format, c->name, NULL };

	snprintf(format, sizeof(format), "{{%s}}", key);
	return container_podman(args)->out;
}

/*
 * Podman looks for what conmon writes of an OOM in the container's directory. conmon 2.1.6, with
 * the Podman 4.3 of Debian 12, writes it where Podman was when it started the container.
 */
void container_start_any(struct container *c, const char *name, const char *limit,
			 const char *const args[])
{
	const char *argv[COMMAND_ARGS_MAX] = {
		"create", "--name", name, "--network", "none", "--security-opt",
		"apparmor=unconfined", "--memory", limit,
	};
	const char *start[] = { "/bin/sh", "-c",
				"cd \"$0\" && exec podman --cgroup-manager cgroupfs "
				"--events-backend file start \"$1\"", NULL, name, NULL };
	char dir[PATH_LEN];

	for (size_t i = 0; args[i] && i + 10 < COMMAND_ARGS_MAX; i++)
		argv[9 + i] = args[i];
	*c = (struct container){ .name = name };
	take_line(c->id, sizeof(c->id), container_podman(argv)->out);
	take_line(dir, sizeof(dir), container_inspect(c, ".StaticDir"));
	start[3] = dir;
	container_run(start);
}

static bool holds(void *arg)
{
	const struct container *c = arg;

	return cgroup_number(c->cgroup, "memory.current") >= (int64_t)HELD_MIB << 20 &&
	       container_find(c, "busybox-big") && container_find(c, "busybox-marked");
}

void container_start_three(struct container *c, const char *name)
{
	const char *const args[] = { CONTAINER_IMAGE, CONTAINER_THREE, NULL };
	char path[PATH_LEN], text[PATH_LEN];

	container_start_any(c, name, "64m", args);
	c->pid = atoi(container_inspect(c, ".State.Pid"));
	snprintf(path, sizeof(path), "/proc/%d/cgroup", c->pid);
	if (c->pid <= 0 || proc_read(path, text, sizeof(text)) || strncmp(text, "0::/", 4))
		suite_fatal("container %s has no process %d", name, c->pid);
	take_line(c->cgroup, sizeof(c->cgroup), text + 3);
	if (!suite_wait(holds, c, SUITE_STEP_MS))
		suite_fatal("container %s does not get to %d MiB", name, HELD_MIB);
}

/* The FIFO's reader may not be there yet. */
static bool went(void *arg)
{
	int fd = open(arg, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void container_go(const struct container *c)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "/proc/%d/root/go", c->pid);
	if (!suite_wait(went, path, SUITE_STEP_MS))
		suite_fatal("nobody reads %s: %s", path, strerror(errno));
}

static pid_t find_below(const char *cgroup, const char *sub, const char *comm)
{
	char path[PATH_LEN], list[4096], name[32];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s%s/cgroup.procs", cgroup, sub);
	if (proc_read(path, list, sizeof(list)))
		return 0;
	for (char *save = NULL, *s = strtok_r(list, "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save)) {
		snprintf(path, sizeof(path), "/proc/%s/comm", s);
		if (proc_read(path, name, sizeof(name)))
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (!strcmp(name, comm))
			return atoi(s);
	}
	return 0;
}

pid_t container_find(const struct container *c, const char *comm)
{
	pid_t pid = find_below(c->cgroup, "", comm);

	return pid ? pid : find_below(c->cgroup, "/marked", comm);
}

bool container_is(const struct container *c, const char *key)
{
	return !strcmp(container_inspect(c, key), "true\n");
}

void container_remove(const struct container *c)
{
	const char *const args[] = { "rm", "-f", "-i", "-t", "0", c->name, NULL };

	container_podman(args);
}

void container_bundle(const char *dir, const char *cgroup, const char *annotations)
{
	char path[PATH_LEN];
	FILE *f;

	if (mkdir(dir, 0755) && errno != EEXIST)
		suite_fatal("cannot make %s: %s", dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/config.json", dir);
	f = fopen(path, "we");
	if (!f)
		suite_fatal("cannot make %s: %s", path, strerror(errno));
	fprintf(f,
		"{\"ociVersion\":\"1.0.0\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,"
		"\"gid\":0},\"args\":[\"/bin/busybox-grow\",\"tail\",\"-c\",\"100m\","
		"\"/dev/zero\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"" DIR "/root\",\"readonly\":true},"
		"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}],"
		"\"annotations\":{%s},\"linux\":{%s%s%s\"resources\":{\"memory\":{\"limit\":"
		"33554432}},\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}]}}\n",
		annotations, cgroup ? "\"cgroupsPath\":\"" : "", cgroup ? cgroup : "",
		cgroup ? "\"," : "");
	if (fclose(f))
		suite_fatal("cannot write %s: %s", path, strerror(errno));
}
