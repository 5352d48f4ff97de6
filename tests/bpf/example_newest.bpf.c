// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* example_newest - the example that users are shown, as it is. */
#include "../../examples/policy/newest.bpf.c"
