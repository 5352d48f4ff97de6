/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose cgroup it is, from the path alone: as the runtimes name them, and as tenants might. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cleanup.h"
#include "identity.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define A16 "0123456789abcdef"
#define B16 "fedcba9876543210"
#define A A16 A16 A16 A16
#define B B16 B16 B16 B16
#define UID "7d5b0c6e-9f3a-4c1d-8e2f-0a1b2c3d4e5f"
#define UID_ "7d5b0c6e_9f3a_4c1d_8e2f_0a1b2c3d4e5f"
#define STATIC_UID "0a1b2c3d4e5f60718293a4b5c6d7e8f9" /* a hash of the file it comes from */

/* What a row leaves out is not known; `own` is the container's own cgroup, `pod_own` the pod's. */
struct row {
	const char *cgroup;
	const char *runtime, *container, *name, *own;
	const char *pod_uid, *qos, *pod_own;
	const char *unit, *slice;
	bool nested, unit_nested;
};

static void compare(const char *cgroup, const char *what, const char *got, const char *want)
{
	if (!got != !want || (got && strcmp(got, want)))
		fail_msg("%s: %s is '%s', not '%s'", cgroup, what, got ? got : "(null)",
			 want ? want : "(null)");
}

static void compare_part(const struct ox_identity *id, const char *what, size_t len,
			 const char *want)
{
	_cleanup_free_ char *got = strndup(id->cgroup, len);

	assert_true(len <= strlen(id->cgroup));
	compare(id->cgroup, what, len ? got : NULL, want);
}

static void check(const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &row[i];
		struct ox_identity id;

		assert_int_equal(ox_identity_from_path(r->cgroup, &id), 0);
		compare(r->cgroup, "cgroup", id.cgroup, r->cgroup);
		compare(r->cgroup, "runtime", id.runtime, r->runtime);
		compare(r->cgroup, "container", id.container_id, r->container);
		compare(r->cgroup, "name", id.name, r->name);
		compare(r->cgroup, "pod uid", id.pod_uid, r->pod_uid);
		compare(r->cgroup, "qos", id.qos, r->qos);
		compare(r->cgroup, "unit", id.unit, r->unit);
		compare(r->cgroup, "slice", id.slice, r->slice);
		compare_part(&id, "container's own cgroup", id.container_len, r->own);
		compare_part(&id, "pod's own cgroup", id.pod_len, r->pod_own);
		if (id.nested != r->nested || id.unit_nested != r->unit_nested)
			fail_msg("%s: nested %d, unit nested %d", r->cgroup, id.nested,
				 id.unit_nested);
		/* what only the runtime's state can tell */
		assert_null(id.image);
		assert_null(id.pod);
		assert_null(id.ns);
		assert_null(id.k8s_container);
		assert_int_equal(id.n_labels, 0);
		ox_identity_done(&id);
		assert_null(id.cgroup);
		ox_identity_done(&id);
	}
}

static void no_containers(void **state)
{
	static const struct row row[] = {
		{ .cgroup = "" },
		{ .cgroup = "/" },
		{ .cgroup = "//" },
		{ "/init.scope", .unit = "init.scope" },
		{ "/system.slice", .slice = "system.slice" },
		{ "/system.slice/ssh.service", .unit = "ssh.service", .slice = "system.slice" },
		{ "/system.slice/system-getty.slice/getty@tty1.service", .unit = "getty@tty1.service",
		  .slice = "system-getty.slice" },
		{ "/user.slice/user-1000.slice/session-3.scope", .unit = "session-3.scope",
		  .slice = "user-1000.slice" },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/"
		  "app-gnome-firefox-4711.scope", .unit = "app-gnome-firefox-4711.scope",
		  .slice = "app.slice", .unit_nested = true },
		/* not what it is called: the user's, like all below user@1000.service */
		{ "/user.slice/user-1000.slice/user@1000.service/sshd.service",
		  .unit = "sshd.service", .slice = "user-1000.slice", .unit_nested = true },
		{ "/system.slice/dev-hugepages.mount", .slice = "system.slice" },
		{ "/system.slice/docker.service", .unit = "docker.service",
		  .slice = "system.slice" },
		/* the runtimes' own: beside the container, not in it */
		{ "/machine.slice/libpod-conmon-" A ".scope",
		  .unit = "libpod-conmon-" A ".scope", .slice = "machine.slice" },
		{ "/system.slice/crio-conmon-" A ".scope", .unit = "crio-conmon-" A ".scope",
		  .slice = "system.slice" },
		{ .cgroup = "/libpod_parent/libpod-conmon-" A },
		{ .cgroup = "/lxc.monitor.web" },
		{ .cgroup = "/lxc.pivot" },
		{ .cgroup = "/docker" },
		{ .cgroup = "/docker/buildkit" },
		{ "/machine.slice/machine-qemu\\x2d3\\x2ddb.scope/libvirt/emulator",
		  .unit = "machine-qemu\\x2d3\\x2ddb.scope", .slice = "machine.slice" },
		/* nearly an id */
		{ .cgroup = "/docker/" A16 A16 A16 },
		{ .cgroup = "/docker/" A "0" },
		{ "/system.slice/docker-" A16 ".scope", .unit = "docker-" A16 ".scope",
		  .slice = "system.slice" },
		{ .cgroup = "/docker/0123456789ABCDEF" A16 A16 A16 },
		{ .cgroup = "/docker/g123456789abcdef" A16 A16 A16 },
		{ .cgroup = "/x/-" A },
		{ .cgroup = "/x/.service" },
		{ .cgroup = "/x/.scope" },
		{ .cgroup = "/x/.slice" },
		{ "/x/crun-.scope", .unit = "crun-.scope" },
		{ .cgroup = "/x/crun-db" },
		{ "/x/crun-a b.scope", .unit = "crun-a b.scope" },
		{ .cgroup = "/x/lxc.payload." },
		{ "/system.slice/system.slice:docker:nonsense", .slice = "system.slice" },
		/* what an event has of a path that is too long */
		{ "…/foo.service", .unit = "foo.service" },
	};

	(void)state;
	check(row, ARRAY_SIZE(row));
}

static void docker(void **state)
{
	static const struct row row[] = {
		{ "/docker/" A, "docker", A, .own = "/docker/" A },
		{ "/docker/" A "/", "docker", A, .own = "/docker/" A },
		{ "docker/" A, "docker", A, .own = "docker/" A },
		{ "/system.slice/docker-" A ".scope", "docker", A,
		  .own = "/system.slice/docker-" A ".scope",
		  .unit = "docker-" A ".scope", .slice = "system.slice" },
		/* dockerd --cgroup-parent */
		{ "/batch.slice/docker-" A ".scope", "docker", A,
		  .own = "/batch.slice/docker-" A ".scope", .unit = "docker-" A ".scope",
		  .slice = "batch.slice" },
		{ "/actions_job/" A, NULL, A, .own = "/actions_job/" A },
		/* ECS's agent */
		{ "/ecs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/" A, NULL, A,
		  .own = "/ecs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/" A },
		/* the cgroupfs driver given a path for systemd's */
		{ "/system.slice:docker:" A, "docker", A, .own = "/system.slice:docker:" A },
		/* rootless */
		{ "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" A ".scope",
		  "docker", A,
		  .own = "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" A
			 ".scope",
		  .unit = "docker-" A ".scope", .slice = "user.slice", .nested = true,
		  .unit_nested = true },
		/* systemd inside */
		{ "/system.slice/docker-" A ".scope/system.slice/nginx.service", "docker", A,
		  .own = "/system.slice/docker-" A ".scope", .unit = "nginx.service",
		  .slice = "system.slice", .unit_nested = true },
		{ "/docker/" A "/init.scope", "docker", A, .own = "/docker/" A,
		  .unit = "init.scope", .unit_nested = true },
		/* Docker in Docker */
		{ "/docker/" A "/docker/" B, "docker", B, .own = "/docker/" A "/docker/" B,
		  .nested = true },
	};

	(void)state;
	check(row, ARRAY_SIZE(row));
}

static void podman(void **state)
{
	static const struct row row[] = {
		{ "/machine.slice/libpod-" A ".scope", "podman", A,
		  .own = "/machine.slice/libpod-" A ".scope", .unit = "libpod-" A ".scope",
		  .slice = "machine.slice" },
		{ "/machine.slice/libpod-" A ".scope/container", "podman", A,
		  .own = "/machine.slice/libpod-" A ".scope", .unit = "libpod-" A ".scope",
		  .slice = "machine.slice" },
		{ "/libpod_parent/libpod-" A, "podman", A, .own = "/libpod_parent/libpod-" A },
		{ "/libpod_parent/" B "/libpod-" A, "podman", A,
		  .own = "/libpod_parent/" B "/libpod-" A, .pod_uid = B,
		  .pod_own = "/libpod_parent/" B },
		{ "/libpod_parent/" B, .pod_uid = B, .pod_own = "/libpod_parent/" B },
		{ "/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope", "podman", A,
		  .own = "/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope",
		  .pod_uid = B, .pod_own = "/machine.slice/machine-libpod_pod_" B ".slice",
		  .unit = "libpod-" A ".scope", .slice = "machine-libpod_pod_" B ".slice" },
		{ "/machine.slice/machine-libpod_pod_" B ".slice", .pod_uid = B,
		  .pod_own = "/machine.slice/machine-libpod_pod_" B ".slice",
		  .slice = "machine-libpod_pod_" B ".slice" },
		/* --cgroups=split, Quadlet: in its service */
		{ "/system.slice/web.service/libpod-payload-" A, "podman", A,
		  .own = "/system.slice/web.service/libpod-payload-" A, .unit = "web.service",
		  .slice = "system.slice", .nested = true },
		/* rootless */
		{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container",
		  "podman", A,
		  .own = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A
			 ".scope",
		  .unit = "libpod-" A ".scope", .slice = "user.slice", .nested = true,
		  .unit_nested = true },
		/* systemd inside */
		{ "/machine.slice/libpod-" A ".scope/system.slice/cron.service", "podman", A,
		  .own = "/machine.slice/libpod-" A ".scope", .unit = "cron.service",
		  .slice = "system.slice", .unit_nested = true },
		/* Podman in Podman */
		{ "/machine.slice/libpod-" A ".scope/libpod_parent/libpod-" B, "podman", B,
		  .own = "/machine.slice/libpod-" A ".scope/libpod_parent/libpod-" B,
		  .unit = "libpod-" A ".scope", .slice = "machine.slice", .nested = true },
	};

	(void)state;
	check(row, ARRAY_SIZE(row));
}

static void oci_runtimes(void **state)
{
	static const struct row row[] = {
		{ "/system.slice/crun-web.scope", "crun", "web", "web",
		  "/system.slice/crun-web.scope", .unit = "crun-web.scope",
		  .slice = "system.slice" },
		{ "/system.slice/runc-db_1.main+x-y.scope/x", "runc", "db_1.main+x-y",
		  "db_1.main+x-y", "/system.slice/runc-db_1.main+x-y.scope",
		  .unit = "runc-db_1.main+x-y.scope", .slice = "system.slice" },
		{ "/system.slice/crun-" A ".scope", "crun", A, .own = "/system.slice/crun-" A
		  ".scope", .unit = "crun-" A ".scope", .slice = "system.slice" },
		/* containerd's clients, without Kubernetes */
		{ "/default/" A, "containerd", A, .own = "/default/" A },
		{ "/k8s.io/" A, "containerd", A, .own = "/k8s.io/" A },
		{ "/system.slice/nerdctl-" A ".scope", "containerd", A,
		  .own = "/system.slice/nerdctl-" A ".scope", .unit = "nerdctl-" A ".scope",
		  .slice = "system.slice" },
		/* a prefix nobody knows, an id like all of them have */
		{ "/system.slice/garden-" A ".scope", NULL, A,
		  .own = "/system.slice/garden-" A ".scope", .unit = "garden-" A ".scope",
		  .slice = "system.slice" },
	};

	(void)state;
	check(row, ARRAY_SIZE(row));
}

#define KUBE "/kubepods.slice"
#define BURST KUBE "/kubepods-burstable.slice"
#define BEST KUBE "/kubepods-besteffort.slice"
#define KIND "/system.slice/docker-" A ".scope"
#define KINDPODS KIND "/kubelet.slice/kubelet-kubepods.slice"

static void kubernetes_systemd(void **state)
{
	static const struct row row[] = {
		{ KUBE, .slice = "kubepods.slice" },
		{ BURST, .slice = "kubepods-burstable.slice", .qos = "burstable" },
		{ BEST, .slice = "kubepods-besteffort.slice", .qos = "besteffort" },
		{ KUBE "/kubepods-pod" UID_ ".slice", .slice = "kubepods-pod" UID_ ".slice",
		  .pod_uid = UID, .qos = "guaranteed",
		  .pod_own = KUBE "/kubepods-pod" UID_ ".slice" },
		{ KUBE "/kubepods-pod" UID_ ".slice/cri-containerd-" A ".scope", "containerd", A,
		  .own = KUBE "/kubepods-pod" UID_ ".slice/cri-containerd-" A ".scope",
		  .pod_uid = UID, .qos = "guaranteed",
		  .pod_own = KUBE "/kubepods-pod" UID_ ".slice",
		  .unit = "cri-containerd-" A ".scope", .slice = "kubepods-pod" UID_ ".slice" },
		{ BURST "/kubepods-burstable-pod" UID_ ".slice/crio-" A ".scope/container",
		  "cri-o", A,
		  .own = BURST "/kubepods-burstable-pod" UID_ ".slice/crio-" A ".scope",
		  .pod_uid = UID, .qos = "burstable",
		  .pod_own = BURST "/kubepods-burstable-pod" UID_ ".slice",
		  .unit = "crio-" A ".scope", .slice = "kubepods-burstable-pod" UID_ ".slice" },
		{ BEST "/kubepods-besteffort-pod" UID_ ".slice/docker-" A ".scope", "docker", A,
		  .own = BEST "/kubepods-besteffort-pod" UID_ ".slice/docker-" A ".scope",
		  .pod_uid = UID, .qos = "besteffort",
		  .pod_own = BEST "/kubepods-besteffort-pod" UID_ ".slice",
		  .unit = "docker-" A ".scope", .slice = "kubepods-besteffort-pod" UID_ ".slice" },
		{ BURST "/kubepods-burstable-pod" STATIC_UID ".slice/cri-containerd-" A ".scope",
		  "containerd", A,
		  .own = BURST "/kubepods-burstable-pod" STATIC_UID ".slice/cri-containerd-" A
		  ".scope", .pod_uid = STATIC_UID, .qos = "burstable",
		  .pod_own = BURST "/kubepods-burstable-pod" STATIC_UID ".slice",
		  .unit = "cri-containerd-" A ".scope",
		  .slice = "kubepods-burstable-pod" STATIC_UID ".slice" },
		/* containerd with the cgroupfs driver, the kubelet with systemd's */
		{ "/system.slice/containerd.service/kubepods-burstable-pod" UID_
		  ".slice:cri-containerd:" A, "containerd", A,
		  .own = "/system.slice/containerd.service/kubepods-burstable-pod" UID_
		  ".slice:cri-containerd:" A, .pod_uid = UID, .qos = "burstable",
		  .pod_own = "/system.slice/containerd.service/kubepods-burstable-pod" UID_
		  ".slice:cri-containerd:" A, .unit = "containerd.service",
		  .slice = "system.slice", .nested = true },
		/* kubelet --cgroup-root, as kind has it, in a container that is a node */
		{ KINDPODS "/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" UID_
		  ".slice/cri-containerd-" B ".scope", "containerd", B,
		  .own = KINDPODS "/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod"
		  UID_ ".slice/cri-containerd-" B ".scope", .pod_uid = UID, .qos = "burstable",
		  .pod_own = KINDPODS "/kubelet-kubepods-burstable.slice/"
		  "kubelet-kubepods-burstable-pod" UID_ ".slice",
		  .unit = "cri-containerd-" B ".scope",
		  .slice = "kubelet-kubepods-burstable-pod" UID_ ".slice", .nested = true,
		  .unit_nested = true },
		{ KINDPODS "/kubelet-kubepods-pod" UID_ ".slice", "docker", A, .own = KIND,
		  .pod_uid = UID, .qos = "guaranteed",
		  .pod_own = KINDPODS "/kubelet-kubepods-pod" UID_ ".slice",
		  .unit = "docker-" A ".scope", .slice = "kubelet-kubepods-pod" UID_ ".slice",
		  .nested = true, .unit_nested = true },
		/* a node in a pod: the inner pod's class, not the outer's */
		{ BURST "/kubepods-burstable-pod" STATIC_UID ".slice/cri-containerd-" A ".scope"
		  "/kubepods.slice/kubepods-pod" UID_ ".slice", "containerd", A,
		  .own = BURST "/kubepods-burstable-pod" STATIC_UID ".slice/cri-containerd-" A
		  ".scope", .pod_uid = UID, .qos = "guaranteed",
		  .pod_own = BURST "/kubepods-burstable-pod" STATIC_UID ".slice/cri-containerd-" A
		  ".scope/kubepods.slice/kubepods-pod" UID_ ".slice",
		  .unit = "cri-containerd-" A ".scope", .slice = "kubepods-pod" UID_ ".slice",
		  .nested = true, .unit_nested = true },
		/* not Kubernetes' */
		{ "/notkubepods.slice/x", .slice = "notkubepods.slice" },
		{ "/notkubepods-pod1.slice", .slice = "notkubepods-pod1.slice" },
		{ "/kubepodsx.slice/x", .slice = "kubepodsx.slice" },
		{ "/kubepods-.slice", .slice = "kubepods-.slice" },
		{ "/kubepods-pod.slice", .slice = "kubepods-pod.slice" },
		{ "/kubepods-other-pod1.slice", .slice = "kubepods-other-pod1.slice" },
	};

	(void)state;
	check(row, ARRAY_SIZE(row));
}

static void kubernetes_cgroupfs(void **state)
{
	static const struct row row[] = {
		{ .cgroup = "/kubepods" },
		{ "/kubepods/burstable", .qos = "burstable" },
		{ "/kubepods/besteffort/pod" UID, .qos = "besteffort", .pod_uid = UID,
		  .pod_own = "/kubepods/besteffort/pod" UID },
		{ "/kubepods/pod" UID "/" A, NULL, A, .own = "/kubepods/pod" UID "/" A,
		  .qos = "guaranteed", .pod_uid = UID, .pod_own = "/kubepods/pod" UID },
		{ "/kubepods/burstable/pod" UID "/crio-" A, "cri-o", A,
		  .own = "/kubepods/burstable/pod" UID "/crio-" A, .qos = "burstable",
		  .pod_uid = UID, .pod_own = "/kubepods/burstable/pod" UID },
		{ "/kubepods/burstable/pod" UID "/crio-conmon-" A, .qos = "burstable",
		  .pod_uid = UID, .pod_own = "/kubepods/burstable/pod" UID },
		{ "/kubepods/burstable/pod" STATIC_UID "/" A, NULL, A,
		  .own = "/kubepods/burstable/pod" STATIC_UID "/" A, .qos = "burstable",
		  .pod_uid = STATIC_UID, .pod_own = "/kubepods/burstable/pod" STATIC_UID },
		/* --cgroup-root */
		{ "/kubelet/kubepods/pod" UID, .qos = "guaranteed", .pod_uid = UID,
		  .pod_own = "/kubelet/kubepods/pod" UID },
		/* Docker in a pod: its container, the pod it is in */
		{ "/kubepods/burstable/pod" UID "/" A "/docker/" B, "docker", B,
		  .own = "/kubepods/burstable/pod" UID "/" A "/docker/" B, .qos = "burstable",
		  .pod_uid = UID, .pod_own = "/kubepods/burstable/pod" UID, .nested = true },
		/* what a container calls its own cgroups does not make another pod */
		{ "/kubepods/burstable/pod" UID "/" A "/podcast", NULL, A,
		  .own = "/kubepods/burstable/pod" UID "/" A, .qos = "burstable",
		  .pod_uid = UID, .pod_own = "/kubepods/burstable/pod" UID },
		{ .cgroup = "/kubepods/pod" },
		{ .cgroup = "/podcast/x" },
		{ .cgroup = "/burstable/pod" UID },
	};

	(void)state;
	check(row, ARRAY_SIZE(row));
}

static void system_containers(void **state)
{
	static const struct row row[] = {
		{ "/lxc.payload.web", "lxc", "web", "web", .own = "/lxc.payload.web" },
		{ "/lxc.payload.default_web-2/system.slice/ssh.service", "lxc", "default_web-2",
		  "default_web-2", "/lxc.payload.default_web-2", .unit = "ssh.service",
		  .slice = "system.slice", .unit_nested = true },
		{ "/lxc.payload/web/init.scope", "lxc", "web", "web", "/lxc.payload/web",
		  .unit = "init.scope", .unit_nested = true },
		{ "/lxc/101/ns/init.scope", "lxc", "101", "101", "/lxc/101", .unit = "init.scope",
		  .unit_nested = true },
		/* Docker in LXC */
		{ "/lxc.payload.web/system.slice/docker-" A ".scope", "docker", A,
		  .own = "/lxc.payload.web/system.slice/docker-" A ".scope",
		  .unit = "docker-" A ".scope", .slice = "system.slice", .nested = true,
		  .unit_nested = true },
		/* LXC in Docker: the outer one's name does not stick */
		{ "/docker/" A "/lxc.payload.in", "lxc", "in", "in",
		  "/docker/" A "/lxc.payload.in", .nested = true },
		{ "/lxc.payload.out/docker/" A, "docker", A, .own = "/lxc.payload.out/docker/" A,
		  .nested = true },
		{ "/machine.slice/systemd-nspawn@build.service/payload/init.scope", "nspawn",
		  "build", "build", "/machine.slice/systemd-nspawn@build.service",
		  .unit = "init.scope", .slice = "machine.slice", .unit_nested = true },
		{ "/machine.slice/systemd-nspawn@my\\x2dbox.service/supervisor", "nspawn",
		  "my-box", "my-box", "/machine.slice/systemd-nspawn@my\\x2dbox.service",
		  .unit = "systemd-nspawn@my\\x2dbox.service", .slice = "machine.slice" },
		{ "/machine.slice/machine-my\\x2dbox.scope/payload", "nspawn", "my-box", "my-box",
		  "/machine.slice/machine-my\\x2dbox.scope",
		  .unit = "machine-my\\x2dbox.scope", .slice = "machine.slice" },
		{ "/machine.slice/machine-lxc\\x2d712\\x2dweb.scope", "libvirt-lxc", "web", "web",
		  "/machine.slice/machine-lxc\\x2d712\\x2dweb.scope",
		  .unit = "machine-lxc\\x2d712\\x2dweb.scope", .slice = "machine.slice" },
		/* containers that are only called like a virtual machine */
		{ "/machine.slice/machine-qemu\\x2dx.scope", "nspawn", "qemu-x", "qemu-x",
		  "/machine.slice/machine-qemu\\x2dx.scope",
		  .unit = "machine-qemu\\x2dx.scope", .slice = "machine.slice" },
		{ "/machine.slice/machine-qemu\\x2d3\\x2d.scope", "nspawn", "qemu-3-", "qemu-3-",
		  "/machine.slice/machine-qemu\\x2d3\\x2d.scope",
		  .unit = "machine-qemu\\x2d3\\x2d.scope", .slice = "machine.slice" },
		/* not an escape */
		{ "/machine.slice/machine-a\\x0\\x00\\y\\x2.scope", "nspawn",
		  "a\\x0\\x00\\y\\x2", "a\\x0\\x00\\y\\x2",
		  "/machine.slice/machine-a\\x0\\x00\\y\\x2.scope",
		  .unit = "machine-a\\x0\\x00\\y\\x2.scope", .slice = "machine.slice" },
		/* such a scope anywhere else is just one */
		{ "/system.slice/machine-box.scope", .unit = "machine-box.scope",
		  .slice = "system.slice" },
	};

	(void)state;
	check(row, ARRAY_SIZE(row));
}

/* Whatever a tenant calls a cgroup: an answer, and all of it freed. */
static void garbage(void **state)
{
	static const char *const piece[] = {
		"/", "kubepods", ".slice", ".scope", "-", "pod", "docker", A, ":", "\\x2d", "\\x",
		"lxc.payload.", "machine.slice/machine-", "systemd-nspawn@", ".service", "crun-",
		"burstable", "libpod_pod_", "_", "\xff\xfe", "qemu-1-", "",
	};
	unsigned int seed = 1;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		char path[1024] = "";
		struct ox_identity id;
		size_t used = 0;

		for (int n = rand_r(&seed) % 12; n; n--) {
			const char *p = piece[rand_r(&seed) % ARRAY_SIZE(piece)];

			memcpy(path + used, p, strlen(p) + 1);
			used += strlen(p);
		}
		assert_int_equal(ox_identity_from_path(path, &id), 0);
		assert_true(id.container_len <= used && id.pod_len <= used);
		assert_true(!id.container_id == !id.container_len);
		assert_true(!id.container_id || *id.container_id);
		ox_identity_done(&id);
	}
}

static void labels(void **state)
{
	struct ox_label l[] = { { "a", "1" }, { "b", "" }, { "a", "2" } };
	struct ox_identity id = { .labels = l, .n_labels = ARRAY_SIZE(l) };

	(void)state;
	assert_string_equal(ox_identity_label(&id, "a"), "1");
	assert_string_equal(ox_identity_label(&id, "b"), "");
	assert_null(ox_identity_label(&id, "c"));
	assert_null(ox_identity_label(&id, ""));
}

static void priorities(void **state)
{
	static const struct {
		const char *label;
		__s32 lowest, highest, priority;
		int err;
	} row[] = {
		{ "5", -100, 100, 5, 0 },	  { "-1000", -1000, 1000, -1000, 0 },
		{ "100", -100, 100, 100, 0 },	  { "101", -100, 100, 100, 0 },
		{ "1000", -1000, -10, -10, 0 },	  { "-11", -1000, -10, -11, 0 },
		{ "-101", -100, 100, -100, 0 },	  { "7", 3, 3, 3, 0 },
		{ "1001", -1000, 1000, 42, -EINVAL }, { "-1001", -1000, 1000, 42, -EINVAL },
		{ "", -100, 100, 42, -EINVAL },	  { "x", -100, 100, 42, -EINVAL },
		{ "5 ", -100, 100, 42, -EINVAL }, { "5\n", -100, 100, 42, -EINVAL },
		{ "99999999999", -100, 100, 42, -EINVAL }, { "0x5", -100, 100, 42, -EINVAL },
		{ NULL, -100, 100, 42, -ENODATA },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		char key[] = OX_LABEL_PRIORITY;
		struct ox_label l = { key, (char *)row[i].label };
		struct ox_identity id = { .labels = &l, .n_labels = row[i].label ? 1 : 0 };
		__s32 got = 42;

		if (ox_identity_priority(&id, row[i].lowest, row[i].highest, &got) != row[i].err ||
		    got != row[i].priority)
			fail_msg("row %zu: %d", i, got);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_containers),
		cmocka_unit_test(docker),
		cmocka_unit_test(podman),
		cmocka_unit_test(oci_runtimes),
		cmocka_unit_test(kubernetes_systemd),
		cmocka_unit_test(kubernetes_cgroupfs),
		cmocka_unit_test(system_containers),
		cmocka_unit_test(garbage),
		cmocka_unit_test(labels),
		cmocka_unit_test(priorities),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
