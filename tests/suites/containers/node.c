// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * node.c - oomx in a container of Podman's that has exactly the capabilities and mounts of the
 * DaemonSet in examples/kubernetes: it decides, by a rule that takes all of them. And with any of
 * them missing, it does not, or says what it cannot do.
 */
#include "containers/containers.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/cast.h"
#include "lib/cgroup.h"
#include "lib/command.h"
#include "lib/container.h"
#include "lib/daemon.h"
#include "lib/kmsg.h"
#include "lib/ruled.h"

#define CAPS_MAX 16
#define MOUNTS_MAX 16
#define DIR "/tmp/oomx-node"
#define NAME "oomx-node"
#define TOP "/node"
#define OMIT TOP "/omit"
#define BIG_MIB 48
#define SMALL_MIB 20
#define ROOM_MIB 4

/*
 * Another's process, known by its file and its cgroup. In the container that file is not the
 * machine's, so the rule has to be content with the name: "nested".
 */
#define RULES                                                                                      \
	"rules:\n- name: small\n"                                                                  \
	"  match: {cgroup: " TOP "/small, exe: \"**/suite_containers\", uid: 1000, nested: true}\n" \
	"  class: 1\n"

/* The new root of the container: the guest's own programs and libraries, and nothing else. */
static const char script[] =
	"set -e\n"
	"rm -rf " DIR " && mkdir -p " DIR "/root " DIR "/rules && cd " DIR "/root\n"
	"mkdir -p usr proc sys dev run tmp etc/oomx var/lib oomx\n"
	"for i in bin lib lib64 sbin; do ln -s usr/$i $i; done\n";

struct manifest {
	char caps[CAPS_MAX][24];
	struct {
		char path[64];
		bool readonly;
	} mounts[MOUNTS_MAX];
	unsigned int n_caps, n_mounts;
};

static struct cast cast;

/* ---- what the DaemonSet has ------------------------------------------------------------------ */

/* The file is beside this program, whatever that was started as. */
static FILE *open_manifest(void)
{
	char self[PATH_MAX] = "", path[PATH_MAX + 32];
	FILE *f;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		suite_fatal("/proc/self/exe: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/daemonset.yaml", dirname(self));
	f = fopen(path, "re");
	if (!f)
		suite_fatal("%s: %s", path, strerror(errno));
	return f;
}

static void read_manifest(struct manifest *m)
{
	FILE *f = open_manifest();
	bool adding = false;
	char line[256], *at;

	*m = (struct manifest){};
	while (fgets(line, sizeof(line), f)) {
		at = line + strspn(line, " ");
		if (adding && !strncmp(at, "- ", 2) && m->n_caps < CAPS_MAX) {
			sscanf(at, "- %23[A-Z_]", m->caps[m->n_caps++]);
			continue;
		}
		adding = !strncmp(at, "add:", 4);
		at = strstr(line, "mountPath: ");
		if (!at || m->n_mounts == MOUNTS_MAX)
			continue;
		sscanf(at, "mountPath: %63[^,} ]", m->mounts[m->n_mounts].path);
		m->mounts[m->n_mounts++].readonly = strstr(line, "readOnly: true");
	}
	fclose(f);
	if (m->n_caps < 2 || m->n_mounts < 2)
		suite_fatal("%u capabilities and %u mounts in the DaemonSet", m->n_caps,
			    m->n_mounts);
}

/* ---- the container --------------------------------------------------------------------------- */

/*
 * As the kubelet and containerd start it: a cgroup namespace of its own, a limit of 64 MiB,
 * oom_score_adj of system-node-critical.
 */
static void start(const struct manifest *m, const char *hook, const char *without)
{
	const char *argv[] = { "/bin/sh", "-c", NULL, NULL };
	char *text = NULL, build[PATH_MAX];
	size_t size;
	FILE *f = open_memstream(&text, &size);
	unsigned int i;

	if (!f)
		suite_fatal("no memory");
	snprintf(build, sizeof(build), "%s", command_oomx());
	fputs("/usr/bin/podman --cgroup-manager cgroupfs --events-backend file run -d --name " NAME
	      " --pid host --network none --cgroupns private --memory 64m --oom-score-adj -997"
	      " --read-only --security-opt no-new-privileges --security-opt seccomp=unconfined"
	      " --security-opt apparmor=unconfined --cap-drop all --ulimit memlock=65536:65536", f);
	for (i = 0; i < m->n_caps; i++) {
		if (!without || strcmp(without, m->caps[i]))
			fprintf(f, " --cap-add %s", m->caps[i]);
	}
	for (i = 0; i < m->n_mounts; i++) {
		if (strcmp(m->mounts[i].path, "/etc/oomx")) /* that is no path of the machine's */
			fprintf(f, " -v %s:%s%s", m->mounts[i].path, m->mounts[i].path,
				m->mounts[i].readonly ? ":ro" : "");
	}
	fprintf(f, " -v " DIR "/rules:/etc/oomx:ro -v /usr:/usr:ro -v %s:/oomx:ro"
		" --rootfs " DIR "/root /oomx/oomx run --json --enforce --hook %s",
		dirname(build), hook);
	if (fclose(f))
		suite_fatal("no memory");
	argv[2] = text;
	container_run(argv);
	free(text);
}

static bool up_or_over(void *arg)
{
	const struct container *c = arg;

	return daemon_status("pid") > 0 || !container_is(c, ".State.Running");
}

static const struct command_result *logs(void)
{
	static const char *const args[] = { "logs", NAME, NULL };

	return container_podman(args);
}

/* False: it has ended by itself. */
static bool come_up(const struct container *c)
{
	if (!suite_wait(up_or_over, (void *)c, SUITE_START_MS))
		suite_fail("oomx neither starts nor ends: %s", logs()->err);
	return daemon_status("pid") > 0;
}

/* ---- an OOM ---------------------------------------------------------------------------------- */

static struct worker *start_worker(const char *comm, const char *cgroup, int adj, unsigned int uid,
				   unsigned int mib)
{
	const struct worker_spec spec = { .comm = comm, .cgroup = cgroup, .adj = adj, .uid = uid,
					  .anon_kib = mib * 1024 };

	return cast_add(&cast, &spec, false);
}

/*
 * Has the cgroup run out of memory, and "small" die, by the rule; or "big", whom the kernel alone
 * kills first, and on some kernels others after it.
 */
static void run_out(const char *meant)
{
	const struct worker_growth g = { .mib = ROOM_MIB + SMALL_MIB / 2, .threads = 1 };
	const struct kmsg_kill *kills;
	struct worker *small, *grow;

	cast_open(&cast);
	start_worker("big", TOP "/big", 0, 0, BIG_MIB);
	cast.meant[0] = !strcmp(meant, "big");
	small = start_worker("small", TOP "/small", 0, 1000, SMALL_MIB);
	grow = start_worker("grow", TOP "/grow", -999, 0, 1);
	cast_ready(&cast);
	cast.meant[1] = !strcmp(meant, "small");
	ruled_expect_process(small, "small");
	cgroup_set_mib(TOP, "memory.max",
		       (unsigned int)(cgroup_number(TOP, "memory.current") >> 20) + ROOM_MIB);
	if (cast_starve(&cast, grow, &g)) {
		if (!kmsg_kills(&kills) || strcmp(kills[0].comm, meant))
			suite_fail("expected %s to be killed first", meant);
		if (cast.meant[1])
			cast_expect_dead(&cast);
	}
	cast_close(&cast);
	cgroup_set(TOP, "memory.max", "max");
}

static void all(unsigned int run, const struct manifest *m, const char *hook)
{
	static const char *const stop[] = { "stop", "-t", "60", NAME, NULL };
	static const char *const wait[] = { "wait", NAME, NULL };
	struct container c = { .name = NAME };

	suite_run_begin("node", run);
	start(m, hook, NULL);
	if (!come_up(&c)) {
		suite_fail("oomx does not start: %s", logs()->err);
	} else {
		if (daemon_status_flag("degraded"))
			suite_fail("oomx is degraded");
		ruled_expect(OMIT, "ManagedOOMPreference=omit", OMIT);
		run_out("small");
		container_podman(stop);
		if (strcmp(container_podman(wait)->out, "0\n"))
			suite_fail("oomx does not end with 0");
		if (!strstr(logs()->out, "\"rule_name\":\"small\""))
			suite_fail("no event names the rule: %s", logs()->out);
		if (logs()->err[0])
			suite_fail("oomx says: %s", logs()->err);
	}
	container_remove(&c);
	suite_run_end();
}

/* ---- with less ------------------------------------------------------------------------------- */

/* What oomx says, or ends with, without each of them. */
static const struct {
	const char *cap, *says;
} needs[] = {
	{ "BPF", "without CAP_BPF and CAP_PERFMON" },
	{ "PERFMON", "without CAP_BPF and CAP_PERFMON" },
	{ "SYSLOG", "it takes CAP_SYSLOG" },
	{ "SYS_RESOURCE", "cannot protect itself" },
	{ "SYS_PTRACE", "without CAP_SYS_PTRACE" },
	{ "SYS_NICE", "no real-time priority" },
	{ "IPC_LOCK", "cannot lock its memory" },
	{ "DAC_OVERRIDE", NULL }, /* the value of another user's process stays: the kernel chooses */
	{ "DAC_READ_SEARCH", NULL }, /* no cgroup is found by its id, nor what is written there */
};
#define N_NEEDS (sizeof(needs) / sizeof(needs[0]))

static bool says(void *arg)
{
	return strstr(logs()->err, arg);
}

static void less(const struct manifest *m, const char *hook, size_t i)
{
	struct container c = { .name = NAME };
	struct ruled r;
	char what[48];
	bool up;

	snprintf(what, sizeof(what), "node without %s", needs[i].cap);
	suite_run_begin(what, 1);
	start(m, hook, needs[i].cap);
	up = come_up(&c);
	if (needs[i].says && !suite_wait(says, (void *)needs[i].says, SUITE_STEP_MS))
		suite_fail("expected '%s', oomx says: %s", needs[i].says, logs()->err);
	if (!needs[i].says && !up)
		suite_fail("oomx does not start: %s", logs()->err);
	if (!strcmp(needs[i].cap, "DAC_OVERRIDE") && up)
		run_out("big");
	if (!strcmp(needs[i].cap, "DAC_READ_SEARCH") && ruled_get(OMIT, &r) &&
	    strcmp(r.rule, RULED_NONE))
		suite_fail("expected no rule for " OMIT ", found %s", r.rule);
	container_remove(&c);
	suite_run_end();
}

void node_play(const struct suite_options *o)
{
	const char *const prepare[] = { "/bin/sh", "-c", script, NULL };
	char path[128];
	struct manifest m;
	unsigned int i;

	read_manifest(&m);
	container_run(prepare);
	ruled_write(DIR "/rules/oomx.yaml", RULES);
	for (i = 0; i < m.n_mounts; i++) {
		snprintf(path, sizeof(path), "mkdir -p %s", m.mounts[i].path);
		container_run((const char *const[]){ "/bin/sh", "-c", path, NULL });
	}
	cgroup_make(TOP);
	cgroup_make(TOP "/big");
	cgroup_make(TOP "/small");
	cgroup_make(TOP "/grow");
	cgroup_make(OMIT);
	if (setxattr(CGROUP_ROOT OMIT, "user.oomd_omit", "1", 1, 0))
		suite_fatal("%s: %s", OMIT, strerror(errno));
	for (i = 1; i <= o->runs; i++)
		all(i, &m, o->hook);
	if (m.n_caps != N_NEEDS)
		suite_fatal("the DaemonSet has %u capabilities, here are %zu", m.n_caps, N_NEEDS);
	for (i = 0; i < N_NEEDS; i++)
		less(&m, o->hook, i);
	cgroup_remove(OMIT);
	cgroup_remove(TOP "/grow");
	cgroup_remove(TOP "/small");
	cgroup_remove(TOP "/big");
	cgroup_remove(TOP);
}
