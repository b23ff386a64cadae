/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/podgc/decide.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "podium/base/alloc.h"

static bool out_of_service(const struct json *node) {
    const struct json *taints = json_path(node, "spec", "taints");
    if (strcmp(condition_status(node, "Ready"), "True") == 0)
        return false;
    for (size_t i = 0; i < json_len(taints); i++)
        if (strcmp(json_str_or(json_get(json_at(taints, i), "key"), ""), "node.kubernetes.io/out-of-service") == 0)
            return true;
    return false;
}

enum podgc_verdict podgc_judge(const struct json *pod, const struct json *node) {
    if (!*pod_node(pod))
        return meta_is_deleting(pod) ? PODGC_UNBOUND : PODGC_KEEP;
    if (!node)
        return PODGC_NODE_GONE;
    return meta_is_deleting(pod) && out_of_service(node) ? PODGC_OUT_OF_SERVICE : PODGC_KEEP;
}

static bool is_evicted(const struct json *pod) {
    return strcmp(json_str_or(json_path(pod, "status", "reason"), ""), "Evicted") == 0;
}

static int expendable_first(const void *pa, const void *pb) {
    const struct json *a = *(struct json *const *) pa, *b = *(struct json *const *) pb;
    if (is_evicted(a) != is_evicted(b))
        return is_evicted(a) ? -1 : 1;
    uint64_t ta = meta_created_usec(a), tb = meta_created_usec(b);
    if (ta != tb)
        return ta < tb ? -1 : 1;
    return strcmp(meta_name(a), meta_name(b));
}

struct json **podgc_surplus(struct json *const *pods, size_t n, size_t max, size_t *ret_n) {
    struct json **finished = xcalloc(n + 1, sizeof(*finished));
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (pod_is_finished(pods[i]))
            finished[k++] = pods[i];
    *ret_n = k > max ? k - max : 0;
    if (*ret_n > 0)
        qsort(finished, k, sizeof(*finished), expendable_first);
    return finished;
}
