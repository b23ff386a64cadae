/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/endpoints/decide.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/controller/servicestate.h"
#include "podium/base/alloc.h"

/* What one pod contributes. */
struct contribution {
    const struct json *pod;
    const char *ip, *uid;
    struct json *ports;
    bool ready;
};

/* Upstream's order: by the text of the address. */
static int by_address(const void *a, const void *b) {
    const struct contribution *x = a, *y = b;
    int r = strcmp(x->ip, y->ip);
    return r ? r : strcmp(x->uid, y->uid);
}

static size_t collect(const struct json *service, struct json *const *pods, size_t n, struct contribution *ret) {
    bool publish = json_bool_or(json_path(service, "spec", "publishNotReadyAddresses"), false);
    bool no_ports = json_len(json_path(service, "spec", "ports")) == 0;
    _cleanup_json_ struct json *fixed =
        service_ports_are_fixed(service) ? pod_service_ports(NULL, service, true) : NULL;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!service_selects(service, pods[i]) || !pod_is_endpoint(pods[i], publish))
            continue;
        struct json *ports = fixed ? json_ref(fixed) : pod_service_ports(pods[i], service, true);
        if (json_len(ports) > 0 || no_ports)
            ret[k++] = (struct contribution){pods[i], pod_ipv4(pods[i]), meta_uid(pods[i]), ports,
                                             publish || pod_is_ready(pods[i])};
        else
            json_unref(ports);
    }
    qsort(ret, k, sizeof(*ret), by_address); /* a stable order: no writes for nothing */
    return k;
}

/* Over capacity ready addresses go first; what room they leave is for the others. Returns whether it had to cut. */
static bool cut_down(struct contribution *all, size_t *n) {
    size_t ready = 0, room, kept = 0;
    if (*n <= ENDPOINTS_MAX)
        return false;
    for (size_t i = 0; i < *n; i++)
        ready += all[i].ready;
    size_t ready_room = ready < ENDPOINTS_MAX ? ready : ENDPOINTS_MAX;
    room = ENDPOINTS_MAX - ready_room;
    for (size_t i = 0; i < *n; i++) {
        size_t *left = all[i].ready ? &ready_room : &room;
        if (*left == 0) {
            json_unref(all[i].ports);
            continue;
        }
        (*left)--;
        all[kept++] = all[i];
    }
    *n = kept;
    return true;
}

static struct json *address(const struct json *service, const struct json *pod) {
    struct json *a = json_object();
    const char *host = pod_service_hostname(pod, service);
    json_set(&a, "ip", json_string(pod_ipv4(pod)));
    if (host)
        json_set(&a, "hostname", json_string(host));
    if (*pod_node(pod))
        json_set(&a, "nodeName", json_ref(json_path(pod, "spec", "nodeName")));
    json_set(&a, "targetRef", pod_target_ref(pod));
    return a;
}

static struct json **subset_of(struct json **subsets, const struct json *ports) {
    for (size_t i = 0; i < json_len(*subsets); i++) {
        const struct json *have = json_get(json_at(*subsets, i), "ports");
        if (have == ports || (json_len(have) == json_len(ports) && (json_len(ports) == 0 || json_equal(have, ports))))
            return json_edit_at(subsets, i);
    }
    struct json **s = json_append(subsets, json_object());
    if (json_len(ports) > 0)
        json_set(s, "ports", json_ref(ports));
    return s;
}

static struct json *subsets_of(const struct json *service, struct json *const *pods, size_t n, bool *ret_cut) {
    struct contribution *all = xcalloc(n + 1, sizeof(*all));
    size_t k = collect(service, pods, n, all);
    struct json *subsets = json_array();
    *ret_cut = cut_down(all, &k);
    for (size_t i = 0; i < k; i++) {
        struct json **s = subset_of(&subsets, all[i].ports);
        json_append(json_edit(s, all[i].ready ? "addresses" : "notReadyAddresses"), address(service, all[i].pod));
        json_unref(all[i].ports);
    }
    free(all);
    return subsets;
}

static struct json *labels_of(const struct json *service) {
    struct json *labels = json_ref(json_path(service, "metadata", "labels"));
    if (service_is_headless(service))
        json_set(&labels, LABEL_HEADLESS, json_string(""));
    else if (labels)
        json_del(&labels, LABEL_HEADLESS);
    return labels;
}

static void annotate(struct json **meta, const char *key, const char *value) {
    if (value)
        json_set(json_edit(meta, "annotations"), key, json_string(value));
    else if (json_get(json_get(*meta, "annotations"), key))
        json_del(json_edit(meta, "annotations"), key);
    if (json_get(*meta, "annotations") && json_len(json_get(*meta, "annotations")) == 0)
        json_del(meta, "annotations");
}

static bool is_right(const struct json *have, const struct json *subsets, const struct json *labels, bool cut) {
    const struct json *had = json_get(have, "subsets"), *meta = json_get(have, "metadata");
    const char *over = json_str_or(json_get(json_get(meta, "annotations"), ANNOTATION_OVERCAPACITY), "");
    return (json_len(had) == 0 ? json_len(subsets) == 0 : json_equal(had, subsets)) &&
           (json_len(labels) == 0 ? json_len(json_get(meta, "labels")) == 0
                                  : json_equal(json_get(meta, "labels"), labels)) &&
           strcmp(over, cut ? "truncated" : "") == 0;
}

struct json *endpoints_wanted(const struct json *service, struct json *const *pods, size_t n, const char *trigger,
                              const struct json *have) {
    bool cut;
    _cleanup_json_ struct json *subsets = subsets_of(service, pods, n, &cut), *labels = labels_of(service);
    if (have && is_right(have, subsets, labels, cut))
        return NULL;
    struct json *o = have ? json_ref(have) : json_object();
    if (!have) {
        json_set(&o, "apiVersion", json_string("v1"));
        json_set(&o, "kind", json_string("Endpoints"));
        json_set_path(&o, json_string(meta_name(service)), "metadata", "name");
        json_set_path(&o, json_string(meta_namespace(service)), "metadata", "namespace");
    }
    struct json **meta = json_edit(&o, "metadata");
    if (json_len(labels) > 0)
        json_set(meta, "labels", json_ref(labels));
    else
        json_del(meta, "labels");
    annotate(meta, ANNOTATION_TRIGGER, trigger);
    annotate(meta, ANNOTATION_OVERCAPACITY, cut ? "truncated" : NULL);
    json_set(&o, "subsets", json_ref(subsets));
    return o;
}
