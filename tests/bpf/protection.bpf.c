// SPDX-License-Identifier: GPL-2.0-only
/*
 * protection - what the kernel makes of memory.min and memory.low when it reclaims, and what our
 * own code makes of them at the same instant.
 */
#include <oomx/protection.bpf.h>

#include "protection.h"

char _license[] SEC("license") = "GPL";

struct page_counter___kept {
	unsigned long emin;
	unsigned long elow;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct protection_key);
	__type(value, struct protection_rec);
} protection_seen SEC(".maps");

/* By CPU: whoever reclaims may be preempted, but is alone in asking where the suite does. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ox_way);
} protection_way SEC(".maps");

static __always_inline u32 thousandths(u64 one, u64 other, u64 usage)
{
	u64 kept = one > other ? one : other;

	return kept < usage ? kept * 1000 / usage : 1000;
}

/* target: a css; 0: the root's */
static int compare(struct mem_cgroup *memcg, u64 target)
{
	struct cgroup_subsys_state *css = ox_memcg_css(memcg);
	struct page_counter *counter =
		(void *)memcg + bpf_core_field_offset(struct mem_cgroup, memory);
	struct page_counter___kept *kept = (void *)counter;
	struct protection_key key = { .cgroup_id = ox_css_cgroup_id(css) };
	struct protection_rec r = {}, *old;
	struct ox_way *way;
	u32 zero = 0;
	u64 usage;

	key.target_id = target ? ox_css_cgroup_id((void *)target) : 1;
	usage = BPF_CORE_READ(counter, usage.counter);
	way = bpf_map_lookup_elem(&protection_way, &zero);
	if (!way || !usage || (u64)css == target || !BPF_CORE_READ(css, parent))
		return 0;
	r.kernel = thousandths(BPF_CORE_READ(kept, emin), BPF_CORE_READ(kept, elow), usage);
	r.alone = thousandths(BPF_CORE_READ(counter, min), BPF_CORE_READ(counter, low), usage);
	r.ours = ox_memcg_protection(way, ox_addr(css), target,
				     BPF_CORE_READ(css, cgroup, root, flags));
	old = bpf_map_lookup_elem(&protection_seen, &key);
	r.seen = old ? old->seen + 1 : 1;
	bpf_map_update_elem(&protection_seen, &key, &r, BPF_ANY);
	return 0;
}

/* mm/memcontrol.c, 6.1 to 7.3; root may be NULL: the root's */
SEC("fexit/mem_cgroup_calculate_protection")
int BPF_PROG(protection_memcg, struct mem_cgroup *root, struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *target = ox_memcg_css(root);

	if (!root || !BPF_CORE_READ(target, parent))
		return compare(memcg, 0);
	return compare(memcg, ox_addr(target));
}
