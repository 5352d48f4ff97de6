/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bpflog.h - what libbpf and the verifier say, kept back until somebody fails, then told in a few
 * lines: the reason stands at the end of a verifier's log of thousands.
 */
#ifndef OX_BPFLOG_H
#define OX_BPFLOG_H

#include <stddef.h>

/* Takes libbpf's messages over: they are kept for ox_bpflog_tell(), and shown at debug level. */
void ox_bpflog_init(void);

/* Forgets what was kept. Before each step that may fail. */
void ox_bpflog_clear(void);

/*
 * The buffer for bpf_object_open_opts.kernel_log_buf, owned here, valid for ever; NULL if there
 * is no memory (libbpf then uses its own). Size in bytes.
 */
char *ox_bpflog_buffer(size_t *ret_size);

/* Logs the last lines of the verifier's log, or else libbpf's last messages, as errors. */
void ox_bpflog_tell(void);

#endif
