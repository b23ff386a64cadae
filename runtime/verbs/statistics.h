/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `events` prints: the kernel's counters in the shape that readers of runc's events expect. Pure. */
#ifndef PODIUM_RUNTIME_VERBS_STATISTICS_H
#define PODIUM_RUNTIME_VERBS_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

/* {"type": "stats", "id": …, "data": {"cpu", "memory", "pids", "blkio", "hugetlb"}} from what cgroup_statistics()
 * gives. Processor times in nanoseconds, sizes in bytes; no limit of
 * memory is 2^63-1, more than any machine has (0 would read as a limit). What the group does not count is absent.
 * One reference, the caller's. */
struct json *statistics_event(const char *id, const struct json *statistics);
/* {"type": type, "id": id} */
struct json *plain_event(const char *type, const char *id);

/* A duration as Go writes it ("5s", "500ms", "1m30s", "2h"); false when it is none or zero. */
bool parse_interval(const char *text, uint64_t *ret_usec);

#endif
