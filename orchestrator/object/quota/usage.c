/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/quota/usage.h"

#include <string.h>

#include "orchestrator/object/quota/pod_amounts.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COUNT_PREFIX   "count/"
#define CLASS_PART     ".storageclass.storage.k8s.io/"
#define HUGEPAGES      "hugepages-"
#define REQUESTS       "requests."
#define CLASS_OLD_NOTE "volume.beta.kubernetes.io/storage-class"

static bool has_prefix(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_one_of(const char *s, const char *const *list) {
    for (; *list; list++)
        if (strcmp(*list, s) == 0)
            return true;
    return false;
}

/* --- names --- */

/* The names kinds had before there was "count/". */
static const char *const plain_counts[] = {
    "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services",
    NULL};
static const char *const pod_names[] = {"cpu",
                                        "memory",
                                        "ephemeral-storage",
                                        "requests.cpu",
                                        "requests.memory",
                                        "requests.ephemeral-storage",
                                        "limits.cpu",
                                        "limits.memory",
                                        "limits.ephemeral-storage",
                                        NULL};

bool quota_counts(const struct resource *r) {
    return r->namespaced && r->stored && strcmp(r->plural, "events") != 0;
}

/* Of a vendor's domain: "example.com/gpu", but nothing of Kubernetes' own. */
static bool is_extended(const char *name) {
    return strchr(name, '/') && !strstr(name, "kubernetes.io/") && !has_prefix(name, REQUESTS);
}

static bool is_pod_name(const char *name) {
    if (is_one_of(name, pod_names) || has_prefix(name, HUGEPAGES) || has_prefix(name, REQUESTS HUGEPAGES))
        return true;
    return has_prefix(name, REQUESTS) && !strstr(name, CLASS_PART) && is_extended(name + strlen(REQUESTS));
}

static bool is_claim_name(const char *name) {
    const char *class = strstr(name, CLASS_PART);
    const char *what = class ? class + strlen(CLASS_PART) : name;
    return strcmp(what, "requests.storage") == 0 || (class && strcmp(what, "persistentvolumeclaims") == 0);
}

/* The part of the key of the resource a name is about: "pods"; NULL when the name counts nothing. */
static const char *key_of_name(const char *name) {
    if (has_prefix(name, COUNT_PREFIX))
        return name + strlen(COUNT_PREFIX);
    if (is_one_of(name, plain_counts))
        return name;
    if (strcmp(name, "services.nodeports") == 0 || strcmp(name, "services.loadbalancers") == 0)
        return "services";
    return is_claim_name(name) ? "persistentvolumeclaims" : is_pod_name(name) ? "pods" : NULL;
}

bool quota_name_is_of(const char *name, const struct resource *r) {
    const char *key = key_of_name(name);
    return key && strcmp(key, r->key) == 0;
}

const struct resource *quota_name_resource(const char *name) {
    const char *key = key_of_name(name);
    size_t n;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; key && i < n; i++)
        if (strcmp(all[i].key, key) == 0 && quota_counts(&all[i]))
            return resource_storage(&all[i]);
    return NULL;
}

/* --- usage --- */

static void add_whole(struct amounts *a, const char *name, int64_t n) {
    struct quantity q = quantity_of(n);
    amounts_add_to(a, name, &q);
}

static void add_named(struct amounts *a, const char *prefix, const char *name, const struct quantity *q) {
    _cleanup_free_ char *full = xasprintf("%s%s", prefix, name);
    amounts_add_to(a, full, q);
}

static bool is_plain_compute(const char *name) {
    return strcmp(name, "cpu") == 0 || strcmp(name, "memory") == 0 || strcmp(name, "ephemeral-storage") == 0;
}

static void add_compute(struct amounts *a, const struct amounts *requests, const struct amounts *limits) {
    for (size_t i = 0; i < requests->n; i++) {
        const struct amount *r = &requests->items[i];
        bool plain = is_plain_compute(r->name) || has_prefix(r->name, HUGEPAGES);
        if (plain)
            amounts_add_to(a, r->name, &r->value);
        if (plain || is_extended(r->name))
            add_named(a, REQUESTS, r->name, &r->value);
    }
    for (size_t i = 0; i < limits->n; i++)
        if (is_plain_compute(limits->items[i].name))
            add_named(a, "limits.", limits->items[i].name, &limits->items[i].value);
}

static void use_pod(struct amounts *a, const struct json *pod) {
    _cleanup_amounts_ struct amounts requests = {0}, limits = {0};
    pod_amounts(json_get(pod, "spec"), POD_REQUESTS, true, &requests);
    pod_amounts(json_get(pod, "spec"), POD_LIMITS, true, &limits);
    add_compute(a, &requests, &limits);
}

static void use_service(struct amounts *a, const struct json *service) {
    const struct json *spec = json_get(service, "spec"), *ports = json_get(spec, "ports");
    int64_t node_ports = 0, balancers = json_get_is(spec, "type", "LoadBalancer");
    if (json_get_is(spec, "type", "NodePort") ||
        (balancers && json_bool_or(json_get(spec, "allocateLoadBalancerNodePorts"), true)))
        node_ports = (int64_t) json_len(ports);
    else if (balancers)
        for (size_t i = 0; i < json_len(ports); i++)
            node_ports += json_int_or(json_get(json_at(ports, i), "nodePort"), 0) != 0;
    add_whole(a, "services.nodeports", node_ports);
    add_whole(a, "services.loadbalancers", balancers);
}

static void use_claim(struct amounts *a, const struct json *claim) {
    const char *class = json_str_or(json_path(claim, "metadata", "annotations", CLASS_OLD_NOTE), "");
    struct quantity size, allocated;
    if (!*class)
        class = json_get_str(json_get(claim, "spec"), "storageClassName");
    if (*class) {
        _cleanup_free_ char *name = xasprintf("%s" CLASS_PART "persistentvolumeclaims", class);
        add_whole(a, name, 1);
    }
    if (!quantity_read(json_path(claim, "spec", "resources", "requests", "storage"), &size))
        return;
    if (quantity_read(json_path(claim, "status", "allocatedResources", "storage"), &allocated))
        quantity_raise(&size, &allocated); /* what was asked for once may be there already */
    amounts_add_to(a, "requests.storage", &size);
    if (*class) {
        _cleanup_free_ char *name = xasprintf("%s" CLASS_PART "requests.storage", class);
        amounts_add_to(a, name, &size);
    }
}

void quota_usage(const struct resource *r, const struct json *doc, bool ended, struct amounts *ret) {
    _cleanup_free_ char *count = xasprintf(COUNT_PREFIX "%s", r->key);
    add_whole(ret, count, 1);
    if (ended)
        return;
    if (is_one_of(r->key, plain_counts))
        add_whole(ret, r->key, 1);
    if (strcmp(r->key, "pods") == 0)
        use_pod(ret, doc);
    else if (strcmp(r->key, "services") == 0)
        use_service(ret, doc);
    else if (strcmp(r->key, "persistentvolumeclaims") == 0)
        use_claim(ret, doc);
}

bool quota_pod_is_over(const struct json *pod, uint64_t now, uint64_t *ret_at) {
    const struct json *status = json_get(pod, "status"), *metadata = json_get(pod, "metadata");
    const struct json *grace = json_get(metadata, "deletionGracePeriodSeconds");
    uint64_t at = UINT64_MAX, deleted;
    bool ended = json_get_is(status, "phase", "Succeeded") || json_get_is(status, "phase", "Failed");
    if (!ended && !json_is_null(grace) && timestamp_parse(json_get_str(metadata, "deletionTimestamp"), &deleted) == 0)
        at = deleted + (uint64_t) json_int_or(grace, 0) * USEC_PER_SEC;
    if (ret_at)
        *ret_at = at;
    return ended || now > at;
}

/* --- what must be said --- */

/* Which part of a container's resources says it. */
static const struct {
    const char *name, *part, *key;
} said[] = {
    {"cpu", "requests", "cpu"},       {"limits.cpu", "limits", "cpu"},     {"limits.memory", "limits", "memory"},
    {"memory", "requests", "memory"}, {"requests.cpu", "requests", "cpu"}, {"requests.memory", "requests", "memory"},
};

/* Names of the containers of a list that do not say it. */
static void add_silent(const struct json *containers, const char *part, const char *key, char ***silent) {
    for (size_t i = 0; i < json_len(containers); i++)
        if (json_is_null(json_path(json_at(containers, i), "resources", part, key)))
            strv_push_dup(silent, json_get_str(json_at(containers, i), "name"));
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void add_missing(struct strbuf *text, const char *name, char **silent) {
    size_t n = 0;
    while (silent[n])
        n++;
    if (n == 0)
        return;
    qsort(silent, n, sizeof(*silent), by_text);
    strbuf_addf(text, "%s%s for: ", text->len ? "; " : "", name);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(text, "%s%s", i ? "," : "", silent[i]);
}

char *quota_missing(const struct json *quota_spec, const struct resource *r, const struct json *doc) {
    static const char *const lists[] = {"containers", "initContainers"};
    const struct json *hard = json_get(quota_spec, "hard");
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    if (strcmp(r->key, "pods") != 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        if (!json_get(hard, said[i].name))
            continue;
        char **silent = strv_new();
        for (size_t k = 0; k < ARRAY_LEN(lists); k++)
            add_silent(json_path(doc, "spec", lists[k]), said[i].part, said[i].key, &silent);
        add_missing(&text, said[i].name, silent);
        strv_free(silent);
    }
    return text.len ? strbuf_steal(&text) : NULL;
}

/* --- room --- */

static bool any_is_more(const struct json *map, const struct json *than) {
    for (size_t i = 0; i < json_len(map); i++) {
        struct quantity a, b;
        if (quantity_read(json_value_at(map, i), &a) && quantity_read(json_get(than, json_key_at(map, i)), &b) &&
            a.nano > b.nano)
            return true;
    }
    return false;
}

static bool any_is_gone(const struct json *map, const struct json *from) {
    for (size_t i = 0; i < json_len(map); i++)
        if (!json_get(from, json_key_at(map, i)))
            return true;
    return false;
}

bool quota_has_more_room(const struct json *old, const struct json *quota) {
    const struct json *before = json_path(old, "spec", "hard"), *now = json_path(quota, "spec", "hard");
    if (!quota || any_is_gone(before, now) || any_is_more(now, before))
        return true;
    return any_is_more(json_path(old, "status", "used"), json_path(quota, "status", "used"));
}
