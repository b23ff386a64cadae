/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resizing a pod while it runs: which containers may say how it is done to them, and what may change through
 * pods/resize. Source: Kubernetes 1.32's ValidatePodResize. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/strategy.h"
#include "podium/base/cleanup.h"

static const struct place spec_place = {.name = "spec"};

/* Missing is Required, unknown NotSupported: both of the list itself, as upstream has it. */
static void check_word(struct field_errors *e, const struct place *list, const char *word, const char *const *sorted) {
    for (size_t i = 0; sorted[i]; i++)
        if (strcmp(word, sorted[i]) == 0)
            return;
    if (*word)
        complain_not_supported(e, list, word, sorted);
    else
        complain_required(e, list, "");
}

void rules_resize_policy(struct field_errors *e, const struct place *container_at, const struct json *container,
                         const struct json *pod_spec) {
    static const char *const resources[] = {"cpu", "memory", NULL}, *const policies[] = {"NotRequired",
                                                                                         "RestartContainer", NULL};
    const struct json *all = json_get(container, "resizePolicy");
    struct place list = place_in(container_at, "resizePolicy");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;

    for (size_t i = 0; i < json_len(all); i++) {
        const struct json *p = json_at(all, i), *policy = json_get(p, "restartPolicy");
        const char *resource = json_get_str(p, "resourceName");
        struct place one = place_at(&list, i);
        if (seen_before(&seen, resource))
            complain_duplicate(e, &one, resource);
        check_word(e, &list, resource, resources);
        check_word(e, &list, json_str_or(policy, ""), policies);
        if (json_get_is(pod_spec, "restartPolicy", "Never") && strcmp(json_str_or(policy, ""), "NotRequired") != 0)
            complain_invalid(e, &list, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
    }
}

/* --- through the subresource --- */

static bool lost_some(const struct json *now, const struct json *before) {
    for (size_t i = 0; i < json_len(before); i++)
        if (!json_get(now, json_key_at(before, i)))
            return true;
    return false;
}

static bool is_resizable(const char *resource) {
    return strcmp(resource, "cpu") == 0 || strcmp(resource, "memory") == 0;
}

/* Whether anything but processor and memory differs between two of a container's lists. */
static bool others_differ(const struct json *a, const struct json *b) {
    for (size_t i = 0; i < json_len(a); i++)
        if (!is_resizable(json_key_at(a, i)) && !json_equal(json_value_at(a, i), json_get(b, json_key_at(a, i))))
            return true;
    return false;
}

static void check_container_resize(struct field_errors *e, size_t i, const struct json *now,
                                   const struct json *before) {
    static const char *const lists[] = {"requests", "limits"};
    struct place containers = place_in(&spec_place, "containers"), one = place_at(&containers, i),
                 resources = place_in(&one, "resources");
    const struct json *r = json_get(now, "resources"), *old = json_get(before, "resources");
    bool others = !json_equal(json_get(r, "claims"), json_get(old, "claims"));

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_get(r, lists[l]), *had = json_get(old, lists[l]);
        struct place at = place_in(&resources, lists[l]);
        if (lost_some(list, had))
            complain_forbidden(e, &at,
                               l == 0 ? "resource requests cannot be removed" : "resource limits cannot be removed");
        others = others || others_differ(list, had) || others_differ(had, list);
    }
    if (others)
        complain_forbidden(e, &spec_place, "only cpu and memory resources are mutable");
}

/* A node tells what its containers got if it knows how to change that; one whose pod does not run cannot be judged. */
static bool node_can(const struct json *pod) {
    const struct json *all = json_path(pod, "status", "containerStatuses");

    for (size_t i = 0; i < json_len(all); i++)
        if (json_path(json_at(all, i), "state", "running"))
            return json_get(json_at(all, i), "resources") != NULL;
    return true;
}

void rules_pod_resize(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place nowhere = {.name = ""};
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    const struct json *all = json_get(spec, "containers"), *were = json_get(before, "containers");
    const char *qos = json_str_or(json_path(old, "status", "qosClass"), pod_qos_class(before));
    bool mirror = json_path(old, "metadata", "annotations", "kubernetes.io/config.mirror") != NULL;

    if (mirror || json_get_is(json_get(before, "os"), "name", "windows")) {
        complain_forbidden(e, &nowhere, "%s pods cannot be resized", mirror ? "static" : "windows");
        return;
    }
    if (strcmp(qos, pod_qos_class(spec)) != 0)
        complain_invalid(e, &spec_place, json_path(object, "status", "qosClass"),
                         "Pod QOS Class may not change as a result of resizing");
    if (!node_can(old))
        complain_forbidden(e, &spec_place, "Pod running on node without support for resize");
    for (size_t i = 0; i < json_len(were); i++)
        check_container_resize(e, i, json_at(all, i), json_at(were, i));
}
