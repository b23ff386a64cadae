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

/* --- indexes: pods by each of their labels, services by the first term of their selector --- */

#define INDEX_LABEL "label"
#define INDEX_TERM  "first selector term"

/* The i-th of a map of labels or a selector. */
static char *term_key(const char *ns, const struct json *terms, size_t i) {
    return xasprintf("%s/%s=%s", ns, json_key_at(terms, i), json_str_or(json_value_at(terms, i), ""));
}

static void labels_of_pod(const struct json *pod, char ***keys) {
    const struct json *labels = json_path(pod, "metadata", "labels");
    for (size_t i = 0; i < json_len(labels); i++)
        strv_push(keys, term_key(meta_namespace(pod), labels, i));
}

static void first_term(const struct json *service, char ***keys) {
    if (service_has_endpoints(service))
        strv_push(keys, term_key(meta_namespace(service), json_path(service, "spec", "selector"), 0));
}

void service_indexes_add(struct informer *services, struct informer *pods) {
    informer_add_index(services, INDEX_TERM, first_term);
    informer_add_index(pods, INDEX_LABEL, labels_of_pod);
}

struct json **service_pods(const struct informer *pods, const struct json *service, size_t *ret_n) {
    const struct json *terms = json_path(service, "spec", "selector");
    struct json **best = NULL;
    *ret_n = 0;
    for (size_t i = 0; i < json_len(terms); i++) {
        size_t n;
        _cleanup_free_ char *key = term_key(meta_namespace(service), terms, i);
        struct json **some = informer_list(pods, INDEX_LABEL, key, &n);
        if (!best || n < *ret_n) { /* a pod must have all: the rarest label is the shortest way */
            free(best);
            best = some;
            *ret_n = n;
        } else {
            free(some);
        }
    }
    return best;
}

/* --- changes --- */

struct change {
    struct task_queue *queue;
    struct service_triggers *triggers;
    const struct json *old, *pod;
};

static void note_service(const struct change *c, const struct json *service) {
    bool now = c->pod && service_selects(service, c->pod), before = c->old && service_selects(service, c->old);
    if (!now && !before)
        return;
    _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(service), meta_name(service));
    if (now && pod_is_ready(c->pod) != (before && pod_is_ready(c->old)))
        service_triggers_note(c->triggers, key, pod_trigger_usec(c->pod));
    workqueue_add(c->queue->queue, key);
}

static void note_labels(const struct change *c, const struct informer *services, const struct json *pod) {
    const struct json *labels = json_path(pod, "metadata", "labels");
    for (size_t i = 0; i < json_len(labels); i++) {
        size_t n;
        _cleanup_free_ char *key = term_key(meta_namespace(pod), labels, i);
        _cleanup_free_ struct json **some = informer_list(services, INDEX_TERM, key, &n);
        for (size_t k = 0; k < n; k++)
            note_service(c, some[k]);
    }
}

void services_of_pod_change(struct task_queue *q, struct service_triggers *triggers, const struct informer *services,
                            const struct json *old, const struct json *pod) {
    const struct change c = {q, triggers, old, pod};
    if (old && pod && !names_differ(old, pod) && !pod_endpoint_differs(old, pod))
        return;
    note_labels(&c, services, pod);
    if (!pod || !json_equal(json_path(old, "metadata", "labels"), json_path(pod, "metadata", "labels")))
        note_labels(&c, services, old);
}
