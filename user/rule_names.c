// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "rule_names.h"

#include <string.h>
#include <bpf/bpf.h>

#include "cleanup.h"
#include "engine.h"

const char *ox_rule_name(__u32 rule, char buf[OOMX_RULE_LEN])
{
	/* opened anew each time: kills are rare, and another oomx may have taken over meanwhile */
	_cleanup_close_ int fd = rule ? ox_engine_pinned("oomx_rules") : -1;
	struct oomx_rule r;

	if (fd < 0 || bpf_map_lookup_elem(fd, &rule, &r))
		return NULL;
	memcpy(buf, r.name, sizeof(r.name));
	buf[OOMX_RULE_LEN - 1] = '\0';
	return buf;
}
