/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Included in a BPF object of oomx's, makes it another build's, as after an upgrade. */
const volatile int ox_other_build = 1;
