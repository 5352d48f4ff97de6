/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * telling.h - no record is told twice without saying so. Telling a record and taking it out of its
 * ring are two things, and a daemon can be killed between them: so it writes down, where it
 * outlives it, which record it is about to tell. The one that reads the ring on can then say of
 * that one that it may have been told.
 */
#ifndef OX_TELLING_H
#define OX_TELLING_H

#include <stdbool.h>
#include <stddef.h>
#include <oomx/abi.h>

#include "record.h"

/* The record is told next, and then taken out of its ring. */
void ox_telling_begin(struct oomx_config *config, const void *rec, size_t size);

/* A daemon that left `config` may have told this record, which it has not taken out of its ring. */
bool ox_telling_may_have(const struct oomx_config *config, const void *rec, size_t size);

/*
 * The message with a note that it may have been told before; in `buf`, or as it is if there is no
 * room left. *size becomes that of the result.
 */
const void *ox_telling_again(const void *message, size_t *size, char buf[OX_RECORD_MAX]);

#endif
