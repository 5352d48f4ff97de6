// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* oomx check-config: is this rule file right? Needs no privileges, changes nothing. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"
#include "exit.h"
#include "log.h"
#include "protected.h"
#include "rules.h"

static const char usage[] =
	"Usage: oomx check-config [OPTION]... [FILE|DIR]...\n"
	"\n"
	"Reads rule files as 'oomx run' would, and tells every mistake with its line and column.\n"
	"Without a name: /etc/oomx, which is oomx.yaml and oomx.d/*.yaml. Several files are one\n"
	"list of rules, in the order given. The rules that come with oomx follow them, unless\n"
	"a file says 'protections: false'.\n"
	"\n"
	"  -j, --json  as JSON\n"
	"  -h, --help  print this\n";

/* On this machine, as it is now; null where that could not be told. */
static json_t *protected_json(const struct ox_rules *rules)
{
	struct ox_protected p;

	return rules && !ox_protected_measure(rules, &p) ? ox_protected_json(&p, rules) :
							   json_null();
}

static int print_json(const struct ox_rules *rules, const struct ox_located *errors)
{
	json_t *o = json_pack("{sb si si si so so}", "valid", !errors->n, "files",
			      rules ? (int)rules->n_files : 0, "rules", rules ? (int)rules->n : 0,
			      "shipped", rules ? (int)(rules->n - rules->n_own) : 0,
			      "protected", protected_json(rules), "errors",
			      ox_located_json(errors));
	int err = ox_print_json(o);

	return err ? err : errors->n ? OX_EXIT_BAD_RULES : OX_EXIT_OK;
}

static int print_text(const struct ox_rules *rules, const struct ox_located *errors)
{
	struct ox_protected p;

	if (errors->n) {
		ox_located_log(errors);
		return OX_EXIT_BAD_RULES;
	}
	if (rules && !ox_protected_measure(rules, &p))
		ox_protected_warn(&p, rules);
	if (rules)
		printf("%zu rule%s in %zu file%s: no mistakes\n", rules->n, rules->n == 1 ? "" : "s",
		       rules->n_files, rules->n_files == 1 ? "" : "s");
	if (rules && rules->n > rules->n_own)
		printf("of these, %zu came with oomx (%s)\n", rules->n - rules->n_own,
		       ox_rules_shipped());
	else if (rules)
		printf("%s\n", rules->unprotected ? "the rules that come with oomx are switched off" :
						    "no rules came with oomx");
	else
		printf("no rules: there is neither " OX_RULES_DIR "/oomx.yaml nor " OX_RULES_DIR
		       "/oomx.d\n");
	return fflush(stdout) ? ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : OX_EXIT_OK;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* What to read: one directory or file as a whole, or several files as one list. */
static int load(const char *const names[], int n, struct ox_rules **ret, struct ox_located *errors)
{
	int err = ox_rules_load_all(names, n, ox_rules_shipped(), ret, errors), i;

	if (err == -ENOENT && n)
		err = ox_located_add(errors, names[0], 1, 1, "is the name right?",
				     "has neither oomx.yaml nor oomx.d");
	for (i = 0; n > 1 && i < n; i++)
		if (is_dir(names[i]))
			return ox_err_r(-EDOM, "check-config: '%s' is a directory: give it alone",
					names[i]);
	return err;
}

int ox_cmd_check_config(int argc, char **argv)
{
	struct ox_located errors = {};
	struct ox_rules *rules = NULL;
	bool json = false;
	int err = ox_parse_json_option(argc, argv, usage, &json);

	if (err >= 0)
		return err;
	err = load((const char *const *)argv + optind, argc - optind, &rules, &errors);
	if (err == -ENOMEM)
		err = ox_err_r(OX_EXIT_FAILURE, "no memory");
	else if (err == -EDOM)
		err = OX_EXIT_USAGE;
	else
		err = json ? print_json(rules, &errors) : print_text(rules, &errors);
	ox_rules_free(rules);
	return err;
}
