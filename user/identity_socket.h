/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* identity_socket.h - what Docker's daemon, or Podman's, says of a container when asked. */
#ifndef OX_IDENTITY_SOCKET_H
#define OX_IDENTITY_SOCKET_H

#include "identity.h"

/*
 * Asks at the socket `path` below the directory `root`, for at most 0.3 s; after a question without
 * an answer in time none is asked for 10 s. 0; -ENOENT: no daemon, or it does not know it; -ESTALE:
 * `nested`, and its init is in another cgroup; -ENOMEM.
 */
int ox_identity_ask_socket(int root, const char *path, struct ox_identity *id);

#endif
