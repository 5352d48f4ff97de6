/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* symbols.h - addresses of the kernel's variables, from /proc/kallsyms, for the BPF programs. */
#ifndef OX_SYMBOLS_H
#define OX_SYMBOLS_H

#include <bpf/libbpf.h>
#include <oomx/symbols.h>

/*
 * Reads them from a file such as /proc/kallsyms. Logs what is wrong with them. 0; -EPERM: they are
 * hidden from us; -ENOTSUP: one is not there, or there twice; other -errno.
 */
int ox_symbols_read(const char *kallsyms, struct oomx_symbols *ret);

/*
 * Fills them in where the object wants any (oomx/symbols.bpf.h); they are read when the first one
 * does. Before bpf_object__load(). Logs and returns as above.
 */
int ox_symbols_fill(struct bpf_object *obj);

/* Both. What the load says is the caller's to log. 0 or -errno, which errno is as well. */
int ox_object_load(struct bpf_object *obj);

#endif
