/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reserve.h - memory that a process keeps in order to give it back to the kernel: right before it
 * needs a little itself, while the machine has none left.
 */
#ifndef OX_RESERVE_H
#define OX_RESERVE_H

/*
 * Fills the reserve, and starts a thread that fills it again, once there is plenty of memory: at
 * ordinary priority, and without an end. The caller locks its memory. Logs; without a reserve all
 * goes on.
 */
void ox_reserve_start(void);

/*
 * Gives back memory until so many pages more are free, or nothing is left to give. Any thread;
 * neither allocates nor waits for memory. How many pages of the reserve that took.
 */
unsigned int ox_reserve_give(unsigned int pages);

#endif
