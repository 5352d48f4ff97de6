// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "priority.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <bpf/bpf.h>

#include "cgroup.h"

static bool is_gone(__u64 id)
{
	char path[PATH_MAX];

	return ox_cgroup_path_by_id(id, path, sizeof(path)) == -ENOENT;
}

/* Takes out what belongs to cgroups that are no more: their ids are never used again. */
static void remove_gone(int map)
{
	__u64 id, next;
	bool more = !bpf_map_get_next_key(map, NULL, &next);

	while (more) {
		id = next;
		more = !bpf_map_get_next_key(map, &id, &next);
		if (is_gone(id))
			(void)bpf_map_delete_elem(map, &id); /* gone is what we want */
	}
}

int ox_priority_put(int map_fd, __u64 id, const struct oomx_prio *p)
{
	int err = bpf_map_update_elem(map_fd, &id, p, BPF_ANY);

	if (err != -E2BIG && err != -ENOSPC)
		return err;
	remove_gone(map_fd);
	return bpf_map_update_elem(map_fd, &id, p, BPF_ANY);
}

int ox_priority_find(int map_fd, const char *cgroup, char ret_from[PATH_MAX], struct oomx_prio *ret)
{
	char *slash;
	int depth, err;
	__u64 id;

	if (strlen(cgroup) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_from, cgroup, strlen(cgroup) + 1);
	*ret = (struct oomx_prio){ .priority = OOMX_PRIO_DEFAULT };
	for (depth = 0; depth < OOMX_DEPTH_MAX; depth++) {
		err = ox_cgroup_id(ret_from, &id);
		if (err)
			return err;
		if (!bpf_map_lookup_elem(map_fd, &id, ret))
			return 0;
		if (!strcmp(ret_from, "/"))
			break;
		slash = strrchr(ret_from, '/');
		slash[slash == ret_from] = '\0'; /* the parent; "/a" -> "/" */
	}
	ret_from[0] = '\0';
	return 0;
}
