// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "telling.h"

#include <string.h>

#include "attach.h"

void ox_telling_begin(struct oomx_config *config, const void *rec, size_t size)
{
	struct oomx_rec_hdr hdr;

	if (size < sizeof(hdr))
		return; /* cannot be: it is ours */
	memcpy(&hdr, rec, sizeof(hdr));
	/* killed in the middle of these, it has not told this record, and the mark is of none */
	__atomic_store_n(&config->telling_type, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&config->telling_decision, hdr.decision, __ATOMIC_SEQ_CST);
	__atomic_store_n(&config->telling_ktime_ns, hdr.ktime_ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(&config->telling_type, hdr.type, __ATOMIC_SEQ_CST);
}

bool ox_telling_may_have(const struct oomx_config *config, const void *rec, size_t size)
{
	struct oomx_rec_hdr hdr;

	if (size < sizeof(hdr))
		return false;
	memcpy(&hdr, rec, sizeof(hdr));
	return hdr.type && hdr.type == config->telling_type &&
	       hdr.decision == config->telling_decision &&
	       hdr.ktime_ns == config->telling_ktime_ns;
}

const void *ox_telling_again(const void *message, size_t *size, char buf[OX_RECORD_MAX])
{
	if (*size > OX_RECORD_MAX)
		return message;
	memcpy(buf, message, *size);
	*size = ox_attach_mark(buf, *size, OOMX_ATTACH_AGAIN);
	return buf;
}
