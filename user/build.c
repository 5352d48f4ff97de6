// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "build.h"

#include <stdio.h>
#include <nettle/sha2.h>

__u64 ox_hash(const struct ox_blob *blobs, size_t n)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;
	__u64 h = 0;
	size_t i;

	sha256_init(&ctx);
	for (i = 0; i < n; i++)
		sha256_update(&ctx, blobs[i].size, blobs[i].data);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (i = 0; i < sizeof(h); i++)
		h = h << 8 | digest[i];
	return h;
}

__u64 ox_build(void)
{
	const struct ox_blob objects[] = { OX_BLOB(observe), OX_BLOB(nominate), OX_BLOB(struct_ops),
					   OX_BLOB(procs), OX_BLOB(shields) };
	static __u64 build; /* the objects do not change */

	if (!build)
		build = ox_hash(objects, sizeof(objects) / sizeof(objects[0])) ?: 1;
	return build;
}

const char *ox_build_text(__u64 build, char buf[OX_BUILD_LEN])
{
	if (build)
		(void)snprintf(buf, OX_BUILD_LEN, "%016llx", (unsigned long long)build); /* fits */
	else
		(void)snprintf(buf, OX_BUILD_LEN, "unknown"); /* fits */
	return buf;
}
