/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What container runtimes keep on disk, in formats that are theirs and not promised to anybody:
 * whatever is missing or different is left unknown. Where nothing is found, sockets are asked.
 *
 *   OCI bundle	config.json: annotations, linux.cgroupsPath (runtime-spec)
 *   containerd	/run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json
 *   Docker	DATA-ROOT/containers/ID/config.v2.json (moby container/container.go)
 *   Podman,	STORAGE/DRIVER-containers/ID/userdata/config.json, and in containers.json beside the
 *   CRI-O	directories names and images (containers/storage)
 *   crun	/run/crun/ID/status (crun src/libcrun/status.c)
 *   runc	/run/runc/ID/state.json (libcontainer/container_linux.go)
 *   nspawn	/run/systemd/machines/NAME (sd-login.h: "do not parse"; read for its kind only)
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "cleanup.h"
#include "identity.h"
#include "identity_oci.h"
#include "identity_socket.h"
#include "statefile.h"

#define CONFIG_MAX ((size_t)4 << 20) /* of one container */
#define STORAGE_MAX ((size_t)32 << 20) /* of all of a machine */
#define MACHINE_MAX ((size_t)64 << 10)

struct look {
	int root;
	struct ox_identity *id;
};

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

__attribute__((format(printf, 2, 3))) static bool path_of(char buf[PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, PATH_MAX, fmt, ap);
	va_end(ap);
	return n >= 0 && n < PATH_MAX;
}

/* Ids become names of files; they come from the names of cgroups, which anybody may have made. */
static bool is_file_name(const char *s)
{
	return *s && *s != '.' && !strchr(s, '/');
}

static int load(const struct look *l, size_t max, json_t **ret, const char *path)
{
	int err = ox_statefile_json(l->root, path, max, ret);

	/* what cannot be read is as good as not there; the next source may be better */
	return err == -ENOMEM || !err ? err : -ENOENT;
}

/* ---- sources. 0: found; -ENOENT: ask the next; -ESTALE: not its cgroup; -ENOMEM -------------- */

static int read_bundle(const struct look *l, const char *path, bool confirmed)
{
	_cleanup_json_ json_t *spec = NULL;
	int err = load(l, CONFIG_MAX, &spec, path);

	return err ?: ox_identity_add_spec(l->id, spec, confirmed);
}

/* The names that containers/storage has for all of its containers, in one file. */
static int read_storage_names(const struct look *l, const char *dir, const char *file)
{
	_cleanup_json_ json_t *all = NULL, *more = NULL;
	char path[PATH_MAX];
	json_t *one;
	size_t i;
	int err;

	if (!path_of(path, "%s/%s", dir, file))
		return -ENOENT;
	err = load(l, STORAGE_MAX, &all, path);
	if (err)
		return err;
	json_array_foreach(all, i, one) {
		const char *id = json_string_value(json_object_get(one, "id"));
		const char *text = json_string_value(json_object_get(one, "metadata"));

		if (!id || strcmp(id, l->id->container_id))
			continue;
		err = ox_identity_put(&l->id->name, json_array_get(json_object_get(one, "names"), 0));
		if (!err && text) {
			more = json_loads(text, 0, NULL);
			err = ox_identity_put(&l->id->image, json_object_get(more, "image-name"));
		}
		return err;
	}
	return -ENOENT;
}

static int read_storage_dir(const struct look *l, const char *dir)
{
	char path[PATH_MAX];
	int err;

	if (!path_of(path, "%s/%s/userdata/config.json", dir, l->id->container_id))
		return -ENOENT;
	err = read_bundle(l, path, /* confirmed= */ false);
	if (err)
		return err;
	err = read_storage_names(l, dir, "containers.json");
	if (err == -ENOENT) /* podman run --rm, since containers/storage 1.42 */
		err = read_storage_names(l, dir, "volatile-containers.json");
	return err == -ENOMEM ? err : 0;
}

static int read_storage(const struct look *l)
{
	/* where Podman has its bundles, and where CRI-O has them */
	static const char *const dirs[] = { "/var/lib/containers/storage", "/run/containers/storage" };
	static const char *const drivers[] = { "overlay", "vfs", "btrfs", "zfs" };
	char path[PATH_MAX];
	int err = -ENOENT;

	for (size_t i = 0; i < 2 && err == -ENOENT; i++)
		for (size_t j = 0; j < 4 && err == -ENOENT; j++)
			if (path_of(path, "%s/%s-containers", dirs[i], drivers[j]))
				err = read_storage_dir(l, path);
	return err;
}

static int read_task(const struct look *l, const char *ns)
{
	char path[PATH_MAX];

	if (!path_of(path, "/run/containerd/io.containerd.runtime.v2.task/%s/%s/config.json", ns,
		     l->id->container_id))
		return -ENOENT;
	return read_bundle(l, path, /* confirmed= */ false);
}

static int read_containerd(const struct look *l)
{
	int err = read_task(l, "k8s.io");

	return err == -ENOENT ? read_task(l, "default") : err;
}

static int read_docker(const struct look *l)
{
	_cleanup_json_ json_t *config = NULL, *daemon = NULL;
	const char *data = "/var/lib/docker";
	char path[PATH_MAX];
	int err = load(l, CONFIG_MAX, &daemon, "/etc/docker/daemon.json");

	if (err == -ENOMEM)
		return err;
	if (json_is_string(json_object_get(daemon, "data-root")))
		data = json_string_value(json_object_get(daemon, "data-root"));
	if (!path_of(path, "%s/containers/%s/config.v2.json", data, l->id->container_id))
		return -ENOENT;
	err = load(l, CONFIG_MAX, &config, path);
	if (err)
		return err;
	/* Docker does not say where its cgroup is; containerd, which runs it, does */
	err = read_task(l, "moby");
	if (err == -ENOENT && l->id->nested)
		return err;
	return err && err != -ENOENT ? err : ox_identity_add_docker(l->id, config);
}

static int read_crun(const struct look *l)
{
	_cleanup_json_ json_t *status = NULL;
	char path[PATH_MAX];
	const char *bundle;
	int err;

	if (!path_of(path, "/run/crun/%s/status", l->id->container_id))
		return -ENOENT;
	err = load(l, CONFIG_MAX, &status, path);
	if (!err)
		err = ox_identity_confirm(l->id, json_string_value(json_object_get(status,
										   "cgroup-path")));
	if (err)
		return err;
	bundle = json_string_value(json_object_get(status, "bundle"));
	if (bundle && path_of(path, "%s/config.json", bundle))
		err = read_bundle(l, path, /* confirmed= */ true);
	return err == -ENOENT ? 0 : err;
}

/* runc keeps the bundle as "bundle=PATH" among the labels, which are annotations otherwise. */
static int read_runc(const struct look *l)
{
	static const char mount[] = "/sys/fs/cgroup";
	_cleanup_json_ json_t *state = NULL;
	const char *cgroup, *label;
	char path[PATH_MAX];
	json_t *labels, *one;
	size_t i;
	int err;

	if (!path_of(path, "/run/runc/%s/state.json", l->id->container_id))
		return -ENOENT;
	err = load(l, CONFIG_MAX, &state, path);
	if (err)
		return err;
	cgroup = json_string_value(json_object_get(json_object_get(state, "cgroup_paths"), ""));
	if (cgroup && !strncmp(cgroup, mount, strlen(mount)))
		cgroup += strlen(mount);
	err = ox_identity_confirm(l->id, cgroup);
	if (err)
		return err;
	labels = json_object_get(json_object_get(state, "config"), "labels");
	json_array_foreach(labels, i, one) {
		label = json_string_value(one);
		if (!label || strncmp(label, "bundle=", 7) ||
		    !path_of(path, "%s/config.json", label + 7))
			continue;
		err = read_bundle(l, path, /* confirmed= */ true);
		break;
	}
	return err == -ENOENT ? 0 : err;
}

static int read_lxc(const struct look *l)
{
	static const char *const kinds[][2] = {
		{ "incus", "/var/lib/incus/containers" },
		{ "lxd", "/var/snap/lxd/common/lxd/containers" },
		{ "lxd", "/var/lib/lxd/containers" },
		{ "lxc", "/var/lib/lxc" },
	};
	struct ox_identity *id = l->id;
	char path[PATH_MAX];
	const char *in_project;
	char *name;

	if (id->nested)
		return -ENOENT; /* nothing there says where its cgroup is */
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!path_of(path, "%s/%s", kinds[i][1], id->container_id) ||
		    !ox_statefile_exists(l->root, path))
			continue;
		/* PROJECT_NAME, and no name has a '_' */
		in_project = strrchr(id->container_id, '_');
		name = strdup(in_project && i < 3 ? in_project + 1 : id->container_id);
		if (!name)
			return -ENOMEM;
		free(id->name);
		id->name = name;
		name = strdup(kinds[i][0]);
		if (!name)
			return -ENOMEM;
		free(id->runtime);
		id->runtime = name;
		return 0;
	}
	return -ENOENT;
}

static int read_nspawn(const struct look *l)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], *save = NULL;
	const char *kind = NULL;
	size_t size;
	int err;

	if (l->id->nested || !path_of(path, "/run/systemd/machines/%s", l->id->container_id))
		return -ENOENT;
	err = ox_statefile_read(l->root, path, MACHINE_MAX, &text, &size);
	if (err)
		return err == -ENOMEM ? err : -ENOENT;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, "CLASS=", 6))
			kind = line + 6;
	if (!kind || !strcmp(kind, "container"))
		return 0;
	ox_identity_no_container(l->id); /* a virtual machine, which looks the same from outside */
	return -ENODATA;
}

static int ask_docker(const struct look *l)
{
	return ox_identity_ask_socket(l->root, "/run/docker.sock", l->id);
}

static int ask_podman(const struct look *l)
{
	return ox_identity_ask_socket(l->root, "/run/podman/podman.sock", l->id);
}

/* ---- which to ask ---------------------------------------------------------------------------- */

static const struct source {
	const char *runtime;
	int (*read)(const struct look *l);
} sources[] = {
	{ "podman", read_storage },
	{ "cri-o", read_storage },
	{ "docker", read_docker },
	{ "containerd", read_containerd },
	{ "crun", read_crun },
	{ "runc", read_runc },
	{ "docker", ask_docker }, /* last: they may have to be started to answer */
	{ "podman", ask_podman },
	{ "lxc", read_lxc },
	{ "nspawn", read_nspawn },
};

#define N_SOURCES (sizeof(sources) / sizeof(sources[0]))
#define N_OF_ANYBODY 8 /* those whose ids look all the same */

static int ask(const struct look *l)
{
	struct ox_identity *id = l->id;
	int err = -ENOENT;

	if (!is_file_name(id->container_id))
		return -ENOENT;
	for (size_t i = 0; i < N_SOURCES && err == -ENOENT; i++) {
		if (id->runtime ? strcmp(id->runtime, sources[i].runtime) : i >= N_OF_ANYBODY)
			continue;
		err = sources[i].read(l);
		if (err || id->runtime)
			continue;
		/* containers/storage is Podman's and CRI-O's, and looks the same */
		id->runtime = strdup(sources[i].read != read_storage ? sources[i].runtime :
				     ox_identity_label(id, "io.kubernetes.cri-o.ContainerType") ?
								       "cri-o" :
								       "podman");
		if (!id->runtime)
			return -ENOMEM;
	}
	return err;
}

/*
 * Without a word about its cgroup, crun and runc give a container one called like it. Asks both
 * for each part of the path, from its end.
 */
static int ask_for_unmarked(const struct look *l)
{
	static const char *const runtimes[] = { "crun", "runc" };
	const char *cgroup = l->id->cgroup;
	size_t end = strlen(cgroup);
	int err = -ENODATA;

	while (end && err == -ENODATA) {
		size_t at = end;

		while (at && cgroup[at - 1] != '/')
			at--;
		for (size_t i = 0; i < 2 && err == -ENODATA && at < end; i++) {
			err = ox_identity_assume(l->id, runtimes[i], at, end);
			if (!err)
				err = ask(l);
			if (err != -ENOENT && err != -ESTALE)
				continue;
			ox_identity_no_container(l->id);
			err = -ENODATA;
		}
		end = at ? at - 1 : 0;
	}
	return err;
}

int ox_identity_resolve_at(const char *root, struct ox_identity *id)
{
	_cleanup_close_ int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct look l = { fd, id };
	int err;

	if (fd < 0)
		return -errno;
	err = id->container_id ? ask(&l) : ask_for_unmarked(&l);
	return err == -ESTALE ? -ENOENT : err;
}

int ox_identity_resolve(struct ox_identity *id)
{
	return ox_identity_resolve_at("/", id);
}
