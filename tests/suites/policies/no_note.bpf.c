// SPDX-License-Identifier: GPL-2.0-only
/* no_note - a proper BPF object with the right function and nothing that says what it is. */
#include <oomx/facts.h>

char _license[] __attribute__((section("license"), used)) = "GPL";

__s64 oomx_policy_rank(const struct oomx_facts *f);
__s64 oomx_policy_rank(const struct oomx_facts *f)
{
	return f ? (__s64)f->anon_pages : 0;
}
