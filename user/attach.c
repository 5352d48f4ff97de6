/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "attach.h"

#include <string.h>
#include <oomx/abi.h>

#include "record.h"

/* As in the events. Values are any bytes but NUL, and need not be short. */
static const struct key {
	const char *name;
	size_t at; /* in struct ox_identity */
} keys[] = {
	{ "runtime", offsetof(struct ox_identity, runtime) },
	{ "id", offsetof(struct ox_identity, container_id) },
	{ "name", offsetof(struct ox_identity, name) },
	{ "image", offsetof(struct ox_identity, image) },
	{ "pod", offsetof(struct ox_identity, pod) },
	{ "namespace", offsetof(struct ox_identity, ns) },
	{ "pod_container", offsetof(struct ox_identity, k8s_container) },
	{ "pod_uid", offsetof(struct ox_identity, pod_uid) },
	{ "qos", offsetof(struct ox_identity, qos) },
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))
#define VALUE_MAX 1024 /* bytes; nine of them, twice, and the longest record fit a message */

static size_t align(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool append(char *message, size_t *used, const char *key, const char *value)
{
	size_t k = strlen(key) + 1, v = strlen(value) + 1;

	if (v > VALUE_MAX || *used + k + v > OX_RECORD_MAX)
		return false;
	memcpy(message + *used, key, k);
	memcpy(message + *used + k, value, v);
	*used += k + v;
	return true;
}

size_t ox_attach(char *message, size_t size, __u32 type, const struct ox_identity *id)
{
	struct oomx_attachment a = { .type = type };
	size_t start = align(size), used = start + sizeof(a);

	if (used > OX_RECORD_MAX)
		return size;
	for (size_t i = 0; i < N_KEYS; i++) {
		const char *value = *(char *const *)((const char *)id + keys[i].at);

		if (value)
			(void)append(message, &used, keys[i].name, value); /* as said: left out */
	}
	if (id->nested)
		(void)append(message, &used, "nested", "");
	memset(message + size, 0, start - size);
	a.size = used - start;
	memcpy(message + start, &a, sizeof(a));
	return used;
}

size_t ox_attach_mark(char *message, size_t size, __u32 type)
{
	const struct oomx_attachment a = { .size = sizeof(a), .type = type };
	size_t start = align(size);

	if (start + sizeof(a) > OX_RECORD_MAX)
		return size;
	memset(message + size, 0, start - size);
	memcpy(message + start, &a, sizeof(a));
	return start + sizeof(a);
}

/* ---- reading: messages come from a socket --------------------------------------------------- */

/* The strings of the first attachment of that type; *ret_end is behind them. NULL: none. */
static const char *find(const char *message, size_t size, __u32 type, const char **ret_end)
{
	struct oomx_rec_hdr hdr;
	struct oomx_attachment a;
	size_t at;

	if (size < sizeof(hdr))
		return NULL;
	memcpy(&hdr, message, sizeof(hdr));
	for (at = align(hdr.size); at < size && size - at >= sizeof(a); at += align(a.size)) {
		memcpy(&a, message + at, sizeof(a));
		if (a.size < sizeof(a) || a.size > size - at)
			return NULL;
		if (a.type != type)
			continue;
		*ret_end = message + at + a.size;
		return message + at + sizeof(a);
	}
	return NULL;
}

/* Takes one string. NULL: no more of them, or one without an end. */
static const char *next(const char **at, const char *end)
{
	const char *s = *at, *nul = s < end ? memchr(s, '\0', end - s) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return s;
}

bool ox_attached_mark(const void *message, size_t size, __u32 type)
{
	const char *end;

	return find(message, size, type, &end);
}

const char *ox_attached(const void *message, size_t size, __u32 type, const char *key)
{
	const char *end, *k, *v, *at = find(message, size, type, &end);

	while (at && (k = next(&at, end)) && (v = next(&at, end)))
		if (!strcmp(k, key))
			return v;
	return NULL;
}

static json_t *text(const char *s)
{
	char clean[3 * VALUE_MAX + 1];

	if (!s)
		return json_null();
	return json_string(ox_utf8_clean(s, VALUE_MAX, /* printable= */ false, clean,
					 sizeof(clean)));
}

json_t *ox_attached_json(const void *message, size_t size, __u32 type)
{
	const char *end;
	json_t *o;
	int err = 0;

	if (!find(message, size, type, &end))
		return json_null();
	o = json_object();
	for (size_t i = 0; i < N_KEYS; i++)
		err |= json_object_set_new(o, keys[i].name,
					   text(ox_attached(message, size, type, keys[i].name)));
	err |= json_object_set_new(o, "confirmed",
				   json_boolean(!ox_attached(message, size, type, "nested")));
	if (!err)
		return o;
	json_decref(o);
	return NULL;
}
