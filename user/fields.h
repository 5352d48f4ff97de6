/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fields.h - are the kernel's fields as large as our programs take them to be? CO-RE relocates
 * where a field is, but a read by bpf_probe_read_kernel() keeps the size that vmlinux.h declares:
 * of one that has become smaller since, it would bring in its neighbours, without a word.
 */
#ifndef OX_FIELDS_H
#define OX_FIELDS_H

#include <bpf/btf.h>

/*
 * Compares what both know: numbers and pointers, by the names of struct and field, and not those
 * that are read by whatever size they have (OX_ANY_SIZE) or only where they fit (flavours, ___).
 * Both are the caller's. Logs. 0; -ENOTSUP: one differs; -ENOMEM.
 */
int ox_fields_check(const struct btf *ours, const struct btf *kernel);

#endif
