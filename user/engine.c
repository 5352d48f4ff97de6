// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "bpflog.h"
#include "build.h"
#include "cgroup.h"
#include "cleanup.h"
#include "fields.h"
#include "log.h"
#include "paths.h"
#include "pinned.h"
#include "symbols.h"

/* What outlives a crash, or is looked at by other commands. */
static const char *const pinned_maps[] = { "oomx_config", "oomx_stats", "oomx_prio",
					   "oomx_raised", "oomx_turn",	"oomx_rules",
					   "oomx_groups", "oomx_procs", "oomx_shields" };
/* What one oomx that takes over from another goes on using. */
static const struct {
	const char *name;
	__u32 value_size;
} shared_maps[] = {
	{ "oomx_prio", sizeof(struct oomx_prio) },
	{ "oomx_raised", sizeof(struct oomx_raised) },
	{ "oomx_turn", sizeof(struct oomx_turn) },
	{ "oomx_rules", sizeof(struct oomx_rule) },
	{ "oomx_groups", sizeof(struct oomx_group) },
	{ "oomx_shields", sizeof(struct oomx_shield) },
};

#define PIN_PATH 128

#define N_PINNED (sizeof(pinned_maps) / sizeof(pinned_maps[0]))

/*
 * How long the OOM killer may be held, under oom_lock. Answers took 0.2 ms on an idle emulated
 * machine and 40 ms on a busy one (2 vCPUs, 16 triggers); with 50 ms, a machine loaded four times
 * over still missed some.
 */
#define WAIT_NS 100000000ULL
/*
 * A victim's memory was gone after 170 ms at worst under the same conditions, and after 830 ms on
 * a machine loaded four times over. Within the kernel's own patience with a victim, 2 s.
 */
#define GUARD_NS 1000000000ULL
/* The kernel's own patience: OOM_REAPER_DELAY (mm/oom_kill.c, 6.1 to 7.3) */
#define INFLIGHT_NS 2000000000ULL
/* OOMs of one domain hold oom_lock, which all others wait for, for at most half of the time. */
#define HOLD_WINDOW_NS 2000000000ULL
#define HOLD_BUDGET_NS (HOLD_WINDOW_NS / 2)
/*
 * A choice takes some 0.2 us for each process. A policy's function ends, but may be a thousand
 * times as slow; then it is not asked for ever.
 */
#define RANK_NS 1000000000ULL

const char *ox_rss_mode_name(__u32 mode)
{
	static const char *const names[] = {
		[OOMX_RSS_ATOMIC] = "atomic",
		[OOMX_RSS_APPROX] = "approx",
		[OOMX_RSS_SUM] = "sum",
	};

	return mode >= OOMX_RSS_ATOMIC && mode <= OOMX_RSS_SUM ? names[mode] : "unknown";
}

struct bpf_object *ox_engine_open(struct ox_blob image, const char *name)
{
	size_t log_size = 0;
	char *log = ox_bpflog_buffer(&log_size);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = name, .kernel_log_buf = log,
		    .kernel_log_size = log_size);

	ox_bpflog_clear();
	return bpf_object__open_mem(image.data, image.size, &opts);
}

/* What a failed load says about its cause. */
static int load_error(int err, const struct ox_policy *policy)
{
	if (err == -EPERM || err == -EACCES) {
		/* the verifier, too, says EACCES; then it has said why */
		if (err == -EACCES) {
			ox_err("policy '%s': refused by the kernel's verifier:", policy->name);
			ox_bpflog_tell();
			return policy->owned ? -ENOEXEC : -ENOTSUP;
		}
		return ox_err_r(-EPERM, "loading BPF programs is not permitted here: run as root; "
					"kernel lockdown or a container may forbid it, too");
	}
	if (err == -ENOMEM)
		return ox_err_r(err, "no memory to load the BPF programs");
	ox_err("policy '%s': the kernel refuses to load it (%s):", policy->name, strerror(-err));
	ox_bpflog_tell();
	/* what is built in is sound: then it is the kernel that lacks something */
	return policy->owned ? -ENOEXEC : -ENOTSUP;
}

static void *map_memory(const struct ox_engine *e, const char *name, size_t size, int prot)
{
	int fd = ox_engine_map(e, name);
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Decision ids go on counting across restarts: seconds since boot, times a million. */
static __u64 decision_base(void)
{
	struct timespec t = {};

	(void)clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail on Linux */
	return (__u64)t.tv_sec * 1000000;
}

static void configure(struct ox_engine *e, const struct ox_policy *policy, __u32 rss_mode)
{
	struct oomx_config *c = e->config;

	c->rss_mode = rss_mode;
	c->n_cpus = libbpf_num_possible_cpus();
	c->daemon_pid = getpid();
	c->hook = e->hook;
	c->decision_base = decision_base();
	c->wait_ns = WAIT_NS;
	c->guard_ns = GUARD_NS;
	c->inflight_ns = INFLIGHT_NS;
	c->hold_budget_ns = HOLD_BUDGET_NS;
	c->hold_window_ns = HOLD_WINDOW_NS;
	c->rank_ns = RANK_NS;
	c->policy_hash = policy->hash;
	memcpy(c->policy, policy->name, sizeof(c->policy) - 1);
	memcpy(c->version, OX_VERSION, strlen(OX_VERSION));
	c->build = ox_build();
	c->abi = OOMX_ABI;
}

/* Has the object use the running oomx's maps in place of its own. */
static int share_maps(struct bpf_object *obj)
{
	struct bpf_map_info info;
	struct bpf_map *map;
	unsigned int i;
	__u32 len;
	int err;

	for (i = 0; i < sizeof(shared_maps) / sizeof(shared_maps[0]); i++) {
		_cleanup_close_ int fd = ox_engine_pinned(shared_maps[i].name);

		len = sizeof(info);
		memset(&info, 0, sizeof(info));
		map = bpf_object__find_map_by_name(obj, shared_maps[i].name);
		if (!map)
			continue;
		err = fd < 0 ? fd : bpf_map_get_info_by_fd(fd, &info, &len);
		if (!err && info.value_size != shared_maps[i].value_size)
			err = -EPROTO;
		if (!err)
			err = bpf_map__reuse_fd(map, fd);
		if (err)
			return ox_err_r(err, "cannot take over the map %s (%s): the other oomx "
					     "stays in force; 'oomx stop' ends it",
					shared_maps[i].name, err == -EPROTO ? "another version's" :
					strerror(-err));
	}
	return 0;
}

/* What is attached only where there is such a function: its section's name begins with '?'. */
static void enable_optional(struct bpf_object *obj)
{
	struct bpf_program *prog;
	const char *function;

	bpf_object__for_each_program(prog, obj) {
		function = strchr(bpf_program__section_name(prog), '/');
		if (bpf_program__autoload(prog) || !function)
			continue;
		if (libbpf_find_vmlinux_btf_id(++function, BPF_TRACE_FEXIT) > 0)
			(void)bpf_program__set_autoload(prog, true); /* fails once it is loaded */
		else
			ox_warn("this kernel has no function %s to attach %s to: going on without",
				function, bpf_program__name(prog));
	}
}

static int check_fields(const struct bpf_object *obj)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	int err;

	if (!kernel) /* libbpf cannot do without, and says so better */
		return 0;
	err = ox_fields_check(bpf_object__btf(obj), kernel);
	btf__free(kernel);
	return err;
}

static int load_object(struct ox_engine *e, const struct ox_policy *policy, bool beside)
{
	int err = beside ? share_maps(e->obj) : 0;

	if (err)
		return err;
	err = ox_symbols_fill(e->obj) ?: check_fields(e->obj);
	if (err)
		return err;
	enable_optional(e->obj);
	err = bpf_object__load(e->obj);
	if (err)
		return load_error(err, policy);
	e->config = map_memory(e, "oomx_config", sizeof(*e->config), PROT_READ | PROT_WRITE);
	e->stats = map_memory(e, "oomx_stats", sizeof(*e->stats), PROT_READ);
	e->turn = map_memory(e, "oomx_turn", sizeof(*e->turn), PROT_READ | PROT_WRITE);
	if (!e->config || !e->stats || !e->turn)
		return ox_err_r(-EIO, "cannot map the kernel side's configuration: %m");
	return 0;
}

static struct ox_blob object_of(__u32 hook)
{
	if (hook == OOMX_HOOK_STRUCT_OPS)
		return OX_BLOB(struct_ops);
	return hook == OOMX_HOOK_NOMINATE ? OX_BLOB(nominate) : OX_BLOB(observe);
}

int ox_engine_load(struct ox_engine *e, __u32 hook, const struct ox_policy *policy, __u32 rss_mode,
		   bool beside)
{
	struct ox_blob image = {};
	__u32 highest;
	int err;

	*e = (struct ox_engine){ .hook = hook };
	err = ox_policy_link(policy, object_of(hook), &image);
	if (err)
		return err;
	e->image = (void *)image.data;
	e->obj = ox_engine_open(image, "oomx");
	if (!e->obj) {
		err = -errno;
		ox_err("policy '%s': the linked object cannot be opened:", policy->name);
		ox_bpflog_tell();
		ox_engine_done(e);
		return err == -ENOMEM ? err : -ENOEXEC;
	}
	err = load_object(e, policy, beside);
	if (err) {
		ox_engine_done(e);
		return err;
	}
	configure(e, policy, rss_mode);
	/* nobody's yet, be it in force, dormant, or left by one that died as it took over */
	highest = ox_pinned_highest();
	e->config->generation = (e->turn->owner > highest ? e->turn->owner : highest) + 1;
	if (!beside)
		ox_engine_take_turn(e);
	return 0;
}

void ox_engine_take_turn(struct ox_engine *e)
{
	__atomic_store_n(&e->turn->owner, e->config->generation, __ATOMIC_SEQ_CST);
}

bool ox_engine_replaced(const struct ox_engine *e)
{
	return e->turn && __atomic_load_n(&e->turn->owner, __ATOMIC_SEQ_CST) !=
				  e->config->generation;
}

bool ox_engine_others_busy(const struct ox_engine *e)
{
	__u32 latched = __atomic_load_n(&e->turn->latched, __ATOMIC_SEQ_CST);

	return latched && latched != e->config->generation;
}

void ox_engine_clear_others(struct ox_engine *e)
{
	__u32 latched = __atomic_load_n(&e->turn->latched, __ATOMIC_SEQ_CST);

	/* if it has changed since, that OOM is over */
	if (latched && latched != e->config->generation)
		(void)__atomic_compare_exchange_n(&e->turn->latched, &latched, 0, /* weak= */ false,
						  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool ox_engine_is_asked(const struct bpf_program *prog)
{
	return bpf_program__type(prog) == BPF_PROG_TYPE_STRUCT_OPS;
}

int ox_engine_try_attach(struct ox_engine *e, char *why, size_t size)
{
	struct bpf_program *prog;
	struct bpf_link *link;
	int err;

	bpf_object__for_each_program(prog, e->obj) {
		if (ox_engine_is_asked(prog) || !bpf_program__autoload(prog))
			continue;
		ox_bpflog_clear();
		link = e->n_links < OX_ENGINE_LINKS ? bpf_program__attach(prog) : NULL;
		if (!link) {
			err = e->n_links < OX_ENGINE_LINKS ? -errno : -E2BIG;
			(void)snprintf(why, size, "%s cannot be attached to %s: %s",
				       bpf_program__name(prog), bpf_program__section_name(prog),
				       strerror(-err)); /* cut is fine */
			return err;
		}
		e->link_names[e->n_links] = bpf_program__name(prog);
		e->links[e->n_links++] = link;
	}
	return 0;
}

int ox_engine_attach(struct ox_engine *e)
{
	char why[256];
	int err = ox_engine_try_attach(e, why, sizeof(why));

	if (!err)
		return 0;
	while (e->n_links)
		bpf_link__destroy(e->links[--e->n_links]);
	return ox_err_r(err == -EPERM ? err : -ENOTSUP, "%s", why);
}

static int pin_dir(void)
{
	struct statfs fs;

	if (statfs("/sys/fs/bpf", &fs) || fs.f_type != BPF_FS_MAGIC)
		return ox_err_r(-ENOTSUP, "no BPF file system at /sys/fs/bpf: "
					  "mount -t bpf bpf /sys/fs/bpf");
	if (mkdir(OX_PIN_DIR, 0700) && errno != EEXIST)
		return ox_err_r(-errno, "cannot make " OX_PIN_DIR ": %m");
	return 0;
}

/* Under `path`_new: the name that is in use means another's map until all of ours are there. */
static void pin_paths(const char *map, char path[PIN_PATH], char unfinished[PIN_PATH])
{
	(void)snprintf(path, PIN_PATH, "%s/%s", OX_PIN_DIR, map); /* names are ours: fits */
	(void)snprintf(unfinished, PIN_PATH, "%s/%s_new", OX_PIN_DIR, map); /* as above */
}

static int pin_new(int fd, const char *unfinished)
{
	int err;

	(void)unlink(unfinished); /* of one that died here */
	err = bpf_obj_pin(fd, unfinished);
	return err ? ox_err_r(err, "cannot pin %s: %s", unfinished, strerror(-err)) : 0;
}

/* A name that is in use comes to mean this map at once, and is never without one. */
static int pin_finish(bool have, const char *unfinished, const char *path)
{
	if (have && rename(unfinished, path))
		return ox_err_r(-errno, "cannot pin %s: %m", path);
	if (!have && unlink(path) && errno != ENOENT)
		return ox_err_r(-errno, "cannot remove %s: %m", path);
	return 0;
}

/*
 * All of them get a name before the first of another's loses his: what can fail, for want of memory
 * say, comes before anything is changed.
 */
int ox_engine_pin(struct ox_engine *e)
{
	char path[PIN_PATH], unfinished[PIN_PATH];
	unsigned int i, n;
	int fd, err = pin_dir();

	if (err)
		return err;
	for (n = 0; !err && n < N_PINNED; n++) {
		fd = ox_engine_map(e, pinned_maps[n]);
		pin_paths(pinned_maps[n], path, unfinished);
		if (fd >= 0)
			err = pin_new(fd, unfinished);
	}
	e->pinned = !err;
	for (i = 0; !err && i < N_PINNED; i++) {
		pin_paths(pinned_maps[i], path, unfinished);
		err = pin_finish(ox_engine_map(e, pinned_maps[i]) >= 0, unfinished, path);
	}
	for (i = 0; err && i < n; i++) {
		pin_paths(pinned_maps[i], path, unfinished);
		(void)unlink(unfinished); /* gone is what we want */
	}
	if (err)
		(void)rmdir(OX_PIN_DIR); /* stays if there is something of another's */
	return err;
}

int ox_engine_stay(struct ox_engine *e)
{
	int err = ox_pinned_add(e);

	e->stays = !err;
	return err;
}

int ox_engine_pinned(const char *map)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", OX_PIN_DIR, map); /* names are ours: fits */
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

void ox_engine_set_responders(struct ox_engine *e, __u32 responder_pid, __u32 demoter_pid)
{
	/* in this order: the responder's is the one that is waited for */
	__atomic_store_n(&e->config->demoter_pid, demoter_pid, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->config->responder_pid, responder_pid, __ATOMIC_SEQ_CST);
}

void ox_engine_arm(struct ox_engine *e)
{
	__atomic_fetch_or(&e->config->flags, OOMX_CFG_ENFORCE | OOMX_CFG_ASKED, __ATOMIC_SEQ_CST);
}

void ox_engine_disarm(struct ox_engine *e)
{
	if (!e->config)
		return;
	__atomic_fetch_and(&e->config->flags, ~OOMX_CFG_ENFORCE, __ATOMIC_SEQ_CST);
	ox_engine_set_responders(e, 0, 0);
}

void ox_engine_scan_hides(struct ox_engine *e, bool hides)
{
	__u32 flags = hides ? OOMX_CFG_HIDES : 0;

	e->config->flags = (e->config->flags & ~OOMX_CFG_HIDES) | flags; /* nothing is attached */
}

int ox_engine_scope(struct ox_engine *e, const char *cgroup)
{
	__u32 one = 1;
	__u64 id = 0;
	int err = ox_cgroup_id(cgroup, &id);

	if (err == -ENOENT)
		return ox_err_r(-ENXIO, "--scope: there is no cgroup %s", cgroup);
	if (!err)
		err = bpf_map_update_elem(ox_engine_map(e, "oomx_scope"), &id, &one, BPF_ANY);
	if (err)
		return ox_err_r(err, "--scope %s: %s", cgroup, strerror(-err));
	__atomic_fetch_or(&e->config->flags, OOMX_CFG_SCOPED, __ATOMIC_SEQ_CST);
	return 0;
}

int ox_engine_map(const struct ox_engine *e, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(e->obj, name);

	return map ? bpf_map__fd(map) : -ENOENT;
}

void ox_engine_done(struct ox_engine *e)
{
	bool pinned = e->pinned && !ox_engine_replaced(e);
	char path[128];
	unsigned int i;

	if (e->stays)
		ox_pinned_remove(e->config->generation);
	if (pinned)
		ox_pinned_remove_others(0); /* of one that died before it took over from us */
	if (e->adopted)
		(void)close(e->adopted);
	while (e->n_links)
		bpf_link__destroy(e->links[--e->n_links]);
	for (i = 0; pinned && i < N_PINNED; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", OX_PIN_DIR, pinned_maps[i]); /* fits */
		(void)unlink(path); /* gone is what we want */
	}
	if (pinned)
		(void)rmdir(OX_PIN_DIR); /* stays if somebody else keeps something there */
	if (e->config)
		(void)munmap(e->config, sizeof(*e->config));
	if (e->stats)
		(void)munmap((void *)e->stats, sizeof(*e->stats));
	if (e->turn)
		(void)munmap(e->turn, sizeof(*e->turn));
	bpf_object__close(e->obj);
	free(e->image);
	*e = (struct ox_engine){};
}
