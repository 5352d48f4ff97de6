/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* rule_names.h - from the number in a record or a map to the name that the operator gave. */
#ifndef OX_RULE_NAMES_H
#define OX_RULE_NAMES_H

#include <oomx/abi.h>

/*
 * Looks the number up in the running oomx's map "oomx_rules". Returns buf, or NULL: 0 is no rule;
 * or it is not known (no longer, or not to this user).
 */
const char *ox_rule_name(__u32 rule, char buf[OOMX_RULE_LEN]);

#endif
