/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include <bpf/libbpf.h>
#include <oomx/abi.h>

#include "cgroup.h"
#include "cleanup.h"
#include "daemon.h"
#include "parse.h"
#include "pinned.h"

const char *ox_check_state_name(enum ox_check_state state)
{
	static const char *const names[] = {
		[OX_CHECK_OK] = "ok",
		[OX_CHECK_WARN] = "warn",
		[OX_CHECK_MISSING] = "missing",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == _OX_CHECK_MAX, "a state is missing");

	return names[state];
}

struct ox_check *ox_check_add(struct ox_checks *c, const char *name, enum ox_check_state state,
			      const char *found, ...)
{
	struct ox_check *k = &c->check[c->n < OX_CHECKS_MAX ? c->n++ : OX_CHECKS_MAX - 1];
	va_list ap;

	*k = (struct ox_check){ .name = name, .state = state };
	va_start(ap, found);
	(void)vsnprintf(k->found, sizeof(k->found), found, ap); /* cut is fine */
	va_end(ap);
	return k;
}

void ox_check_cure(struct ox_check *check, const char *cure, ...)
{
	va_list ap;

	va_start(ap, cure);
	(void)vsnprintf(check->cure, sizeof(check->cure), cure, ap); /* cut is fine */
	va_end(ap);
}

/* The file's first line, without its end. 0 or -errno. */
static int read_line(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

/* ---- the machine ---------------------------------------------------------------------------- */

static void check_kernel(struct ox_checks *c)
{
	struct utsname u;

	if (uname(&u))
		return; /* cannot fail on Linux */
	(void)ox_check_add(c, "kernel", OX_CHECK_OK,
			   "%s %s (for information: nothing depends on it)", u.release, u.machine);
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		ox_check_cure(ox_check_add(c, "btf", OX_CHECK_MISSING,
					   "/sys/kernel/btf/vmlinux: %s", strerror(errno)),
			      "use a kernel with CONFIG_DEBUG_INFO_BTF=y");
		return;
	}
	(void)ox_check_add(c, "btf", OX_CHECK_OK, "/sys/kernel/btf/vmlinux");
}

static void check_bpffs(struct ox_checks *c)
{
	struct statfs fs;

	if (!statfs("/sys/fs/bpf", &fs) && fs.f_type == BPF_FS_MAGIC)
		(void)ox_check_add(c, "bpffs", OX_CHECK_OK, "mounted at /sys/fs/bpf");
	else
		ox_check_cure(ox_check_add(c, "bpffs", OX_CHECK_MISSING,
					   "not mounted at /sys/fs/bpf: 'oomx run' needs it"),
			      "mount -t bpf bpf /sys/fs/bpf");
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	const char *p = words;

	while ((p = strstr(p, word))) {
		if ((p == words || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
		p += len;
	}
	return false;
}

static void check_cgroup(struct ox_checks *c)
{
	char mount[512], path[600], controllers[512] = "";

	if (ox_cgroup_mount(NULL, mount, sizeof(mount))) {
		ox_check_cure(ox_check_add(c, "cgroup", OX_CHECK_WARN, "no cgroup v2 is mounted: "
					   "no priorities, no rules"),
			      "boot with systemd.unified_cgroup_hierarchy=1, or "
			      "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", mount); /* fits */
	(void)read_line(path, controllers, sizeof(controllers)); /* empty then */
	if (has_word(controllers, "memory"))
		(void)ox_check_add(c, "cgroup", OX_CHECK_OK, "v2 at %s, with the memory controller",
				   mount);
	else
		ox_check_cure(ox_check_add(c, "cgroup", OX_CHECK_WARN,
					   "v2 at %s, but without the memory controller: priorities "
					   "and rules go by the cgroups there, limits by those of v1, "
					   "which take no --scope", mount),
			      "boot with systemd.unified_cgroup_hierarchy=1, without "
			      "cgroup_disable=memory");
}

static void check_lockdown(struct ox_checks *c)
{
	char line[128];

	if (read_line("/sys/kernel/security/lockdown", line, sizeof(line)))
		(void)ox_check_add(c, "lockdown", OX_CHECK_OK,
				   "not in this kernel, or securityfs is not mounted");
	else if (strstr(line, "[confidentiality]"))
		ox_check_cure(ox_check_add(c, "lockdown", OX_CHECK_MISSING,
					   "%s: BPF may not read kernel memory", line),
			      "boot with lockdown=integrity, or without");
	else
		(void)ox_check_add(c, "lockdown", OX_CHECK_OK, "%s", line);
}

static void check_ftrace(struct ox_checks *c)
{
	char line[16];

	if (read_line("/proc/sys/kernel/ftrace_enabled", line, sizeof(line)))
		ox_check_cure(ox_check_add(c, "ftrace", OX_CHECK_MISSING,
					   "no /proc/sys/kernel/ftrace_enabled"),
			      "use a kernel with CONFIG_FUNCTION_TRACER=y and "
			      "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y");
	else if (strcmp(line, "1"))
		ox_check_cure(ox_check_add(c, "ftrace", OX_CHECK_MISSING, "switched off"),
			      "sysctl kernel.ftrace_enabled=1");
	else
		(void)ox_check_add(c, "ftrace", OX_CHECK_OK, "enabled");
}

static void check_cpus(struct ox_checks *c)
{
	int n = libbpf_num_possible_cpus();

	if (n < 0)
		(void)ox_check_add(c, "cpus", OX_CHECK_MISSING, "cannot tell how many are possible: %s",
				   strerror(-n));
	else if (n <= OOMX_CPUS_MAX)
		(void)ox_check_add(c, "cpus", OX_CHECK_OK, "%d possible", n);
	else
		ox_check_cure(ox_check_add(c, "cpus", OX_CHECK_WARN,
					   "%d possible: too many where the kernel counts memory for each "
					   "(rss_mode sum)", n),
			      "boot with nr_cpus=%d", OOMX_CPUS_MAX);
}

void ox_doctor_machine(struct ox_checks *c)
{
	check_kernel(c);
	check_bpffs(c);
	check_cgroup(c);
	check_lockdown(c);
	check_ftrace(c);
	check_cpus(c);
}

/* ---- others that act in an OOM -------------------------------------------------------------- */

static void check_sysctl(struct ox_checks *c, const char *name, const char *path,
			 const char *effect, const char *effect_2)
{
	struct ox_check *k;
	char line[16];
	__u32 v;
	int err = read_line(path, line, sizeof(line));

	if (err || ox_parse_u32(line, 0, 2, &v)) {
		k = ox_check_add(c, name, OX_CHECK_MISSING,
				 "%s: %s: --enforce refuses, since nobody knows what it asks of the "
				 "kernel", path, err ? strerror(-err) : "not a number from 0 to 2");
		ox_check_cure(k, "mount /proc with /proc/sys");
		return;
	}
	if (!v) {
		(void)ox_check_add(c, name, OX_CHECK_OK, "0");
		return;
	}
	k = ox_check_add(c, name, OX_CHECK_WARN, "%u: %s", v, v == 2 ? effect_2 : effect);
	ox_check_cure(k, "sysctl %s=0", name);
}

/* By their own names: what the kernel shows as comm. */
static const char *const rivals[] = { "systemd-oomd", "earlyoom", "nohang", "oomd", "bustd",
				      "lmkd" };

static bool is_rival(const char *comm)
{
	unsigned int i;

	for (i = 0; i < sizeof(rivals) / sizeof(rivals[0]); i++)
		if (!strcmp(comm, rivals[i]))
			return true;
	return false;
}

static void check_daemons(struct ox_checks *c)
{
	char path[300], comm[32], list[OX_CHECK_LEN] = "";
	DIR *proc = opendir("/proc");
	struct dirent *d;
	size_t len = 0;

	while (proc && (d = readdir(proc))) {
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name); /* fits */
		if (read_line(path, comm, sizeof(comm)) || !is_rival(comm))
			continue;
		if (len < sizeof(list))
			len += snprintf(list + len, sizeof(list) - len, "%s%s (process %s)",
					len ? ", " : "", comm, d->d_name);
	}
	if (proc)
		(void)closedir(proc); /* read only */
	if (!proc)
		(void)ox_check_add(c, "other OOM daemons", OX_CHECK_WARN, "cannot read /proc");
	else if (!len)
		(void)ox_check_add(c, "other OOM daemons", OX_CHECK_OK, "none");
	else
		ox_check_cure(ox_check_add(c, "other OOM daemons", OX_CHECK_WARN, "%s", list),
			      "they kill before the kernel would, by rules of their own: stop them "
			      "where oomx is to decide");
}

static void check_oomx(struct ox_checks *c)
{
	pid_t pid = ox_daemon_pid();
	struct ox_pinned p;

	if (pid < 0)
		(void)ox_check_add(c, "oomx", OX_CHECK_WARN,
				   "cannot tell whether it is running: %s", strerror(-pid));
	else if (pid)
		(void)ox_check_add(c, "oomx", OX_CHECK_OK, "running, process %d", pid);
	else if (ox_pinned_find(&p) > 0)
		ox_check_cure(ox_check_add(c, "oomx", OX_CHECK_WARN, "was killed; its policy %s is in "
					   "force", p.config.policy),
			      "'oomx run' takes over from it, 'oomx stop' removes it");
	else
		(void)ox_check_add(c, "oomx", OX_CHECK_OK, "not running");
}

void ox_doctor_rivals(struct ox_checks *c)
{
	check_sysctl(c, "vm.panic_on_oom", "/proc/sys/vm/panic_on_oom",
		     "the kernel panics in an OOM of the whole machine, and there oomx stands down",
		     "the kernel panics in every OOM, that of a cgroup, too");
	check_sysctl(c, "vm.oom_kill_allocating_task", "/proc/sys/vm/oom_kill_allocating_task",
		     "the kernel kills the trigger in an OOM of the whole machine, and there oomx "
		     "stands down",
		     "the kernel kills the trigger in an OOM of the whole machine, and there oomx "
		     "stands down");
	check_daemons(c);
	check_oomx(c);
}

/* ---- what it does by approximation ---------------------------------------------------------- */

/* As the comments in bpf/include/oomx have it, each where it is done. */
const struct ox_gap ox_doctor_gaps[OX_GAPS] = {
	{ "OOM notifiers", "when the whole machine is full, the kernel has them free memory before it "
			   "chooses, and may then kill nobody: a nominated process is put back, and "
			   "where there are any, oomx sends no SIGKILL itself" },
	{ "cpuset hardwall", "zones that an allocation of the kernel's own may use outside of its "
			     "cpuset count as forbidden: the OOM is taken for that of its cpuset's "
			     "nodes" },
	{ "core dumps", "a trigger that dumps core counts as exiting: the kernel chooses alone" },
	{ "last look for room", "when the whole machine is full, it is over before oomx chooses, and "
				"cannot be repeated: what is freed after it stops no kill" },
	{ "locks", "processes are read without the kernel's: one that exits or moves meanwhile counts "
		   "as before that, or as after it" },
};
