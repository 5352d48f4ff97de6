/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* event.h - one line of `oomx run --json`, taken apart and checked for what it must contain. */
#ifndef SUITE_EVENT_H
#define SUITE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <oomx/abi.h>

#include "lib/cgroup.h"

#define EVENT_NONE INT64_MIN /* a number that is null */
#define EVENT_COMM_LEN (3 * OOMX_COMM_LEN) /* bytes that are no UTF-8 come as three */

struct event_who {
	pid_t pid;
	int64_t adj, start_ns, cgroup_id;
	char comm[EVENT_COMM_LEN];
	char cgroup[CGROUP_PATH_LEN];
};

struct event_top {
	pid_t pid;
	int64_t badness, points;
	char comm[EVENT_COMM_LEN];
};

/* "(null)" where there is nothing to say, in all of it without a container */
struct event_container {
	char runtime[16], id[72], name[64], image[96], pod_uid[72], qos[16];
	bool confirmed;
};

struct event {
	unsigned int type; /* OOMX_REC_* */
	char hook[16];
	int64_t decision, ktime_ns;
	bool again; /* may have been told by an oomx that was killed */

	struct event_who who; /* oom: the trigger; kill and kernel_kill: the victim */

	struct event_container container; /* oom, kill, kernel_kill */

	/* oom */
	struct event_container trigger_container;
	bool global;
	char domain_cgroup[CGROUP_PATH_LEN];
	int64_t candidates, tasks, domain_pages;
	int64_t domain_id; /* of all but candidates */

	/* kill, kernel_kill */
	int64_t badness, points;
	bool group, agreed, signalled;
	pid_t trigger_pid;
	int64_t latency_ns, wait_ns;
	char rule[64];	 /* that decided about the victim's cgroup; "(none)": null */
	pid_t would_pid; /* 0: null */
	int64_t would_points;

	/* freed; abstain: the wanted pid */
	pid_t pid;
	int64_t start_ns, pages, mm_gone_ns, room_ns;
	char reason[24];
	pid_t rival_pid;

	/* candidates */
	int64_t offered;
	unsigned int n_top;
	struct event_top top[OOMX_TOP_K];
};

const char *event_name(unsigned int type);

/* The "type" of a line, 0 if it is none of ours; -EINVAL and a reason where it is no event. */
int event_parse(const char *line, struct event *ret, char *ret_why, size_t size);

/* Is this the comm that the kernel has, byte for byte, where JSON can say it? */
bool event_comm_is(const char *event_comm, const char *kernel_comm);

/* In a few words, for a complaint. */
void event_describe(const struct event *e, char *buf, size_t size);

#endif
