// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lib/testbpf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "../../bpf/runs.h"
#include "bpflog.h"
#include "engine.h"
#include "lib/suite.h"
#include "symbols.h"

void testbpf_path(const char *name, char path[TESTBPF_PATH_LEN])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		suite_fatal("/proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	if (snprintf(path, TESTBPF_PATH_LEN, "%s/bpf/%s.bpf.o", self, name) >= PATH_MAX)
		suite_fatal("the path of %s.bpf.o is too long", name);
}

/* The caller owes free(ret.data). */
static struct ox_blob read_object(const char *name)
{
	char path[TESTBPF_PATH_LEN];
	struct ox_blob blob;
	struct stat st;
	void *data;
	int fd;

	testbpf_path(name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		suite_fatal("%s: %s (make tests builds it)", path, strerror(errno));
	data = malloc((size_t)st.st_size);
	if (!data || read(fd, data, (size_t)st.st_size) != st.st_size)
		suite_fatal("%s cannot be read", path);
	close(fd);
	blob.data = data;
	blob.size = (unsigned long)st.st_size;
	return blob;
}

struct bpf_object *testbpf_load(const char *name, const struct ox_policy *policy)
{
	struct ox_blob image = read_object(name), linked;
	struct bpf_object *obj;
	int err;

	ox_bpflog_init();
	if (policy) {
		if (ox_policy_link(policy, image, &linked))
			suite_fatal("%s does not link to the policy %s", name, policy->name);
		free((void *)image.data);
		image = linked;
	}
	obj = ox_engine_open(image, name);
	err = obj ? ox_object_load(obj) : -errno;
	if (err) {
		ox_bpflog_tell();
		suite_fatal("%s does not load: %s (the log is on standard error)", name,
			    strerror(-err));
	}
	free((void *)image.data); /* libbpf reads it until it is loaded */
	return obj;
}

static struct bpf_program *program(struct bpf_object *obj, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);

	if (!prog)
		suite_fatal("%s: no program %s", bpf_object__name(obj), name);
	return prog;
}

struct bpf_link *testbpf_attach(struct bpf_object *obj, const char *name)
{
	struct bpf_link *link = bpf_program__attach(program(obj, name));

	if (!link)
		suite_fatal("%s: %s cannot be attached: %s", bpf_object__name(obj), name,
			    strerror(errno));
	return link;
}

int testbpf_map(struct bpf_object *obj, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	if (!map)
		suite_fatal("%s: no map %s", bpf_object__name(obj), name);
	return bpf_map__fd(map);
}

int testbpf_program(struct bpf_object *obj, const char *name)
{
	return bpf_program__fd(program(obj, name));
}

void testbpf_put(struct bpf_object *obj, const char *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(testbpf_map(obj, map), key, value, BPF_ANY))
		suite_fatal("%s: map %s: %s", bpf_object__name(obj), map, strerror(errno));
}

void testbpf_get(struct bpf_object *obj, const char *map, const void *key, void *ret_value)
{
	if (bpf_map_lookup_elem(testbpf_map(obj, map), key, ret_value))
		suite_fatal("%s: map %s: %s", bpf_object__name(obj), map, strerror(errno));
}

void testbpf_configure(struct bpf_object *obj, __u32 rss_mode)
{
	struct oomx_config cfg = { .abi = OOMX_ABI, .rss_mode = rss_mode };
	__u32 zero = 0;

	cfg.n_cpus = (__u32)libbpf_num_possible_cpus();
	cfg.daemon_pid = (__u32)getpid();
	testbpf_put(obj, "oomx_config", &zero, &cfg);
}

int testbpf_run(int program_fd, void *ctx, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = (__u32)size);

	if (bpf_prog_test_run_opts(program_fd, &opts))
		suite_fatal("BPF_PROG_TEST_RUN: %s", strerror(errno));
	return (int)opts.retval;
}

void *testbpf_memory(struct bpf_object *obj, const char *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, testbpf_map(obj, map), 0);

	if (p == MAP_FAILED)
		suite_fatal("%s: map %s: %s", bpf_object__name(obj), map, strerror(errno));
	return p;
}

void testbpf_run_cases(struct bpf_object *obj, const char *name, unsigned int n)
{
	struct run_ctx ctx = { .n = n };

	(void)testbpf_run(testbpf_program(obj, name), &ctx, sizeof(ctx)); /* it counts instead */
	if (ctx.done != n)
		suite_fatal("%s: expected %u cases, found %u", name, n, ctx.done);
}
