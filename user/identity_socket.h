/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* identity_socket.h - what Docker's daemon, or Podman's, says of a container when asked. */
#ifndef OX_IDENTITY_SOCKET_H
#define OX_IDENTITY_SOCKET_H

#include "identity.h"

/* How long one question may take, in nanoseconds: 0.3 s. Tests may be held up, and allow more. */
extern __u64 ox_ask_deadline_ns;

/*
 * Asks at the socket `path` below the directory `root`, for no longer than that; after a question
 * without an answer in time none is asked for 10 s. 0; -ENOENT: no daemon, or it does not know it;
 * -ESTALE: `nested`, and its init is in another cgroup; -ENOMEM.
 */
int ox_identity_ask_socket(int root, const char *path, struct ox_identity *id);

#endif
