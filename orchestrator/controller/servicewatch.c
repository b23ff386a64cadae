/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/servicewatch.h"

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/controller/servicestate.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

struct service_triggers {
    struct hashmap *first; /* key → uint64_t */
};

struct service_triggers *service_triggers_new(void) {
    struct service_triggers *t = xnew0(struct service_triggers);
    t->first = hashmap_new(free);
    return t;
}

void service_triggers_free(struct service_triggers *t) {
    if (!t)
        return;
    hashmap_free(t->first);
    free(t);
}

void service_triggers_note(struct service_triggers *t, const char *key, uint64_t usec) {
    uint64_t *have = hashmap_get(t->first, key);
    if (usec == 0 || (have && *have <= usec))
        return;
    hashmap_put(t->first, key, xmemdup(&usec, sizeof(usec)));
}

char *service_triggers_take(struct service_triggers *t, const char *key) {
    _cleanup_free_ uint64_t *usec = hashmap_steal(t->first, key);
    char text[TIMESTAMP_SIZE];
    if (!usec)
        return NULL;
    timestamp_format(*usec, text);
    return xstrdup(text);
}

/* When its readiness last changed. */
static uint64_t pod_trigger_usec(const struct json *pod) {
    const char *text = json_str(json_get(condition_find(pod, "Ready"), "lastTransitionTime"));
    uint64_t usec = 0;
    return text && timestamp_parse(text, &usec) == 0 ? usec : 0;
}

static bool names_differ(const struct json *a, const struct json *b) {
    return !json_equal(json_path(a, "metadata", "labels"), json_path(b, "metadata", "labels")) ||
           !json_equal(json_path(a, "spec", "hostname"), json_path(b, "spec", "hostname")) ||
           !json_equal(json_path(a, "spec", "subdomain"), json_path(b, "spec", "subdomain"));
}

void services_of_pod_change(struct task_queue *q, struct service_triggers *triggers, const struct informer *services,
                            const struct json *old, const struct json *pod) {
    if (old && pod && !names_differ(old, pod) && !pod_endpoint_differs(old, pod))
        return;
    size_t n;
    _cleanup_free_ struct json **all = informer_list(services, INDEX_NAMESPACE, meta_namespace(pod ? pod : old), &n);
    for (size_t i = 0; i < n; i++) {
        bool now = pod && service_selects(all[i], pod), before = old && service_selects(all[i], old);
        if (!now && !before)
            continue;
        _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(all[i]), meta_name(all[i]));
        if (now && pod_is_ready(pod) != (before && pod_is_ready(old)))
            service_triggers_note(triggers, key, pod_trigger_usec(pod));
        workqueue_add(q->queue, key);
    }
}
