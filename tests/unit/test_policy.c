// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Policies as files: whatever they hold, they are refused with a reason, or sound. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "log.h"
#include "policy.h"

#define SEED 20261120

static char path[] = "/tmp/oomx-test-policy.XXXXXX";

static void write_file(const void *data, size_t size)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static int load(void)
{
	struct ox_policy p;
	int err = ox_policy_load(path, &p);

	if (!err)
		ox_policy_done(&p);
	return err;
}

static void test_builtin(void **state)
{
	struct ox_policy a, b;

	assert_int_equal(ox_policy_load("kernel", &a), 0);
	assert_int_equal(ox_policy_load("priority", &b), 0);
	assert_string_equal(a.name, "kernel");
	assert_string_equal(b.name, "priority");
	assert_true(a.hash && a.hash != b.hash);
	ox_policy_done(&a);
	ox_policy_done(&b);
	assert_string_equal(ox_policy_builtin(0), "kernel");
	assert_null(ox_policy_builtin(2));
}

static void test_same_as_file(void **state)
{
	struct ox_blob blob = OX_BLOB(priority);
	struct ox_policy built_in, file;

	write_file(blob.data, blob.size);
	assert_int_equal(ox_policy_load("priority", &built_in), 0);
	assert_int_equal(ox_policy_load(path, &file), 0);
	assert_true(built_in.hash == file.hash);
	assert_string_equal(file.name, "priority");
	ox_policy_done(&built_in);
	ox_policy_done(&file);
}

static void test_no_such(void **state)
{
	struct ox_policy p;

	assert_int_equal(ox_policy_load("nosuch", &p), -ENOENT);
	assert_int_equal(ox_policy_load("", &p), -ENOENT);
	assert_int_equal(ox_policy_load("/nonexistent/x.o", &p), -ENOENT);
	assert_int_equal(ox_policy_load("/tmp/", &p), -ENOEXEC);
	assert_int_equal(ox_policy_load("/dev/zero", &p), -ENOEXEC);
}

static void test_not_bpf(void **state)
{
	write_file("", 0);
	assert_int_equal(load(), -ENOEXEC);
	write_file("hello\n", 6);
	assert_int_equal(load(), -ENOEXEC);
	write_file("\177ELF", 4);
	assert_int_equal(load(), -ENOEXEC);
	struct ox_policy p;

	assert_int_equal(ox_policy_load("/proc/self/exe", &p), -ENOEXEC);
}

/* A hook's object is BPF, but has programs and maps of its own. */
static void test_not_a_policy(void **state)
{
	struct ox_blob hook = OX_BLOB(observe);

	write_file(hook.data, hook.size);
	assert_int_equal(load(), -ENOEXEC);
}

static void test_truncated(void **state)
{
	struct ox_blob blob = OX_BLOB(priority);
	size_t cut;

	for (cut = 0; cut < blob.size; cut += 7) {
		write_file(blob.data, cut);
		assert_int_equal(load(), -ENOEXEC);
	}
}

/* Damaged anywhere: refused or sound, never a crash (this runs under sanitizers). */
static void test_damaged(void **state)
{
	struct ox_blob blob = OX_BLOB(kernel);
	char *copy = malloc(blob.size);
	unsigned int i, j, refused = 0;

	assert_non_null(copy);
	srandom(SEED);
	for (i = 0; i < 3000; i++) {
		memcpy(copy, blob.data, blob.size);
		for (j = 0; j <= i % 8; j++)
			copy[random() % blob.size] ^= 1 << random() % 8;
		write_file(copy, blob.size);
		refused += load() != 0;
	}
	free(copy);
	assert_true(refused > 100);
}

/* Replaces the one place where `from` stands; the object must hold it once. */
static void patch(char *obj, size_t size, const void *from, const void *to, size_t n)
{
	char *at = memmem(obj, size, from, n);

	assert_non_null(at);
	assert_null(memmem(at + 1, size - (at + 1 - obj), from, n));
	memcpy(at, to, n);
}

static void test_foreign_abi(void **state)
{
	struct ox_blob blob = OX_BLOB(kernel);
	struct { __u32 magic, abi, facts; } is = { OOMX_POLICY_MAGIC, OOMX_POLICY_ABI,
						   sizeof(struct oomx_facts) }, other = is;
	char *copy = malloc(blob.size);

	assert_non_null(copy);
	other.abi = OOMX_POLICY_ABI + 1;
	memcpy(copy, blob.data, blob.size);
	patch(copy, blob.size, &is, &other, sizeof(is));
	write_file(copy, blob.size);
	assert_int_equal(load(), -ENOEXEC);

	other = is;
	other.facts = sizeof(struct oomx_facts) + 8;
	memcpy(copy, blob.data, blob.size);
	patch(copy, blob.size, &is, &other, sizeof(is));
	write_file(copy, blob.size);
	assert_int_equal(load(), -ENOEXEC);

	other = is;
	other.facts = sizeof(struct oomx_facts) - 8; /* an older policy: welcome */
	memcpy(copy, blob.data, blob.size);
	patch(copy, blob.size, &is, &other, sizeof(is));
	write_file(copy, blob.size);
	assert_int_equal(load(), 0);
	free(copy);
}

static void test_links_to_every_hook(void **state)
{
	struct ox_blob hooks[] = { OX_BLOB(observe), OX_BLOB(nominate), OX_BLOB(struct_ops),
				   OX_BLOB(score) }, linked;
	struct ox_policy p;
	unsigned int i;

	assert_int_equal(ox_policy_load("priority", &p), 0);
	for (i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		assert_int_equal(ox_policy_link(&p, hooks[i], &linked), 0);
		assert_true(linked.size > 1000);
		free((void *)linked.data);
	}
	ox_policy_done(&p);
}

/* Nobody writes to it: opening it the usual way would wait for that. */
static void test_fifo(void **state)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)alarm(600);
	assert_int_equal(load(), -ENOEXEC);
	(void)alarm(0);
	assert_int_equal(unlink(path), 0);
	write_file("", 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin),	   cmocka_unit_test(test_same_as_file),
		cmocka_unit_test(test_no_such),	   cmocka_unit_test(test_not_bpf),
		cmocka_unit_test(test_not_a_policy), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),	   cmocka_unit_test(test_foreign_abi),
		cmocka_unit_test(test_links_to_every_hook), cmocka_unit_test(test_fifo),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	ox_log_set_level(0); /* thousands of refusals are expected */
	failed = cmocka_run_group_tests_name("policy", tests, NULL, NULL);
	unlink(path);
	return failed;
}
