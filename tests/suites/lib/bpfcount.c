// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/bpfcount.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/suite.h"

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static unsigned int count(int next_id)
{
	union bpf_attr attr;
	unsigned int n = 0;

	memset(&attr, 0, sizeof(attr));
	while (!bpf(next_id, &attr)) {
		n++;
		attr.start_id = attr.next_id;
	}
	return n;
}

void bpf_count(struct bpf_count *ret)
{
	ret->programs = count(BPF_PROG_GET_NEXT_ID);
	ret->maps = count(BPF_MAP_GET_NEXT_ID);
	ret->links = count(BPF_LINK_GET_NEXT_ID);
}

bool bpf_count_equal(const struct bpf_count *a, const struct bpf_count *b)
{
	return a->programs == b->programs && a->maps == b->maps && a->links == b->links;
}

static int64_t misses_of(uint32_t id, const char *prefix)
{
	struct bpf_prog_info info;
	union bpf_attr attr;
	int fd, err;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return 0; /* gone meanwhile */
	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	err = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	close(fd);
	return err || strncmp(info.name, prefix, strlen(prefix)) ? 0 :
								   (int64_t)info.recursion_misses;
}

int64_t bpf_recursion_misses(const char *prefix)
{
	union bpf_attr attr;
	int64_t sum = 0;

	memset(&attr, 0, sizeof(attr));
	while (!bpf(BPF_PROG_GET_NEXT_ID, &attr)) {
		sum += misses_of(attr.next_id, prefix);
		attr.start_id = attr.next_id;
	}
	return sum;
}

static int open_pin(const char *pin)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uint64_t)(uintptr_t)pin;
	fd = bpf(BPF_OBJ_GET, &attr);
	return fd < 0 ? -errno : fd;
}

int bpf_map_entries(const char *pin)
{
	uint64_t key[2];
	union bpf_attr attr;
	int fd = open_pin(pin), n = 0;

	if (fd < 0)
		return fd;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)fd;
	attr.next_key = (uint64_t)(uintptr_t)&key[0];
	while (!bpf(BPF_MAP_GET_NEXT_KEY, &attr)) {
		n++;
		key[1] = key[0];
		attr.key = (uint64_t)(uintptr_t)&key[1];
	}
	close(fd);
	return n;
}

int bpf_map_put(const char *pin, const void *key, const void *value)
{
	union bpf_attr attr;
	int fd = open_pin(pin), err = 0;

	if (fd < 0)
		return fd;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)fd;
	attr.key = (uint64_t)(uintptr_t)key;
	attr.value = (uint64_t)(uintptr_t)value;
	if (bpf(BPF_MAP_UPDATE_ELEM, &attr))
		err = -errno;
	close(fd);
	return err;
}

void *bpf_map_values(const char *pin, size_t size)
{
	void *p = MAP_FAILED;
	int fd = open_pin(pin);

	if (fd < 0)
		suite_fatal("%s: %s", pin, strerror(-fd));
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		suite_fatal("%s cannot be mapped: %s", pin, strerror(errno));
	close(fd);
	return p;
}
