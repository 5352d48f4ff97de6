// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "restore.h"

#include <errno.h>
#include <stdbool.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "capability.h"
#include "cleanup.h"
#include "log.h"
#include "process.h"

#define VALUE_MAX 256
#define FIRST_SIZE 24 /* of an entry when there was only raising */

/*
 * A directory below /proc holds on to its process: what is opened there later is of the same one,
 * or fails. So look at the start time first.
 */
int ox_process_open(__u32 pid, __u64 start_ns)
{
	_cleanup_close_ int dir = -1;
	char path[32];
	__u64 ticks;
	int err;

	(void)snprintf(path, sizeof(path), "/proc/%u", pid); /* fits */
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (!start_ns)
		return TAKE_FD(dir);
	err = ox_process_start_ticks(dir, &ticks);
	if (err)
		return err;
	if (start_ns / (1000000000ULL / sysconf(_SC_CLK_TCK)) != ticks)
		return -ESRCH;
	return TAKE_FD(dir);
}

static int open_adj(__u32 pid, __u64 start_ns, int flags)
{
	_cleanup_close_ int dir = ox_process_open(pid, start_ns);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, "oom_score_adj", flags | O_CLOEXEC);
	return fd < 0 ? (errno == ENOENT ? -ESRCH : -errno) : fd;
}

int ox_adj_write(__u32 pid, __u64 start_ns, int adj)
{
	_cleanup_close_ int fd = open_adj(pid, start_ns, O_WRONLY);
	char buf[16];
	int n;

	if (fd < 0)
		return fd;
	n = snprintf(buf, sizeof(buf), "%d", adj);
	return write(fd, buf, n) == n ? 0 : -errno;
}

void ox_adj_protect_self(void)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-1000", 5) != 5)
		ox_warn("cannot protect itself from the OOM killer (%m), ignoring");
}

int ox_adj_read(__u32 pid, __u64 start_ns, int *ret)
{
	_cleanup_close_ int fd = open_adj(pid, start_ns, O_RDONLY);
	char buf[16];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return n ? -errno : -ESRCH;
	buf[n] = '\0';
	*ret = (int)strtol(buf, NULL, 10);
	return 0;
}

/* With CAP_SYS_RESOURCE any value can be written, but it becomes the minimum, too. */
static int write_as(bool capped, __u32 pid, const struct oomx_raised *r)
{
	bool was = false;
	int err = ox_cap_resource_use(capped, &was);

	if (err)
		return err;
	err = ox_adj_write(pid, r->start_ns, r->old_adj);
	(void)ox_cap_resource_use(was, NULL); /* as it was a moment ago */
	return err;
}

int ox_restore_one(int map, __u32 pid, const struct oomx_raised *r)
{
	int now = 0;
	int err = ox_adj_read(pid, r->start_ns, &now);

	/* its owner may have set another value meanwhile: that one stays */
	if (!err && now == r->set_adj) {
		err = write_as(r->capped, pid, r);
		/* whoever set it had the capability: a changed minimum is better than 1000 */
		if (err == -EACCES && !r->capped)
			err = write_as(true, pid, r);
	}
	if (!err || err == -ESRCH)
		(void)bpf_map_delete_elem(map, &pid); /* absent is what we want */
	return err;
}

void ox_restore_sharers(int map, __u32 of)
{
	__u32 pid, next;
	bool more = !bpf_map_get_next_key(map, NULL, &next);

	while (more) {
		struct oomx_raised r;

		pid = next;
		more = !bpf_map_get_next_key(map, &pid, &next);
		if (!bpf_map_lookup_elem(map, &pid, &r) && r.of == of)
			(void)ox_restore_one(map, pid, &r); /* or it stays on record */
	}
}

unsigned int ox_restore_all(int map)
{
	/* another version's entries may be longer; they begin like ours, but for the very first */
	union {
		struct oomx_raised r;
		char room[VALUE_MAX];
	} value = {};
	struct bpf_map_info info = {};
	__u32 pid, next, len = sizeof(info);
	unsigned int failed = 0;
	bool more;
	int err;

	if (bpf_map_get_info_by_fd(map, &info, &len) || info.key_size != sizeof(pid) ||
	    info.value_size < FIRST_SIZE || info.value_size > VALUE_MAX)
		return 1;
	more = !bpf_map_get_next_key(map, NULL, &next);
	while (more) {
		pid = next;
		more = !bpf_map_get_next_key(map, &pid, &next);
		if (bpf_map_lookup_elem(map, &pid, &value))
			continue;
		if (info.value_size == FIRST_SIZE)
			value.r.set_adj = OOMX_ADJ_RAISED;
		err = ox_restore_one(map, pid, &value.r);
		if (err && err != -ESRCH)
			failed++;
	}
	return failed;
}
