/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small kinds about the cluster itself. */
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/cleanup.h"

static const struct place spec_place = {.name = "spec"}, metadata_place = {.name = "metadata"},
                          status_place = {.name = "status"};

void rules_namespace(struct field_errors *e, const struct json *object) {
    struct place at = place_in(&spec_place, "finalizers");
    const struct json *finalizers = json_path(object, "spec", "finalizers");
    for (size_t i = 0; i < json_len(finalizers); i++) {
        const char *name = json_str_or(json_at(finalizers, i), "");
        check_name(e, &at, name, name_form_qualified);
        if (!strchr(name, '/') && strcmp(name, "kubernetes") != 0 && strcmp(name, "orphan") != 0 &&
            strcmp(name, "foregroundDeletion") != 0)
            complain_invalid_text(e, &at, name, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

void rules_namespace_status(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place at = place_in(&status_place, "Phase"); /* upstream's spelling */
    const char *phase = json_get_str(json_get(object, "status"), "phase");
    bool deleted = !json_is_null(json_path(old, "metadata", "deletionTimestamp"));
    if (!deleted && strcmp(phase, "Active") != 0)
        complain_invalid_text(e, &at, phase, "may only be 'Active' if `deletionTimestamp` is empty");
    else if (deleted && strcmp(phase, "Terminating") != 0)
        complain_invalid_text(e, &at, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
}

/* --- nodes --- */

static void check_pod_ranges(struct field_errors *e, const struct json *list) {
    struct place cidrs = place_in(&spec_place, "podCIDRs");
    size_t families[2] = {0};
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&cidrs, i);
        const char *s = json_str_or(json_at(list, i), "");
        check_name(e, &one, s, name_form_cidr);
        families[strchr(s, ':') != NULL]++;
    }
    if (families[0] > 1 || families[1] > 1)
        complain_invalid(e, &cidrs, list, "may specify no more than one CIDR for each IP family");
    for (size_t i = 0; json_len(list) > 1 && i < json_len(list); i++) {
        struct place one = place_at(&cidrs, i);
        if (seen_before(&seen, json_str_or(json_at(list, i), "")))
            complain_duplicate(e, &one, json_str_or(json_at(list, i), ""));
    }
}

static void check_node_amounts(struct field_errors *e, const struct json *object) {
    static const char *const lists[] = {"capacity", "allocatable"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        struct place list = place_in(&status_place, lists[l]);
        const struct json *amounts = json_path(object, "status", lists[l]);
        for (size_t i = 0; i < json_len(amounts); i++) {
            struct place at = place_in(&list, json_key_at(amounts, i));
            rules_resource_value(e, &at, at.name, json_value_at(amounts, i));
        }
    }
}

void rules_node(struct field_errors *e, const struct json *object) {
    struct place taints = place_in(&metadata_place, "taints"); /* upstream's path */
    const struct json *spec = json_get(object, "spec");
    rules_taints(e, &taints, json_get(spec, "taints"));
    check_node_amounts(e, object);
    check_pod_ranges(e, json_get(spec, "podCIDRs"));
}

void rules_node_status(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place list = place_in(&status_place, "addresses");
    const struct json *addresses = json_path(object, "status", "addresses");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    (void) old;
    check_node_amounts(e, object);
    for (size_t i = 0; json_len(addresses) > 1 && i < json_len(addresses); i++) {
        const struct json *address = json_at(addresses, i);
        struct place one = place_at(&list, i);
        _cleanup_free_ char *key = xasprintf("%s %s", json_get_str(address, "type"), json_get_str(address, "address"));
        if (!seen_before(&seen, key))
            continue;
        _cleanup_free_ char *field = place_text(&one);
        field_errors_add(e, "FieldValueDuplicate", field, address, NULL);
    }
}

void rules_node_update(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place ranges = place_in(&spec_place, "podCIDRs"), provider = place_in(&spec_place, "providerID");
    struct place external = place_in(&spec_place, "externalID");
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    if (json_len(json_get(before, "podCIDRs")) && !json_equal(json_get(spec, "podCIDRs"), json_get(before, "podCIDRs")))
        complain_forbidden(e, &ranges, "node updates may not change podCIDR except from \"\" to valid");
    if (json_str_len(json_get(before, "providerID")) &&
        strcmp(json_get_str(before, "providerID"), json_get_str(spec, "providerID")) != 0)
        complain_forbidden(e, &provider, "node updates may not change providerID except from \"\" to valid");
    if (strcmp(json_get_str(before, "externalID"), json_get_str(spec, "externalID")) != 0)
        complain_forbidden(e, &external, "may not be updated");
}

/* --- the rest --- */

/* The event of a cluster-wide object lies in default (or kube-system); others beside their object. */
void rules_event(struct field_errors *e, const struct json *object) {
    static const struct place involved = {.name = "involvedObject"};
    struct place at = place_in(&involved, "namespace");
    const char *ns = json_str_or(json_path(object, "metadata", "namespace"), "");
    const char *of = json_str_or(json_path(object, "involvedObject", "namespace"), "");
    if (!*of && strcmp(ns, "default") != 0 && strcmp(ns, "kube-system") != 0)
        complain_invalid_text(e, &at, of, "does not match event.namespace");
    else if (*of && strcmp(of, ns) != 0)
        complain_invalid_text(e, &at, of, "does not match event.namespace");
}

void rules_lease(struct field_errors *e, const struct json *object) {
    static const char *const counts[] = {"leaseTransitions", NULL};
    struct place duration = place_in(&spec_place, "leaseDurationSeconds");
    const struct json *spec = json_get(object, "spec");
    if (json_int_or(json_get(spec, "leaseDurationSeconds"), 1) <= 0)
        complain_invalid(e, &duration, json_get(spec, "leaseDurationSeconds"), "must be greater than 0");
    check_non_negative(e, &spec_place, spec, counts);
}

void rules_binding(struct field_errors *e, const struct json *object) {
    static const struct place target = {.name = "target"};
    static const char *const kinds[] = {"Node", "<empty>", NULL};
    struct place kind = place_in(&target, "kind");
    const char *s = json_get_str(json_get(object, "target"), "kind");
    if (*s && strcmp(s, "Node") != 0)
        complain_not_supported(e, &kind, s, kinds);
    check_required_text(e, &target, json_get(object, "target"), "name");
}

void rules_scale(struct field_errors *e, const struct json *object) {
    static const char *const counts[] = {"replicas", NULL};
    check_non_negative(e, &spec_place, json_get(object, "spec"), counts);
}

#define USER_PRIORITY_MAX 1000000000

/* NULL: one of the system's own, as it is made. Else why not; the caller frees. */
static char *system_class_problem(const char *name, const struct json *object) {
    int64_t value = strcmp(name, "system-node-critical") == 0      ? 2000001000
                    : strcmp(name, "system-cluster-critical") == 0 ? 2000000000
                                                                   : 0;
    if (!value)
        return xasprintf("%s is not a known system priority class", name);
    if (json_int_or(json_get(object, "value"), 0) != value)
        return xasprintf("value of %s PriorityClass must be %lld", name, (long long) value);
    if (json_bool_or(json_get(object, "globalDefault"), false))
        return xasprintf("globalDefault of %s PriorityClass must be false", name);
    return NULL;
}

void rules_priority_class(struct field_errors *e, const struct json *object) {
    static const struct place value = {.name = "value"};
    struct place name = place_in(&metadata_place, "name");
    const char *s = json_str_or(json_path(object, "metadata", "name"), "");
    if (strncmp(s, "system-", 7) == 0) {
        _cleanup_free_ char *problem = system_class_problem(s, object);
        if (problem)
            complain_forbidden(e, &name,
                               "priority class names with 'system-' prefix are reserved for system use only. error: %s",
                               problem);
    } else if (json_int_or(json_get(object, "value"), 0) > USER_PRIORITY_MAX) {
        complain_forbidden(e, &value, "maximum allowed value of a user defined priority is %d", USER_PRIORITY_MAX);
    }
}

void rules_priority_class_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place value = {.name = "value"}, policy = {.name = "preemptionPolicy"};
    if (!json_equal(json_get(object, "value"), json_get(old, "value")))
        complain_forbidden(e, &value, "may not be changed in an update.");
    check_immutable(e, &policy, json_get(object, "preemptionPolicy"), json_get(old, "preemptionPolicy"));
}

void rules_controller_revision(struct field_errors *e, const struct json *object) {
    static const struct place data = {.name = "data"};
    static const char *const counts[] = {"revision", NULL};
    if (json_is_null(json_get(object, "data")))
        complain_required(e, &data, "data is mandatory");
    check_non_negative(e, NULL, object, counts);
}

void rules_controller_revision_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place data = {.name = "data"};
    check_immutable(e, &data, json_get(object, "data"), json_get(old, "data"));
}

void rules_runtime_class(struct field_errors *e, const struct json *object) {
    static const struct place handler = {.name = "handler"}, overhead = {.name = "overhead"};
    struct place fixed = place_in(&overhead, "podFixed"), limits = place_in(&fixed, "limits");
    const struct json *amounts = json_path(object, "overhead", "podFixed");
    check_name(e, &handler, json_get_str(object, "handler"), name_form_dns1123_label);
    for (size_t i = 0; i < json_len(amounts); i++) {
        struct place at = place_key(&limits, json_key_at(amounts, i));
        if (quantity_json_milli(json_value_at(amounts, i), 0) < 0)
            complain_invalid(e, &at, json_value_at(amounts, i), "must be greater than or equal to 0");
    }
}

void rules_runtime_class_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place handler = {.name = "handler"};
    check_immutable(e, &handler, json_get(object, "handler"), json_get(old, "handler"));
}
