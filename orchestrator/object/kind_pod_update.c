/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may change of a pod: by an update, through its status, and of its ephemeral containers. */
#include <string.h>

#include "orchestrator/object/difference.h"
#include "orchestrator/object/kind_pod.h"
#include "podium/base/alloc.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

static const struct place spec_place = {.name = "spec"}, status_place = {.name = "status"};

static const struct json *by_name(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "name", name))
            return json_at(list, i);
    return NULL;
}

/* --- annotations --- */

/* The mark of a static pod stays as it is. */
static void check_mirror(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place metadata = {.name = "metadata"};
    struct place annotations = place_in(&metadata, "annotations"), at = place_key(&annotations, MIRROR_ANNOTATION);
    const struct json *now = json_path(object, "metadata", "annotations", MIRROR_ANNOTATION),
                      *before = json_path(old, "metadata", "annotations", MIRROR_ANNOTATION);
    if (before && !json_equal(now, before))
        complain_forbidden(e, &at, "may not remove or update mirror pod annotation");
    else if (now && !before)
        complain_forbidden(e, &at, "may not add mirror pod annotation");
}

/* --- parts of the spec --- */

/* True when nothing else is worth comparing. */
static bool check_container_list(struct field_errors *e, const char *name, const struct json *now,
                                 const struct json *before) {
    struct place list = place_in(&spec_place, name);
    if (json_len(now) != json_len(before)) {
        complain_forbidden(e, &list, "pod updates may not add or remove containers");
        return true;
    }
    for (size_t i = 0; i < json_len(now); i++) {
        struct place one = place_at(&list, i), image = place_in(&one, "image");
        const char *s = json_get_str(json_at(now, i), "image");
        size_t n = strlen(s);
        if (!n)
            complain_required(e, &image, "");
        else if (strchr(" \t\r\n", s[0]) || strchr(" \t\r\n", s[n - 1]))
            complain_invalid_text(e, &image, s, "must not have leading or trailing whitespace");
    }
    return false;
}

static bool check_deadline(struct field_errors *e, const struct json *now, const struct json *before) {
    struct place at = place_in(&spec_place, "activeDeadlineSeconds");
    int64_t v = json_int_or(now, 0);
    if (json_is_null(now) && !json_is_null(before)) {
        complain_invalid(e, &at, NULL, "must not update from a positive integer to nil value");
        return false;
    }
    if (v < 0 || v > INT32_MAX)
        check_range(e, &at, now, 0, INT32_MAX);
    else if (!json_is_null(before) && v > json_int_or(before, 0))
        complain_invalid(e, &at, now, "must be less than or equal to previous value");
    else
        return false;
    return true;
}

/* Everything of a toleration but its seconds. */
static char *toleration_key(const struct json *toleration) {
    _cleanup_json_ struct json *rest = json_ref(toleration);
    static const char *const keys[] = {"key", "operator", "value", "effect"};
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *s = json_get_str(rest, keys[i]);
        json_write_string(s, strlen(s), &out);
    }
    return strbuf_steal(&out);
}

static void check_tolerations(struct field_errors *e, const struct json *now, const struct json *before) {
    struct place at = place_in(&spec_place, "tolerations");
    _cleanup_(hashmap_freep) struct hashmap *have = NULL;
    if (now == before || json_equal(now, before))
        return;
    for (size_t i = 0; i < json_len(now); i++) {
        _cleanup_free_ char *key = toleration_key(json_at(now, i));
        (void) seen_before(&have, key);
    }
    for (size_t i = 0; i < json_len(before); i++) {
        _cleanup_free_ char *key = toleration_key(json_at(before, i));
        if (have && hashmap_has(have, key))
            continue;
        complain_forbidden(e, &at, "existing toleration can not be modified except its tolerationSeconds");
        return;
    }
    rules_tolerations(e, &spec_place, now);
}

static void check_gates(struct field_errors *e, const struct json *gates, const struct json *old) {
    struct place list = place_in(&spec_place, "schedulingGates");
    _cleanup_(hashmap_freep) struct hashmap *before = NULL;
    for (size_t i = 0; json_len(gates) && i < json_len(old); i++)
        (void) seen_before(&before, json_get_str(json_at(old, i), "name"));
    for (size_t i = 0; i < json_len(gates); i++) {
        struct place one = place_at(&list, i), at = place_in(&one, "name");
        const char *name = json_get_str(json_at(gates, i), "name");
        if (!before || !hashmap_has(before, name))
            complain_forbidden(e, &at, "only deletion is allowed, but found new scheduling gate '%s'", name);
    }
}

/* --- the placement of a gated pod: only narrower --- */

static void check_gated_selector(struct field_errors *e, const struct json *now, const struct json *before) {
    struct place at = place_in(&spec_place, "nodeSelector");
    for (size_t i = 0; i < json_len(before); i++)
        if (!json_equal(json_get(now, json_key_at(before, i)), json_value_at(before, i))) {
            complain_invalid(e, &at, now,
                             "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
            return;
        }
}

static bool only_adds(const struct json *now, const struct json *before) {
    for (size_t i = 0; i < json_len(before); i++)
        if (!json_equal(json_at(now, i), json_at(before, i)))
            return false;
    return true;
}

static bool is_narrower(const struct json *now, const struct json *before) {
    static const char *const lists[] = {"matchExpressions", "matchFields"};
    bool was_empty = true, is_empty = true;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        was_empty = was_empty && !json_len(json_get(before, lists[l]));
        is_empty = is_empty && !json_len(json_get(now, lists[l]));
        if (!only_adds(json_get(now, lists[l]), json_get(before, lists[l])))
            return false;
    }
    return !was_empty || is_empty; /* an empty term selects nothing */
}

static void check_gated_affinity(struct field_errors *e, const struct json *spec, const struct json *old) {
    static const char *const required = "requiredDuringSchedulingIgnoredDuringExecution";
    const struct json *now = json_path(spec, "affinity", "nodeAffinity", required, "nodeSelectorTerms"),
                      *before = json_path(old, "affinity", "nodeAffinity", required, "nodeSelectorTerms");
    struct place affinity = place_in(&spec_place, "affinity"), node = place_in(&affinity, "nodeAffinity");
    struct place must = place_in(&node, required), list = place_in(&must, "nodeSelectorTerms");
    if (!json_len(before))
        return;
    if (json_len(now) != json_len(before)) {
        complain_invalid(e, &list, now, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
        return;
    }
    for (size_t i = 0; i < json_len(before); i++) {
        struct place one = place_at(&list, i);
        if (!is_narrower(json_at(now, i), json_at(before, i)))
            complain_invalid(e, &one, json_at(now, i), "only additions are allowed (no mutations or deletions)");
    }
}

/* --- the whole --- */

static void take(struct json **spec, const char *field, const struct json *from) {
    if (json_get(from, field))
        json_set(spec, field, json_ref(json_get(from, field)));
    else
        json_del(spec, field);
}

/* The new spec with everything that an update may change put back to what it was. */
static struct json *with_changes_undone(const struct json *spec, const struct json *old) {
    static const char *const lists[] = {"containers", "initContainers"};
    static const char *const fields[] = {"activeDeadlineSeconds", "tolerations", "schedulingGates"};
    struct json *undone = json_ref(spec);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_len(json_get(undone, lists[l])); i++)
            if (json_get(json_at(json_get(old, lists[l]), i), "image"))
                json_set(json_edit_at(json_edit(&undone, lists[l]), i), "image",
                         json_ref(json_get(json_at(json_get(old, lists[l]), i), "image")));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        take(&undone, fields[i], old);
    if (json_int_or(json_get(old, "terminationGracePeriodSeconds"), 0) < 0 &&
        json_int_or(json_get(spec, "terminationGracePeriodSeconds"), 0) == 1)
        take(&undone, "terminationGracePeriodSeconds", old);
    if (!json_len(json_get(old, "schedulingGates")))
        return undone;
    take(&undone, "nodeSelector", old);
    take(json_edit(&undone, "affinity"), "nodeAffinity", json_get(old, "affinity"));
    if (!json_len(json_get(undone, "affinity")))
        take(&undone, "affinity", old);
    return undone;
}

void rules_pod_update(struct field_errors *e, const struct json *object, const struct json *old) {
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    check_mirror(e, object, old);
    if (spec == before ||
        check_container_list(e, "containers", json_get(spec, "containers"), json_get(before, "containers")) ||
        check_container_list(e, "initContainers", json_get(spec, "initContainers"),
                             json_get(before, "initContainers")) ||
        check_deadline(e, json_get(spec, "activeDeadlineSeconds"), json_get(before, "activeDeadlineSeconds")))
        return;
    check_tolerations(e, json_get(spec, "tolerations"), json_get(before, "tolerations"));
    check_gates(e, json_get(spec, "schedulingGates"), json_get(before, "schedulingGates"));
    if (json_equal(spec, before))
        return;
    if (json_len(json_get(before, "schedulingGates"))) {
        check_gated_selector(e, json_get(spec, "nodeSelector"), json_get(before, "nodeSelector"));
        check_gated_affinity(e, spec, before);
    }
    _cleanup_json_ struct json *undone = with_changes_undone(spec, before);
    if (json_equal(undone, before))
        return;
    _cleanup_free_ char *difference = difference_text("core.PodSpec", before, undone);
    complain_forbidden(e, &spec_place,
                       "pod updates may not change fields other than `spec.containers[*].image`,"
                       "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
                       "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                       "was previously negative)\n%s",
                       difference);
}

/* --- ephemeral containers: they can be added, nothing else --- */

void rules_pod_ephemeral_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place nowhere = {.name = ""};
    struct place at = place_in(&spec_place, "ephemeralContainers");
    const struct json *before = json_path(old, "spec", "ephemeralContainers"),
                      *now = json_path(object, "spec", "ephemeralContainers");
    check_mirror(e, object, old);
    if (json_path(old, "metadata", "annotations", MIRROR_ANNOTATION)) {
        complain_forbidden(e, &nowhere, "static pods do not support ephemeral containers");
        return;
    }
    for (size_t i = 0; i < json_len(before); i++) {
        const char *name = json_get_str(json_at(before, i), "name");
        const struct json *same = json_get_is(json_at(now, i), "name", name) ? json_at(now, i) : by_name(now, name);
        if (!same) {
            complain_forbidden(e, &at, "existing ephemeral containers \"%s\" may not be removed\n", name);
        } else if (!json_equal(same, json_at(before, i))) {
            _cleanup_free_ char *difference = difference_text("core.EphemeralContainer", json_at(before, i), same);
            complain_forbidden(e, &at, "existing ephemeral containers \"%s\" may not be changed\n%s", name, difference);
        }
    }
}

/* --- status --- */

static bool is_sidecar(const struct json *spec, const char *name) {
    return json_get_is(by_name(json_get(spec, "initContainers"), name), "restartPolicy", "Always");
}

/* What has ended stays ended, where nothing restarts it. */
static void check_transitions(struct field_errors *e, const char *list, const struct json *object,
                              const struct json *old, const char *policy) {
    struct place at = place_in(&status_place, list);
    const struct json *now = json_path(object, "status", list), *before = json_path(old, "status", list);
    if (now == before || strcmp(policy, "Always") == 0)
        return;
    for (size_t i = 0; i < json_len(before); i++) {
        const struct json *ended = json_path(json_at(before, i), "state", "terminated");
        const char *name = json_get_str(json_at(before, i), "name");
        if (json_is_null(ended) ||
            (json_int_or(json_get(ended, "exitCode"), 0) != 0 && strcmp(policy, "OnFailure") == 0) ||
            (strcmp(list, "initContainerStatuses") == 0 && is_sidecar(json_get(old, "spec"), name)))
            continue;
        const struct json *same = json_get_is(json_at(now, i), "name", name) ? json_at(now, i) : by_name(now, name);
        struct place one = place_at(&at, i), state = place_in(&one, "state");
        if (same && json_is_null(json_path(same, "state", "terminated")))
            complain_forbidden(e, &state, "may not be transitioned to non-terminated state");
    }
}

/* [{ip}]: good addresses, one of a family. first: what the first must be; NULL: not compared. */
static void check_addresses(struct field_errors *e, const char *list, const struct json *addresses, const char *name,
                            const char *first) {
    struct place at = place_in(&status_place, list);
    size_t families[2] = {0};
    for (size_t i = 0; i < json_len(addresses); i++) {
        struct place one = place_at(&at, i), ip = place_in(&one, "ip");
        const char *s = json_get_str(json_at(addresses, i), "ip");
        if (i == 0 && first && strcmp(s, first) != 0)
            complain_invalid_text(e, &ip, s, "must be equal to `%s`", name);
        check_name(e, &one, s, name_form_ip);
        families[name_is_ipv6(s)]++;
    }
    if (families[0] > 1 || families[1] > 1)
        complain_invalid(e, &at, addresses, "may specify no more than one IP for each IP family");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; json_len(addresses) > 1 && i < json_len(addresses); i++) {
        struct place one = place_at(&at, i);
        if (!seen_before(&seen, json_get_str(json_at(addresses, i), "ip")))
            continue;
        _cleanup_free_ char *field = place_text(&one);
        field_errors_add(e, "FieldValueDuplicate", field, json_at(addresses, i), NULL);
    }
}

static void check_conditions(struct field_errors *e, const struct json *conditions) {
    /* upstream's paths */
    static const struct place metadata = {.name = "metadata"};
    struct place list = place_in(&metadata, "conditions");
    for (size_t i = 0; i < json_len(conditions); i++) {
        struct place one = place_at(&list, i), type = place_in(&one, "Type");
        check_name(e, &type, json_get_str(json_at(conditions, i), "type"), name_form_qualified);
    }
}

void rules_pod_status_update(struct field_errors *e, const struct json *object, const struct json *old) {
    const struct json *status = json_get(object, "status"), *before = json_get(old, "status");
    const char *policy = json_get_str(json_get(old, "spec"), "restartPolicy");
    struct place nominated = place_in(&status_place, "nominatedNodeName"), qos = place_in(&status_place, "qosClass");
    const char *node = json_get_str(status, "nominatedNodeName");
    check_mirror(e, object, old);
    check_conditions(e, json_get(status, "conditions"));
    if (*node && strcmp(node, json_get_str(before, "nominatedNodeName")) != 0)
        check_name(e, &nominated, node, name_form_dns1123_subdomain);
    if (json_str_len(json_get(status, "qosClass")) && json_str_len(json_get(before, "qosClass")))
        check_immutable(e, &qos, json_get(status, "qosClass"), json_get(before, "qosClass"));
    check_transitions(e, "containerStatuses", object, old, policy);
    check_transitions(e, "initContainerStatuses", object, old, policy);
    check_transitions(e, "ephemeralContainerStatuses", object, old, "Never");
    check_addresses(e, "podIPs", json_get(status, "podIPs"), "podIP", NULL);
    check_addresses(e, "hostIPs", json_get(status, "hostIPs"), "hostIP", json_get_str(status, "hostIP"));
}
