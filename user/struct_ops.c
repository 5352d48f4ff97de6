// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "struct_ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "cleanup.h"
#include "log.h"

#define MODULE "oomx"
#define TYPE "oomx_choice_ops"

/* libbpf finds the module's type among all that the kernel has, when the object is loaded. */
static bool may_look_up(void)
{
	__u32 id;

	return bpf_btf_get_next_id(0, &id) != -EPERM;
}

int ox_struct_ops_offered(char *ret_why, size_t size)
{
	struct btf *vmlinux, *module = NULL;
	int err = 0;

	if (access("/sys/module/" MODULE, F_OK)) {
		(void)snprintf(ret_why, size, "the kernel module " MODULE " is not loaded"); /* fits */
		return -ENOENT;
	}
	vmlinux = btf__load_vmlinux_btf();
	if (vmlinux)
		module = btf__load_module_btf(MODULE, vmlinux);
	if (!module || btf__find_by_name_kind(module, TYPE, BTF_KIND_STRUCT) < 0) {
		(void)snprintf(ret_why, size, "the kernel module " MODULE " has no type " TYPE ": "
			       "another module, or built without type information"); /* fits */
		err = -ENOTSUP;
	}
	btf__free(module);
	btf__free(vmlinux);
	if (err || may_look_up())
		return err;
	(void)snprintf(ret_why, size, "looking up the kernel module's type takes CAP_SYS_ADMIN"); /* fits */
	return -EPERM;
}

/* info->struct_ops.map_id; Debian 12's headers, of 6.1, do not know that member of the union yet */
static __u32 map_of(const struct bpf_link_info *info)
{
	__u32 id;

	memcpy(&id, &info->xdp, sizeof(id));
	return id;
}

/* The link by which another oomx's program chooses; -ENOENT. The caller's to close. */
static int find_link(void)
{
	struct bpf_link_info link;
	struct bpf_map_info map;
	__u32 id = 0, len;

	while (!bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id), map_fd = -1;

		len = sizeof(link);
		memset(&link, 0, sizeof(link));
		if (fd < 0 || bpf_link_get_info_by_fd(fd, &link, &len) ||
		    link.type != BPF_LINK_TYPE_STRUCT_OPS)
			continue; /* it may be gone by now */
		map_fd = bpf_map_get_fd_by_id(map_of(&link));
		len = sizeof(map);
		memset(&map, 0, sizeof(map));
		if (map_fd < 0 || bpf_map_get_info_by_fd(map_fd, &map, &len) ||
		    strcmp(map.name, TYPE))
			continue;
		return TAKE_FD(fd);
	}
	return -ENOENT;
}

/*
 * Both oomx share the map that their programs read the choice from, so it does not matter which of
 * the two is asked. An attempt to attach made the map ready, though it failed.
 */
static int take_place(struct ox_engine *e, const struct bpf_map *map)
{
	_cleanup_close_ int fd = find_link();
	int err = fd < 0 ? fd : bpf_link_update(fd, bpf_map__fd(map), NULL);

	if (!err)
		e->adopted = TAKE_FD(fd);
	return err;
}

int ox_struct_ops_attach(struct ox_engine *e, bool beside)
{
	struct bpf_map *map = bpf_object__find_map_by_name(e->obj, TYPE);
	struct bpf_link *link;
	int err;

	if (!map || e->n_links == OX_ENGINE_LINKS)
		return ox_err_r(-ENOTSUP, "no " TYPE " to attach");
	link = bpf_map__attach_struct_ops(map);
	err = link ? 0 : -errno;
	if (link) {
		e->link_names[e->n_links] = TYPE;
		e->links[e->n_links++] = link;
	} else if (err == -EBUSY && beside) {
		err = take_place(e, map) ? -EBUSY : 0;
	}
	if (err == -EBUSY)
		return ox_err_r(err, "another program chooses through the kernel module already: "
				     "'bpftool struct_ops' names it");
	if (err)
		return ox_err_r(err, "the kernel module does not take the program: %s",
				strerror(-err));
	return 0;
}
