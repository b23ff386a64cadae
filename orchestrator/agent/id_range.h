/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The users of the host that a pod with a user namespace (hostUsers: false, KEP-127) has for its own.
 *
 * What it is. Each such pod gets ID_RANGE_SIZE users, and the groups of the same numbers, for as long as its folder is
 * there: no two pods of a node share one, so what breaks out of one pod cannot touch another. The ranges are of those
 * that systemd sets aside for containers (ID_RANGE_FIRST to ID_RANGE_LAST, "UIDS-GIDS" of its documentation), beginning
 * where the pod's UID says, so that a pod gets the same again where nothing speaks against it. Left out: what other
 * pods have, what systemd-nspawn has in use, and what /etc/subuid and /etc/subgid give to somebody.
 *
 * The choice stands in pod.json (userNamespace), where the next agent finds it (takeup.c).
 */
#ifndef PODIUM_AGENT_ID_RANGE_H
#define PODIUM_AGENT_ID_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"

#define ID_RANGE_SIZE  65536
#define ID_RANGE_FIRST UINT32_C(0x00080000)
#define ID_RANGE_LAST  UINT32_C(0x6fff0000) /* the beginning of the last one */

struct agent_pod;

/* Sets pod->id_base when the pod wants a user namespace and has no range yet. -ENOSPC: all are taken. */
int id_range_choose(struct agent_pod *pod, struct error *err) _must_check_;
/* Pure: the first range from hash on, wrapping around, for which taken() is false; 0 when there is none. */
uint32_t id_range_search(uint64_t hash, bool (*taken)(void *userdata, uint32_t base), void *userdata);
/* Pure: whether a line "name:first:count" of /etc/subuid's text meets the range that begins at base. */
bool id_range_is_subordinate(const char *text, uint32_t base);

#endif
