/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * build.h - which build of the kernel side this binary carries. Two binaries with the same one load
 * the same programs, whatever else differs between them: what one has left in force, the other may
 * go on with.
 */
#ifndef OX_BUILD_H
#define OX_BUILD_H

#include <stddef.h>
#include <linux/types.h>

#include "objects.h"

#define OX_BUILD_LEN 20 /* as text */

/*
 * First 8 bytes, big-endian, of the SHA-256 of the BPF objects that stay in force when oomx is
 * killed, or share maps with those that do; policies have hashes of their own. Never 0.
 */
__u64 ox_build(void);

/* As text; 0, of an oomx that did not know its own: "unknown". Returns buf. */
const char *ox_build_text(__u64 build, char buf[OX_BUILD_LEN]);

/* First 8 bytes, big-endian, of the SHA-256 of all the blobs, one after the other. */
__u64 ox_hash(const struct ox_blob *blobs, size_t n);

#endif
