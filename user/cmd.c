/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What all sub-commands say in the same way. */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "cmd.h"
#include "exit.h"
#include "log.h"

int ox_exit_status(int err)
{
	switch (err) {
	case 0:
		return OX_EXIT_OK;
	case -EPERM:
	case -EACCES:
		return OX_EXIT_NOT_PERMITTED;
	case -ENOTSUP:
		return OX_EXIT_UNFIT_KERNEL;
	case -ENOEXEC:
		return OX_EXIT_POLICY_REFUSED;
	case -EBUSY:
		return OX_EXIT_ALREADY_RUNNING;
	case -ENOENT:
		return OX_EXIT_USAGE;
	case -EILSEQ:
		return OX_EXIT_BAD_RULES;
	default:
		return OX_EXIT_FAILURE;
	}
}

static bool has_cap(const struct __user_cap_data_struct c[2], unsigned int cap)
{
	return c[cap / 32].effective & 1U << cap % 32;
}

int ox_need_root(const char *command)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct c[2] = {};

	if (syscall(SYS_capget, &h, c))
		return ox_err_r(OX_EXIT_FAILURE, "%s: cannot tell which capabilities it has: %m",
				command);
	/* CAP_SYS_ADMIN comprises the other two; files in /proc, cgroups and /run are root's */
	if (has_cap(c, CAP_SYS_ADMIN) || (has_cap(c, CAP_BPF) && has_cap(c, CAP_PERFMON)))
		return OX_EXIT_OK;
	if (geteuid())
		return ox_err_r(OX_EXIT_NOT_PERMITTED,
				"%s: not permitted: run as root (sudo oomx %s)", command, command);
	return ox_err_r(OX_EXIT_NOT_PERMITTED,
			"%s: root, but without CAP_BPF and CAP_PERFMON: leave the container, or "
			"give it both", command);
}

/* ---- arguments ------------------------------------------------------------------------------- */

int ox_help(const char *usage)
{
	return fputs(usage, stdout) < 0 || fflush(stdout) ?
		       ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : OX_EXIT_OK;
}

int ox_bad_option(int c, const char *shorts, char **argv)
{
	/* within "-jx", optind is still that of the word before: only optopt tells */
	if (c == ':')
		return ox_err_r(OX_EXIT_USAGE, "%s: %s needs a value, see --help", argv[0],
				argv[optind - 1]);
	if (optopt && optopt < 256 && !strchr(shorts, optopt))
		return ox_err_r(OX_EXIT_USAGE, "%s: no option '-%c', see --help", argv[0],
				(unsigned char)optopt);
	if (optopt)
		return ox_err_r(OX_EXIT_USAGE, "%s: '%s': this option takes no value, see --help",
				argv[0], argv[optind - 1]);
	return ox_err_r(OX_EXIT_USAGE, "%s: no option '%s', see --help", argv[0],
			argv[optind - 1]);
}

int ox_no_words(int argc, char **argv)
{
	return optind < argc ? ox_err_r(OX_EXIT_USAGE, "%s: what is '%s'? See --help", argv[0],
					argv[optind]) : -1;
}

int ox_parse_json_option(int argc, char **argv, const char *usage, bool *ret_json)
{
	static const struct option table[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	static const char shorts[] = ":jh";
	int c;

	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		if (c == 'h')
			return ox_help(usage);
		if (c != 'j')
			return ox_bad_option(c, shorts, argv);
		*ret_json = true;
	}
	return -1;
}

/* ---- output ---------------------------------------------------------------------------------- */

int ox_print_json(json_t *o)
{
	int err;

	if (!o)
		return ox_err_r(OX_EXIT_FAILURE, "no memory");
	err = json_dumpf(o, stdout, JSON_COMPACT);
	json_decref(o);
	return err || putchar('\n') == EOF || fflush(stdout) ?
		       ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : OX_EXIT_OK;
}
