// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * memory.min and memory.low in a tree of cgroups, with settings that claim too little and too
 * much: what the kernel makes of them when it was last asked to reclaim, oomx's own result has to
 * be, at the same instant and to the thousandth; and a cgroup's settings alone would not do.
 */
#include "parity/parity.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <bpf/bpf.h>

#include "../bpf/protection.h"
#include "lib/cgroup.h"
#include "lib/proc.h"
#include "lib/suite.h"
#include "lib/testbpf.h"
#include "lib/worker.h"

#define TOP "/prot"
#define ROUNDS 6
#define ROOT_ID 1
#define LRU_GEN "/sys/kernel/mm/lru_gen/enabled"

/* Those above come first. */
static const struct place {
	const char *path;
	unsigned int mib; /* of the process in it; 0: none */
} places[] = {
	{ TOP, 0 },	   { TOP "/a", 0 },	      { TOP "/a/x", 24 },
	{ TOP "/a/y", 0 }, { TOP "/a/y/deep", 12 }, { TOP "/b", 20 },
	{ TOP "/c", 8 },
};

#define N_PLACES (sizeof(places) / sizeof(places[0]))

static struct {
	struct bpf_object *obj;
	int seen;
	char lru_gen[16]; /* as it was */
	uint64_t ids[N_PLACES];
	struct worker *workers[N_PLACES];
	/* over all runs */
	unsigned int compared, some, whole_machine, shared_out, not_alone;
} prot;

/* The multi-generational LRU may leave cgroups out where it reclaims for the whole machine. */
static void set_lru_gen(const char *value)
{
	int err = proc_write(LRU_GEN, value);

	if (err && err != -ENOENT)
		suite_fatal("cannot write to " LRU_GEN ": %s", strerror(-err));
}

void protection_set_up(void)
{
	if (proc_read(LRU_GEN, prot.lru_gen, sizeof(prot.lru_gen)))
		strcpy(prot.lru_gen, "0");
	set_lru_gen("0");
	prot.obj = testbpf_load("protection", NULL);
	prot.seen = testbpf_map(prot.obj, "protection_seen");
	testbpf_attach(prot.obj, "protection_memcg");
}

static void set_recursive(bool on)
{
	if (mount(NULL, CGROUP_ROOT, NULL, MS_REMOUNT, on ? "memory_recursiveprot" : ""))
		suite_fatal("cannot remount " CGROUP_ROOT ": %s", strerror(errno));
}

static bool is_ours(uint64_t id, const char **ret_path)
{
	size_t i;

	for (i = 0; i < N_PLACES; i++) {
		if (prot.ids[i] == id) {
			*ret_path = places[i].path;
			return true;
		}
	}
	return false;
}

static void clear(void)
{
	struct protection_key key;

	while (!bpf_map_get_next_key(prot.seen, NULL, &key))
		(void)bpf_map_delete_elem(prot.seen, &key);
}

static void count(const struct protection_key *key, const struct protection_rec *r, bool recursive)
{
	prot.compared++;
	prot.some += r->kernel > 0;
	prot.whole_machine += key->target_id == ROOT_ID && r->kernel;
	prot.not_alone += r->kernel != r->alone;
	prot.shared_out += recursive && r->kernel > r->alone;
}

static void compare(bool recursive)
{
	struct protection_key key, *last = NULL, at;
	struct protection_rec r;
	const char *path;

	while (!bpf_map_get_next_key(prot.seen, last, &key)) {
		at = key;
		last = &at;
		if (bpf_map_lookup_elem(prot.seen, &key, &r) || !is_ours(key.cgroup_id, &path))
			continue;
		count(&key, &r, recursive);
		if (abs((int)r.kernel - (int)r.ours) > 1)
			suite_fail("%s, for %s, %s: expected %u thousandths, found %u; %u by itself",
				   path, key.target_id == ROOT_ID ? "the machine" : "one above",
				   recursive ? "shared out" : "not shared out", r.kernel, r.ours,
				   r.alone);
	}
}

/*
 * Has the kernel look at all below, more than once, as it can't find so much: it may begin in the
 * middle, and go by what is left of another target's reclaim for those above.
 */
static void reclaim(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/memory.reclaim", cgroup);
	if (proc_write(path, "1G") == -ENOENT)
		suite_fatal("no %s", path);
}

static void set_randomly(const char *cgroup)
{
	static const unsigned int mib[] = { 0, 2, 5, 9, 14, 22, 400 };

	cgroup_set_mib(cgroup, "memory.low", mib[suite_random(0, 6)]);
	cgroup_set_mib(cgroup, "memory.min", mib[suite_random(0, 3)]);
	if (!suite_random(0, 9))
		cgroup_set(cgroup, "memory.low", "max");
}

static void play_round(unsigned int round)
{
	bool recursive = round % 2;
	size_t i;

	set_recursive(recursive);
	for (i = 0; i < N_PLACES; i++)
		set_randomly(places[i].path);
	if (!round) /* nothing protects the first from everything's being reclaimed */
		cgroup_set_mib(TOP, "memory.low", 0);
	clear();
	reclaim(TOP "/a");
	reclaim(TOP);
	reclaim("");
	compare(recursive);
}

void protection_play(unsigned int run)
{
	unsigned int round;
	size_t i;

	suite_run_begin("protection", run);
	for (i = 0; i < N_PLACES; i++) {
		struct worker_spec spec = { .comm = "kept", .cgroup = places[i].path,
					    .anon_kib = places[i].mib * 1024 };

		cgroup_make(places[i].path);
		prot.ids[i] = cgroup_id(places[i].path);
		prot.workers[i] = places[i].mib ? worker_start(&spec) : NULL;
		if (prot.workers[i])
			worker_wait_ready(prot.workers[i]);
	}
	for (round = 0; round < ROUNDS; round++)
		play_round(round);
	for (i = N_PLACES; i--;) {
		worker_end(prot.workers[i]);
		cgroup_remove(places[i].path);
	}
	suite_run_end();
}

void protection_show(void)
{
	printf("protection: %u compared, %u protected (%u from the whole machine's reclaim), for %u "
	       "more than they ask for, for %u not what they ask for\n", prot.compared, prot.some,
	       prot.whole_machine, prot.shared_out, prot.not_alone);
	if (!prot.some || !prot.whole_machine || !prot.shared_out ||
	    prot.not_alone <= prot.shared_out)
		suite_fail("expected some of each");
	set_lru_gen(prot.lru_gen);
	set_recursive(true);
	bpf_object__close(prot.obj);
}
