/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the runtimes say of a container: their files below a directory, right, wrong and hostile. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "cleanup.h"
#include "identity.h"
#include "tree.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define A16 "0123456789abcdef"
#define A A16 A16 A16 A16
#define UID "7d5b0c6e-9f3a-4c1d-8e2f-0a1b2c3d4e5f"
#define UID_ "7d5b0c6e_9f3a_4c1d_8e2f_0a1b2c3d4e5f"

#define TASK(ns) "/run/containerd/io.containerd.runtime.v2.task/" ns "/" A "/config.json"
#define DOCKER "/var/lib/docker/containers/" A "/config.v2.json"
#define STORAGE "/var/lib/containers/storage/overlay-containers"
#define BUNDLE STORAGE "/" A "/userdata/config.json"
#define CRIO_BUNDLE "/run/containers/storage/overlay-containers/" A "/userdata/config.json"
#define SCOPE(prefix) "/system.slice/" prefix "-" A ".scope"

static int setup(void **state)
{
	(void)state;
	return tree_make();
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove();
}

static int resolve(const char *cgroup, struct ox_identity *ret)
{
	assert_int_equal(ox_identity_from_path(cgroup, ret), 0);
	return ox_identity_resolve_at(root, ret);
}

static void same(const char *got, const char *want)
{
	if (!want)
		assert_null(got);
	else if (!got || strcmp(got, want))
		fail_msg("'%s', not '%s'", got ? got : "(null)", want);
}

/* Nothing is known but what the path tells. */
static void fails(const char *cgroup, int want)
{
	struct ox_identity id;
	int err = resolve(cgroup, &id);

	if (err != want)
		fail_msg("%s: %d, not %d", cgroup, err, want);
	same(id.image, NULL);
	same(id.pod, NULL);
	assert_int_equal(id.n_labels, 0);
	ox_identity_done(&id);
}

#define DOCKER_CONFIG                                                                              \
	"{\"ID\":\"" A "\",\"Name\":\"/db\",\"State\":{\"Pid\":1},\"Config\":{\"Image\":"          \
	"\"postgres:16\",\"Labels\":{\"oomx.priority\":\"5\",\"io.kubernetes.pod.name\":\"me\"}}}"

static void docker(void **state)
{
	struct ox_identity id;

	(void)state;
	fails(SCOPE("docker"), -ENOENT);
	put(DOCKER, DOCKER_CONFIG);
	assert_int_equal(resolve(SCOPE("docker"), &id), 0);
	same(id.name, "db");
	same(id.image, "postgres:16");
	same(ox_identity_label(&id, "oomx.priority"), "5");
	same(id.pod, NULL); /* everybody can call himself so */
	same(id.runtime, "docker");
	ox_identity_done(&id);

	/* a pod's */
	assert_int_equal(resolve("/kubepods/pod" UID "/" A, &id), 0);
	same(id.runtime, "docker");
	same(id.pod, "me");
	ox_identity_done(&id);

	/* what a tenant calls it does not count, unless containerd says so, too */
	fails("/user.slice/user-1.slice/user@1.service/docker-" A ".scope", -ENOENT);
	put(TASK("moby"), "{\"linux\":{\"cgroupsPath\":\"x.slice:docker:" A "\"}}");
	fails("/user.slice/user-1.slice/user@1.service/docker-" A ".scope", -ENOENT);
	fails(SCOPE("docker"), -ENOENT);
	assert_int_equal(resolve("/x.slice/docker-" A ".scope/init.scope", &id), 0);
	same(id.name, "db");
	assert_false(id.nested);
	ox_identity_done(&id);
	/* a container that is a node: the pod is what it says it is */
	assert_int_equal(resolve("/x.slice/docker-" A ".scope/kubepods/pod" UID, &id), 0);
	same(id.name, "db");
	same(id.pod_uid, UID);
	same(id.pod, NULL);
	assert_true(id.nested);
	ox_identity_done(&id);
	put(TASK("moby"), "{}");
	fails("/user.slice/user-1.slice/user@1.service/docker-" A ".scope", -ENOENT);
}

static void docker_elsewhere(void **state)
{
	struct ox_identity id;

	(void)state;
	put("/etc/docker/daemon.json", "{\"data-root\":\"/data/docker\"}");
	put(DOCKER, "{\"Name\":\"/old\"}");
	put("/data/docker/containers/" A "/config.v2.json", DOCKER_CONFIG);
	assert_int_equal(resolve("/docker/" A, &id), 0);
	same(id.name, "db");
	ox_identity_done(&id);
	put("/etc/docker/daemon.json", "not json");
	assert_int_equal(resolve("/docker/" A, &id), 0);
	same(id.name, "old");
	ox_identity_done(&id);
}

#define NAMES(name)                                                                                \
	"[{\"id\":\"0\",\"names\":[\"other\"]},7,{\"id\":\"" A "\",\"names\":[\"" name "\"],"      \
	"\"metadata\":\"{\\\"image-name\\\":\\\"localhost/bb:1\\\",\\\"name\\\":\\\"x\\\"}\"}]"

static void podman(void **state)
{
	struct ox_identity id;

	(void)state;
	put(BUNDLE, "{\"annotations\":{\"oomx.priority\":\"-7\",\"n\":1},\"linux\":{"
		    "\"cgroupsPath\":\"machine.slice:libpod:" A "\"}}");
	assert_int_equal(resolve("/machine.slice/libpod-" A ".scope/container", &id), 0);
	same(id.name, NULL);
	ox_identity_done(&id);
	put(STORAGE "/volatile-containers.json", NAMES("short"));
	assert_int_equal(resolve("/machine.slice/libpod-" A ".scope/container", &id), 0);
	same(id.name, "short");
	ox_identity_done(&id);
	put(STORAGE "/containers.json", NAMES("web"));
	assert_int_equal(resolve("/machine.slice/libpod-" A ".scope/container", &id), 0);
	same(id.name, "web");
	same(id.image, "localhost/bb:1");
	same(ox_identity_label(&id, "oomx.priority"), "-7");
	same(ox_identity_label(&id, "n"), NULL);
	ox_identity_done(&id);
	fails("/user.slice/libpod-" A ".scope", -ENOENT);

	/* Quadlet: below a service, but where Podman says that it is */
	put(BUNDLE, "{\"linux\":{\"cgroupsPath\":\"/system.slice/w.service/libpod-payload-" A
		    "\"}}");
	assert_int_equal(resolve("/system.slice/w.service/libpod-payload-" A, &id), 0);
	assert_false(id.nested);
	same(id.name, "web");
	ox_identity_done(&id);
	fails("/system.slice/x.service/libpod-payload-" A, -ENOENT);
}

static void crio(void **state)
{
	static const char cgroup[] = "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" A ".scope";
	struct ox_identity id;

	(void)state;
	put(CRIO_BUNDLE,
	    "{\"annotations\":{\"io.kubernetes.pod.name\":\"api-0\",\"io.kubernetes.pod.namespace\":"
	    "\"shop\",\"io.kubernetes.container.name\":\"main\",\"io.kubernetes.cri-o.ImageName\":"
	    "\"quay.io/api:2\",\"io.kubernetes.cri-o.Name\":\"k8s_main_api-0\","
	    "\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.cri-o.Labels\":"
	    "\"{\\\"app\\\":\\\"api\\\"}\",\"io.kubernetes.cri-o.Annotations\":"
	    "\"{\\\"oomx.priority\\\":\\\"-50\\\"}\"},\"linux\":{\"cgroupsPath\":\"kubepods-pod" UID_
	    ".slice:crio:" A "\"}}");
	assert_int_equal(resolve(cgroup, &id), 0);
	same(id.pod, "api-0");
	same(id.ns, "shop");
	same(id.k8s_container, "main");
	same(id.image, "quay.io/api:2");
	same(id.name, "k8s_main_api-0");
	same(id.pod_uid, UID);
	same(ox_identity_label(&id, "app"), "api");
	same(ox_identity_label(&id, "oomx.priority"), "-50");
	ox_identity_done(&id);
	/* whoever's it is by its path: its state tells */
	put(CRIO_BUNDLE, "{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"container\"}}");
	assert_int_equal(resolve("/kubepods/pod" UID "/" A, &id), 0);
	same(id.runtime, "cri-o");
	ox_identity_done(&id);
}

static void containerd(void **state)
{
	static const char cgroup[] = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
				     UID_ ".slice/cri-containerd-" A ".scope";
	struct ox_identity id;

	(void)state;
	put(TASK("k8s.io"),
	    "{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"api-0\","
	    "\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.container-name\":"
	    "\"main\",\"io.kubernetes.cri.image-name\":\"docker.io/api:2\"},\"linux\":{"
	    "\"cgroupsPath\":\"kubepods-burstable-pod" UID_ ".slice:cri-containerd:" A "\"}}");
	assert_int_equal(resolve(cgroup, &id), 0);
	same(id.pod, "api-0");
	same(id.ns, "shop");
	same(id.k8s_container, "main");
	same(id.name, "main");
	same(id.image, "docker.io/api:2");
	ox_identity_done(&id);
	/* the drivers mixed up: literally so, below the daemon's own */
	assert_int_equal(resolve("/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" A, &id), 0);
	same(id.pod, "api-0");
	ox_identity_done(&id);
	/* which anybody could have made who has a cgroup */
	fails("/user.slice/u.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" A, -ENOENT);
	fails("/user.slice/u.service/cri-containerd-" A ".scope", -ENOENT);

	/* nerdctl */
	put(TASK("default"), "{\"annotations\":{\"nerdctl/name\":\"n1\"},\"linux\":{\"cgroupsPath\":"
			     "\"/default/" A "\"}}");
	assert_int_equal(unlink(place(TASK("k8s.io"))), 0);
	assert_int_equal(resolve("/default/" A "/x/y", &id), 0);
	same(id.name, "n1");
	same(id.runtime, "containerd");
	ox_identity_done(&id);
}

static void crun(void **state)
{
	struct ox_identity id;

	(void)state;
	put("/run/crun/web/status", "{\"pid\":9,\"cgroup-path\":\"/web\",\"bundle\":\"/b\"}");
	assert_int_equal(resolve("/web", &id), 0);
	same(id.runtime, "crun");
	same(id.container_id, "web");
	same(id.name, "web");
	assert_int_equal(id.container_len, 4);
	ox_identity_done(&id);
	put("/b/config.json", "{\"annotations\":{\"a\":\"b\"},\"linux\":{\"cgroupsPath\":\"no\"}}");
	assert_int_equal(resolve("/web/system.slice/ssh.service", &id), 0);
	same(id.name, "web");
	same(ox_identity_label(&id, "a"), "b");
	assert_true(id.unit_nested);
	assert_int_equal(id.container_len, 4);
	ox_identity_done(&id);
	/* another that only ends so */
	fails("/x/web", -ENODATA);
	fails("/webb", -ENODATA);
	put("/run/crun/db/status", "{\"cgroup-path\":\"/system.slice/crun-db.scope\"}");
	assert_int_equal(resolve("/system.slice/crun-db.scope", &id), 0);
	same(id.name, "db");
	ox_identity_done(&id);
	fails("/user.slice/u.service/crun-db.scope", -ENOENT);
}

static void runc(void **state)
{
	struct ox_identity id;

	(void)state;
	put("/run/runc/web/state.json",
	    "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/x/web\"},\"config\":{\"labels\":[1,\"k=v\","
	    "\"bundle=/b\"]}}");
	put("/b/config.json", "{\"annotations\":{\"a\":\"b\"}}");
	assert_int_equal(resolve("/x/web", &id), 0);
	same(id.runtime, "runc");
	same(id.container_id, "web");
	same(ox_identity_label(&id, "a"), "b");
	ox_identity_done(&id);
	fails("/web", -ENODATA);
}

static void system_containers(void **state)
{
	struct ox_identity id;

	(void)state;
	fails("/lxc.payload.web", -ENOENT);
	put("/var/lib/lxc/web/config", "");
	put("/var/lib/incus/containers/shop_db/x", "");
	assert_int_equal(resolve("/lxc.payload.web", &id), 0);
	same(id.runtime, "lxc");
	ox_identity_done(&id);
	assert_int_equal(resolve("/lxc.payload.shop_db/init.scope", &id), 0);
	same(id.runtime, "incus");
	same(id.name, "db");
	same(id.container_id, "shop_db");
	ox_identity_done(&id);
	fails("/user.slice/u.service/lxc.payload.web", -ENOENT);

	fails("/machine.slice/machine-box.scope", -ENOENT);
	put("/run/systemd/machines/box", "# x\nNAME=box\nCLASS=container\n");
	put("/run/systemd/machines/vm", "NAME=vm\nCLASS=vm\n");
	assert_int_equal(resolve("/machine.slice/machine-box.scope", &id), 0);
	same(id.name, "box");
	ox_identity_done(&id);
	assert_int_equal(resolve("/machine.slice/machine-vm.scope", &id), -ENODATA);
	same(id.container_id, NULL);
	same(id.unit, "machine-vm.scope");
	ox_identity_done(&id);
}

static void not_containers(void **state)
{
	static const char *const cgroups[] = {
		"", "/", "/system.slice/ssh.service", "/..", "/../..", "/crun", "/.",
		"/user.slice/user-0.slice/session-1.scope",
	};

	(void)state;
	put("/run/crun/crunx", "");
	put("/run/status", "{\"cgroup-path\":\"/..\"}");
	for (size_t i = 0; i < ARRAY_SIZE(cgroups); i++)
		fails(cgroups[i], -ENODATA);
	/* an id that leads out of the directory of ids */
	fails("/x/crun-...scope", -ENOENT);
	fails("/lxc.payload...", -ENOENT);
	assert_int_equal(ox_identity_resolve_at("/nonexistent", &(struct ox_identity){}), -ENOENT);
}

/* Documents of any other shape: unknown, or as much as can be understood; never more. */
static void wrong_types(void **state)
{
	static const char *const docs[] = {
		"", " ", "null", "1", "\"x\"", "[]", "{}", "{", "[[[[", "{\"Config\":1}",
		"{\"Name\":[]}", "{\"Name\":1,\"Config\":[]}", "{\"Name\":\"\"}", "{\"Name\":\"/\"}",
		"{\"Config\":{\"Image\":{},\"Labels\":[1,2]}}", "{\"Config\":{\"Labels\":\"x\"}}",
		"{\"Config\":{\"Labels\":{\"a\":null,\"b\":{},\"c\":1}}}", "{\"annotations\":[]}",
		"{\"annotations\":{\"io.kubernetes.cri-o.Labels\":\"[\"}}", "{\"linux\":[]}",
		"{\"annotations\":{\"io.kubernetes.cri-o.Labels\":\"[1]\"}}", "[{\"id\":1}]",
		"{\"linux\":{\"cgroupsPath\":1}}", "{\"linux\":{\"cgroupsPath\":\"::\"}}",
		"{\"linux\":{\"cgroupsPath\":\".slice:a:b\"}}", "[{\"id\":\"" A "\"}]",
		"{\"linux\":{\"cgroupsPath\":\":::::\"}}", "[{\"id\":\"" A "\",\"names\":{}}]",
		"[{\"id\":\"" A "\",\"names\":[],\"metadata\":\"x\"}]", "{\"cgroup-path\":1}",
		"{\"linux\":{\"cgroupsPath\":\"--.slice:a:b\"}}", "{\"cgroup_paths\":[]}",
		"{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/" A "\"},\"config\":{\"labels\":{}}}",
		"{\"Name\":\"\xff\xfe\"}", "{\"Name\":\"a\\u0000b\"}", "{\"Name\":\"/a\"}}",
	};
	static const char *const files[] = {
		DOCKER, TASK("moby"), TASK("k8s.io"), BUNDLE, STORAGE "/containers.json",
		"/run/crun/" A "/status", "/run/runc/" A "/state.json", "/etc/docker/daemon.json",
	};
	static const char *const cgroups[] = {
		"/docker/" A, "/machine.slice/libpod-" A ".scope", SCOPE("crun"), SCOPE("runc"),
		SCOPE("x"), "/k8s.io/" A, "/u.service/docker/" A, "/" A,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(files); j++)
			put(files[j], docs[i]);
		for (size_t j = 0; j < ARRAY_SIZE(cgroups); j++) {
			struct ox_identity id;
			int err = resolve(cgroups[j], &id);

			assert_true(!err || err == -ENOENT);
			same(id.pod, NULL);
			assert_true(id.n_labels <= (strstr(docs[i], "cri-o.Labels") ? 1 : 0));
			ox_identity_done(&id);
		}
	}
}

static void long_texts(void **state)
{
	_cleanup_free_ char *text = malloc(6 << 20);
	struct ox_identity id;
	char *at = text;

	(void)state;
	assert_non_null(text);
	at += sprintf(at, "{\"Name\":\"/%0*d\",\"Config\":{\"Labels\":{\"k%0*d\":\"\",\"v\":\"%0*d\"",
		      2000, 1, 300, 2, 5000, 3);
	for (int i = 0; i < 1000; i++)
		at += sprintf(at, ",\"l%d\":\"%d\"", i, i);
	strcpy(at, "}}}");
	put(DOCKER, text);
	assert_int_equal(resolve("/docker/" A, &id), 0);
	same(id.name, NULL);
	assert_int_equal(id.n_labels, 256);
	same(id.labels[0].key, "l0");
	same(ox_identity_label(&id, "l255"), "255");
	ox_identity_done(&id);

	memset(text, ' ', 5 << 20); /* JSON, but for its length */
	strcpy(text + (5 << 20), "{\"Name\":\"/x\"}");
	put(DOCKER, text);
	fails("/docker/" A, -ENOENT);
	put(DOCKER, text + (2 << 20));
	assert_int_equal(resolve("/docker/" A, &id), 0);
	same(id.name, "x");
	ox_identity_done(&id);
	memset(text, '[', 1 << 20);
	text[1 << 20] = '\0';
	put(DOCKER, text);
	fails("/docker/" A, -ENOENT);
}

/* Only plain files of root's (or ours), and only below the directory. */
static void other_files(void **state)
{
	struct ox_identity id;
	const char *path;

	(void)state;
	put(DOCKER, DOCKER_CONFIG);
	path = place(DOCKER);
	assert_int_equal(chmod(path, 0666), 0);
	fails("/docker/" A, -ENOENT);
	assert_int_equal(chmod(path, 0600), 0);
	if (!geteuid()) {
		assert_int_equal(chown(path, 1234, 0), 0);
		fails("/docker/" A, -ENOENT);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	fails("/docker/" A, -ENOENT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	fails("/docker/" A, -ENOENT);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("config.v2.json", path), 0);
	fails("/docker/" A, -ENOENT);
	assert_int_equal(unlink(path), 0);
	/* absolute links mean the same as they mean to the runtime: below the directory */
	assert_int_equal(symlink("/elsewhere", path), 0);
	put("/elsewhere", DOCKER_CONFIG);
	assert_int_equal(resolve("/docker/" A, &id), 0);
	ox_identity_done(&id);
	assert_int_equal(unlink(place(DOCKER)), 0);
	assert_int_equal(symlink("/proc/self/environ", place(DOCKER)), 0);
	fails("/docker/" A, -ENOENT);
}

/* A good document with bytes changed: an answer, and nothing leaks. */
static void garbled(void **state)
{
	static const char good[] = "{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"api\","
				   "\"io.kubernetes.cri-o.Labels\":\"{\\\"a\\\":\\\"b\\\"}\"},"
				   "\"linux\":{\"cgroupsPath\":\"/k8s.io/" A "\"}}";
	static const char bytes[] = "{}[]\",:\\/ -\x80\xff";
	unsigned int seed = 1;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char text[sizeof(good)];
		struct ox_identity id;
		int err;

		memcpy(text, good, sizeof(good));
		for (int n = rand_r(&seed) % 4; n >= 0; n--)
			text[rand_r(&seed) % (sizeof(good) - 1)] =
				bytes[rand_r(&seed) % (sizeof(bytes) - 1)];
		put(TASK("k8s.io"), text);
		err = resolve("/k8s.io/" A, &id);
		assert_true(!err || err == -ENOENT);
		ox_identity_done(&id);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(docker, setup, teardown),
		cmocka_unit_test_setup_teardown(docker_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(podman, setup, teardown),
		cmocka_unit_test_setup_teardown(crio, setup, teardown),
		cmocka_unit_test_setup_teardown(containerd, setup, teardown),
		cmocka_unit_test_setup_teardown(crun, setup, teardown),
		cmocka_unit_test_setup_teardown(runc, setup, teardown),
		cmocka_unit_test_setup_teardown(system_containers, setup, teardown),
		cmocka_unit_test_setup_teardown(not_containers, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_types, setup, teardown),
		cmocka_unit_test_setup_teardown(long_texts, setup, teardown),
		cmocka_unit_test_setup_teardown(other_files, setup, teardown),
		cmocka_unit_test_setup_teardown(garbled, setup, teardown),
	};

	return cmocka_run_group_tests_name("identity_state", tests, NULL, NULL);
}
