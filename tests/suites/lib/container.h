/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * container.h - real containers: an image made of busybox alone, and Podman and crun to run it.
 * Its programs "busybox-big", "-marked" and "-grow" are busybox, told apart by their comm.
 */
#ifndef SUITE_CONTAINER_H
#define SUITE_CONTAINER_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/cgroup.h"
#include "lib/command.h"

#define CONTAINER_IMAGE "localhost/oomx-test:1"
/* Holds 30 and 16 MiB, and takes another 24 when told to: container_go() */
#define CONTAINER_THREE "/three"
#define CONTAINER_ID_LEN 65

/* A program that is not there; NULL: none. */
const char *container_missing(void);

/* Storage in memory, and the image. Fatal where that fails. */
void container_open(void);

/* `podman ARGS...`, or another program; fatal, with what it says, unless it exits 0. */
const struct command_result *container_podman(const char *const args[]);
const struct command_result *container_run(const char *const argv[]);

struct container {
	const char *name;
	char id[CONTAINER_ID_LEN];
	pid_t pid; /* of its init; 0: it has none any more */
	char cgroup[CGROUP_PATH_LEN];
};

/* As `podman run -d --name NAME --memory LIMIT ARGS...`. For one that may end at once. */
void container_start_any(struct container *c, const char *name, const char *limit,
			 const char *const args[]);
/* With CONTAINER_THREE, up to where it holds its 46 MiB. */
void container_start_three(struct container *c, const char *name);
void container_go(const struct container *c);

/* The process of that comm in its cgroup or below; 0: none. */
pid_t container_find(const struct container *c, const char *comm);

/* What `podman inspect` has at a key such as ".State.Running"; good until the next command. */
const char *container_inspect(const struct container *c, const char *key);
/* Is that "true"? */
bool container_is(const struct container *c, const char *key);
void container_remove(const struct container *c);

/*
 * A bundle for crun: busybox-grow, with a limit of 32 MiB and no end. cgroup: linux.cgroupsPath,
 * or NULL.
 */
void container_bundle(const char *dir, const char *cgroup, const char *annotations);

#endif
