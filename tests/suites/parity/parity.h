/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* parity.h - the parts of suite_parity that have files of their own. */
#ifndef SUITE_PARITY_H
#define SUITE_PARITY_H

/* memory.min and memory.low: what oomx makes of them against what the kernel does. */
void protection_set_up(void);
void protection_play(unsigned int run);
void protection_show(void);

#endif
