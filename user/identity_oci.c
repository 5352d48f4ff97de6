/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "identity_oci.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Of one container. What is more, or longer, is left out: kept for every cgroup, it adds up. */
#define LABELS_MAX 256
#define KEY_MAX 256
#define VALUE_MAX 4096
#define NAME_LEN_MAX 1024

static int put_text(char **field, const char *s)
{
	if (*field || !s || !*s || strlen(s) > NAME_LEN_MAX)
		return 0;
	*field = strdup(s);
	return *field ? 0 : -ENOMEM;
}

int ox_identity_put(char **field, const json_t *value)
{
	return put_text(field, json_string_value(value));
}

/* ---- labels ---------------------------------------------------------------------------------- */

static int add_label(struct ox_identity *id, const char *key, const char *value)
{
	struct ox_label l, *more;

	if (id->n_labels == LABELS_MAX || strlen(key) > KEY_MAX || strlen(value) > VALUE_MAX ||
	    ox_identity_label(id, key))
		return 0;
	more = reallocarray(id->labels, id->n_labels + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	id->labels = more;
	l = (struct ox_label){ strdup(key), strdup(value) };
	if (!l.key || !l.value) {
		free(l.key);
		free(l.value);
		return -ENOMEM;
	}
	id->labels[id->n_labels++] = l;
	return 0;
}

static int add_labels(struct ox_identity *id, const json_t *labels)
{
	const char *key, *text;
	json_t *value;
	int err = 0;

	json_object_foreach((json_t *)labels, key, value) {
		text = json_string_value(value);
		if (text)
			err = add_label(id, key, text);
		if (err)
			return err;
	}
	return 0;
}

/* CRI-O keeps a container's labels, and its pod's annotations, as documents in annotations. */
static int add_nested_labels(struct ox_identity *id)
{
	static const char *const keys[] = { "io.kubernetes.cri-o.Labels",
					    "io.kubernetes.cri-o.Annotations" };
	int err = 0;

	for (size_t i = 0; i < 2 && !err; i++) {
		const char *text = ox_identity_label(id, keys[i]);
		json_t *labels = text ? json_loads(text, 0, NULL) : NULL;

		err = add_labels(id, labels);
		json_decref(labels);
	}
	return err;
}

/*
 * What Kubernetes' names are called. The plain ones are the kubelet's, which Docker and CRI-O pass
 * on; but anybody who runs or builds a container may label it so. Hence only of those in a pod.
 */
static int take_names(struct ox_identity *id)
{
	const struct {
		const char *label;
		char **field;
		bool plain;
	} names[] = {
		{ "io.kubernetes.pod.name", &id->pod, true },
		{ "io.kubernetes.pod.namespace", &id->ns, true },
		{ "io.kubernetes.container.name", &id->k8s_container, true },
		{ "io.kubernetes.cri.sandbox-name", &id->pod, false },
		{ "io.kubernetes.cri.sandbox-namespace", &id->ns, false },
		{ "io.kubernetes.cri.sandbox-uid", &id->pod_uid, false },
		{ "io.kubernetes.cri.container-name", &id->k8s_container, false },
		{ "io.kubernetes.cri.image-name", &id->image, false },
		{ "io.kubernetes.cri-o.Name", &id->name, false },
		{ "io.kubernetes.cri-o.ImageName", &id->image, false },
		{ "nerdctl/name", &id->name, false },
	};
	bool in_pod = id->pod_len && id->pod_len < id->container_len;
	int err = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !err; i++)
		if (in_pod || !names[i].plain)
			err = put_text(names[i].field, ox_identity_label(id, names[i].label));
	return err ?: put_text(&id->name, id->k8s_container);
}

/* ---- which cgroup ---------------------------------------------------------------------------- */

/* "a-b.slice" -> "/a.slice/a-b.slice"; "-.slice" is the root. Appends to buf. */
static bool append_slice(char buf[PATH_MAX], const char *slice, size_t n)
{
	static const char suffix[] = ".slice";
	size_t stem = n - strlen(suffix), used = strlen(buf);

	if (n <= strlen(suffix) || memcmp(slice + stem, suffix, strlen(suffix)))
		return false;
	if (stem == 1 && *slice == '-')
		return true;
	for (size_t i = 1; i <= stem; i++) {
		int more;

		if (i < stem && slice[i] != '-')
			continue;
		more = snprintf(buf + used, PATH_MAX - used, "/%.*s%s", (int)i, slice, suffix);
		if (more < 0 || (size_t)more >= PATH_MAX - used)
			return false;
		used += more;
	}
	return true;
}

/* SLICE:PREFIX:NAME -> where systemd has it. False: it is nothing of the kind. */
static bool expand(const char *s, char buf[PATH_MAX])
{
	size_t slice = strcspn(s, ":"), prefix, used;
	const char *rest;
	int n;

	if (!s[slice])
		return false;
	rest = s + slice + 1;
	prefix = strcspn(rest, ":");
	if (!rest[prefix] || strchr(rest, '/'))
		return false;
	buf[0] = '\0';
	/* runc and crun: without a slice, this one */
	if (!(slice ? append_slice(buf, s, slice) : append_slice(buf, "system.slice", 12)))
		return false;
	used = strlen(buf);
	n = snprintf(buf + used, PATH_MAX - used, "/%.*s%s%s.scope", (int)prefix, rest,
		     prefix ? "-" : "", rest + prefix + 1);
	return n >= 0 && (size_t)n < PATH_MAX - used;
}

static bool is_or_is_below(const char *path, const char *cgroup, size_t n)
{
	return !strncmp(path, cgroup, n) && (!path[n] || path[n] == '/');
}

static bool ends_in_parts(const char *own, size_t n, const char *path)
{
	size_t m = strlen(path);

	return m <= n && !memcmp(own + n - m, path, m) && (m == n || own[n - m - 1] == '/');
}

int ox_identity_confirm(struct ox_identity *id, const char *cgroups_path)
{
	char buf[PATH_MAX];
	bool whole;

	if (!cgroups_path || !*cgroups_path)
		return id->nested ? -ESTALE : 0;
	/* crun puts the processes one level further down, if asked to; Podman asks */
	whole = is_or_is_below(cgroups_path, id->cgroup, id->container_len) ||
		(expand(cgroups_path, buf) && is_or_is_below(buf, id->cgroup, id->container_len));
	/*
	 * Relative to the runtime's own, or systemd's syntax taken for a path; anybody can have one
	 * that ends like this.
	 */
	if (!whole && (id->nested || *cgroups_path == '/' ||
		       !ends_in_parts(id->cgroup, id->container_len, cgroups_path)))
		return -ESTALE;
	/* a pod inside of the container is still its owner's invention */
	if (id->pod_len <= id->container_len)
		id->nested = false;
	return 0;
}

int ox_identity_assume(struct ox_identity *id, const char *runtime, size_t at, size_t end)
{
	struct ox_identity inside = {};
	int err;

	ox_identity_no_container(id);
	id->container_id = strndup(id->cgroup + at, end - at);
	id->name = strndup(id->cgroup + at, end - at);
	id->runtime = strdup(runtime);
	id->container_len = end;
	if (!id->container_id || !id->name || !id->runtime)
		return -ENOMEM;
	err = ox_identity_from_path(id->cgroup + end, &inside);
	if (!err && (inside.unit || inside.slice))
		id->unit_nested = true;
	ox_identity_done(&inside);
	return err;
}

void ox_identity_no_container(struct ox_identity *id)
{
	char **const fields[] = { &id->container_id, &id->name, &id->runtime };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		free(*fields[i]);
		*fields[i] = NULL;
	}
	id->container_len = 0;
}

/* ---- documents ------------------------------------------------------------------------------- */

int ox_identity_add_spec(struct ox_identity *id, const json_t *spec, bool confirmed)
{
	json_t *path = json_object_get(json_object_get(spec, "linux"), "cgroupsPath");
	int err = confirmed ? 0 : ox_identity_confirm(id, json_string_value(path));

	if (!err)
		err = add_labels(id, json_object_get(spec, "annotations"));
	if (!err)
		err = add_nested_labels(id);
	return err ?: take_names(id);
}

int ox_identity_add_docker(struct ox_identity *id, const json_t *config)
{
	const json_t *c = json_object_get(config, "Config");
	const char *name = json_string_value(json_object_get(config, "Name"));
	int err = put_text(&id->name, name && *name == '/' ? name + 1 : name);

	if (!err)
		err = ox_identity_put(&id->image, json_object_get(c, "Image"));
	if (!err)
		err = add_labels(id, json_object_get(c, "Labels"));
	return err ?: take_names(id);
}
