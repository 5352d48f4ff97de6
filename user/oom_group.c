// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "oom_group.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <oomx/abi.h>

#include "cgroup.h"
#include "cleanup.h"
#include "lockfile.h"
#include "paths.h"

/*
 * As with oom_score_adj (shields.c): an entry and the value that it stands for are changed one
 * after the other, by whoever holds OX_ALTERED_LOCK.
 */

static int open_group(__u64 id)
{
	return ox_cgroup_open_by_id(id, "memory.oom.group", O_RDWR);
}

/* 0, 1, or -errno */
static int read_group(int fd)
{
	char c;
	ssize_t n = pread(fd, &c, 1, 0);

	return n == 1 ? c == '1' : n ? -errno : -EIO;
}

static int write_group(int fd, bool on)
{
	return pwrite(fd, on ? "1" : "0", 1, 0) == 1 ? 0 : -errno;
}

int ox_oom_group_set(int map, __u64 id, bool group, __u32 load)
{
	_cleanup_close_ int lock = ox_lockfile_take(OX_ALTERED_LOCK);
	_cleanup_close_ int fd = open_group(id);
	struct oomx_group g = {};
	int was, err;

	if (fd < 0)
		return fd;
	was = read_group(fd);
	if (was < 0)
		return was;
	if (bpf_map_lookup_elem(map, &id, &g))
		g.old = was; /* the first time: this is its owner's */
	else if (g.set != was)
		g.old = was; /* its owner has changed his mind meanwhile */
	g.set = group;
	g.load = load;
	/* remembered first: a crash after this is put right by whoever comes next */
	err = bpf_map_update_elem(map, &id, &g, BPF_ANY);
	return err || was == group ? err : write_group(fd, group);
}

/* The owner's own value, set meanwhile, stays. Locked. */
static int restore(int map, __u64 id, const struct oomx_group *g)
{
	_cleanup_close_ int fd = open_group(id);
	int err = fd < 0 ? fd : 0;

	if (!err && g->set != g->old && read_group(fd) == g->set)
		err = write_group(fd, g->old);
	if (err == -ESRCH || err == -ENOENT)
		err = 0; /* gone, and its value with it */
	if (!err)
		(void)bpf_map_delete_elem(map, &id); /* gone is what we want */
	return err;
}

/* all, or those of other loads */
static unsigned int restore_those(int map, bool all, __u32 load)
{
	struct oomx_group g;
	unsigned int failed = 0;
	__u64 id, next;
	bool more = !bpf_map_get_next_key(map, NULL, &next);

	while (more) {
		_cleanup_close_ int lock = ox_lockfile_take(OX_ALTERED_LOCK);

		id = next;
		more = !bpf_map_get_next_key(map, &id, &next);
		if (!bpf_map_lookup_elem(map, &id, &g) && (all || g.load != load))
			failed += restore(map, id, &g) != 0;
	}
	return failed;
}

void ox_oom_group_sweep(int map, __u32 load)
{
	(void)restore_those(map, false, load); /* what failed is tried again at the end */
}

unsigned int ox_oom_group_restore(int map)
{
	return restore_those(map, true, 0);
}
