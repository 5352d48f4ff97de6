/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * identity_oci.h - what a runtime's documents say of a container, put into its identity. They are
 * taken for what they are: whatever is of another type than expected is left out.
 *
 * All return 0 or -ENOMEM, and -ESTALE where that is said.
 */
#ifndef OX_IDENTITY_OCI_H
#define OX_IDENTITY_OCI_H

#include <jansson.h>

#include "identity.h"

/* A string, if it is one, not empty, and nothing is there yet. */
int ox_identity_put(char **field, const json_t *value);

/*
 * Is the cgroup that the runtime gave the container (linux.cgroupsPath: a path, or
 * "SLICE:PREFIX:NAME") the one that looks like it? -ESTALE: no, or NULL where a tenant may have
 * named it. If so it is not `nested` any more.
 */
int ox_identity_confirm(struct ox_identity *id, const char *cgroups_path);

/* OCI runtime-spec config.json: confirms, unless that was done; then annotations. -ESTALE */
int ox_identity_add_spec(struct ox_identity *id, const json_t *spec, bool confirmed);

/* Docker's config.v2.json: name, image, labels */
int ox_identity_add_docker(struct ox_identity *id, const json_t *config);

/* Takes the part of the path from `at` to `end` for the id of a container of that runtime. */
int ox_identity_assume(struct ox_identity *id, const char *runtime, size_t at, size_t end);

/* Takes back that it is a container. */
void ox_identity_no_container(struct ox_identity *id);

#endif
