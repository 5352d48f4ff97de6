// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "preference.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cgroup.h"
#include "cleanup.h"

/* As systemd reads a boolean (src/basic/parse-util.c, v257: parse_boolean()) */
static bool is_true(const char *s)
{
	static const char *const words[] = { "1", "yes", "y", "true", "t", "on" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(s, words[i]))
			return true;
	return false;
}

static bool is_set(ox_xattr_fn get, void *ctx, const char *name)
{
	char value[8];
	ssize_t n = get(ctx, name, value, sizeof(value) - 1);

	if (n <= 0)
		return false;
	value[n] = '\0';
	return is_true(value);
}

enum ox_preference ox_preference_of(const struct ox_preference_owner *o, ox_xattr_fn get, void *ctx)
{
	bool user = !o->uid && !(o->mode & (S_IWGRP | S_IWOTH)) && !o->contained;

	if ((user && is_set(get, ctx, "user.oomd_omit")) ||
	    is_set(get, ctx, "trusted.oomd_omit"))
		return OX_PREFERENCE_OMIT;
	if ((user && is_set(get, ctx, "user.oomd_avoid")) ||
	    is_set(get, ctx, "trusted.oomd_avoid"))
		return OX_PREFERENCE_AVOID;
	return OX_PREFERENCE_NONE;
}

static ssize_t get_of_fd(void *ctx, const char *name, char *value, size_t size)
{
	ssize_t n = fgetxattr(*(const int *)ctx, name, value, size);

	return n < 0 ? -errno : n;
}

enum ox_preference ox_preference_read(__u64 id, const struct ox_identity *who)
{
	_cleanup_close_ int fd = ox_cgroup_open_by_id(id, ".", O_RDONLY | O_DIRECTORY);
	struct ox_preference_owner o = { .contained = who->container_len };
	struct stat st;

	/* most have no attributes at all: one call tells */
	if (fd < 0 || flistxattr(fd, NULL, 0) <= 0 || fstat(fd, &st))
		return OX_PREFERENCE_NONE;
	o.uid = st.st_uid;
	o.mode = st.st_mode;
	return ox_preference_of(&o, get_of_fd, &fd);
}

struct oomx_prio ox_preference_prio(enum ox_preference p, __u32 number)
{
	return (struct oomx_prio){
		.rule = number,
		.flags = p == OX_PREFERENCE_OMIT ? OOMX_PRIO_NEVER : OOMX_PRIO_PROTECT,
	};
}

const char *ox_preference_name(enum ox_preference p)
{
	return p == OX_PREFERENCE_OMIT ? "ManagedOOMPreference=omit" :
					 "ManagedOOMPreference=avoid";
}
