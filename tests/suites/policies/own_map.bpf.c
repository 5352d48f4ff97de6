// SPDX-License-Identifier: GPL-2.0-only
/* own_map - a policy with a map, under the name of one of the hook's. */
#include <oomx/policy.h>

struct {
	int (*type)[2]; /* BPF_MAP_TYPE_ARRAY */
	int (*max_entries)[1];
	__u32 *key;
	__u64 *value;
} oomx_config __attribute__((section(".maps"), used));

OOMX_POLICY(own_map)
{
	return oomx_badness(f);
}
