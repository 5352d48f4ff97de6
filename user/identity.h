/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * identity.h - whose cgroup it is: the container, pod or unit that an operator knows by name.
 *
 * The path alone tells runtime, container id, unit, slice, pod uid and QoS class; names, image,
 * labels and annotations come from what the OCI runtime keeps on disk, or from Docker's and
 * Podman's local sockets.
 */
#ifndef OX_IDENTITY_H
#define OX_IDENTITY_H

#include <stddef.h>

struct ox_label {
	char *key;
	char *value;
};

/* All strings are owned; NULL: not known, or does not apply. */
struct ox_identity {
	char *cgroup;	    /* path in the hierarchy, "/a/b" */
	char *runtime;	    /* docker, podman, containerd, cri-o, crun, runc, lxc, incus, nspawn */
	char *container_id; /* as the runtime has it, usually 64 hex digits */
	char *name;	    /* of the container */
	char *image;
	char *pod;	    /* Kubernetes: names of pod, namespace and container in it */
	char *ns;
	char *k8s_container;
	char *pod_uid;
	char *qos;	    /* guaranteed, burstable, besteffort */
	char *unit;	    /* systemd: the innermost .service or .scope */
	char *slice;	    /* systemd: the innermost .slice */
	struct ox_label *labels; /* OCI annotations, and labels where the runtime keeps them */
	size_t n_labels;
};

/*
 * What the path tells; touches nothing but memory. *ret is to be freed with ox_identity_done(),
 * also when it fails. 0, or -ENOMEM.
 */
int ox_identity_from_path(const char *cgroup, struct ox_identity *ret);

/*
 * Adds what the runtimes know. 0: it is a container and its runtime's state was found; -ENODATA:
 * not a container; -ENOENT: a container nobody has state of; -ENOMEM. Never waits for long: files
 * are read within size limits, sockets with a deadline.
 */
int ox_identity_resolve(struct ox_identity *id);

/* NULL: no such label */
const char *ox_identity_label(const struct ox_identity *id, const char *key);

/* Frees what it holds and clears it. */
void ox_identity_done(struct ox_identity *id);

#endif
