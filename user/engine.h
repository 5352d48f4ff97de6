/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * engine.h - the kernel side as user space holds it: a hook's object linked with a policy, loaded,
 * configured, attached. Nothing is enforced before ox_engine_arm().
 */
#ifndef OX_ENGINE_H
#define OX_ENGINE_H

#include <stdbool.h>
#include <bpf/libbpf.h>
#include <oomx/abi.h>

#include "objects.h"
#include "policy.h"

#define OX_ENGINE_LINKS 24

struct ox_engine {
	struct bpf_object *obj;
	struct bpf_link *links[OX_ENGINE_LINKS];
	const char *link_names[OX_ENGINE_LINKS]; /* of their programs; the object's */
	unsigned int n_links;
	void *image; /* the linked object; libbpf reads it until it is loaded */
	struct oomx_config *config; /* the kernel's own, mapped: writes take effect at once */
	const struct oomx_stats *stats;
	struct oomx_turn *turn; /* likewise; shared with an oomx that is being replaced */
	__u32 hook;
	int adopted; /* link of another oomx that this one's program took the place of; 0: none */
	bool pinned;
	bool stays; /* its links are pinned, too: pinned.h */
};

/*
 * Opens and loads the object of `hook` (OOMX_HOOK_*) with the policy, with rss_mode as
 * ox_calibrate() found it. Logs. 0; -ENOEXEC: the verifier or the linker refused the policy;
 * -EPERM; -ENOTSUP: this kernel lacks something; other -errno. On failure nothing is left.
 *
 * beside: another oomx is running and its priorities are to go on; this one stays dormant until
 * ox_engine_take_turn(), also when attached and armed. -EPROTO: the other one is too different.
 */
int ox_engine_load(struct ox_engine *e, __u32 hook, const struct ox_policy *policy,
		   __u32 rss_mode, bool beside);

/* OOMs that begin from now on are for this set of programs, and no other's. */
void ox_engine_take_turn(struct ox_engine *e);
/* Another one has taken the turn. */
bool ox_engine_replaced(const struct ox_engine *e);
/* An OOM that is not this set's is under way. */
bool ox_engine_others_busy(const struct ox_engine *e);
/*
 * The other sets are detached. One that was so in the middle of an OOM will never say that this is
 * over, and until somebody does, no later OOM would be anybody's.
 */
void ox_engine_clear_others(struct ox_engine *e);

/* Attaches every program; all or none. Logs the one that this kernel refuses. */
int ox_engine_attach(struct ox_engine *e);
/* The same without a message: 0, or -errno and why. What is attached already stays so. */
int ox_engine_try_attach(struct ox_engine *e, char *why, size_t size);

/* It is not attached by itself: the kernel module calls it once its struct_ops map is. */
bool ox_engine_is_asked(const struct bpf_program *prog);

/*
 * Pins the maps below OX_PIN_DIR, for `oomx priority`, `status`, and `stop` after a crash, each in
 * the place of another oomx's at one instant. Logs. 0 or -errno.
 */
int ox_engine_pin(struct ox_engine *e);

/*
 * Pins the links of all programs: from now on they, and what they enforce, stay when this process
 * is killed. For hooks that need none to execute. Logs. 0 or -errno.
 */
int ox_engine_stay(struct ox_engine *e);

/* What ox_selftest_scan() found. Before ox_engine_attach(). */
void ox_engine_scan_hides(struct ox_engine *e, bool hides);

/* Enforcing is for this cgroup and all below it, and others that were named before. Logs. */
int ox_engine_scope(struct ox_engine *e, const char *cgroup);

/* Who does with nominate what the kernel side asks for; while it is 0, it abstains and says so. */
void ox_engine_set_responders(struct ox_engine *e, __u32 responder_pid, __u32 demoter_pid);

/* From now on the policy's choices are enforced. */
void ox_engine_arm(struct ox_engine *e);
/* Back to watching, without responders. */
void ox_engine_disarm(struct ox_engine *e);

/* fd of one of the object's maps, owned by the engine; -ENOENT. */
int ox_engine_map(const struct ox_engine *e, const char *name);

/*
 * Detaches, unpins, frees. NULL-safe members: any state is fine, a second call too. Without the
 * turn, the pins of maps are another oomx's to keep or take away.
 */
void ox_engine_done(struct ox_engine *e);

/* Options for opening any of our objects from memory, with the verifier's log kept (bpflog.h). */
struct bpf_object *ox_engine_open(struct ox_blob image, const char *name);

/* The pinned map of a running (or dead) oomx; -ENOENT: none. The caller's to close. */
int ox_engine_pinned(const char *map);

/* "atomic", "approx", "sum" */
const char *ox_rss_mode_name(__u32 mode);

#endif
