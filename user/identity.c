/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a path from the root down, one component after the other; each kind's innermost find
 * stands. The shapes are those of the runtimes' own code:
 *
 *   systemd driver	PREFIX-ID.scope in any slice (runc libcontainer/cgroups/systemd, crun)
 *   cgroupfs driver	PARENT/ID, PREFIX-ID
 *   both mixed up	SLICE:PREFIX:ID as one directory (the one driver's syntax with the other)
 *   Kubernetes		[PARENT-]kubepods[-QOS][-podUID].slice, or kubepods[/QOS][/podUID]
 *			(kubelet cm/cgroup_manager_linux.go; '-' of the uid is '_' for systemd)
 *   LXC, Incus, LXD	lxc.payload.NAME; before LXC 4 lxc.payload/NAME, lxc/NAME
 *   systemd-nspawn	systemd-nspawn@NAME.service, machine.slice/machine-NAME.scope
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <oomx/abi.h>

#include "cleanup.h"
#include "identity.h"
#include "parse.h"

#define HEX_ID_LEN 64

struct span {
	const char *s;
	size_t n;
};

struct walk {
	struct ox_identity *id;
	struct span parent; /* the component before; empty at the top */
	size_t end;	    /* of this component, in the path */
	bool kube;	    /* below a cgroup "kubepods" that is no slice */
	bool owned;	    /* below a unit or a container */
	bool owns;	    /* this component is one */
};

/* ---- pieces of text -------------------------------------------------------------------------- */

static struct span span(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static bool equals(struct span a, const char *b)
{
	return a.n == strlen(b) && !memcmp(a.s, b, a.n);
}

/* Takes `prefix` off, if something follows it. */
static bool skip(struct span *a, const char *prefix)
{
	size_t n = strlen(prefix);

	if (a->n <= n || memcmp(a->s, prefix, n))
		return false;
	a->s += n;
	a->n -= n;
	return true;
}

/* Takes `suffix` off, if something precedes it. */
static bool chop(struct span *a, const char *suffix)
{
	size_t n = strlen(suffix);

	if (a->n <= n || memcmp(a->s + a->n - n, suffix, n))
		return false;
	a->n -= n;
	return true;
}

/* Splits at the last `c`, which is in neither part. */
static bool split_last(struct span a, char c, struct span *ret_left, struct span *ret_right)
{
	const char *at = memrchr(a.s, c, a.n);

	if (!at)
		return false;
	*ret_left = (struct span){ a.s, at - a.s };
	*ret_right = (struct span){ at + 1, a.n - ret_left->n - 1 };
	return true;
}

static bool consists_of(struct span a, const char *chars)
{
	for (size_t i = 0; i < a.n; i++)
		if (!a.s[i] || !strchr(chars, a.s[i]))
			return false;
	return a.n;
}

static bool is_hex_id(struct span a)
{
	return a.n == HEX_ID_LEN && consists_of(a, "0123456789abcdef");
}

/* runc and crun take any file name as an id; what systemd takes for a unit's name is less. */
static bool is_id(struct span a)
{
	return a.n <= 255 && consists_of(a, "abcdefghijklmnopqrstuvwxyz0123456789"
					    "ABCDEFGHIJKLMNOPQRSTUVWXYZ_+-.");
}

static int set(char **field, struct span a)
{
	char *s = strndup(a.s, a.n);

	if (!s)
		return -ENOMEM;
	free(*field);
	*field = s;
	return 0;
}

static void clear(char **field)
{
	free(*field);
	*field = NULL;
}

/* ---- containers ------------------------------------------------------------------------------ */

static int set_container(struct walk *w, const char *runtime, struct span container)
{
	struct ox_identity *id = w->id;
	int err = set(&id->container_id, container);

	clear(&id->name); /* of a container around this one */
	clear(&id->runtime);
	if (!err && runtime)
		err = set(&id->runtime, span(runtime));
	id->container_len = w->end;
	id->nested |= w->owned;
	w->owns = true;
	return err;
}

/* A container that is known by its id: nobody else gave it a name. */
static int set_named_container(struct walk *w, const char *runtime, struct span container)
{
	int err = set_container(w, runtime, container);

	return err ?: set(&w->id->name, container);
}

static const char *runtime_of_prefix(struct span prefix)
{
	static const char *const known[][2] = {
		{ "docker", "docker" },
		{ "libpod", "podman" },
		{ "libpod-payload", "podman" }, /* podman run --cgroups=split, as Quadlet does */
		{ "cri-containerd", "containerd" },
		{ "nerdctl", "containerd" },
		{ "containerd", "containerd" },
		{ "crio", "cri-o" },
		{ "crun", "crun" },
		{ "runc", "runc" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (equals(prefix, known[i][0]))
			return known[i][1];
	return NULL;
}

/* The monitors of Podman and CRI-O have cgroups beside the containers', with their ids. */
static bool is_monitor(struct span prefix)
{
	return equals(prefix, "conmon") || chop(&prefix, "-conmon");
}

/* ID by itself: the cgroup above tells whose, if anything does. */
static int bare_id(struct walk *w, struct span a)
{
	if (equals(w->parent, "libpod_parent")) { /* the containers are in there */
		w->id->pod_len = w->end;
		w->id->nested |= w->owned;
		return set(&w->id->pod_uid, a);
	}
	if (equals(w->parent, "docker"))
		return set_container(w, "docker", a);
	/* containerd's clients say NAMESPACE/ID: nerdctl, ctr, and the CRI without a kubelet */
	if (equals(w->parent, "default") || equals(w->parent, "k8s.io"))
		return set_container(w, "containerd", a);
	return set_container(w, NULL, a);
}

/* PREFIX-ID, as a scope or as a directory */
static int prefixed_id(struct walk *w, struct span a)
{
	bool scope = chop(&a, ".scope");
	struct span prefix, hex, rest = a;

	if (split_last(a, '-', &prefix, &hex) && is_hex_id(hex) && prefix.n)
		return is_monitor(prefix) ? 0 : set_container(w, runtime_of_prefix(prefix), hex);
	if (scope && (skip(&rest, "crun-") || skip(&rest, "runc-")) && is_id(rest))
		return set_named_container(w, a.s[0] == 'c' ? "crun" : "runc", rest);
	return 0;
}

/*
 * Undoes what systemd does to a name that becomes part of a unit's (unit_name_escape()): \xNN.
 * *ret is the caller's.
 */
static int unescape(struct span a, char **ret)
{
	static const char digits[] = "0123456789abcdef";
	char *s = malloc(a.n + 1), *to = s;

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < a.n; i++) {
		const char *hi = NULL, *lo = NULL;

		if (a.n - i >= 4 && a.s[i] == '\\' && a.s[i + 1] == 'x' && a.s[i + 2] &&
		    a.s[i + 3]) {
			hi = strchr(digits, a.s[i + 2]);
			lo = strchr(digits, a.s[i + 3]);
		}
		if (hi && lo && (hi > digits || lo > digits)) {
			*to++ = (char)((hi - digits) << 4 | (lo - digits));
			i += 3;
		} else {
			*to++ = a.s[i];
		}
	}
	*to = '\0';
	*ret = s;
	return 0;
}

/* What libvirt calls a machine: KIND-NUMBER-NAME. Takes the first two off. */
static bool skip_libvirt(struct span *a, const char *kind)
{
	struct span rest = *a;
	size_t n;

	if (!skip(&rest, kind))
		return false;
	n = strspn(rest.s, "0123456789");
	if (!n || n + 1 >= rest.n || rest.s[n] != '-')
		return false;
	*a = (struct span){ rest.s + n + 1, rest.n - n - 1 };
	return true;
}

/* What systemd-machined has registered: containers, and virtual machines that are none. */
static int machine(struct walk *w, struct span escaped)
{
	_cleanup_free_ char *s = NULL;
	struct span name;
	int err = unescape(escaped, &s);

	if (err)
		return err;
	name = span(s);
	if (skip_libvirt(&name, "qemu-"))
		return 0;
	if (skip_libvirt(&name, "lxc-"))
		return set_named_container(w, "libvirt-lxc", name);
	return set_named_container(w, "nspawn", name);
}

static int systemd_container(struct walk *w, struct span a)
{
	struct span name = a;

	if (skip(&name, "systemd-nspawn@") && chop(&name, ".service"))
		return machine(w, name);
	name = a;
	if (equals(w->parent, "machine.slice") && skip(&name, "machine-") && chop(&name, ".scope"))
		return machine(w, name);
	return 0;
}

static int lxc(struct walk *w, struct span a)
{
	if (skip(&a, "lxc.payload.") || equals(w->parent, "lxc.payload") ||
	    equals(w->parent, "lxc"))
		return set_named_container(w, "lxc", a);
	return 0;
}

/* ---- Kubernetes ------------------------------------------------------------------------------ */

static int set_qos(struct walk *w, const char *qos)
{
	w->id->nested |= w->owned;
	return set(&w->id->qos, span(qos));
}

static int set_pod(struct walk *w, struct span uid)
{
	int err = set(&w->id->pod_uid, uid);

	for (char *c = w->id->pod_uid; !err && *c; c++)
		if (*c == '_')
			*c = '-';
	w->id->pod_len = w->end;
	w->id->nested |= w->owned;
	/* those of the two other classes are in a cgroup of the class */
	return err || w->id->qos ? err : set(&w->id->qos, span("guaranteed"));
}

/* The parts after "kubepods": nothing, a class, a pod, or both. */
static int kube_parts(struct walk *w, struct span a)
{
	static const char *const classes[] = { "burstable", "besteffort" };
	int err = 0;

	for (size_t i = 0; i < 2 && !err; i++) {
		struct span rest = a;

		if (equals(a, classes[i]))
			return set_qos(w, classes[i]);
		if (skip(&rest, classes[i]) && skip(&rest, "-")) {
			err = set_qos(w, classes[i]);
			a = rest;
			break;
		}
	}
	if (!err && skip(&a, "pod"))
		err = set_pod(w, a);
	return err;
}

/* Another kubelet's pods: what was found further up is of no meaning here. */
static void enter_kubepods(struct walk *w)
{
	clear(&w->id->qos);
	clear(&w->id->pod_uid);
	w->id->pod_len = 0;
}

/* [PARENT-]kubepods[-...].slice, with the suffix taken off */
static int kube_slice(struct walk *w, struct span a)
{
	static const char word[] = "kubepods";
	const char *at = memmem(a.s, a.n, word, strlen(word));
	struct span rest;

	if (!at || (at > a.s && at[-1] != '-'))
		return 0;
	rest = (struct span){ at + strlen(word), a.n - (at - a.s) - strlen(word) };
	if (rest.n && rest.s[0] != '-')
		return 0;
	enter_kubepods(w);
	return skip(&rest, "-") ? kube_parts(w, rest) : 0;
}

static int kube_dir(struct walk *w, struct span a)
{
	if (equals(a, "kubepods")) {
		enter_kubepods(w);
		w->kube = true;
		return 0;
	}
	/* once inside of a pod, its containers name what there is */
	return w->kube && !w->id->pod_len ? kube_parts(w, a) : 0;
}

/* ---- systemd --------------------------------------------------------------------------------- */

static int slice(struct walk *w, struct span a)
{
	static const char *const podman_pod[] = { "libpod_pod_", "machine-libpod_pod_" };
	int err = set(&w->id->slice, a);

	w->id->unit_nested |= w->owned;
	(void)chop(&a, ".slice");
	for (size_t i = 0; i < 2 && !err; i++) {
		struct span pod = a;

		if (skip(&pod, podman_pod[i]) && is_hex_id(pod)) {
			w->id->pod_len = w->end;
			w->id->nested |= w->owned;
			return set(&w->id->pod_uid, pod);
		}
	}
	return err ?: kube_slice(w, a);
}

static int unit(struct walk *w, struct span a)
{
	w->id->unit_nested |= w->owned;
	w->owns = true;
	return set(&w->id->unit, a);
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* SLICE:PREFIX:ID: syntax for the systemd driver, taken literally by the other. */
static int colons(struct walk *w, struct span a)
{
	struct span left, prefix, container, of;
	int err = 0;

	if (!split_last(a, ':', &left, &container) || !split_last(left, ':', &of, &prefix) ||
	    !is_hex_id(container))
		return 0;
	if (chop(&of, ".slice"))
		err = kube_slice(w, of);
	return err ?: set_container(w, runtime_of_prefix(prefix), container);
}

static int component(struct walk *w, struct span a)
{
	struct span stem = a;
	int err;

	if (chop(&stem, ".slice"))
		return slice(w, a);
	if (is_hex_id(a))
		return bare_id(w, a);

	err = prefixed_id(w, a);
	if (!err)
		err = systemd_container(w, a);
	if (!err)
		err = lxc(w, a);
	if (!err)
		err = colons(w, a);
	if (!err)
		err = kube_dir(w, a);
	if (!err && (chop(&stem, ".service") || chop(&stem, ".scope")))
		err = unit(w, a);
	return err;
}

int ox_identity_from_path(const char *cgroup, struct ox_identity *ret)
{
	struct walk w = { .id = ret };
	const char *at = cgroup;
	int err;

	*ret = (struct ox_identity){};
	err = set(&ret->cgroup, span(cgroup));
	while (!err && *at) {
		struct span a = { at, strcspn(at, "/") };

		at += a.n;
		if (a.n) {
			w.end = at - cgroup;
			err = component(&w, a);
			w.parent = a;
			w.owned |= w.owns;
		}
		at += *at == '/';
	}
	return err;
}

const char *ox_identity_label(const struct ox_identity *id, const char *key)
{
	for (size_t i = 0; i < id->n_labels; i++)
		if (!strcmp(id->labels[i].key, key))
			return id->labels[i].value;
	return NULL;
}

int ox_identity_priority(const struct ox_identity *id, __s32 lowest, __s32 highest, __s32 *ret)
{
	const char *text = ox_identity_label(id, OX_LABEL_PRIORITY);
	__s32 n;

	if (!text)
		return -ENODATA;
	if (ox_parse_s32(text, OOMX_PRIO_MIN, OOMX_PRIO_MAX, &n))
		return -EINVAL;
	*ret = n < lowest ? lowest : n > highest ? highest : n;
	return 0;
}

void ox_identity_done(struct ox_identity *id)
{
	char *const owned[] = { id->cgroup, id->runtime, id->container_id, id->name, id->image,
				id->pod, id->ns, id->k8s_container, id->pod_uid, id->qos,
				id->unit, id->slice };

	for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
		free(owned[i]);
	for (size_t i = 0; i < id->n_labels; i++) {
		free(id->labels[i].key);
		free(id->labels[i].value);
	}
	free(id->labels);
	*id = (struct ox_identity){};
}
