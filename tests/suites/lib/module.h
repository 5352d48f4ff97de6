/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* module.h - the kernel module (kmod/), loaded into this guest. */
#ifndef SUITE_MODULE_H
#define SUITE_MODULE_H

#include <stdbool.h>
#include <stdint.h>

/* $OOMX_KMOD, which tests/vm/suite sets where the module can be built. */
bool module_known(void);

/* Both fatal where they fail. */
void module_load(void);
void module_unload(void); /* waits until nobody uses it any more */

/* A counter of it, such as "chosen". Fatal where there is none. */
int64_t module_number(const char *name);

/* OOMs: each that the program was asked about is counted as one of the others, too. */
enum { MODULE_ASKED, MODULE_CHOSEN, MODULE_ABSTAINED, MODULE_FAILED, MODULE_LATE, MODULE_REFUSED,
       MODULE_COUNTERS };
struct module_counters {
	int64_t n[MODULE_COUNTERS];
};

void module_counters(struct module_counters *ret);

/*
 * Complains unless every question since is counted as `name`, by its parameter, and as nothing
 * else: at least one, at most `most`.
 */
void module_expect_counted(const struct module_counters *before, const char *name, int64_t most);

#endif
