/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* oomx doctor: what this machine offers, and which hook would be used. Nothing is enforced. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <jansson.h>

#include "calibrate.h"
#include "cmd.h"
#include "doctor.h"
#include "engine.h"
#include "exit.h"
#include "log.h"
#include "policy.h"
#include "record.h"
#include "selftest.h"
#include "struct_ops.h"

static const char usage[] =
	"Usage: oomx doctor [--json]\n"
	"\n"
	"Says what this machine offers, what is missing and what to do about it, and which\n"
	"hook 'oomx run' would use. Loads and attaches the programs for a moment, and makes a\n"
	"cgroup for a self-test; changes nothing. Exit status 0 if oomx can watch here, 4 if\n"
	"not, 3 if not permitted.\n"
	"\n"
	"  -j, --json  as one JSON object\n"
	"  -h, --help  print this\n";

struct verdict {
	bool observe;
	bool nominate;
	bool struct_ops;
	char not_observe[OX_CHECK_LEN]; /* why not */
	char not_nominate[OX_CHECK_LEN];
	char not_struct_ops[OX_CHECK_LEN];
	bool sysctls; /* can be read */
	bool not_permitted; /* that is why: the kernel may be fit */
};

/* ---- hooks ---------------------------------------------------------------------------------- */

/* Loads and attaches it as `oomx run` would, without ever arming it. 0 or -errno, and why. */
static int try_hook(struct ox_checks *c, __u32 hook, const struct ox_policy *policy,
		     __u32 rss_mode, char why[OX_CHECK_LEN])
{
	static const char *const names[] = { [OOMX_HOOK_OBSERVE] = "hook observe",
					     [OOMX_HOOK_NOMINATE] = "hook nominate",
					     [OOMX_HOOK_STRUCT_OPS] = "hook struct_ops" };
	struct ox_engine e = {};
	unsigned int n;
	int err = ox_engine_load(&e, hook, policy, rss_mode, /* beside= */ false);

	if (err)
		(void)snprintf(why, OX_CHECK_LEN, "its programs cannot be loaded: %s",
			       err == -EPERM ? "not permitted" : strerror(-err));
	else
		err = ox_engine_try_attach(&e, why, OX_CHECK_LEN);
	n = e.n_links;
	ox_engine_done(&e);
	if (err)
		ox_check_cure(ox_check_add(c, names[hook], OX_CHECK_MISSING, "%s", why),
			      "see btf, ftrace and lockdown above; the kernel's own words are on "
			      "standard error");
	else
		(void)ox_check_add(c, names[hook], OX_CHECK_OK,
				   "%u programs loaded, attached and detached", n);
	return err;
}

/* Nothing is missing where there is no module: it is the better one of two ways. */
static bool try_struct_ops(struct ox_checks *c, const struct ox_policy *policy, __u32 rss_mode,
			   char why[OX_CHECK_LEN])
{
	int err = ox_struct_ops_offered(why, OX_CHECK_LEN);

	if (!err)
		return !try_hook(c, OOMX_HOOK_STRUCT_OPS, policy, rss_mode, why);
	ox_check_cure(ox_check_add(c, "hook struct_ops", OX_CHECK_WARN, "not to be had: %s", why),
		      err == -EPERM ?
			      "run it with that capability, examples/systemd says how" :
			      "where modules are allowed, build and load it, kmod/README.md: it is "
			      "exact, and waits for nobody");
	return false;
}

/* By the self-test that `oomx run` goes by, and does not start without. 0 or -errno. */
static int check_sight(struct ox_checks *c)
{
	bool hides = false;
	int err = ox_selftest_scan(&hides);

	if (err)
		ox_check_cure(ox_check_add(c, "exiting victims", OX_CHECK_MISSING,
					   "cannot tell whether the kernel loses sight of them: %s",
					   err == -EPERM ? "not permitted" : strerror(-err)),
			      "see btf, ftrace and lockdown above; the kernel's own words are on "
			      "standard error");
	else if (hides)
		(void)ox_check_add(c, "exiting victims", OX_CHECK_OK,
				   "the kernel loses sight of them in a cgroup and kills a second: "
				   "an enforcing oomx holds the OOM killer until they are gone");
	else
		(void)ox_check_add(c, "exiting victims", OX_CHECK_OK,
				   "the kernel waits for them by itself, but for some with threads");
	return err;
}

/* Whether a kill moves oom_kill in memory.events, by hook: for those who watch that file. */
static void say_counted(struct ox_checks *c)
{
	(void)ox_check_add(c, "oom_kill, observe", OX_CHECK_OK,
			   "moves with every kill: the kernel kills");
	(void)ox_check_add(c, "oom_kill, struct_ops", OX_CHECK_OK,
			   "moves with every kill: the kernel kills");
	(void)ox_check_add(c, "oom_kill, nominate", OX_CHECK_OK,
			   "moves with every kill of the kernel's; not where nominating fails and the "
			   "choice is the trigger: oomx sends that SIGKILL, and says so in the event "
			   "(signalled) and the kernel log");
}

static void check_hooks(struct ox_checks *c, struct verdict *v)
{
	struct ox_policy policy = {};
	__u32 rss_mode = 0;
	int err = ox_calibrate(&rss_mode);

	if (err) {
		v->not_permitted = err == -EPERM || err == -EACCES;
		ox_check_cure(ox_check_add(c, "rss_mode", OX_CHECK_MISSING,
					   "cannot be calibrated against oom_badness(): %s",
					   strerror(-err)),
			      "see btf, ftrace and lockdown above");
		(void)snprintf(v->not_observe, OX_CHECK_LEN, "rss_mode cannot be calibrated");
		memcpy(v->not_nominate, v->not_observe, OX_CHECK_LEN);
		return;
	}
	(void)ox_check_add(c, "rss_mode", OX_CHECK_OK, "%s: what this kernel's oom_badness() reads",
			   ox_rss_mode_name(rss_mode));
	err = check_sight(c);
	if (err) {
		v->not_permitted = err == -EPERM;
		(void)snprintf(v->not_observe, OX_CHECK_LEN, "its self-test does not run");
		memcpy(v->not_nominate, v->not_observe, OX_CHECK_LEN);
		return;
	}
	err = ox_policy_load("kernel", &policy);
	if (err) {
		(void)snprintf(v->not_observe, OX_CHECK_LEN, "its own policy cannot be loaded");
		memcpy(v->not_nominate, v->not_observe, OX_CHECK_LEN);
		return;
	}
	err = try_hook(c, OOMX_HOOK_OBSERVE, &policy, rss_mode, v->not_observe);
	v->observe = !err;
	v->not_permitted = err == -EPERM;
	v->struct_ops = try_struct_ops(c, &policy, rss_mode, v->not_struct_ops);
	v->nominate = !try_hook(c, OOMX_HOOK_NOMINATE, &policy, rss_mode, v->not_nominate);
	ox_policy_done(&policy);
	say_counted(c);
}

/* ---- printing ------------------------------------------------------------------------------- */

static const char *for_enforcing(const struct verdict *v)
{
	if (!v->sysctls)
		return NULL;
	return v->struct_ops ? "struct_ops" : v->nominate ? "nominate" : NULL;
}

static const char *for_watching(const struct verdict *v)
{
	return v->observe ? "observe" : NULL;
}

static const char *not_enforcing_because(const struct verdict *v)
{
	return v->nominate ? "a setting of vm.* cannot be read" : v->not_nominate;
}

static json_t *text_or_null(const char *s)
{
	char clean[3 * OX_CHECK_LEN + 1];

	if (!s || !*s)
		return json_null();
	(void)ox_utf8_clean(s, strlen(s), /* printable= */ false, clean, sizeof(clean));
	return json_string(clean);
}

static json_t *gaps_json(void)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < OX_GAPS; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:s}", "name",
							    ox_doctor_gaps[i].name, "effect",
							    ox_doctor_gaps[i].effect));
	return list;
}

static int print_json(const struct ox_checks *c, const struct verdict *v)
{
	json_t *list = json_array(), *o;
	unsigned int i;

	for (i = 0; i < c->n; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:o, s:o}", "name", c->check[i].name, "state",
					ox_check_state_name(c->check[i].state), "found",
					text_or_null(c->check[i].found), "cure",
					text_or_null(c->check[i].cure)));
	o = json_pack("{s:o, s:{s:b, s:b, s:b}, s:o, s:o, s:o, s:o}", "checks", list, "hooks", "observe",
		      v->observe, "nominate", v->nominate, "struct_ops", v->struct_ops, "enforce",
		      text_or_null(for_enforcing(v)), "watch", text_or_null(for_watching(v)),
		      "why_not", text_or_null(!v->observe ? v->not_observe :
					      for_enforcing(v) ? NULL : not_enforcing_because(v)),
		      "not_reproduced", gaps_json());
	return ox_print_json(o);
}

static int print_text(const struct ox_checks *c, const struct verdict *v)
{
	char clean[3 * OX_CHECK_LEN + 1];
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct ox_check *k = &c->check[i];

		printf("%-8s %-27s %s\n", ox_check_state_name(k->state), k->name,
		       ox_utf8_clean(k->found, OX_CHECK_LEN, /* printable= */ true, clean,
				     sizeof(clean)));
		if (*k->cure)
			printf("%-8s %-27s -> %s\n", "", "", k->cure);
	}
	printf("\nof what the kernel does in an OOM, oomx cannot reproduce:\n");
	for (i = 0; i < OX_GAPS; i++)
		printf("  %-18s  %s\n", ox_doctor_gaps[i].name, ox_doctor_gaps[i].effect);
	printf("\nhook that would be used: %s for --enforce, %s otherwise",
	       for_enforcing(v) ?: "none", for_watching(v) ?: "none");
	if (for_enforcing(v) && !v->struct_ops)
		printf("; not struct_ops, because %s", v->not_struct_ops);
	if (!for_enforcing(v))
		printf("; not nominate, because %s", not_enforcing_because(v));
	if (!v->observe)
		printf("; not observe, because %s", v->not_observe);
	return putchar('\n') == EOF || fflush(stdout) ?
		       ox_err_r(OX_EXIT_FAILURE, "cannot write: %m") : OX_EXIT_OK;
}

/* One whose name begins so is missing. */
static bool is_missing(const struct ox_checks *c, const char *prefix)
{
	unsigned int i;

	for (i = 0; i < c->n; i++)
		if (!strncmp(c->check[i].name, prefix, strlen(prefix)) &&
		    c->check[i].state == OX_CHECK_MISSING)
			return true;
	return false;
}

/* What `oomx run` cannot do without, although the hooks can. */
static void judge(const struct ox_checks *c, struct verdict *v)
{
	v->sysctls = !is_missing(c, "vm.");
	if (!is_missing(c, "bpffs"))
		return;
	if (v->observe)
		(void)snprintf(v->not_observe, OX_CHECK_LEN, "there is no BPF file system");
	if (v->nominate)
		(void)snprintf(v->not_nominate, OX_CHECK_LEN, "there is no BPF file system");
	if (v->struct_ops)
		(void)snprintf(v->not_struct_ops, OX_CHECK_LEN, "there is no BPF file system");
	v->observe = v->nominate = v->struct_ops = false;
}

int ox_cmd_doctor(int argc, char **argv)
{
	struct ox_checks checks = {};
	struct verdict v = {};
	bool json = false;
	int c = ox_parse_json_option(argc, argv, usage, &json);

	if (c < 0)
		c = ox_no_words(argc, argv);
	if (c >= 0)
		return c;
	c = ox_need_root("doctor");
	if (c)
		return c;
	(void)ox_check_add(&checks, "permission", OX_CHECK_OK,
			   "root, or the capabilities that count");
	ox_doctor_machine(&checks);
	check_hooks(&checks, &v);
	ox_doctor_rivals(&checks);
	judge(&checks, &v);
	c = json ? print_json(&checks, &v) : print_text(&checks, &v);
	if (c || v.observe)
		return c;
	return v.not_permitted ? OX_EXIT_NOT_PERMITTED : OX_EXIT_UNFIT_KERNEL;
}
