/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which pods nobody will ever finish, as upstream's pkg/controller/podgc. Pure. */
#ifndef PODIUM_CONTROLLER_PODGC_DECIDE_H
#define PODIUM_CONTROLLER_PODGC_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/json.h"

enum podgc_verdict {
    PODGC_KEEP,
    PODGC_NODE_GONE,      /* bound to a node that does not exist: to be verified, then removed */
    PODGC_UNBOUND,        /* being deleted and never bound: nobody will confirm */
    PODGC_OUT_OF_SERVICE, /* being deleted on a node an administrator declared dead */
};
/* node: the pod's Node, NULL when our copy has none. */
enum podgc_verdict podgc_judge(const struct json *pod, const struct json *node);

/* The finished pods beyond `max`, to be removed: the oldest first, evicted ones before all. Returns an array of
 * borrowed pointers, the caller frees it. */
struct json **podgc_surplus(struct json *const *pods, size_t n, size_t max, size_t *ret_n);

#endif
