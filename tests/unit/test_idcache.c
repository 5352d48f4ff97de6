/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Containers that come and go: named when they are there, late, and gone; never more than fit. */
#include <errno.h>
#include <limits.h>
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

#include "cleanup.h"
#include "idcache.h"
#include "tree.h"

#define MS 1000000ULL
#define A16 "0123456789abcdef"
#define A A16 A16 A16 A16
#define UID "7d5b0c6e-9f3a-4c1d-8e2f-0a1b2c3d4e5f"

static struct ox_idcache *cache;

static int setup(void **state)
{
	(void)state;
	return tree_make() ?: ox_idcache_new(root, &cache);
}

static int teardown(void **state)
{
	(void)state;
	ox_idcache_free(cache);
	return tree_remove();
}

static void put_docker(const char *id, const char *name)
{
	char path[PATH_MAX], text[256];

	(void)snprintf(path, sizeof(path), "/var/lib/docker/containers/%s/config.v2.json", id);
	(void)snprintf(text, sizeof(text),
		       "{\"Name\":\"/%s\",\"Config\":{\"Labels\":{\"a\":\"b\"}}}", name);
	put(path, text);
}

static void forget_all(void)
{
	assert_int_equal(tree_remove(), 0);
	assert_int_equal(mkdir(root, 0700), 0);
}

/* `name`: NULL: a container without one; "-": none */
static void is(const char *cgroup, const char *name)
{
	const struct ox_identity *id = ox_idcache_get(cache, cgroup);

	if (name && !strcmp(name, "-")) {
		assert_null(id);
		return;
	}
	assert_non_null(id);
	if (!name != !id->name || (name && strcmp(name, id->name)))
		fail_msg("%s: '%s'", cgroup, id->name ? id->name : "(null)");
	assert_int_equal(id->n_labels, 0);
}

static void counts(__u32 live, __u32 gone, __u32 waiting)
{
	struct ox_idcache_stats s;

	ox_idcache_stats(cache, &s);
	if (s.live != live || s.gone != gone || s.waiting != waiting)
		fail_msg("%u live, %u gone, %u waiting", s.live, s.gone, s.waiting);
	assert_true(!s.waiting == !ox_idcache_due(cache));
}

/* The point of it all. */
static void named_after_its_end(void **state)
{
	(void)state;
	put_docker(A, "db");
	ox_idcache_made(cache, "/docker/" A, 0);
	ox_idcache_made(cache, "/docker/" A "/init.scope", 0);
	counts(1, 0, 0);
	forget_all();
	is("/docker/" A, "db");
	is("/docker/" A "/init.scope", "db");
	ox_idcache_gone(cache, "/docker/" A "/init.scope");
	ox_idcache_gone(cache, "/docker/" A);
	ox_idcache_gone(cache, "/docker/" A);
	counts(0, 1, 0);
	is("/docker/" A, "db");
	is("/docker/" A "/x/y", "db");
	is("…/docker/" A "/x/y", "db");
	is("…/" A "x", "-");
	is("/docker", "-");
	/* a new one of that name is not the old one */
	ox_idcache_made(cache, "/docker/" A, 0);
	is("/docker/" A, NULL);
	counts(1, 0, 1);
}

static void named_late(void **state)
{
	(void)state;
	ox_idcache_made(cache, "/docker/" A, 5 * MS);
	ox_idcache_made(cache, "/web", 6 * MS);
	ox_idcache_made(cache, "/web/in", 6 * MS);
	counts(3, 0, 3);
	assert_true(ox_idcache_due(cache) == 25 * MS);
	ox_idcache_retry(cache, 24 * MS);
	assert_true(ox_idcache_due(cache) == 25 * MS);
	ox_idcache_retry(cache, 26 * MS);
	assert_true(ox_idcache_due(cache) == 105 * MS);
	put_docker(A, "db");
	put("/run/crun/web/status", "{\"cgroup-path\":\"/web\"}");
	ox_idcache_retry(cache, 105 * MS);
	counts(3, 0, 2);
	ox_idcache_retry(cache, 106 * MS);
	counts(3, 0, 1);
	forget_all();
	is("/docker/" A, "db");
	is("/web", "web");
	is("/web/more", "web");
	/* what is none is given up */
	for (int i = 0; i < 10; i++)
		ox_idcache_retry(cache, (20000 + i) * MS);
	counts(2, 0, 0);
	ox_idcache_gone(cache, "/web");
	is("/web/in", "web");
	counts(1, 1, 0);
	put("/run/crun/in/status", "{\"cgroup-path\":\"/web/in\"}");
	ox_idcache_made(cache, "/web/in", 30000 * MS);
	is("/web/in", "in");
	is("/web/on", "web");
	counts(2, 1, 0);
}

/* Asked about before it was time to look again. */
static void asked_early(void **state)
{
	(void)state;
	ox_idcache_made(cache, "/docker/" A, 0);
	is("/docker/" A, NULL);
	counts(1, 0, 1);
	put_docker(A, "db");
	is("/docker/" A, "db");
	counts(1, 0, 0);
	forget_all();
	is("/docker/" A, "db");
}

/* Its creation was missed. */
static void never_told(void **state)
{
	(void)state;
	is("/docker/" A, NULL);
	put_docker(A, "db");
	is("/docker/" A, "db");
	is("/system.slice/ssh.service", "-");
	is("", "-");
	is("/", "-");
	ox_idcache_gone(cache, "/docker/" A);
	counts(0, 0, 0);
}

static void units_are_no_trouble(void **state)
{
	(void)state;
	ox_idcache_made(cache, "/", 0);
	ox_idcache_made(cache, "/system.slice", 0);
	ox_idcache_made(cache, "/system.slice/ssh.service", 0);
	ox_idcache_made(cache, "/user.slice/user-0.slice/session-1.scope", 0);
	ox_idcache_made(cache, "/kubepods/pod" UID, 0);
	counts(0, 0, 0);
	ox_idcache_made(cache, "/batch", 0);
	counts(1, 0, 1);
	is("/batch", "-");
	ox_idcache_gone(cache, "/batch");
	counts(0, 0, 0);
	put("/run/systemd/machines/vm", "CLASS=vm\n");
	ox_idcache_made(cache, "/machine.slice/machine-vm.scope", 0);
	counts(0, 0, 0);
	is("/machine.slice/machine-vm.scope", "-");
	/* nobody calls a container so, and nobody looks */
	put("/run/crun/ssh.service/status", "{\"cgroup-path\":\"/system.slice/ssh.service\"}");
	is("/system.slice/ssh.service", "-");
}

static void pods(void **state)
{
	const struct ox_identity *id;

	(void)state;
	put("/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
	    "{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"api-0\","
	    "\"io.kubernetes.cri.sandbox-namespace\":\"shop\"}}");
	ox_idcache_made(cache, "/kubepods/pod" UID, 0);
	ox_idcache_made(cache, "/kubepods/pod" UID "/" A, 0);
	counts(1, 0, 0);
	forget_all();
	for (int i = 0; i < 2; i++) {
		id = ox_idcache_get(cache, "/kubepods/pod" UID);
		assert_non_null(id);
		assert_null(id->container_id);
		assert_string_equal(id->pod, "api-0");
		assert_string_equal(id->ns, "shop");
		assert_string_equal(id->pod_uid, UID);
		assert_string_equal(id->qos, "guaranteed");
		ox_idcache_gone(cache, "/kubepods/pod" UID "/" A);
	}
	id = ox_idcache_get(cache, "/kubepods/pod" UID "x");
	assert_non_null(id);
	assert_null(id->pod);
}

static void name_id(char id[65], unsigned int n)
{
	(void)snprintf(id, 65, "%064x", n);
}

static void bounds(void **state)
{
	enum { MORE = 100 };
	char id[65], path[128];
	unsigned int i;

	(void)state;
	name_id(id, 1);
	put_docker(id, "first");
	for (i = 1; i <= OX_IDCACHE_LIVE + MORE; i++) {
		name_id(id, i);
		if (i == OX_IDCACHE_LIVE + MORE)
			put_docker(id, "last");
		(void)snprintf(path, sizeof(path), "/docker/%s", id);
		ox_idcache_made(cache, path, 0);
		if (i == 1 || i == OX_IDCACHE_LIVE + MORE)
			forget_all();
		if (i == 2)
			is("/docker/0000000000000000000000000000000000000000000000000000000000000001",
			   "first");
	}
	counts(OX_IDCACHE_LIVE, 0, OX_IDCACHE_LIVE - 1);
	is("/docker/0000000000000000000000000000000000000000000000000000000000000001", NULL);
	for (i = 1; i <= OX_IDCACHE_LIVE + MORE; i++) {
		name_id(id, i);
		(void)snprintf(path, sizeof(path), "/docker/%s", id);
		ox_idcache_gone(cache, path);
	}
	counts(0, OX_IDCACHE_GONE, 0);
	is(path, "last");
}

/* Ten thousand at once do not keep whoever comes then waiting, and each is asked about as often. */
static void crowd(void **state)
{
	enum { CROWD = 10000, TRIES = 5 };
	unsigned int i, calls;
	char path[32];

	(void)state;
	for (i = 0; i < CROWD; i++) {
		(void)snprintf(path, sizeof(path), "/c%u", i);
		ox_idcache_made(cache, path, 0);
	}
	counts(CROWD, 0, CROWD);
	ox_idcache_made(cache, "/web", 15000 * MS);
	put("/run/crun/web/status", "{\"cgroup-path\":\"/web\"}");
	for (calls = 0; ox_idcache_due(cache) && ox_idcache_due(cache) <= 15000 * MS; calls++)
		ox_idcache_retry(cache, 15000 * MS);
	assert_int_equal(calls, CROWD * TRIES / OX_IDCACHE_RETRIES);
	counts(1, 0, 1);
	ox_idcache_retry(cache, 15020 * MS);
	counts(1, 0, 0);
	is("/web", "web");
	/* one that is new goes before those that were asked about */
	for (i = 0; i < CROWD; i++) {
		(void)snprintf(path, sizeof(path), "/d%u", i);
		ox_idcache_made(cache, path, 20000 * MS);
	}
	for (calls = 0; calls < CROWD / OX_IDCACHE_RETRIES; calls++)
		ox_idcache_retry(cache, 20020 * MS);
	ox_idcache_made(cache, "/crun/late", 20100 * MS);
	put("/run/crun/late/status", "{\"cgroup-path\":\"/crun/late\"}");
	ox_idcache_retry(cache, 20120 * MS);
	counts(CROWD + 2, 0, CROWD);
}

/* Any order of anything: the counts stay true, nothing leaks, nothing is used after it is freed. */
static void any_order(void **state)
{
	static const char *const prefixes[] = { "/docker/", "/lxc.payload.", "/crun/", "/" };
	unsigned int seed = 1;
	struct ox_idcache_stats s;

	(void)state;
	put("/run/crun/1/status", "{\"cgroup-path\":\"/crun/1\"}");
	put("/run/crun/2/status", "{\"cgroup-path\":\"/2\"}");
	put("/var/lib/lxc/3/config", "");
	for (unsigned int i = 0; i < 20000; i++) {
		char path[256], id[65];
		int n;

		name_id(id, rand_r(&seed) % 4);
		n = rand_r(&seed) % 4;
		n = snprintf(path, sizeof(path), "%s%s%s", prefixes[n], n ? id + 63 : id,
			     rand_r(&seed) % 3 ? "" : "/sub");
		assert_true(n > 0 && (size_t)n < sizeof(path));
		switch (rand_r(&seed) % 4) {
		case 0:
			ox_idcache_made(cache, path, i * MS);
			break;
		case 1:
			ox_idcache_gone(cache, path);
			break;
		case 2:
			(void)ox_idcache_get(cache, path);
			break;
		default:
			ox_idcache_retry(cache, i * MS);
		}
		ox_idcache_stats(cache, &s);
		assert_true(s.live <= 32 && s.gone <= 32 && s.waiting <= s.live);
		assert_true(!s.waiting == !ox_idcache_due(cache));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(named_after_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(named_late, setup, teardown),
		cmocka_unit_test_setup_teardown(asked_early, setup, teardown),
		cmocka_unit_test_setup_teardown(never_told, setup, teardown),
		cmocka_unit_test_setup_teardown(units_are_no_trouble, setup, teardown),
		cmocka_unit_test_setup_teardown(pods, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(crowd, setup, teardown),
		cmocka_unit_test_setup_teardown(any_order, setup, teardown),
	};

	return cmocka_run_group_tests_name("idcache", tests, NULL, NULL);
}
