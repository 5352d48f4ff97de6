// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/hang.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/suite.h"

#define FILE_INODE 2
#define REQUEST_BYTES (FUSE_MIN_READ_BUFFER + 65536)

static struct {
	int fd;
	pthread_t server;
	__u64 read; /* the last request for it; 0: none */
} hang = { .fd = -1 };

static void reply(__u64 unique, int error, const void *data, size_t size)
{
	struct {
		struct fuse_out_header h;
		char data[sizeof(struct fuse_entry_out)];
	} out = { .h = { .unique = unique, .error = error } };

	if (size > sizeof(out.data))
		return;
	if (size)
		memcpy(out.data, data, size);
	out.h.len = (__u32)(sizeof(out.h) + size);
	/* fails where the request was given up, or the file system is gone: nothing to do */
	if (write(hang.fd, &out, out.h.len) < 0)
		return;
}

static struct fuse_attr attr_of(__u64 inode)
{
	return (struct fuse_attr){
		.ino = inode,
		.mode = inode == FILE_INODE ? S_IFREG | 0444 : S_IFDIR | 0555,
		.size = 4096,
		.nlink = 1,
	};
}

static void answer(const struct fuse_in_header *h)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31,
				      .max_write = 4096 };
	struct fuse_entry_out entry = { .nodeid = FILE_INODE, .attr = attr_of(FILE_INODE) };
	struct fuse_attr_out attr = { .attr = attr_of(h->nodeid) };
	const struct fuse_open_in *in = (const void *)(h + 1);
	struct fuse_open_out file = {};

	switch (h->opcode) {
	case FUSE_INIT:
		reply(h->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(h->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		if (!(in->flags & O_NONBLOCK)) /* those go by the page cache */
			file.open_flags = FOPEN_DIRECT_IO;
		reply(h->unique, 0, &file, sizeof(file));
		break;
	case FUSE_READ: /* never */
		__atomic_store_n(&hang.read, h->unique, __ATOMIC_RELEASE);
		break;
	case FUSE_INTERRUPT:
	case FUSE_FORGET:
		break;
	default:
		reply(h->unique, -ENOSYS, NULL, 0);
	}
}

static void *serve(void *arg)
{
	static char buf[REQUEST_BYTES];
	ssize_t n;

	while ((n = read(hang.fd, buf, sizeof(buf))) > 0 || errno == EINTR || errno == ENOENT) {
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			answer((const struct fuse_in_header *)(const void *)buf);
	}
	return arg;
}

void hang_open(void)
{
	char options[96];

	if (mkdir(HANG_DIR, 0755) && errno != EEXIST)
		suite_fatal(HANG_DIR ": %s", strerror(errno));
	hang.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (hang.fd < 0)
		suite_fatal("/dev/fuse: %s", strerror(errno));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 hang.fd);
	if (mount("hang", HANG_DIR, "fuse", MS_NOSUID | MS_NODEV, options))
		suite_fatal("cannot mount a FUSE file system: %s", strerror(errno));
	if (pthread_create(&hang.server, NULL, serve, NULL))
		suite_fatal("no thread for the FUSE file system");
}

bool hang_reading(void *arg)
{
	(void)arg;
	return __atomic_load_n(&hang.read, __ATOMIC_ACQUIRE);
}

void hang_fail_read(void)
{
	__u64 unique = __atomic_exchange_n(&hang.read, 0, __ATOMIC_ACQ_REL);

	if (!unique)
		suite_fail(HANG_FILE ": nobody reads it");
	else
		reply(unique, -EIO, NULL, 0);
}

void hang_release(void)
{
	if (hang.fd < 0)
		return;
	/* ends the connection, with an error for everybody who waits; the server's read, too */
	if (umount2(HANG_DIR, MNT_FORCE) && umount2(HANG_DIR, MNT_DETACH))
		suite_fail(HANG_DIR " cannot be unmounted: %s", strerror(errno));
	pthread_join(hang.server, NULL);
	close(hang.fd);
	hang.fd = -1;
	hang.read = 0;
}
