// SPDX-License-Identifier: GPL-2.0-only
/* long_facts - was built against more facts than this oomx fills in. */
#include <oomx/policy.h>

struct longer_facts {
	struct oomx_facts facts;
	__u64 more[8];
};

char _license[] __attribute__((section("license"), used)) = "GPL";
const struct oomx_policy_note oomx_policy_note __attribute__((used)) = {
	.magic = OOMX_POLICY_MAGIC,
	.abi = OOMX_POLICY_ABI,
	.facts_size = sizeof(struct longer_facts),
	.name = "long_facts",
};

__s64 oomx_policy_rank(const struct oomx_facts *f);
__s64 oomx_policy_rank(const struct oomx_facts *f)
{
	return f ? (__s64)((const struct longer_facts *)f)->more[7] : 0;
}
