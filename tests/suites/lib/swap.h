/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* swap.h - swap space: the rig's guests have none. */
#ifndef SUITE_SWAP_H
#define SUITE_SWAP_H

/* Compressed memory (zram) as swap. Fatal where that is not to be had. */
void swap_on(unsigned int mib);

#endif
