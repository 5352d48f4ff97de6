// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpflog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <bpf/libbpf.h>

#include "log.h"

#define KEPT 4	      /* messages of libbpf */
#define KEPT_LEN 512
#define TAIL 8	      /* lines of the verifier's log */
#define LOG_SIZE (16UL << 20) /* kernels before 6.4 keep a log's beginning: take all of it */

static char kept[KEPT][KEPT_LEN];
static unsigned int n_kept;
static char *verifier;

__attribute__((format(printf, 2, 0))) static int
on_message(enum libbpf_print_level level, const char *fmt, va_list args)
{
	int saved = errno;
	char *to = kept[n_kept % KEPT];
	size_t len;

	if (level == LIBBPF_DEBUG)
		return 0;
	(void)vsnprintf(to, KEPT_LEN, fmt, args); /* cut is fine */
	len = strlen(to);
	while (len && to[len - 1] == '\n')
		to[--len] = '\0';
	if (level == LIBBPF_WARN)
		n_kept++;
	ox_debug("%s", to);
	errno = saved;
	return 0;
}

void ox_bpflog_init(void)
{
	libbpf_set_print(on_message);
}

void ox_bpflog_clear(void)
{
	n_kept = 0;
	if (verifier)
		verifier[0] = '\0';
}

char *ox_bpflog_buffer(size_t *ret_size)
{
	void *p;

	if (!verifier) {
		p = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return NULL;
		verifier = p;
	}
	*ret_size = LOG_SIZE;
	return verifier;
}

static void tell_tail(char *log)
{
	char *line[TAIL], *p, *save = NULL;
	unsigned int n = 0, i;

	for (p = strtok_r(log, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
		if (strncmp(p, "processed ", 10) && strncmp(p, "verification time", 17))
			line[n++ % TAIL] = p;
	for (i = n > TAIL ? n - TAIL : 0; i < n; i++)
		ox_err("verifier: %.200s", line[i % TAIL]);
}

void ox_bpflog_tell(void)
{
	unsigned int i;

	if (verifier && verifier[0])
		tell_tail(verifier);
	for (i = n_kept > KEPT ? n_kept - KEPT : 0; i < n_kept; i++)
		ox_err("%s", kept[i % KEPT]);
	ox_bpflog_clear();
}
