// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * suite_containers - Podman's and crun's own containers run out of memory: the process that was
 * marked dies and its container lives, or all of it dies; and whatever dies is told with the name
 * that the operator gave its container, also when there is nothing left of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "containers/containers.h"
#include "lib/container.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/suite.h"
#include "lib/worker.h"

#define UID "7d5b0c6e-9f3a-4c1d-8e2f-0a1b2c3d4e5f"
#define BUNDLE "/tmp/oomx-bundle"
#define CHURN_CGROUPS 1000 /* a run */
#define CHURN_EVERY 100	   /* one of so many runs out of memory */

struct wanted {
	const char *runtime, *name, *image, *pod_uid, *qos;
};

/* ---- what was told --------------------------------------------------------------------------- */

static unsigned int kills(void)
{
	return daemon_count(OOMX_REC_KILL) + daemon_count(OOMX_REC_KERNEL_KILL);
}

static bool killed(void *arg)
{
	return !daemon_running() || kills() >= *(unsigned int *)arg;
}

static void same(const char *what, const char *got, const char *want)
{
	if (strcmp(got, want ? want : "(null)"))
		suite_fail("the event's %s is '%s', expected '%s'", what, got, want ? want : "null");
}

static void expect_container(const struct event_container *c, const struct wanted *w)
{
	same("runtime", c->runtime, w->runtime);
	same("container", c->name, w->name);
	same("image", c->image, w->image);
	same("pod uid", c->pod_uid, w->pod_uid);
	same("QoS class", c->qos, w->qos);
	if (!c->confirmed)
		suite_fail("the event's container is not confirmed");
}

/* Waits for n kills; each of them, and each limit that was hit, is the container's. */
static void expect_named(unsigned int n, const struct wanted *w)
{
	const struct event *events;
	unsigned int i;

	if (!suite_wait(killed, &n, SUITE_STEP_MS) || !daemon_running())
		suite_fail("expected %u kills to be told, got %u", n, kills());
	n = daemon_events(&events);
	for (i = 0; i < n; i++) {
		if (events[i].type == OOMX_REC_OOM || events[i].type == OOMX_REC_KILL ||
		    events[i].type == OOMX_REC_KERNEL_KILL)
			expect_container(&events[i].container, w);
		if (events[i].type == OOMX_REC_OOM)
			expect_container(&events[i].trigger_container, w);
	}
}

/* ---- Podman: three processes ----------------------------------------------------------------- */

/* Its second process into a cgroup of its own, which is to die first. */
static void mark(const struct container *c)
{
	char path[CGROUP_PATH_LEN + 8], file[CGROUP_PATH_LEN + 64], pid[16];
	const char *const args[] = { "priority", "set", path, "-100", NULL };

	snprintf(path, sizeof(path), "%s/marked", c->cgroup);
	snprintf(file, sizeof(file), CGROUP_ROOT "%s", path);
	if (mkdir(file, 0755))
		suite_fatal("cannot make %s: %s", file, strerror(errno));
	snprintf(pid, sizeof(pid), "%d", container_find(c, "busybox-marked"));
	cgroup_set(path, "cgroup.procs", pid);
	if (command_run_oomx(args)->exit)
		suite_fatal("'oomx priority set' fails");
}

static bool has_grown(void *arg)
{
	return container_find(arg, "busybox-grow");
}

static void one_process(unsigned int run)
{
	static const struct wanted w = { "podman", "one", CONTAINER_IMAGE, NULL, NULL };
	const struct event *e;
	struct container c;
	pid_t marked;

	suite_run_begin("podman/task", run);
	container_start_three(&c, "one");
	mark(&c);
	marked = container_find(&c, "busybox-marked");
	daemon_clear();
	container_go(&c);
	expect_named(1, &w);
	e = daemon_find(OOMX_REC_KILL, 0, marked);
	if (!e || kills() != 1)
		suite_fail("expected busybox-marked (%d) to be killed, and nobody else", marked);
	if (!container_find(&c, "busybox-big") || !suite_wait(has_grown, &c, SUITE_STEP_MS))
		suite_fail("expected busybox-big and busybox-grow to live: they are %d and %d",
			   container_find(&c, "busybox-big"), container_find(&c, "busybox-grow"));
	if (!container_is(&c, ".State.Running"))
		suite_fail("expected the container to live, podman has of it: %s",
			   container_inspect(&c, ".State"));
	if (suite_run_failed())
		daemon_complain_events();
	container_remove(&c);
	suite_run_end();
}

static bool init_told(void *arg)
{
	const struct container *c = arg;

	return daemon_find(OOMX_REC_KILL, 0, c->pid) ||
	       daemon_find(OOMX_REC_KERNEL_KILL, 0, c->pid);
}

static void expect_oom_killed(const struct container *c)
{
	if (container_is(c, ".State.Running") || !container_is(c, ".State.OOMKilled"))
		suite_fail("expected podman to report OOMKilled; it has %s",
			   container_inspect(c, "json .State"));
}

/* What Podman reports where the kernel alone has killed all of a container. */
static void kernel_alone(unsigned int run)
{
	static const char *const wait[] = { "wait", "alone", NULL };
	struct container c;

	suite_run_begin("podman/kernel alone", run);
	container_start_three(&c, "alone");
	cgroup_set(c.cgroup, "memory.oom.group", "1");
	container_go(&c);
	container_podman(wait);
	expect_oom_killed(&c);
	container_remove(&c);
	suite_run_end();
}

/* memory.oom.group, which is what kubelets set: all of them die, and Podman reports of what. */
static void whole_container(unsigned int run)
{
	static const struct wanted w = { "podman", "all", CONTAINER_IMAGE, NULL, NULL };
	static const char *const wait[] = { "wait", "all", NULL };
	const struct event *e;
	struct container c;
	pid_t marked;

	suite_run_begin("podman/group", run);
	container_start_three(&c, "all");
	mark(&c);
	cgroup_set(c.cgroup, "memory.oom.group", "1");
	marked = container_find(&c, "busybox-marked");
	daemon_clear();
	container_go(&c);
	expect_named(4, &w); /* init, the two, the one that grew; and what feeds them */
	if (!suite_wait(init_told, &c, SUITE_STEP_MS))
		suite_fail("expected the container's init (%d) to be told as killed", c.pid);
	e = daemon_find(OOMX_REC_KILL, 0, marked);
	if (!e || e->group)
		suite_fail("expected busybox-marked (%d) to be the one that was chosen", marked);
	if (strcmp(container_podman(wait)->out, "137\n"))
		suite_fail("expected the container to end by SIGKILL");
	expect_oom_killed(&c);
	if (suite_run_failed())
		daemon_complain_events();
	container_remove(&c);
	suite_run_end();
}

/* Nothing is left of it when the event is read. */
static void gone(unsigned int run)
{
	static const char *const args[] = { "--rm", CONTAINER_IMAGE, "busybox-grow", "tail", "-c",
					    "100m", "/dev/zero", NULL };
	static const struct wanted w = { "podman", "short", CONTAINER_IMAGE, NULL, NULL };
	struct container c;

	suite_run_begin("podman/gone", run);
	daemon_clear();
	container_start_any(&c, "short", "32m", args);
	expect_named(1, &w);
	if (suite_run_failed())
		daemon_complain_events();
	container_remove(&c);
	suite_run_end();
}

/* ---- crun by itself -------------------------------------------------------------------------- */

static void crun(const char *what, unsigned int run, const char *id, const char *cgroup,
		 const struct wanted *w)
{
	const char *const start[] = { "/usr/bin/crun", "--cgroup-manager", "cgroupfs", "run", "-d",
				      "-b", BUNDLE, id, NULL };
	const char *const delete[] = { "/usr/bin/crun", "delete", "-f", id, NULL };

	suite_run_begin(what, run);
	container_bundle(BUNDLE, cgroup, "\"oomx.priority\":\"-5\"");
	daemon_clear();
	container_run(start);
	expect_named(1, w);
	if (suite_run_failed())
		daemon_complain_events();
	container_run(delete);
	suite_run_end();
}

/* ---- a thousand that come and go ------------------------------------------------------------- */

#define DOCKER "/var/lib/docker/containers"

static void docker_state(unsigned int n, char cgroup[CGROUP_PATH_LEN], char dir[128])
{
	char path[160];
	FILE *f;

	snprintf(cgroup, CGROUP_PATH_LEN, "/docker/%064x", n);
	snprintf(dir, 128, DOCKER "/%064x", n);
	snprintf(path, sizeof(path), "%s/config.v2.json", dir);
	if (mkdir(dir, 0755) || !(f = fopen(path, "we")))
		suite_fatal("cannot make %s: %s", path, strerror(errno));
	fprintf(f, "{\"Name\":\"/c%u\"}", n);
	fclose(f);
}

static void run_out(unsigned int n, const char *cgroup)
{
	const struct worker_spec spec = { .comm = "churn", .cgroup = cgroup, .anon_kib = 1024 };
	const struct worker_growth growth = { .mib = 64, .threads = 1 };
	struct wanted w = { .runtime = "docker" };
	struct worker *worker;
	char name[16];

	snprintf(name, sizeof(name), "c%u", n);
	w.name = name;
	cgroup_set_mib(cgroup, "memory.max", 16);
	worker = worker_start(&spec);
	worker_wait_ready(worker);
	daemon_clear();
	worker_grow(worker, &growth);
	expect_named(1, &w);
	worker_end(worker);
}

static void churn(unsigned int run)
{
	char cgroup[CGROUP_PATH_LEN], dir[128], path[160];
	unsigned int i;

	suite_run_begin("churn", run);
	for (i = 0; i < CHURN_CGROUPS && !suite_run_failed(); i++) {
		docker_state(run * CHURN_CGROUPS + i, cgroup, dir);
		cgroup_make(cgroup);
		if (i % CHURN_EVERY == CHURN_EVERY - 1)
			run_out(run * CHURN_CGROUPS + i, cgroup);
		snprintf(path, sizeof(path), "%s/config.v2.json", dir);
		unlink(path);
		rmdir(dir);
		cgroup_remove(cgroup);
	}
	if (suite_run_failed())
		daemon_complain_events();
	suite_run_end();
}

static void churn_all(const struct suite_options *o)
{
	unsigned int i;

	mkdir("/var/lib/docker", 0755);
	mkdir(DOCKER, 0755);
	cgroup_make("/docker");
	daemon_start(NULL);
	for (i = 1; i <= o->runs; i++)
		churn(i);
	daemon_stop();
	cgroup_remove("/docker");
}

static bool wants(const struct suite_options *o, const char *name)
{
	return !o->only || !strcmp(o->only, name);
}

int main(int argc, char **argv)
{
	static const char id[] = "a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f";
	static const struct wanted web = { "crun", "web", NULL, NULL, NULL };
	static const struct wanted pod = { "crun", NULL, NULL, UID, "burstable" };
	struct suite_options o = { .runs = 2 };
	const char *const enforce[] = { "--enforce", "--hook", NULL, "--policy", "priority", NULL };
	const char *args[6];
	unsigned int i;

	suite_begin("containers", argc, argv, &o);
	if (container_missing()) {
		suite_skip("there is no %s on the host: install podman, crun and conmon", container_missing());
		return suite_end();
	}
	memcpy(args, enforce, sizeof(enforce));
	args[2] = o.hook;
	if (wants(&o, "podman") || wants(&o, "crun") || wants(&o, "node"))
		container_open();
	if (wants(&o, "podman")) {
		kernel_alone(1);
		daemon_start(args);
		for (i = 1; i <= o.runs; i++) {
			one_process(i);
			whole_container(i);
			gone(i);
		}
		daemon_stop();
	}
	if (wants(&o, "crun")) {
		daemon_start(NULL);
		for (i = 1; i <= o.runs; i++) {
			crun("crun/plain", i, "web", NULL, &web);
			crun("crun/pod", i, id, "/kubepods/burstable/pod" UID "/a0b1c2d3e4f506172839"
			     "4a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f", &pod);
		}
		daemon_stop();
	}
	if (wants(&o, "node"))
		node_play(&o);
	if (wants(&o, "churn"))
		churn_all(&o);
	return suite_end();
}
