/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * record.h - event records: checked, and told to programs (JSON) and to people.
 *
 * A record comes from the kernel's ring or from the feed's socket, with the number of bytes that
 * were received. It need not be aligned. Nothing in it is trusted: names are any bytes.
 *
 * Records grow at their end. What is longer than this build knows is cut, what is shorter is
 * filled with zeros, down to the size the type had when its ABI was first published.
 */
#ifndef OX_RECORD_H
#define OX_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <jansson.h>
#include <linux/types.h>
#include <oomx/abi.h>

/* No record is longer, now or later: buffers of this size take all. Bytes. */
#define OX_RECORD_MAX 16384

union ox_record {
	struct oomx_rec_hdr hdr;
	struct oomx_rec_oom oom;
	struct oomx_rec_kill kill; /* also OOMX_REC_KERNEL_KILL */
	struct oomx_rec_freed freed;
	struct oomx_rec_abstain abstain;
	struct oomx_rec_candidates candidates;
};

/*
 * 0; -EBADMSG: too short for its type, or says it is longer than `size`; -EPROTONOSUPPORT: of
 * another ABI; -ENOMSG: a type this build does not know. Only then is the rest looked at.
 */
int ox_record_check(const void *rec, size_t size);

/*
 * Checks, and copies what is known to *ret, the rest zero; hdr.size keeps what the writer said.
 * Candidates get this build's stride and come out best first: badness descending, among equals
 * the youngest first; of more than OOMX_TOP_K the best are kept.
 * Errors as above; *ret is untouched then.
 */
int ox_record_load(const void *rec, size_t size, union ox_record *ret);

/*
 * As documented in docs/events.md and docs/events.schema.json. The caller owns the one reference.
 * NULL: the record fails ox_record_check(), or no memory.
 */
json_t *ox_record_json(const void *rec, size_t size);

/*
 * For people: one or two lines, control characters replaced. Errors of ox_record_check(), or
 * -EIO if `out` is in an error state afterwards.
 */
int ox_record_print(FILE *out, const void *rec, size_t size);

/* "oom", "kill", ...; "unknown" for what this build does not know. Never NULL. */
const char *ox_record_type_name(__u32 type);
const char *ox_hook_name(__u32 hook);
const char *ox_constraint_name(__u32 constraint);
const char *ox_abstain_name(__u32 reason);

/* The reason as a sentence's end: "... because <this>". Never NULL. */
const char *ox_abstain_text(__u32 reason);

/* ---- the parts, for other readers of names and times ---------------------------------------- */

/* As in the events. The caller owns the one reference; NULL: no memory. */
json_t *ox_who_json(const struct oomx_who *w);
json_t *ox_facts_json(const struct oomx_facts *f);

/*
 * Up to `n` bytes of `s`, or to its first NUL, as valid UTF-8, ended by NUL: each byte that is
 * not part of a well-formed sequence becomes U+FFFD, and with `printable` control characters
 * become '?'. Cut between characters to fit; 3 * n + 1 bytes always suffice. Returns `out`.
 */
char *ox_utf8_clean(const char *s, size_t n, bool printable, char *out, size_t size);

/* Length of the well-formed character at s[0..n), n > 0, and its code point; 0: there is none. */
size_t ox_utf8_char(const unsigned char *s, size_t n, __u32 *ret);

#define OX_TIME_LEN sizeof("2554-07-21T23:34:33.709551615Z")

/* Nanoseconds since 1970 -> RFC 3339, UTC, to the nanosecond. Returns buf. */
char *ox_time_format(__u64 realtime_ns, char buf[OX_TIME_LEN]);

/*
 * The wall clock at CLOCK_MONOTONIC `ktime_ns`, by today's offset between the two: times before a
 * suspend or a step of the clock are off by as much. -ERANGE: no such time.
 */
int ox_time_from_ktime(__u64 ktime_ns, __u64 *ret_realtime_ns);

#endif
