// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "containers.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "cgroup.h"
#include "clock.h"
#include "engine.h"
#include "idcache.h"
#include "log.h"
#include "record.h"
#include "symbols.h"

struct ox_containers {
	struct ox_idcache *cache;
	int epoll, timer;
	struct bpf_object *obj;
	struct bpf_link *made, *gone;
	struct ring_buffer *ring; /* NULL: the kernel does not tell */
	const __u64 *lost;	  /* the kernel side's counter */
	__u64 lost_seen;
	ox_cgroup_told_fn told; /* NULL: nobody else wants to know */
	void *told_ctx;
	char message[OX_RECORD_MAX];
};

static void set_timer(struct ox_containers *c)
{
	__u64 due = ox_idcache_due(c->cache);
	struct itimerspec t = { .it_value = { .tv_sec = due / 1000000000ULL,
					      .tv_nsec = due % 1000000000ULL } };

	(void)timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &t, NULL); /* sane: cannot fail */
}

static int visit(void *ctx, const char *path, __u64 id)
{
	struct ox_containers *c = ctx;

	(void)id;
	ox_idcache_made(c->cache, path, ox_now_ns());
	return 0;
}

static void on_path(struct ox_containers *c, __u64 id, const char *path, bool gone)
{
	/* first the rules, which are to be in force at once */
	if (c->told)
		c->told(c->told_ctx, id, path, gone);
	if (gone)
		ox_idcache_gone(c->cache, path);
	else
		ox_idcache_made(c->cache, path, ox_now_ns());
}

/* libbpf's callback for one record of the ring */
static int on_cgroup(void *ctx, void *data, size_t size)
{
	const struct oomx_cgroup_rec *r = data;
	size_t head = offsetof(struct oomx_cgroup_rec, path);
	struct ox_containers *c = ctx;
	char path[PATH_MAX];

	if (size <= head || size > sizeof(*r) || r->path[size - head - 1])
		return 0; /* cannot be: it is ours */
	if (strlen(r->path) < OOMX_CGROUP_LEN - 1) {
		on_path(c, r->id, r->path, r->what == OOMX_CGROUP_GONE);
	} else if (r->what == OOMX_CGROUP_MADE) { /* the kernel has cut it */
		if (!ox_cgroup_path_by_id(r->id, path, sizeof(path)))
			on_path(c, r->id, path, false);
	} else if (c->told) {
		c->told(c->told_ctx, r->id, r->path, true);
	}
	return 0;
}

static void read_ring(struct ox_containers *c)
{
	if (!c->ring)
		return;
	(void)ring_buffer__consume(c->ring); /* on_cgroup never fails */
	if (*c->lost == c->lost_seen)
		return;
	c->lost_seen = *c->lost;
	ox_warn("too many new cgroups at once, looking at all of them for containers");
	(void)ox_cgroup_walk(visit, c); /* what it misses is looked up when asked for */
	if (c->told)
		c->told(c->told_ctx, 0, "", false);
}

static int watch_fd(struct ox_containers *c, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static struct bpf_link *attach_probe(struct ox_containers *c, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(c->obj, name);

	return prog ? bpf_program__attach(prog) : NULL;
}

static int watch_cgroups(struct ox_containers *c)
{
	int fd;

	c->obj = ox_engine_open(OX_BLOB(cgroups), "oomx_cgroups");
	if (!c->obj || ox_object_load(c->obj))
		return -errno;
	fd = bpf_object__find_map_fd_by_name(c->obj, "oomx_cgroups_lost");
	c->lost = mmap(NULL, sizeof(*c->lost), PROT_READ, MAP_SHARED, fd, 0);
	if (c->lost == MAP_FAILED) {
		c->lost = NULL;
		return -errno;
	}
	c->made = attach_probe(c, "ox_cgroup_made");
	c->gone = c->made ? attach_probe(c, "ox_cgroup_gone") : NULL;
	if (!c->gone)
		return -errno;
	fd = bpf_object__find_map_fd_by_name(c->obj, "oomx_cgroups");
	c->ring = ring_buffer__new(fd, on_cgroup, c, NULL);
	return c->ring ? watch_fd(c, ring_buffer__epoll_fd(c->ring)) : -errno;
}

int ox_containers_new(struct ox_containers **ret)
{
	struct ox_containers *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return ox_err_r(-ENOMEM, "no memory");
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	err = c->epoll < 0 || c->timer < 0 ? -errno : ox_idcache_new("/", &c->cache);
	if (!err)
		err = watch_fd(c, c->timer);
	if (err) {
		ox_containers_free(c);
		return ox_err_r(err, "containers: %s", strerror(-err));
	}
	/* first the watch, then the look: nothing comes between them */
	err = watch_cgroups(c);
	if (err)
		ox_warn("containers are looked up only when they are in an event, maybe too late: "
			"this kernel does not tell of new cgroups (%s)", strerror(-err));
	err = ox_cgroup_walk(visit, c);
	if (err)
		ox_warn("not all cgroups could be looked at for containers (%s), ignoring",
			strerror(-err));
	set_timer(c);
	*ret = c;
	return 0;
}

void ox_containers_free(struct ox_containers *c)
{
	if (!c)
		return;
	bpf_link__destroy(c->made);
	bpf_link__destroy(c->gone);
	ring_buffer__free(c->ring);
	if (c->lost)
		(void)munmap((void *)c->lost, sizeof(*c->lost));
	bpf_object__close(c->obj);
	if (c->timer >= 0)
		(void)close(c->timer);
	if (c->epoll >= 0)
		(void)close(c->epoll);
	ox_idcache_free(c->cache);
	free(c);
}

bool ox_containers_tell(struct ox_containers *c, ox_cgroup_told_fn told, void *ctx)
{
	c->told = told;
	c->told_ctx = ctx;
	return c->ring;
}

int ox_containers_fd(const struct ox_containers *c)
{
	return c->epoll;
}

void ox_containers_work(struct ox_containers *c)
{
	__u64 expirations;

	(void)!read(c->timer, &expirations, sizeof(expirations)); /* only to make it unreadable */
	read_ring(c);
	ox_idcache_retry(c->cache, ox_now_ns());
	set_timer(c);
}

static size_t attach(struct ox_containers *c, size_t size, __u32 type,
		     const char leaf_first[OOMX_PATH_LEN])
{
	const struct ox_identity *id;
	char path[OX_CGROUP_RECORD_LEN];

	if (ox_cgroup_path_from_record(leaf_first, path, sizeof(path)))
		return size; /* cannot be: it takes all */
	id = ox_idcache_get(c->cache, path);
	return id ? ox_attach(c->message, size, type, id) : size;
}

const void *ox_containers_attach(struct ox_containers *c, const void *rec, size_t *size)
{
	union ox_record r;
	size_t n = *size;

	if (n > sizeof(c->message) || ox_record_load(rec, n, &r))
		return rec;
	memcpy(c->message, rec, n);
	switch (r.hdr.type) {
	case OOMX_REC_OOM:
		read_ring(c);
		if (r.oom.domain_id)
			n = attach(c, n, OOMX_ATTACH_CONTAINER, r.oom.domain_path);
		n = attach(c, n, OOMX_ATTACH_TRIGGER, r.oom.trigger.path);
		break;
	case OOMX_REC_KILL:
	case OOMX_REC_KERNEL_KILL:
		read_ring(c);
		n = attach(c, n, OOMX_ATTACH_CONTAINER, r.kill.victim.path);
		break;
	default:
		return rec;
	}
	set_timer(c);
	*size = n;
	return c->message;
}
