// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/suite.h"
#include "lib/worker.h"

static struct {
	int fd;
	struct kmsg_kill kills[KMSG_KILLS_MAX];
	unsigned int n_kills;
	char trigger[16]; /* of an OOM that nobody is logged as killed for, yet */
	int64_t zone_kib; /* of a report's largest zone, as are the others; 0: no report is new */
	int64_t free_kib, high_kib, pcp_kib, order;
	pid_t chosen; /* by the kernel, not logged as killed yet; 0: nobody */
	pid_t signals[KMSG_KILLS_MAX]; /* that oomx says it has sent */
	unsigned int n_signals;
	unsigned int lost, lost_before; /* the last clear */
	char trouble[160];
	bool told;
} log_ = { .fd = -1 };

/*
 * At the start of a message, as the kernel prints them. An OOM report has a call trace of its
 * own, so that is no sign of trouble.
 */
static const char *const trouble_starts[] = {
	"------------[ cut here",
	"WARNING: ",
	"BUG: ",
	"BUG ",
	"Oops",
	"Kernel panic",
	"kernel BUG at",
	"watchdog: BUG",
	"general protection fault",
	"double fault",
	"UBSAN: ",
	"KASAN: ",
	"INFO: task ",
	"INFO: rcu_",
	"rcu: INFO: ",
};

void kmsg_open(void)
{
	log_.fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_.fd < 0 || lseek(log_.fd, 0, SEEK_END) < 0)
		suite_fatal("/dev/kmsg: %s", strerror(errno));
}

int kmsg_fd(void)
{
	return log_.fd;
}

void kmsg_say(const char *text)
{
	static int fd = -1;
	char line[128];
	size_t i;
	int len;

	if (fd < 0)
		fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	len = snprintf(line, sizeof(line), "suite: %.100s\n", text);
	for (i = 0; (int)i < len - 1; i++) {
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	}
	if (fd >= 0)
		(void)!write(fd, line, (size_t)len); /* if the kernel limits us, it is lost */
}

/*
 * "oom-kill:constraint=...,task=lp,pid=7,uid=0" (mm/oom_kill.c, 6.1 to 7.3): the process, or the
 * thread that triggered (vm.oom_kill_allocating_task); what follows names a thread of it that
 * still has its memory. Nothing is there where the kernel has printed too much lately.
 */
static void note_chosen(const char *text)
{
	const char *at, *next = strstr(text, ",pid=");

	if (strstr(text, " is already exiting. Skip killing the task"))
		log_.chosen = 0;
	if (strncmp(text, "oom-kill:", strlen("oom-kill:")))
		return;
	for (at = next; next; next = strstr(next + 1, ",pid=")) /* a comm may hold that as well */
		at = next;
	log_.chosen = at ? (pid_t)strtol(at + strlen(",pid="), NULL, 10) : 0;
}

/*
 * The first one of an OOM is the chosen one. Its thread may be so new that its process has not told
 * of it yet.
 */
static pid_t killed_process(pid_t tid)
{
	pid_t pid = worker_process_of(tid), chosen = log_.chosen;

	log_.chosen = 0;
	return pid == tid && chosen > 0 ? worker_process_of(chosen) : pid;
}

static void note_kill(const char *text, const char *at)
{
	struct kmsg_kill *k;
	const char *open, *close;
	size_t len;

	if (log_.n_kills == KMSG_KILLS_MAX) {
		log_.lost++;
		return;
	}
	open = strchr(at, '(');
	/* A comm may hold parentheses; what follows it in the line is " total-vm:" or ", UID". */
	close = open ? strstr(open, ") total-vm:") : NULL;
	if (!close)
		close = open ? strchr(open, ')') : NULL;
	if (!close)
		return;

	k = &log_.kills[log_.n_kills++];
	k->pid = killed_process((pid_t)strtol(at + strlen("Killed process "), NULL, 10));
	k->memcg = !strncmp(text, "Memory cgroup", strlen("Memory cgroup"));
	len = (size_t)(close - open - 1);
	if (len >= sizeof(k->comm))
		len = sizeof(k->comm) - 1;
	memcpy(k->comm, open + 1, len);
	k->comm[len] = '\0';
	memcpy(k->trigger, log_.trigger, sizeof(k->trigger));
	k->order = (int)log_.order;
	log_.trigger[0] = '\0';
	k->free_kib = log_.zone_kib ? log_.free_kib : -1;
	k->high_kib = log_.zone_kib ? log_.high_kib : -1;
	k->pcp_kib = log_.zone_kib ? log_.pcp_kib : -1;
	log_.zone_kib = 0;
}

static int64_t zone_number(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	return at ? strtoll(at + strlen(what), NULL, 10) : -1;
}

/* "Node 0 Normal free:1kB boost:0kB min:2kB low:3kB high:4kB ... managed:5kB ..." (show_mem()) */
static void note_zone(const char *text)
{
	int64_t managed = zone_number(text, " managed:"), high = zone_number(text, " high:");

	if (managed <= log_.zone_kib || high < 0)
		return;
	log_.zone_kib = managed;
	log_.high_kib = high;
	log_.free_kib = zone_number(text, " free:");
	log_.pcp_kib = zone_number(text, " free_pcp:");
}

/* "lp invoked oom-killer: gfp_mask=..." (dump_header(), mm/oom_kill.c, 6.1 to 7.3) */
static void note_trigger(const char *text)
{
	const char *at = strstr(text, " invoked oom-killer: ");

	if (at)
		snprintf(log_.trigger, sizeof(log_.trigger), "%.*s", (int)(at - text), text);
	if (at)
		log_.order = zone_number(at, " order=");
}

/* /dev/kmsg writes what is not printable ASCII, and the backslash, as \xNN. */
static void unescape(char *text)
{
	char *to = text, hex[3] = "";

	for (; *text; text++) {
		if (!strncmp(text, "\\x", 2) && text[2] && text[3]) {
			memcpy(hex, text + 2, 2);
			*to++ = (char)strtoul(hex, NULL, 16);
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* The line that user/reap.c writes */
static void note_signal(const char *text)
{
	static const char what[] = "oomx: out of memory: sent SIGKILL to process ";

	if (strncmp(text, what, strlen(what)))
		return;
	if (log_.n_signals == KMSG_KILLS_MAX)
		log_.lost++;
	else
		log_.signals[log_.n_signals++] = (pid_t)strtol(text + strlen(what), NULL, 10);
}

static void note(const char *text)
{
	const char *at = strstr(text, "Killed process ");
	size_t i;

	if (at)
		note_kill(text, at);
	else
		note_zone(text);
	note_trigger(text);
	note_chosen(text);
	if (log_.trouble[0])
		return;
	for (i = 0; i < sizeof(trouble_starts) / sizeof(trouble_starts[0]); i++) {
		if (!strncmp(text, trouble_starts[i], strlen(trouble_starts[i])))
			snprintf(log_.trouble, sizeof(log_.trouble), "%s", text);
	}
}

void kmsg_read(void)
{
	static char buf[8192];
	char *text, *end;
	bool kernel;
	ssize_t n;

	for (;;) {
		n = read(log_.fd, buf, sizeof(buf) - 1);
		if (n < 0 && errno == EPIPE) { /* the ring went round before it was read */
			log_.lost++;
			continue;
		}
		if (n <= 0)
			return;
		buf[n] = '\0';
		text = strchr(buf, ';');
		if (!text || !memchr(buf, ',', (size_t)(text - buf)))
			continue;
		/* User space can write here too; the facility, above the low three bits, tells. */
		kernel = !(strtoul(buf, NULL, 10) >> 3);
		text++;
		end = strchr(text, '\n');
		if (end)
			*end = '\0';
		unescape(text);
		if (kernel)
			note(text);
		else
			note_signal(text);
	}
}

void kmsg_clear(void)
{
	kmsg_read();
	log_.n_kills = log_.n_signals = 0;
	log_.zone_kib = 0;
	log_.lost_before = log_.lost;
}

void kmsg_complain_reports(void)
{
	const struct kmsg_kill *k;

	for (k = log_.kills; k < log_.kills + log_.n_kills; k++) {
		if (k->free_kib >= 0)
			suite_fail("%s (%d) died for 2^%d pages with %lld kB free, where %lld kB "
				   "would do; on the lists of CPUs: %lld kB", k->comm, k->pid,
				   k->order, (long long)k->free_kib, (long long)k->high_kib,
				   (long long)k->pcp_kib);
	}
}

unsigned int kmsg_take(struct kmsg_kill *ret, unsigned int max)
{
	unsigned int n = log_.n_kills < max ? log_.n_kills : max;

	memcpy(ret, log_.kills, n * sizeof(*ret));
	log_.n_kills -= n;
	memmove(log_.kills, log_.kills + n, log_.n_kills * sizeof(*ret));
	return n;
}

unsigned int kmsg_kills(const struct kmsg_kill **ret_kills)
{
	if (ret_kills)
		*ret_kills = log_.kills;
	return log_.n_kills;
}

unsigned int kmsg_kills_of(pid_t pid)
{
	unsigned int i, n = 0;

	for (i = 0; i < log_.n_kills; i++)
		n += log_.kills[i].pid == pid;
	return n;
}

unsigned int kmsg_signals_to(pid_t pid)
{
	unsigned int i, n = 0;

	for (i = 0; i < log_.n_signals; i++)
		n += log_.signals[i] == pid;
	return n;
}

struct others {
	const struct proc_census *before;
	char what[128];
};

static bool others_unchanged(void *arg)
{
	struct others *o = arg;
	pid_t dead[2 * KMSG_KILLS_MAX];
	unsigned int i, n = 0;

	for (i = 0; i < log_.n_kills; i++)
		dead[n++] = log_.kills[i].pid;
	for (i = 0; i < log_.n_signals; i++)
		dead[n++] = log_.signals[i];
	return proc_census_holds(o->before, dead, n, o->what, sizeof(o->what));
}

void kmsg_expect_complete(void)
{
	if (log_.lost != log_.lost_before)
		suite_fail("%u records of the kernel log were overwritten unread, or too many",
			   log_.lost - log_.lost_before);
}

void kmsg_expect_others_unchanged(const struct proc_census *before)
{
	struct others o = { .before = before };

	kmsg_expect_complete();
	if (!suite_wait(others_unchanged, &o, SUITE_STEP_MS))
		suite_fail("expected everybody not killed as before the OOM: %s", o.what);
}

const char *kmsg_trouble(void)
{
	static char last[sizeof(log_.trouble)];

	if (!log_.trouble[0])
		return NULL;
	memcpy(last, log_.trouble, sizeof(last));
	log_.trouble[0] = '\0';
	return last;
}

unsigned int kmsg_lost(void)
{
	return log_.lost;
}
