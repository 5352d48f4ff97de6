/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rules.h - what an operator says of workloads: an ordered list of rules, read from YAML files.
 *
 * The first rule that matches a cgroup decides about it, alone. A cgroup that no rule matches has
 * what its nearest ancestor has (the kernel side looks that up when it is needed). The syntax is
 * described in man/oomx.yaml.5.
 */
#ifndef OX_RULES_H
#define OX_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <oomx/abi.h>

#include "identity.h"
#include "process.h"
#include "located.h"
#include "yamltree.h"

#define OX_RULES_DIR "/etc/oomx"
#define OX_RULES_MAX 1000 /* in all files together; fits OOMX_RULE_MASK */
#define OX_RULES_SHIPPED "shipped-" /* how the names of the rules begin that come with oomx */

/* ox_rule.gives */
#define OX_GIVES_PRIORITY (1U << 0)
#define OX_GIVES_CLASS (1U << 1)
#define OX_GIVES_WEIGHT (1U << 2)
#define OX_GIVES_PROTECT (1U << 3)
#define OX_GIVES_NEVER (1U << 4)
#define OX_GIVES_KILL (1U << 5)
#define OX_GIVES_BAND (1U << 6)
#define OX_GIVES_UNSHIELD (1U << 7)

/* What rules are about: a cgroup, or a process in it. */
struct ox_subject {
	const struct ox_identity *id;	 /* of the cgroup */
	const struct ox_process *process; /* NULL: the cgroup itself */
};

/* Who may have chosen a name, where the machine's systemd or container runtime has not. */
enum ox_owner {
	OX_OWNER_NONE,	    /* the whole path shows */
	OX_OWNER_UNIT,	    /* ox_identity.unit_nested */
	OX_OWNER_CONTAINER, /* ox_identity.nested */
	OX_OWNER_PROCESS,   /* it is about a process, which says what it likes */
	OX_OWNER_KERNEL,    /* it is about a process, and the kernel knows better */
};

/* A property that a rule can ask about. */
struct ox_field {
	const char *name; /* as in the file, with the key it stands below: "container.name" */
	bool path;	  /* '*' and '?' do not match a '/' */
	bool keyed;	  /* asks about one of many: "container.label" */
	enum ox_owner owner;
	const char *(*get)(const struct ox_subject *s, const char *key);
};

/* All tests of a rule must hold; of the patterns of a test, one must match. */
struct ox_rule_test {
	const struct ox_field *field;
	char *key; /* of a keyed field */
	struct ox_glob **globs;
	size_t n;
};

struct ox_rule {
	char *name; /* unique; the file's and line's if the rule has none */
	char *file;
	unsigned int line;
	unsigned int gives; /* OX_GIVES_* */
	__s32 priority;
	__u32 class;
	__s32 weight; /* prefer, or less than 0: avoid */
	__s32 band[2]; /* lowest and highest priority that a container may ask for */
	__s32 unshield; /* oom_score_adj of those that have -1000 */
	bool group;   /* kill: group; else, if it gives that, task */
	bool process; /* it is about processes: cgroups never match */
	bool by_name; /* ... and tells them only by names that they choose themselves */
	bool nested;  /* names that the owner of a unit or container gave count, too */
	struct ox_rule_test *tests;
	size_t n_tests;
};

struct ox_rules {
	struct ox_rule *rules;
	size_t n;
	size_t n_files;
	bool process; /* some rule is about processes */
	bool cmdline; /* ... and asks for that */
	bool unshield; /* some rule gives that */
	bool state; /* a rule asks about containers: ox_identity_resolve() is needed */
	bool unprotected; /* a file switches the rules off that come with oomx */
	size_t n_own; /* so many are the operator's; those that come with oomx follow them */
	__u64 hash; /* of all that was read: the same files give the same */
};

/*
 * Reads a file, or of a directory oomx.yaml and then oomx.d/ *.yaml by name. All or nothing: 0, and
 * *ret is the caller's, for ox_rules_free(); -EINVAL: everything found is in `errors`; -ENOENT: the
 * directory has neither, or there is no such directory (nothing in `errors`); -ENOMEM.
 */
int ox_rules_load(const char *path, struct ox_rules **ret, struct ox_located *errors);

/* The file of the rules that come with oomx, as `make install` puts it; it need not be there. */
const char *ox_rules_shipped(void);

/*
 * What is in force if oomx is given these names: one file or directory, several files, or (n is 0)
 * OX_RULES_DIR, which need not be there. Then the rules of `shipped`, unless one of them switches
 * those off or there is no such file. Returns as ox_rules_load(); -ENOENT: nothing was found in the
 * one directory that was named, or anywhere.
 */
int ox_rules_load_all(const char *const names[], size_t n, const char *shipped,
		      struct ox_rules **ret, struct ox_located *errors);

/* Bytes in place of a file; `file` is what errors call them. */
int ox_rules_parse(const char *file, const char *bytes, size_t size, struct ox_rules **ret,
		   struct ox_located *errors);

void ox_rules_free(struct ox_rules *rules);

/* ---- matching -------------------------------------------------------------------------------- */

/* The number of the rule that decides about a cgroup, counted from 1; 0: none. */
size_t ox_rules_match(const struct ox_rules *rules, const struct ox_identity *id);

/*
 * The number of the rule that decides about a process, where `cgroup_rule` does about its cgroup
 * (0: none): the first of the two; but one that goes by names that a process may choose gives way
 * to any that is about its cgroup. 0 or cgroup_rule: the process has what its cgroup has.
 */
size_t ox_rules_match_process(const struct ox_rules *rules, const struct ox_subject *s,
			      size_t cgroup_rule);

/* Could a rule be about this process, whatever cgroup it is in? */
bool ox_rules_ask_about(const struct ox_rules *rules, const struct ox_process *p);

/* The first test that does not hold; NULL: the rule matches. */
const struct ox_rule_test *ox_rule_misses(const struct ox_rule *rule, const struct ox_subject *s);

/* Is the subject what the test asks for? *ret_glob (may be NULL): the pattern that matches. */
bool ox_rule_test_holds(const struct ox_rule *rule, const struct ox_rule_test *t,
			const struct ox_subject *s, const struct ox_glob **ret_glob);

/*
 * What the rule says, as the kernel side takes it; `number` is what names the rule there. `id` is
 * the cgroup's that it matches, which may have asked for a priority; NULL: a process's.
 */
struct oomx_prio ox_rule_prio(const struct ox_rule *rule, __u32 number,
			      const struct ox_identity *id);

/* ---- parsing, in parts ----------------------------------------------------------------------- */

/* Adds the rules of one file's tree. 0 or -ENOMEM; mistakes are in `errors`. */
int ox_rules_add(struct ox_rules *rules, const char *file, const struct ox_yaml *root,
		 struct ox_located *errors);

/*
 * Fills rule->tests from the value of `match`. 0 or -ENOMEM; mistakes are in `errors`.
 */
int ox_rules_parse_match(struct ox_rule *rule, const struct ox_yaml *match,
			 struct ox_located *errors);

/* By its name in the file; NULL: there is none. */
const struct ox_field *ox_field_find(const char *name);

#endif
