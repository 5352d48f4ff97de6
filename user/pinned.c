// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pinned.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "cleanup.h"
#include "daemon.h"
#include "log.h"
#include "parse.h"
#include "paths.h"

#define UNFINISHED "_new" /* behind the generation, while links are added */
#define ASKED "oomx_choice_ops"

/* Its own, beside those that all sets share: for status, and for whoever takes over. */
static const char *const maps[] = { "oomx_config", "oomx_stats", "oomx_vital", "oomx_bulk" };

#define N_MAPS (sizeof(maps) / sizeof(maps[0]))

/* ---- finding -------------------------------------------------------------------------------- */

int ox_pinned_value(const char *name, void *buf, size_t size)
{
	_cleanup_close_ int fd = ox_engine_pinned(name);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;
	_cleanup_free_ void *value = NULL;
	int err;

	if (fd < 0)
		return fd;
	err = bpf_map_get_info_by_fd(fd, &info, &len);
	if (err)
		return err;
	value = calloc(1, info.value_size > size ? info.value_size : size);
	if (!value)
		return -ENOMEM;
	err = bpf_map_lookup_elem(fd, &zero, value);
	if (err)
		return err;
	memcpy(buf, value, size);
	return 0;
}

/* The generation that a directory's name is of; 0: it is no set's. */
static __u32 generation_of(const char *name, bool *ret_complete)
{
	size_t n = strspn(name, "0123456789");
	char number[16];
	__u32 generation;

	*ret_complete = !name[n];
	if (n >= sizeof(number) || (name[n] && strcmp(name + n, UNFINISHED)))
		return 0;
	memcpy(number, name, n);
	number[n] = '\0';
	return ox_parse_u32(number, 1, ~0u, &generation) ? 0 : generation;
}

/* 1, 0, or -errno: is there any complete set? *ret_highest of all. */
static int look(__u32 *ret_highest)
{
	DIR *dir = opendir(OX_LINKS_DIR);
	struct dirent *d;
	__u32 generation;
	bool complete;
	int any = 0;

	*ret_highest = 0;
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((d = readdir(dir))) {
		generation = generation_of(d->d_name, &complete);
		any |= generation && complete;
		if (generation > *ret_highest)
			*ret_highest = generation;
	}
	(void)closedir(dir); /* read only */
	return any;
}

__u32 ox_pinned_highest(void)
{
	__u32 highest;

	(void)look(&highest); /* 0 where it cannot look */
	return highest;
}

static int value_of(const struct ox_pinned *p, const char *map, void *buf, size_t size)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "links/%u/%s", p->generation, map); /* fits */
	return ox_pinned_value(name, buf, size);
}

int ox_pinned_find(struct ox_pinned *ret)
{
	struct oomx_turn turn = {};
	__u32 highest;
	int err = look(&highest);

	*ret = (struct ox_pinned){};
	if (err <= 0)
		return err;
	err = ox_pinned_value("oomx_config", &ret->config, sizeof(ret->config));
	if (!err && ret->config.abi != OOMX_ABI)
		return -EPROTO;
	if (!err)
		err = ox_pinned_value("oomx_turn", &turn, sizeof(turn));
	ret->generation = turn.owner;
	if (!err)
		err = value_of(ret, "oomx_config", &ret->config, sizeof(ret->config));
	if (!err)
		err = value_of(ret, "oomx_stats", &ret->stats, sizeof(ret->stats));
	ret->config.policy[sizeof(ret->config.policy) - 1] = '\0';
	ret->config.version[sizeof(ret->config.version) - 1] = '\0';
	/* what is there without having the turn, or without maps, decides nothing */
	return err == -ENOENT ? 0 : err ?: 1;
}

bool ox_pinned_or_running(void)
{
	struct ox_pinned p;

	return ox_daemon_pid() > 0 || ox_pinned_find(&p) > 0;
}

int ox_pinned_map(const struct ox_pinned *p, const char *map)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "links/%u/%s", p->generation, map); /* fits */
	return ox_engine_pinned(name);
}

/* ---- removing ------------------------------------------------------------------------------- */

/*
 * Of a pin that goes, the kernel lets go in its own time; of a descriptor that is closed, at once:
 * so one is held for as long as the pin is there.
 */
static int unpin(const char *dir, const char *name)
{
	char path[512];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -1; /* not of ours */
	fd = bpf_obj_get(path);
	if (unlink(path) && errno != ENOENT)
		ox_err("cannot remove %s: %m", path);
	return fd;
}

static void remove_set(const char *name)
{
	int fds[OX_ENGINE_LINKS + N_MAPS], n = 0, fd;
	char path[128], complete[128];
	struct dirent *d;
	DIR *dir;

	(void)snprintf(complete, sizeof(complete), OX_LINKS_DIR "/%.16s", name); /* fits */
	(void)snprintf(path, sizeof(path), "%.64s" UNFINISHED, complete); /* fits */
	if (strchr(name, '_') || rename(complete, path)) /* no set any more, should we die here */
		(void)snprintf(path, sizeof(path), "%s", complete);
	dir = opendir(path);
	if (!dir)
		return;
	fd = unpin(path, ASKED);
	if (fd >= 0)
		(void)close(fd);
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		fd = unpin(path, d->d_name);
		if (fd >= 0 && n < (int)(sizeof(fds) / sizeof(fds[0])))
			fds[n++] = fd;
		else if (fd >= 0)
			(void)close(fd);
	}
	(void)closedir(dir); /* read only */
	while (n)
		(void)close(fds[--n]);
	if (rmdir(path))
		ox_err("cannot remove %s: %m", path);
}

void ox_pinned_remove(__u32 generation)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "%u", generation); /* fits */
	remove_set(name);
	(void)rmdir(OX_LINKS_DIR); /* stays while there is another set */
}

void ox_pinned_remove_others(__u32 generation)
{
	DIR *dir = opendir(OX_LINKS_DIR);
	struct dirent *d;
	bool complete;
	__u32 its;

	if (!dir)
		return;
	while ((d = readdir(dir))) {
		its = generation_of(d->d_name, &complete);
		if (its && its != generation)
			remove_set(d->d_name);
	}
	(void)closedir(dir); /* read only */
	(void)rmdir(OX_LINKS_DIR); /* stays while there is another set */
}

/* ---- adding --------------------------------------------------------------------------------- */

static int pin(const char *dir, const char *name, int fd)
{
	char path[128];
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name); /* names are ours: fits */
	err = fd < 0 ? fd : bpf_obj_pin(fd, path);
	return err ? ox_err_r(err, "cannot pin %s: %s", path, strerror(-err)) : 0;
}

static int pin_all(const struct ox_engine *e, const char *dir)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < N_MAPS; i++)
		err = pin(dir, maps[i], ox_engine_map(e, maps[i]));
	for (i = 0; !err && i < e->n_links; i++)
		err = pin(dir, e->link_names[i], bpf_link__fd(e->links[i]));
	return err || !e->adopted ? err : pin(dir, ASKED, e->adopted);
}

int ox_pinned_add(const struct ox_engine *e)
{
	char dir[64], unfinished[64];
	int err;

	(void)snprintf(dir, sizeof(dir), OX_LINKS_DIR "/%u", e->config->generation); /* fits */
	(void)snprintf(unfinished, sizeof(unfinished), OX_LINKS_DIR "/%u" UNFINISHED,
		       e->config->generation); /* fits */
	if (!access(dir, F_OK))
		return 0;
	if (mkdir(OX_LINKS_DIR, 0700) && errno != EEXIST)
		return ox_err_r(-errno, "cannot make " OX_LINKS_DIR ": %m");
	if (mkdir(unfinished, 0700))
		return ox_err_r(-errno, "cannot make %s: %m", unfinished);
	err = pin_all(e, unfinished);
	if (!err && rename(unfinished, dir))
		err = ox_err_r(-errno, "cannot rename %s: %m", unfinished);
	if (err)
		remove_set(strrchr(unfinished, '/') + 1);
	return err;
}
