/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When an event happened last. Pure. */
#ifndef PODIUM_CONTROLLER_EVENTTTL_DECIDE_H
#define PODIUM_CONTROLLER_EVENTTTL_DECIDE_H

#include <stdint.h>

#include "podium/base/json.h"

/* Microseconds since the epoch: the latest of the times an event carries, but not later than now, lest an event written
 * while the clock was wrong stays for ever. An event without any time happened now. */
uint64_t event_last_usec(const struct json *event, uint64_t now);

/* An event as the controller keeps it: its metadata's names and versions, and "last" as above. New. */
struct json *event_digest(const struct json *event, uint64_t now);
/* The "last" of such a digest. */
uint64_t event_digest_last(const struct json *digest);

#endif
