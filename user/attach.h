/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* attach.h - what user space adds behind event records: abi.h has the layout. */
#ifndef OX_ATTACH_H
#define OX_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>
#include <linux/types.h>

#include "identity.h"

/*
 * Appends what is known of `id` to a message of `size` bytes in a buffer that has room for
 * OX_RECORD_MAX; values too long for it are left out. Returns the new size.
 */
size_t ox_attach(char *message, size_t size, __u32 type, const struct ox_identity *id);

/* The same without any strings: that it is there says it. */
size_t ox_attach_mark(char *message, size_t size, __u32 type);
bool ox_attached_mark(const void *message, size_t size, __u32 type);

/* The value of `key` in the first attachment of `type`, in the message itself; NULL: none. */
const char *ox_attached(const void *message, size_t size, __u32 type, const char *key);

/*
 * All of it, as docs/events.md describes "container": an object, or null without such an
 * attachment. The caller owns the one reference. NULL: no memory.
 */
json_t *ox_attached_json(const void *message, size_t size, __u32 type);

#endif
