/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records: checking, loading, names. JSON is in record_json.c, prose in record_print.c. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "record.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define NSEC_PER_SEC 1000000000ull

/*
 * The sizes of the types when OOMX_ABI 1 was published, in bytes. Not sizeof: the structs may
 * grow, and records of older kernels' sides must still pass.
 */
static const __u32 size_min[] = {
	[OOMX_REC_OOM] = 656,
	[OOMX_REC_KILL] = 616,
	[OOMX_REC_KERNEL_KILL] = 616,
	[OOMX_REC_FREED] = 80,
	[OOMX_REC_ABSTAIN] = 88,
	[OOMX_REC_CANDIDATES] = 48, /* and n times the stride */
};
_Static_assert(ARRAY_SIZE(size_min) == OOMX_REC_MAX, "a record type is missing");

#define CANDIDATE_SIZE_MIN 192

static const size_t size_known[] = {
	[OOMX_REC_OOM] = sizeof(struct oomx_rec_oom),
	[OOMX_REC_KILL] = sizeof(struct oomx_rec_kill),
	[OOMX_REC_KERNEL_KILL] = sizeof(struct oomx_rec_kill),
	[OOMX_REC_FREED] = sizeof(struct oomx_rec_freed),
	[OOMX_REC_ABSTAIN] = sizeof(struct oomx_rec_abstain),
	[OOMX_REC_CANDIDATES] = offsetof(struct oomx_rec_candidates, top),
};
_Static_assert(ARRAY_SIZE(size_known) == OOMX_REC_MAX, "a record type is missing");
_Static_assert(sizeof(union ox_record) <= OX_RECORD_MAX, "OX_RECORD_MAX is what buffers have");

static const char *const type_name[] = {
	[OOMX_REC_OOM] = "oom",
	[OOMX_REC_KILL] = "kill",
	[OOMX_REC_KERNEL_KILL] = "kernel_kill",
	[OOMX_REC_FREED] = "freed",
	[OOMX_REC_ABSTAIN] = "abstain",
	[OOMX_REC_CANDIDATES] = "candidates",
};
_Static_assert(ARRAY_SIZE(type_name) == OOMX_REC_MAX, "a record type is missing");

static const char *const hook_name[] = {
	[OOMX_HOOK_OBSERVE] = "observe",
	[OOMX_HOOK_NOMINATE] = "nominate",
	[OOMX_HOOK_STRUCT_OPS] = "struct_ops",
};
_Static_assert(ARRAY_SIZE(hook_name) == OOMX_HOOK_STRUCT_OPS + 1, "a hook is missing");

static const char *const constraint_name[] = {
	[OOMX_CONSTRAINT_NONE] = "none",
	[OOMX_CONSTRAINT_CPUSET] = "cpuset",
	[OOMX_CONSTRAINT_MEMPOLICY] = "mempolicy",
	[OOMX_CONSTRAINT_MEMCG] = "memcg",
};
_Static_assert(ARRAY_SIZE(constraint_name) == OOMX_CONSTRAINT_MEMCG + 1, "a constraint is missing");

static const char *const abstain_name[] = {
	[OOMX_ABSTAIN_NO_CANDIDATE] = "no_candidate",
	[OOMX_ABSTAIN_NO_RESPONDER] = "no_responder",
	[OOMX_ABSTAIN_TIMEOUT] = "timeout",
	[OOMX_ABSTAIN_OUTSCORED] = "outscored",
	[OOMX_ABSTAIN_RING_FULL] = "ring_full",
	[OOMX_ABSTAIN_SYSCTL] = "sysctl",
	[OOMX_ABSTAIN_WALK] = "walk",
	[OOMX_ABSTAIN_DISOBEYED] = "disobeyed",
	[OOMX_ABSTAIN_OVERTAKEN] = "overtaken",
	[OOMX_ABSTAIN_BUDGET] = "budget",
	[OOMX_ABSTAIN_WORKER] = "worker",
	[OOMX_ABSTAIN_BREAKER] = "breaker",
	[OOMX_ABSTAIN_SLOW] = "slow",
};
_Static_assert(ARRAY_SIZE(abstain_name) == OOMX_ABSTAIN_MAX, "a reason is missing");

static const char *const abstain_text[] = {
	[OOMX_ABSTAIN_NO_CANDIDATE] = "nothing was eligible, or the policy refused everything",
	[OOMX_ABSTAIN_NO_RESPONDER] =
		"the process that raises oom_score_adj is not there, or does not answer",
	[OOMX_ABSTAIN_TIMEOUT] = "its oom_score_adj was not raised in time",
	[OOMX_ABSTAIN_OUTSCORED] = "another candidate beats even oom_score_adj 1000",
	[OOMX_ABSTAIN_RING_FULL] = "the request to raise its oom_score_adj could not be queued",
	[OOMX_ABSTAIN_SYSCTL] = "vm.panic_on_oom or vm.oom_kill_allocating_task is in force",
	[OOMX_ABSTAIN_WALK] = "the task list could not be walked to its end",
	[OOMX_ABSTAIN_DISOBEYED] =
		"the kernel chose another, although it was told in time",
	[OOMX_ABSTAIN_OVERTAKEN] =
		"an earlier victim was given up on only after the choice was due",
	[OOMX_ABSTAIN_BUDGET] = "the OOMs of this domain have held up the others long enough",
	[OOMX_ABSTAIN_WORKER] = "the trigger is a kernel thread, which must not wait",
	[OOMX_ABSTAIN_BREAKER] = "enforcing failed too often: watching only from here on",
	[OOMX_ABSTAIN_SLOW] = "the policy took longer than a second to choose",
};
_Static_assert(ARRAY_SIZE(abstain_text) == OOMX_ABSTAIN_MAX, "a reason is missing");

#define NAME(table, i) ((i) < ARRAY_SIZE(table) && (table)[i] ? (table)[i] : "unknown")

const char *ox_record_type_name(__u32 type)
{
	return NAME(type_name, type);
}

const char *ox_hook_name(__u32 hook)
{
	return NAME(hook_name, hook);
}

const char *ox_constraint_name(__u32 constraint)
{
	return NAME(constraint_name, constraint);
}

const char *ox_abstain_name(__u32 reason)
{
	return NAME(abstain_name, reason);
}

const char *ox_abstain_text(__u32 reason)
{
	if (reason < ARRAY_SIZE(abstain_text) && abstain_text[reason])
		return abstain_text[reason];
	return "of a reason this oomx does not know";
}

static int check_candidates(const void *rec, const struct oomx_rec_hdr *hdr)
{
	struct {
		struct oomx_rec_hdr hdr;
		__u32 n;
		__u32 n_offered;
		__u32 stride;
	} head;

	_Static_assert(offsetof(struct oomx_rec_candidates, stride) == 40, "as above");
	memcpy(&head, rec, sizeof(head));
	if (!head.n)
		return 0;
	if (head.stride < CANDIDATE_SIZE_MIN)
		return -EBADMSG;
	if ((__u64)head.n * head.stride > hdr->size - size_min[OOMX_REC_CANDIDATES])
		return -EBADMSG;
	return 0;
}

int ox_record_check(const void *rec, size_t size)
{
	struct oomx_rec_hdr hdr;

	if (size < sizeof(hdr))
		return -EBADMSG;
	memcpy(&hdr, rec, sizeof(hdr));
	if (hdr.abi != OOMX_ABI)
		return -EPROTONOSUPPORT;
	if (hdr.type >= OOMX_REC_MAX || !size_min[hdr.type])
		return -ENOMSG;
	if (hdr.size > size || hdr.size < size_min[hdr.type])
		return -EBADMSG;
	return hdr.type == OOMX_REC_CANDIDATES ? check_candidates(rec, &hdr) : 0;
}

/* Whether a dies before b. */
static bool dies_first(const struct oomx_candidate *a, const struct oomx_candidate *b)
{
	if ((a->facts.flags ^ b->facts.flags) & OOMX_FACT_PROTECT)
		return b->facts.flags & OOMX_FACT_PROTECT;
	if (a->badness != b->badness)
		return a->badness > b->badness;
	return a->start_ns > b->start_ns;
}

/* Insertion sort of at most a handful that keeps the best. */
static void load_candidates(const char *rec, struct oomx_rec_candidates *ret)
{
	const char *entry = rec + size_min[OOMX_REC_CANDIDATES];
	size_t known = sizeof(struct oomx_candidate);
	__u32 n = ret->n, kept = 0;

	if (ret->stride < known)
		known = ret->stride;

	for (__u32 i = 0; i < n; i++, entry += ret->stride) {
		struct oomx_candidate c = {};
		__u32 at;

		memcpy(&c, entry, known);
		for (at = kept; at && dies_first(&c, &ret->top[at - 1]); at--)
			if (at < OOMX_TOP_K)
				ret->top[at] = ret->top[at - 1];
		if (at >= OOMX_TOP_K)
			continue;
		ret->top[at] = c;
		if (kept < OOMX_TOP_K)
			kept++;
	}
	ret->n = kept;
	ret->stride = sizeof(struct oomx_candidate);
}

int ox_record_load(const void *rec, size_t size, union ox_record *ret)
{
	union ox_record r = {};
	size_t n;
	int err;

	err = ox_record_check(rec, size);
	if (err)
		return err;

	memcpy(&r.hdr, rec, sizeof(r.hdr));
	n = size_known[r.hdr.type];
	if (n > r.hdr.size)
		n = r.hdr.size;
	memcpy(&r, rec, n);
	if (r.hdr.type == OOMX_REC_CANDIDATES)
		load_candidates(rec, &r.candidates);
	*ret = r;
	return 0;
}

size_t ox_utf8_char(const unsigned char *s, size_t n, __u32 *ret)
{
	static const __u32 first[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* below: overlong */
	size_t len;
	__u32 c;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
		return 0;
	c = s[0] & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < first[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return len;
}

/* Would move a terminal's cursor, end the line, or turn the text's direction around. */
static bool is_control(__u32 c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

char *ox_utf8_clean(const char *s, size_t n, bool printable, char *out, size_t size)
{
	size_t used = 0;

	if (!size)
		return out;
	n = strnlen(s, n);
	while (n) {
		const char *from = s;
		__u32 c;
		size_t len = ox_utf8_char((const unsigned char *)s, n, &c), put = len;

		if (!len) {
			from = "\xef\xbf\xbd"; /* U+FFFD */
			put = 3;
			len = 1;
		} else if (printable && is_control(c)) {
			from = "?";
			put = 1;
		}
		if (used + put >= size)
			break;
		memcpy(out + used, from, put);
		used += put;
		s += len;
		n -= len;
	}
	out[used] = '\0';
	return out;
}

char *ox_time_format(__u64 realtime_ns, char buf[OX_TIME_LEN])
{
	time_t seconds = realtime_ns / NSEC_PER_SEC;
	unsigned int ns = realtime_ns % NSEC_PER_SEC;
	struct tm tm = {};
	size_t n;

	/* cannot fail: 64 bits of nanoseconds end in 2554 */
	(void)gmtime_r(&seconds, &tm);
	n = strftime(buf, OX_TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf + n, OX_TIME_LEN - n, ".%09uZ", ns);
	return buf;
}

int ox_time_from_ktime(__u64 ktime_ns, __u64 *ret_realtime_ns)
{
	struct timespec real, mono;
	__u64 offset, t;

	if (clock_gettime(CLOCK_REALTIME, &real) < 0 || clock_gettime(CLOCK_MONOTONIC, &mono) < 0)
		return -errno;
	if (real.tv_sec < mono.tv_sec)
		return -ERANGE; /* a clock nobody has set yet, and set back */
	offset = (__u64)(real.tv_sec - mono.tv_sec) * NSEC_PER_SEC + real.tv_nsec - mono.tv_nsec;
	if (__builtin_add_overflow(offset, ktime_ns, &t))
		return -ERANGE;
	*ret_realtime_ns = t;
	return 0;
}
