/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * identity.h - whose cgroup it is: the container, pod or unit that an operator knows by name.
 *
 * The path alone tells runtime, container id, unit, slice, pod uid and QoS class; names, image,
 * labels and annotations come from what the container runtimes keep on disk.
 *
 * Each of container, pod, unit and slice is the innermost of its kind. Whoever owns a cgroup names
 * those below it as he likes: a user his services, a container with a cgroup file system of its
 * own whatever it wants to be taken for. `nested` and `unit_nested` say that this can be so here.
 */
#ifndef OX_IDENTITY_H
#define OX_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define OX_LABEL_PRIORITY "oomx.priority"

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
	char *pod_uid;	    /* Kubernetes' as the API has it, or the id of Podman's pod */
	char *qos;	    /* guaranteed, burstable, besteffort */
	char *unit;	    /* systemd: the innermost .service or .scope */
	char *slice;	    /* systemd: the innermost .slice */
	struct ox_label *labels; /* OCI annotations, and labels where the runtime keeps them */
	size_t n_labels;
	size_t container_len; /* so much of `cgroup` is the container's own; 0: not a container */
	size_t pod_len;	      /* the same of the pod */
	bool nested;	  /* container, pod or QoS class is named by the owner of one above */
	bool unit_nested; /* unit or slice is: only those named by the machine's systemd are not */
};

/*
 * What the path tells; touches nothing but memory. *ret is to be freed with ox_identity_done(),
 * also when it fails. 0, or -ENOMEM.
 */
int ox_identity_from_path(const char *cgroup, struct ox_identity *ret);

/*
 * Adds what the runtimes know. 0: it is a container and its runtime's state was found, and says
 * that the cgroup is the container's: what is named there is not `nested` any more. -ENODATA: not a
 * container; -ENOENT: a container nobody has state of (yet: some is written after the cgroup is
 * made), or state of another cgroup; -ENOMEM. Reads files of limited size; where there are none, it
 * asks Docker's and Podman's sockets, at most 0.3 s each.
 *
 * Finds also containers of crun and runc whose path does not tell, if the last part of their
 * cgroup's path is their id.
 */
int ox_identity_resolve(struct ox_identity *id);

/* The same with what is below another directory than "/". Other errors of opening it. */
int ox_identity_resolve_at(const char *root, struct ox_identity *id);

/* NULL: no such label */
const char *ox_identity_label(const struct ox_identity *id, const char *key);

/*
 * The priority that the container asks for by its label or annotation OX_LABEL_PRIORITY, brought
 * into the band that the operator allows it (lowest <= highest): it can make itself cheaper, never
 * safer than that. 0; -ENODATA: it asks for none; -EINVAL: for something that is no number from
 * OOMX_PRIO_MIN to OOMX_PRIO_MAX. *ret is untouched on failure.
 */
int ox_identity_priority(const struct ox_identity *id, __s32 lowest, __s32 highest, __s32 *ret);

/* Frees what it holds and clears it. */
void ox_identity_done(struct ox_identity *id);

#endif
