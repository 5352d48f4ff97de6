// SPDX-License-Identifier: GPL-2.0-only
/* good - an object file as a stranger writes it: has to be accepted. */
#include <oomx/policy.h>

OOMX_POLICY(good)
{
	return oomx_lexical(f->uid != 0, oomx_pages(f));
}
