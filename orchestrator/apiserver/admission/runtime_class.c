/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RuntimeClass: a new pod gets the overhead and the scheduling of the class it names, and may not claim others.
 * Decisions and texts are upstream's (the plugin of this name). */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/quota/amounts.h"

#define CLASSES "runtimeclasses.node.k8s.io"

static bool is_new_pod(const struct api_request *req, const struct json *old) {
    return !old && !req->sub && strcmp(req->resource->key, "pods") == 0;
}

/* False: refused. *ret: a new reference, NULL when the pod names none. */
static bool find_class(struct api_request *req, const struct json *pod, struct json **ret) {
    const char *name = json_str(json_path(pod, "spec", "runtimeClassName"));
    *ret = NULL;
    if (!name)
        return true;
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, CLASSES, "", name);
    if (!item) {
        (void) api_forbidden(req, admission_name(pod), "pod rejected: RuntimeClass \"%s\" not found", name);
        return false;
    }
    *ret = json_ref(store_item_doc(item));
    return true;
}

static bool is_same(const struct json *a, const struct json *b) {
    _cleanup_amounts_ struct amounts x = {0}, y = {0};
    amounts_read(&x, a);
    amounts_read(&y, b);
    return amounts_are_equal(&x, &y);
}

static bool refuse_overhead(struct api_request *req, const struct json *pod) {
    (void) api_forbidden(req, admission_name(pod),
                         "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    return false;
}

static bool set_overhead(struct api_request *req, const struct json *class, struct json **pod) {
    const struct json *fixed = json_path(class, "overhead", "podFixed");
    const struct json *given = json_path(*pod, "spec", "overhead");
    if (json_is_null(json_get(class, "overhead")))
        return true;
    if (json_len(given) > 0 && !is_same(given, fixed))
        return refuse_overhead(req, *pod);
    if (json_len(fixed) > 0)
        json_set_path(pod, json_ref(fixed), "spec", "overhead");
    return true;
}

static bool set_selector(struct api_request *req, const struct json *selector, struct json **pod) {
    for (size_t i = 0; i < json_len(selector); i++) {
        const char *key = json_key_at(selector, i), *value = json_str_or(json_value_at(selector, i), "");
        const char *have = json_str(json_path(*pod, "spec", "nodeSelector", key));
        if (have && strcmp(have, value) != 0) {
            (void) api_forbidden(req, admission_name(*pod),
                                 "conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = "
                                 "%s",
                                 key, value, key, have);
            return false;
        }
        if (!have)
            json_set_path(pod, json_string(value), "spec", "nodeSelector", key);
    }
    return true;
}

static void add_tolerations(const struct json *more, struct json **pod) {
    for (size_t i = 0; i < json_len(more); i++) {
        const struct json *have = json_path(*pod, "spec", "tolerations");
        bool there = false;
        for (size_t k = 0; k < json_len(have); k++)
            there |= json_equal(json_at(have, k), json_at(more, i));
        if (!there)
            json_append(json_edit(json_edit(pod, "spec"), "tolerations"), json_ref(json_at(more, i)));
    }
}

bool runtime_class_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    _cleanup_json_ struct json *class = NULL;
    if (!is_new_pod(req, old))
        return true;
    if (!find_class(req, *doc, &class))
        return false;
    if (!class)
        return true;
    if (!set_overhead(req, class, doc) || !set_selector(req, json_path(class, "scheduling", "nodeSelector"), doc))
        return false;
    add_tolerations(json_path(class, "scheduling", "tolerations"), doc);
    return true;
}

bool runtime_class_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    const struct json *overhead = json_path(doc, "spec", "overhead");
    _cleanup_json_ struct json *class = NULL;
    if (!is_new_pod(req, old) || (json_len(overhead) == 0 && json_is_null(json_path(doc, "spec", "runtimeClassName"))))
        return true;
    if (!find_class(req, doc, &class))
        return false;
    if (!json_is_null(json_get(class, "overhead")))
        return is_same(overhead, json_path(class, "overhead", "podFixed")) || refuse_overhead(req, doc);
    if (json_len(overhead) == 0)
        return true;
    (void) api_forbidden(req, admission_name(doc),
                         "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    return false;
}
