/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RFC 3339 times as the API writes them: Time has whole seconds, MicroTime six fraction digits, both in UTC with Z;
 * and durations as Go writes them. Times before 1970 do not exist here. Pure functions; any thread.
 */
#ifndef PODIUM_OBJECT_TIMESTAMP_H
#define PODIUM_OBJECT_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"

#define TIMESTAMP_SIZE 32
/* usec: microseconds since the epoch. */
void timestamp_format(uint64_t usec, char out[TIMESTAMP_SIZE]);
void timestamp_format_micro(uint64_t usec, char out[TIMESTAMP_SIZE]);
/* Accepts any RFC 3339 offset and fraction (digits beyond microseconds are cut off). -EINVAL for anything else, -ERANGE
 * for a time before 1970. */
int timestamp_parse(const char *s, uint64_t *ret_usec) _must_check_;
/* "5s", "3m20s", "2d3h": apimachinery's HumanDuration, as the AGE column shows it. */
void duration_human(int64_t seconds, char out[TIMESTAMP_SIZE]);
/* Go duration text ("1h2m3.5s"), nanoseconds; -EINVAL otherwise, also when it does not fit. */
int duration_parse_go(const char *s, int64_t *ret_ns) _must_check_;
/* What Go's Duration.String() writes: "1h2m3.5s", "150ms", "0s". */
void duration_format_go(int64_t ns, char out[TIMESTAMP_SIZE]);

#endif
