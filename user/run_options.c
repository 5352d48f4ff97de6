// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "run_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <oomx/abi.h>

#include "cmd.h"
#include "exit.h"
#include "log.h"
#include "parse.h"

static const char usage[] =
	"Usage: oomx run [OPTION]...\n"
	"\n"
	"Watches out-of-memory situations and says whom the policy would have killed;\n"
	"with --enforce, makes that choice the kernel's. Runs until it is stopped.\n"
	"\n"
	"      --policy NAME|FILE    kernel, priority, or an object file (priority)\n"
	"      --hook HOOK           auto, observe, nominate or struct_ops (auto)\n"
	"      --enforce             decide, not only watch\n"
	"      --priority CGROUP=N   priority of a cgroup and all below it, -1000..1000;\n"
	"                            the lowest dies first; may be repeated\n"
	"      --rules FILE|DIR      rules for cgroups, see oomx.yaml(5) (/etc/oomx, if it is\n"
	"                            there); SIGHUP and changes of the files reload them\n"
	"      --no-rules            no rules, whatever is in /etc/oomx\n"
	"      --scope CGROUP        decide only for limits of this cgroup and of those\n"
	"                            below it, and watch the rest; may be repeated\n"
	"      --replace             take over from the running oomx, with its priorities,\n"
	"                            without an OOM that nobody or both decide; or from what\n"
	"                            a killed one of another build or policy left in force\n"
	"  -j, --json                events as JSON Lines on standard output\n"
	"  -q, --quiet               no events on standard output\n"
	"  -h, --help                print this\n";

static int parse_hook(const char *s, __u32 *ret)
{
	static const struct {
		const char *name;
		__u32 hook;
	} hooks[] = { { "auto", 0 }, { "observe", OOMX_HOOK_OBSERVE },
		      { "nominate", OOMX_HOOK_NOMINATE },
		      { "struct_ops", OOMX_HOOK_STRUCT_OPS } };
	unsigned int i;

	for (i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		if (!strcmp(s, hooks[i].name)) {
			*ret = hooks[i].hook;
			return 0;
		}
	}
	return ox_err_r(-EINVAL, "run: no hook '%s': there are auto, observe, nominate, "
				 "struct_ops", s);
}

static int add_priority(struct ox_run_options *o, const char *arg)
{
	char cgroup[4096];
	__s32 n;

	if (ox_parse_cgroup_s32(arg, OOMX_PRIO_MIN, OOMX_PRIO_MAX, cgroup, sizeof(cgroup), &n))
		return ox_err_r(-EINVAL, "run: --priority '%s' is not CGROUP=N with N from %d to %d",
				arg, OOMX_PRIO_MIN, OOMX_PRIO_MAX);
	if (o->n_priorities == OX_RUN_PRIORITIES_MAX)
		return ox_err_r(-EINVAL, "run: more than %d priorities: set the others with 'oomx "
					 "priority set'", OX_RUN_PRIORITIES_MAX);
	o->priorities[o->n_priorities++] = arg;
	return 0;
}

static int add_scope(struct ox_run_options *o, const char *arg)
{
	if (o->n_scopes == OX_RUN_SCOPES_MAX)
		return ox_err_r(-EINVAL, "run: more than %d scopes", OX_RUN_SCOPES_MAX);
	o->scopes[o->n_scopes++] = arg;
	return 0;
}

static int check_options(const struct ox_run_options *o)
{
	if (o->enforce && o->hook == OOMX_HOOK_OBSERVE)
		return ox_err_r(-EINVAL, "run: the hook observe cannot enforce: use --hook auto");
	if (o->rules && o->no_rules)
		return ox_err_r(-EINVAL, "run: --rules and --no-rules: which of them?");
	if (o->n_scopes && !o->enforce)
		return ox_err_r(-EINVAL, "run: --scope says where to enforce: it needs --enforce");
	return 0;
}

int ox_run_options(int argc, char **argv, struct ox_run_options *o)
{
	enum { OPT_POLICY = 256, OPT_HOOK, OPT_ENFORCE, OPT_PRIORITY, OPT_SCOPE,
	       OPT_REPLACE, OPT_RULES, OPT_NO_RULES };
	static const struct option table[] = {
		{ "policy", required_argument, NULL, OPT_POLICY },
		{ "hook", required_argument, NULL, OPT_HOOK },
		{ "enforce", no_argument, NULL, OPT_ENFORCE },
		{ "priority", required_argument, NULL, OPT_PRIORITY },
		{ "scope", required_argument, NULL, OPT_SCOPE },
		{ "replace", no_argument, NULL, OPT_REPLACE },
		{ "rules", required_argument, NULL, OPT_RULES },
		{ "no-rules", no_argument, NULL, OPT_NO_RULES },
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	static const char shorts[] = ":jqh";
	int c, err = 0;

	*o = (struct ox_run_options){ .policy = "priority" };
	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while (!err && (c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		if (c == OPT_POLICY)
			o->policy = optarg;
		else if (c == OPT_HOOK)
			err = parse_hook(optarg, &o->hook);
		else if (c == OPT_ENFORCE)
			o->enforce = true;
		else if (c == OPT_PRIORITY)
			err = add_priority(o, optarg);
		else if (c == OPT_SCOPE)
			err = add_scope(o, optarg);
		else if (c == OPT_REPLACE)
			o->replace = true;
		else if (c == OPT_RULES)
			o->rules = optarg;
		else if (c == OPT_NO_RULES)
			o->no_rules = true;
		else if (c == 'j')
			o->json = true;
		else if (c == 'q')
			o->quiet = true;
		else if (c == 'h')
			return ox_help(usage);
		else
			return ox_bad_option(c, shorts, argv);
	}
	if (!err && optind < argc)
		err = ox_err_r(-EINVAL, "run: what is '%s'? See --help", argv[optind]);
	if (!err)
		err = check_options(o);
	return err ? OX_EXIT_USAGE : -1;
}
