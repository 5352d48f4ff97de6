/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records as prose: what an operator wants to read at three in the morning, a line or two each. */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "cgroup.h"
#include "record.h"
#include "rule_names.h"

#define COMM_LEN (3 * OOMX_COMM_LEN + 1)
#define PATH_LEN (3 * OX_CGROUP_RECORD_LEN + 1)
#define NUMBER_LEN 40

static const char *comm(const char s[OOMX_COMM_LEN], char buf[COMM_LEN])
{
	return ox_utf8_clean(s, OOMX_COMM_LEN, /* printable= */ true, buf, COMM_LEN);
}

static const char *path(const char leaf_first[OOMX_PATH_LEN], char buf[PATH_LEN])
{
	char raw[OX_CGROUP_RECORD_LEN];

	if (ox_cgroup_path_from_record(leaf_first, raw, sizeof(raw)))
		return "?"; /* cannot happen: `raw` takes all */
	return ox_utf8_clean(raw, sizeof(raw), /* printable= */ true, buf, PATH_LEN);
}

static const char *size_text(__u64 pages, char buf[NUMBER_LEN])
{
	/* in floating point: a product of garbage must not wrap around to something small */
	double mib = (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);

	if (pages > INT64_MAX)
		(void)snprintf(buf, NUMBER_LEN, "no limit");
	else if (mib < 1024)
		(void)snprintf(buf, NUMBER_LEN, "%.1f MiB", mib);
	else
		(void)snprintf(buf, NUMBER_LEN, "%.1f GiB", mib / 1024);
	return buf;
}

static const char *duration_text(__u64 ns, char buf[NUMBER_LEN])
{
	if (ns < 1000000)
		(void)snprintf(buf, NUMBER_LEN, "%.1f us", ns / 1e3);
	else if (ns < 1000000000)
		(void)snprintf(buf, NUMBER_LEN, "%.1f ms", ns / 1e6);
	else
		(void)snprintf(buf, NUMBER_LEN, "%.1f s", ns / 1e9);
	return buf;
}

static const char *score_text(__s64 score, char buf[NUMBER_LEN])
{
	if (score == INT64_MIN) /* OOMX_NEVER */
		return "never";
	(void)snprintf(buf, NUMBER_LEN, "%" PRId64, (int64_t)score);
	return buf;
}

/* what the kernel's badness starts from */
static __u64 footprint(const struct oomx_facts *f)
{
	return f->anon_pages + f->file_pages + f->shmem_pages + f->swap_pages + f->pgtable_pages;
}

static void print_head(FILE *out, const struct oomx_rec_hdr *hdr)
{
	char time[OX_TIME_LEN] = "(no time)";
	__u64 t;

	if (!ox_time_from_ktime(hdr->ktime_ns, &t)) {
		(void)ox_time_format(t, time);
		memcpy(strchr(time, '.') + 4, "Z", 2); /* milliseconds will do */
	}
	fprintf(out, "%s #%" PRIu64 " %s: ", time, (uint64_t)hdr->decision,
		ox_record_type_name(hdr->type));
}

static void print_who(FILE *out, const struct oomx_who *w)
{
	char name[COMM_LEN], cgroup[PATH_LEN];

	fprintf(out, "%s (pid %u, uid %u, oom_score_adj %d, %s)", comm(w->comm, name), w->pid,
		w->uid, w->oom_score_adj, path(w->path, cgroup));
}

static void print_oom(FILE *out, const struct oomx_rec_oom *r)
{
	char a[NUMBER_LEN], b[NUMBER_LEN], cgroup[PATH_LEN];

	if (r->domain_id)
		fprintf(out, "%s is at its limit, %s of %s: ", path(r->domain_path, cgroup),
			size_text(r->usage_pages, a), size_text(r->limit_pages, b));
	else if (r->constraint == OOMX_CONSTRAINT_NONE)
		fprintf(out, "the machine is out of memory, all of %s: ",
			size_text(r->domain_pages, a));
	else
		fprintf(out, "the trigger's %s is out of memory, all of %s: ",
			ox_constraint_name(r->constraint), size_text(r->domain_pages, a));
	print_who(out, &r->trigger);
	if (r->order < 0)
		fputs(" asked by sysrq-f\n", out);
	else
		fprintf(out, " failed to get memory (order %d, gfp %#x)\n", r->order, r->gfp);
	fprintf(out, "  %u candidates among %u processes, ranked in %s\n", r->n_candidates,
		r->n_tasks, duration_text(r->rank_ns, a));
}

static void print_policy(FILE *out, const struct oomx_rec_kill *r)
{
	char name[3 * OOMX_POLICY_LEN + 1];

	(void)ox_utf8_clean(r->policy, sizeof(r->policy), /* printable= */ true, name,
			    sizeof(name));
	fprintf(out, "policy %s", *name ? name : "(none)");
}

static void print_rule(FILE *out, const struct oomx_rec_kill *r)
{
	char raw[OOMX_RULE_LEN], name[3 * OOMX_RULE_LEN + 1];

	if (ox_rule_name(r->facts.rule, raw))
		fprintf(out, " by rule '%s'",
			ox_utf8_clean(raw, sizeof(raw), /* printable= */ true, name, sizeof(name)));
	else
		fprintf(out, " by rule %u of generation %u", r->facts.rule & OOMX_RULE_MASK,
			r->rules_generation);
}

/* The second line of both kinds of kill: why this one, and how long it took. */
static void print_kill_why(FILE *out, const struct oomx_rec_kill *r)
{
	char a[NUMBER_LEN], b[NUMBER_LEN];

	fputs("  ", out);
	print_policy(out, r);
	fprintf(out, " (%016" PRIx64 "): badness %s, kernel's points %s, %s", (uint64_t)r->policy_hash,
		score_text(r->badness, a), score_text(r->points, b),
		r->facts.flags & OOMX_FACT_PRIO_SET ? "" : "default ");
	fprintf(out, "priority %d", r->facts.priority);
	if (r->facts.class)
		fprintf(out, ", class %u", r->facts.class);
	if (r->facts.rule)
		print_rule(out, r);
	fprintf(out, ", %s; %s after the failed allocation of pid %u",
		size_text(footprint(&r->facts), a), duration_text(r->latency_ns, b),
		r->trigger_pid);
	if (r->wait_ns)
		fprintf(out, ", of which %s waiting for the nomination",
			duration_text(r->wait_ns, a));
	fputc('\n', out);
}

static void print_would(FILE *out, const struct oomx_rec_kill *r)
{
	char name[COMM_LEN], a[NUMBER_LEN], b[NUMBER_LEN];

	fprintf(out, "%s (pid %u, badness %s, points %s)", comm(r->would_comm, name), r->would_pid,
		score_text(r->would_badness, a), score_text(r->would_points, b));
}

static void print_kill(FILE *out, const struct oomx_rec_kill *r)
{
	fputs("killed ", out);
	print_who(out, &r->victim);
	if (r->group)
		fputs(", a member of a group killed as one (memory.oom.group)", out);
	else if (r->agreed)
		fputs("; the kernel would have chosen the same", out);
	fputc('\n', out);
	print_kill_why(out, r);
}

static void print_kernel_kill(FILE *out, const struct oomx_rec_kill *r)
{
	bool agreed = r->agreed || (r->would_pid && r->would_pid == r->victim.pid);

	if (!r->group) {
		print_policy(out, r);
		if (agreed) {
			fputs(" agreed", out);
		} else if (r->would_pid) {
			fputs(" would have chosen ", out);
			print_would(out, r);
		} else {
			fputs(" had no choice", out);
		}
		fputs("; the kernel chose ", out);
	} else {
		fputs("the kernel killed ", out);
	}
	print_who(out, &r->victim);
	if (r->group)
		fputs(", a member of a group killed as one (memory.oom.group)", out);
	fputc('\n', out);
	print_kill_why(out, r);
}

static void print_freed(FILE *out, const struct oomx_rec_freed *r)
{
	char a[NUMBER_LEN], b[NUMBER_LEN];

	fprintf(out, "%s of pid %u gone %s after the kill; ", size_text(r->pages, a), r->pid,
		duration_text(r->mm_gone_ns, b));
	if (r->room_ns)
		fprintf(out, "there was room after %s\n", duration_text(r->room_ns, a));
	else
		fputs("still no room then\n", out);
}

static void print_abstain(FILE *out, const struct oomx_rec_abstain *r)
{
	char name[COMM_LEN], a[NUMBER_LEN];

	fputs("left to the kernel", out);
	if (r->wanted_pid)
		fprintf(out, ", not %s (pid %u, badness %s)", comm(r->wanted_comm, name),
			r->wanted_pid, score_text(r->wanted_badness, a));
	fprintf(out, ", because %s", ox_abstain_text(r->reason));
	if (r->rival_pid)
		fprintf(out, " (pid %u)", r->rival_pid);
	if (r->wait_ns)
		fprintf(out, "; waited %s", duration_text(r->wait_ns, a));
	fputc('\n', out);
}

static void print_candidates(FILE *out, const struct oomx_rec_candidates *r)
{
	fprintf(out, "the first %u of %u\n", r->n, r->n_offered);
	for (__u32 i = 0; i < r->n; i++) {
		const struct oomx_candidate *c = &r->top[i];
		char name[COMM_LEN], a[NUMBER_LEN], b[NUMBER_LEN];

		fprintf(out, "%s%s (pid %u, badness %s, %s)", i ? ", " : "  ", comm(c->comm, name),
			c->pid, score_text(c->badness, a), size_text(footprint(&c->facts), b));
	}
	if (r->n)
		fputc('\n', out);
}

/* ---- containers, from the attachments ------------------------------------------------------- */

#define VALUE_LEN 256 /* bytes shown */

struct message {
	const void *rec;
	size_t size;
	__u32 type; /* of the attachment */
};

static bool value(const struct message *m, const char *key, char buf[3 * VALUE_LEN + 1])
{
	const char *s = ox_attached(m->rec, m->size, m->type, key);

	if (s)
		(void)ox_utf8_clean(s, VALUE_LEN, /* printable= */ true, buf, 3 * VALUE_LEN + 1);
	return s;
}

static void print_pod(FILE *out, const struct message *m)
{
	char name[3 * VALUE_LEN + 1], ns[3 * VALUE_LEN + 1];

	if (value(m, "pod", name))
		fprintf(out, "pod %s/%s", value(m, "namespace", ns) ? ns : "?", name);
	else if (value(m, "pod_uid", name))
		fprintf(out, "pod %s", name);
	if (value(m, "qos", name))
		fprintf(out, " (%s)", name);
}

/* "  WHAT container web (podman), image IMAGE, pod NAMESPACE/NAME (burstable)" */
static void print_container(FILE *out, const struct message *m, const char *what)
{
	bool pod = ox_attached(m->rec, m->size, m->type, "pod_uid");
	char s[3 * VALUE_LEN + 1];

	if (!pod && !ox_attached(m->rec, m->size, m->type, "id"))
		return;
	fprintf(out, "  %s", what);
	if (value(m, "name", s))
		fprintf(out, "container %s", s);
	else if (value(m, "id", s))
		fprintf(out, "container %.12s", s);
	else
		*s = '\0';
	if (*s) {
		fprintf(out, " (%s)", value(m, "runtime", s) ? s : "unknown runtime");
		if (value(m, "image", s))
			fprintf(out, ", image %s", s);
		if (pod)
			fputs(", ", out);
	}
	if (pod)
		print_pod(out, m);
	fputs(ox_attached(m->rec, m->size, m->type, "nested") ? ", as its owner says\n" : "\n", out);
}

int ox_record_print(FILE *out, const void *rec, size_t size)
{
	struct message container = { rec, size, OOMX_ATTACH_CONTAINER };
	struct message trigger = { rec, size, OOMX_ATTACH_TRIGGER };
	union ox_record r;
	int err;

	err = ox_record_load(rec, size, &r);
	if (err)
		return err;

	print_head(out, &r.hdr);
	switch (r.hdr.type) {
	case OOMX_REC_OOM:
		print_oom(out, &r.oom);
		print_container(out, &container, "full: ");
		print_container(out, &trigger, "trigger: ");
		break;
	case OOMX_REC_KILL:
		print_kill(out, &r.kill);
		print_container(out, &container, "in ");
		break;
	case OOMX_REC_KERNEL_KILL:
		print_kernel_kill(out, &r.kill);
		print_container(out, &container, "in ");
		break;
	case OOMX_REC_FREED:
		print_freed(out, &r.freed);
		break;
	case OOMX_REC_ABSTAIN:
		print_abstain(out, &r.abstain);
		break;
	case OOMX_REC_CANDIDATES:
		print_candidates(out, &r.candidates);
		break;
	}
	if (ox_attached_mark(rec, size, OOMX_ATTACH_AGAIN))
		fputs("  may have been told before, by an oomx that was killed as it told it\n", out);
	return ferror(out) ? -EIO : 0;
}
