// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which files, in which order; and what becomes of them in the end. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "glob.h"
#include "rules.h"

#define FILES_MAX 256

/* FNV-1a, to tell whether anything has changed */
static void mix(struct ox_rules *rules, const char *bytes)
{
	do {
		rules->hash = (rules->hash ^ (unsigned char)*bytes) * 0x100000001b3ull;
	} while (*bytes++);
}

static void rule_done(struct ox_rule *r)
{
	size_t i, j;

	for (i = 0; i < r->n_tests; i++) {
		for (j = 0; j < r->tests[i].n; j++)
			ox_glob_free(r->tests[i].globs[j]);
		free(r->tests[i].globs);
		free(r->tests[i].key);
	}
	free(r->tests);
	free(r->name);
	free(r->file);
}

void ox_rules_free(struct ox_rules *rules)
{
	if (!rules)
		return;
	while (rules->n)
		rule_done(&rules->rules[--rules->n]);
	free(rules->rules);
	free(rules);
}

static struct ox_rules *new_rules(void)
{
	struct ox_rules *r = calloc(1, sizeof(*r));

	if (r)
		r->hash = 0xcbf29ce484222325ull;
	return r;
}

static int add_tree(struct ox_rules *rules, const char *file, const char *bytes,
		    struct ox_yaml *root, struct ox_located *errors)
{
	int err = ox_rules_add(rules, file, root, errors);

	ox_yaml_free(root);
	mix(rules, file);
	mix(rules, bytes);
	rules->n_files++;
	return err;
}

static int add_file(struct ox_rules *rules, const char *path, struct ox_located *errors)
{
	_cleanup_free_ char *bytes = NULL;
	struct ox_yaml *root = NULL;
	int err = ox_yaml_read(path, &root, errors, &bytes);

	if (err)
		return err == -EINVAL ? 0 : err; /* said in `errors`; the other files are, too */
	return add_tree(rules, path, bytes, root, errors);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_rule_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && !strcmp(d->d_name + n - 5, ".yaml");
}

static int add_drop_ins(struct ox_rules *rules, const char *dir, struct ox_located *errors)
{
	char path[PATH_MAX];
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_rule_file, by_name), i, err = 0;

	if (n < 0 && errno == ENOMEM)
		return -ENOMEM;
	if (n < 0 && errno != ENOENT)
		(void)ox_located_add(errors, dir, 1, 1, "it has to be a readable directory",
				     "cannot be read: %s", strerror(errno));
	if (n > FILES_MAX)
		(void)ox_located_add(errors, dir, 1, 1, "put rules together",
				     "more than %d files", FILES_MAX);
	for (i = 0; i < n && n <= FILES_MAX && !err; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name) <
		    (int)sizeof(path))
			err = add_file(rules, path, errors);
		else
			(void)ox_located_add(errors, dir, 1, 1, "shorten it",
					     "the name of a file is too long");
	}
	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return err;
}

/* -ENOENT: neither of the two is there */
static int add_dir(struct ox_rules *rules, const char *dir, struct ox_located *errors)
{
	char main_file[PATH_MAX], drop_ins[PATH_MAX];
	struct stat st;
	bool any = false;
	int err = 0;

	if (snprintf(main_file, sizeof(main_file), "%s/oomx.yaml", dir) >= PATH_MAX ||
	    snprintf(drop_ins, sizeof(drop_ins), "%s/oomx.d", dir) >= PATH_MAX)
		return ox_located_add(errors, dir, 1, 1, "shorten it", "the name is too long");
	if (!stat(main_file, &st) || errno != ENOENT) {
		any = true;
		err = add_file(rules, main_file, errors);
	}
	if (!err && (!stat(drop_ins, &st) || errno != ENOENT)) {
		any = true;
		err = add_drop_ins(rules, drop_ins, errors);
	}
	return err || any ? err : -ENOENT;
}

/* All or nothing: gives the rules out, or frees them. */
static int finish(struct ox_rules *rules, int err, const struct ox_located *errors,
		  struct ox_rules **ret)
{
	size_t i, j;

	if (!err && errors->n)
		err = -EINVAL;
	if (err) {
		ox_rules_free(rules);
		return err;
	}
	for (i = 0; i < rules->n; i++) {
		rules->process |= rules->rules[i].process;
		rules->unshield |= rules->rules[i].gives & OX_GIVES_UNSHIELD;
		rules->state |= rules->rules[i].gives & OX_GIVES_BAND;
		for (j = 0; j < rules->rules[i].n_tests; j++) {
			const struct ox_field *field = rules->rules[i].tests[j].field;

			rules->state |= field->owner == OX_OWNER_CONTAINER;
			rules->cmdline |= !strcmp(field->name, "cmdline");
		}
	}
	*ret = rules;
	return 0;
}

/* -ENOENT: there is nothing; only the default directory need not be there itself. */
static int add_path(struct ox_rules *rules, const char *path, struct ox_located *errors)
{
	struct stat st;

	if (!stat(path, &st))
		return S_ISDIR(st.st_mode) ? add_dir(rules, path, errors) :
					     add_file(rules, path, errors);
	if (errno == ENOENT && !strcmp(path, OX_RULES_DIR))
		return -ENOENT;
	return add_file(rules, path, errors); /* says what is wrong with it */
}

static int add_files(struct ox_rules *rules, const char *const files[], size_t n,
		     struct ox_located *errors)
{
	size_t i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = add_file(rules, files[i], errors);
	return err;
}

int ox_rules_load(const char *path, struct ox_rules **ret, struct ox_located *errors)
{
	struct ox_rules *rules = new_rules();

	return rules ? finish(rules, add_path(rules, path, errors), errors, ret) : -ENOMEM;
}

const char *ox_rules_shipped(void)
{
	return OX_SHARE_DIR "/protections.yaml";
}

int ox_rules_load_all(const char *const names[], size_t n, const char *shipped,
		      struct ox_rules **ret, struct ox_located *errors)
{
	struct ox_rules *rules = new_rules();
	struct stat st;
	bool found;
	int err;

	if (!rules)
		return -ENOMEM;
	err = n > 1 ? add_files(rules, names, n, errors) :
		      add_path(rules, n ? names[0] : OX_RULES_DIR, errors);
	found = err != -ENOENT;
	rules->n_own = rules->n;
	if ((!err || (!found && !n)) && !rules->unprotected &&
	    !(n == 1 && !strcmp(names[0], shipped)) && (!stat(shipped, &st) || errno != ENOENT))
		err = add_file(rules, shipped, errors);
	return finish(rules, err, errors, ret);
}

int ox_rules_parse(const char *file, const char *bytes, size_t size, struct ox_rules **ret,
		   struct ox_located *errors)
{
	struct ox_rules *rules = new_rules();
	struct ox_yaml *root = NULL;
	int err = rules ? ox_yaml_parse(file, bytes, size, &root, errors) : -ENOMEM;

	if (!err)
		err = add_tree(rules, file, bytes, root, errors);
	return finish(rules, err, errors, ret);
}
