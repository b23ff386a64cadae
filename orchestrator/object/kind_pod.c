/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pods and pod templates. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/object_meta.h"
#include "podium/base/cleanup.h"

#define SEARCH_MAX 256u

static const struct place spec_place = {.name = "spec"};

static void check_dns(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place config = place_in(at, "dnsConfig"), servers = place_in(&config, "nameservers");
    struct place searches = place_in(&config, "searches"), options = place_in(&config, "options");
    const struct json *dns = json_get(spec, "dnsConfig"), *list = json_get(dns, "nameservers");
    if (json_get_is(spec, "dnsPolicy", "None") && json_is_null(dns))
        complain_required(e, &config, "must provide `dnsConfig` when `dnsPolicy` is None");
    else if (json_get_is(spec, "dnsPolicy", "None") && !json_len(list))
        complain_required(e, &servers, "must provide at least one DNS nameserver when `dnsPolicy` is None");
    if (json_len(list) > 3)
        complain_invalid(e, &servers, list, "must not have more than 3 nameservers");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&servers, i);
        check_name(e, &one, json_str_or(json_at(list, i), ""), name_form_ip);
    }
    if (json_len(json_get(dns, "searches")) > 32)
        complain_invalid(e, &searches, json_get(dns, "searches"), "must not have more than 32 search paths");
    for (size_t i = 0; i < json_len(json_get(dns, "options")); i++) {
        struct place one = place_at(&options, i), name = place_in(&one, "name");
        if (!json_str_len(json_get(json_at(json_get(dns, "options"), i), "name")))
            complain_required(e, &name, "must not be empty");
    }
}

static void check_pod_security(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const ids[] = {"runAsUser", "runAsGroup", "fsGroup"};
    static const char *const host[] = {"hostNetwork", "hostPID", "hostIPC"};
    struct place security = place_in(at, "securityContext"), groups = place_in(&security, "supplementalGroups");
    struct place share = place_in(at, "shareProcessNamespace");
    const struct json *context = json_get(spec, "securityContext"), *extra = json_get(context, "supplementalGroups");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct place place = place_in(&security, ids[i]);
        check_range(e, &place, json_get(context, ids[i]), 0, INT32_MAX);
    }
    for (size_t i = 0; i < json_len(extra); i++) {
        struct place one = place_at(&groups, i);
        check_range(e, &one, json_at(extra, i), 0, INT32_MAX);
    }
    if (json_bool_or(json_get(spec, "shareProcessNamespace"), false) && json_bool_or(json_get(spec, "hostPID"), false))
        complain_invalid(e, &share, json_get(spec, "shareProcessNamespace"),
                         "ShareProcessNamespace and HostPID cannot both be enabled");
    for (size_t i = 0; !json_bool_or(json_get(spec, "hostUsers"), true) && i < ARRAY_LEN(host); i++) {
        struct place place = place_in(at, host[i]);
        if (json_bool_or(json_get(spec, host[i]), false))
            complain_forbidden(e, &place, "when `hostUsers` is false");
    }
}

static void check_names(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const subdomains[] = {"serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"};
    static const char *const labels[] = {"hostname", "subdomain"};
    struct place selector = place_in(at, "nodeSelector"), aliases = place_in(at, "hostAliases");
    for (size_t i = 0; i < ARRAY_LEN(subdomains); i++)
        check_member_name(e, at, spec, subdomains[i], false, name_form_dns1123_subdomain);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        check_member_name(e, at, spec, labels[i], false, name_form_dns1123_label);
    check_labels(e, &selector, json_get(spec, "nodeSelector"));
    for (size_t i = 0; i < json_len(json_get(spec, "hostAliases")); i++) {
        const struct json *alias = json_at(json_get(spec, "hostAliases"), i), *names = json_get(alias, "hostnames");
        struct place one = place_at(&aliases, i), ip = place_in(&one, "ip"), hostnames = place_in(&one, "hostnames");
        check_name(e, &ip, json_str_or(json_get(alias, "ip"), ""), name_form_ip);
        for (size_t k = 0; k < json_len(names); k++)
            check_name(e, &hostnames, json_str_or(json_at(names, k), ""), name_form_dns1123_subdomain);
    }
}

static void check_gates(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place list = place_in(at, "schedulingGates"), readiness = place_in(at, "readinessGates");
    const struct json *gates = json_get(spec, "schedulingGates");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(gates); i++) {
        const char *name = json_str_or(json_get(json_at(gates, i), "name"), "");
        struct place one = place_at(&list, i);
        if (check_name(e, &one, name, name_form_qualified) && seen_before(&seen, name))
            complain_duplicate(e, &one, name);
    }
    for (size_t i = 0; i < json_len(json_get(spec, "readinessGates")); i++) {
        struct place one = place_at(&readiness, i), type = place_in(&one, "conditionType");
        check_name(e, &type, json_str_or(json_get(json_at(json_get(spec, "readinessGates"), i), "conditionType"), ""),
                   name_form_qualified);
    }
}

void rules_pod_spec(struct field_errors *e, const struct place *at, const struct json *spec, bool in_template) {
    static const char *const grace[] = {"terminationGracePeriodSeconds", NULL};
    struct place deadline = place_in(at, "activeDeadlineSeconds");
    rules_volumes(e, at, spec);
    rules_containers(e, at, spec, in_template);
    check_required_text(e, at, spec, "restartPolicy");
    check_required_text(e, at, spec, "dnsPolicy");
    check_dns(e, at, spec);
    check_names(e, at, spec);
    check_pod_security(e, at, spec);
    check_gates(e, at, spec);
    rules_scheduling(e, at, spec);
    check_non_negative(e, at, spec, grace);
    if (!json_is_null(json_get(spec, "activeDeadlineSeconds")))
        check_range(e, &deadline, json_get(spec, "activeDeadlineSeconds"), 1, INT32_MAX);
}

void rules_pod_template(struct field_errors *e, const struct place *at, const struct json *template) {
    struct place metadata = place_in(at, "metadata"), labels = place_in(&metadata, "labels"),
                 spec = place_in(at, "spec");
    struct place annotations = place_in(&metadata, "annotations"), ephemeral = place_in(&spec, "ephemeralContainers");
    check_labels(e, &labels, json_path(template, "metadata", "labels"));
    object_meta_annotations(e, &annotations, json_path(template, "metadata", "annotations"));
    rules_pod_spec(e, &spec, json_get(template, "spec"), true);
    if (json_len(json_path(template, "spec", "ephemeralContainers")))
        complain_forbidden(e, &ephemeral, "ephemeral containers not allowed in pod template");
}

void rules_pod_template_object(struct field_errors *e, const struct json *object) {
    static const struct place template = {.name = "template"};
    rules_pod_template(e, &template, json_get(object, "template"));
}

void rules_pod(struct field_errors *e, const struct json *object) {
    struct place node = place_in(&spec_place, "nodeName");
    const struct json *spec = json_get(object, "spec");
    rules_pod_spec(e, &spec_place, spec, false);
    if (json_len(json_get(spec, "schedulingGates")) && json_str_len(json_get(spec, "nodeName")))
        complain_forbidden(e, &node, "cannot be set until all schedulingGates have been cleared");
}

/* --- update --- */

/* Usually at the place where it was; the search elsewhere is bounded. */
static bool has_element(const struct json *list, size_t at, const struct json *element) {
    if (json_equal(json_at(list, at), element))
        return true;
    for (size_t i = 0; i < json_len(list) && i < SEARCH_MAX; i++)
        if (json_equal(json_at(list, i), element))
            return true;
    return false;
}

static void check_deadline_update(struct field_errors *e, const struct json *now, const struct json *before) {
    struct place at = place_in(&spec_place, "activeDeadlineSeconds");
    if (!json_is_null(now) && json_is_null(before))
        return;
    if (json_is_null(now) && !json_is_null(before))
        complain_invalid(e, &at, NULL, "must not update from a positive integer to nil value");
    else if (json_int_or(now, 0) > json_int_or(before, 0))
        complain_invalid(e, &at, now, "must be less than or equal to previous value");
}

/* The old spec with everything that an update may change taken from the new one. */
static struct json *with_allowed_changes(const struct json *spec, const struct json *old_spec) {
    static const char *const lists[] = {"containers", "initContainers"};
    struct json *allowed = json_ref(old_spec);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_len(json_get(allowed, lists[l])); i++) {
            struct json *image = json_get(json_at(json_get(spec, lists[l]), i), "image");
            if (image)
                json_set(json_edit_at(json_edit(&allowed, lists[l]), i), "image", json_ref(image));
        }
    static const char *const fields[] = {"activeDeadlineSeconds", "tolerations", "ephemeralContainers"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct json *v = json_get(spec, fields[i]);
        if (v)
            json_set(&allowed, fields[i], json_ref(v));
        else
            json_del(&allowed, fields[i]);
    }
    if (json_int_or(json_get(old_spec, "terminationGracePeriodSeconds"), 0) < 0 &&
        json_int_or(json_get(spec, "terminationGracePeriodSeconds"), 0) == 1)
        json_set(&allowed, "terminationGracePeriodSeconds", json_int(1));
    /* While gates hold the pod back, they may be taken away and its placement made narrower. */
    if (json_len(json_get(old_spec, "schedulingGates"))) {
        static const char *const gated[] = {"schedulingGates", "nodeSelector", "affinity"};
        for (size_t i = 0; i < ARRAY_LEN(gated); i++) {
            struct json *v = json_get(spec, gated[i]);
            if (v)
                json_set(&allowed, gated[i], json_ref(v));
            else
                json_del(&allowed, gated[i]);
        }
    }
    return allowed;
}

static void check_gates_update(struct field_errors *e, const struct json *gates, const struct json *old) {
    struct place at = place_in(&spec_place, "schedulingGates");
    for (size_t i = 0; i < json_len(gates); i++)
        if (!has_element(old, i, json_at(gates, i))) {
            complain_forbidden(e, &at, "only deletion is allowed, but found new scheduling gate '%s'",
                               json_str_or(json_get(json_at(gates, i), "name"), ""));
            return;
        }
}

void rules_pod_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const lists[] = {"containers", "initContainers"};
    struct place tolerations = place_in(&spec_place, "tolerations");
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    if (spec == before)
        return;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        struct place at = place_in(&spec_place, lists[l]);
        if (json_len(json_get(spec, lists[l])) == json_len(json_get(before, lists[l])))
            continue;
        complain_forbidden(e, &at, "pod updates may not add or remove containers");
        return;
    }
    check_deadline_update(e, json_get(spec, "activeDeadlineSeconds"), json_get(before, "activeDeadlineSeconds"));
    check_gates_update(e, json_get(spec, "schedulingGates"), json_get(before, "schedulingGates"));
    for (size_t i = 0; i < json_len(json_get(before, "tolerations")); i++)
        if (!has_element(json_get(spec, "tolerations"), i, json_at(json_get(before, "tolerations"), i))) {
            complain_forbidden(e, &tolerations, "existing toleration can not be modified except its tolerationSeconds");
            break;
        }
    _cleanup_json_ struct json *allowed = with_allowed_changes(spec, before);
    if (!json_equal(allowed, spec))
        complain_forbidden(
            e, &spec_place,
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
            "previously negative)");
}

/* --- ephemeral containers --- */

void rules_pod_create(struct field_errors *e, const struct json *object) {
    struct place at = place_in(&spec_place, "ephemeralContainers");
    if (json_len(json_path(object, "spec", "ephemeralContainers")))
        complain_forbidden(e, &at, "cannot be set on create");
}

static const struct json *by_name(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "name", name))
            return json_at(list, i);
    return NULL;
}

/* They can be added, nothing else. */
void rules_pod_ephemeral_update(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place at = place_in(&spec_place, "ephemeralContainers");
    const struct json *before = json_path(old, "spec", "ephemeralContainers"),
                      *now = json_path(object, "spec", "ephemeralContainers");
    if (!json_is_null(json_path(old, "metadata", "annotations", "kubernetes.io/config.mirror")))
        complain_forbidden(e, &at, "static pods do not support ephemeral containers");
    for (size_t i = 0; i < json_len(before); i++) {
        const char *name = json_str_or(json_get(json_at(before, i), "name"), "");
        const struct json *same = by_name(now, name);
        if (!same)
            complain_forbidden(e, &at, "existing ephemeral containers \"%s\" may not be removed", name);
        else if (!json_equal(same, json_at(before, i)))
            complain_forbidden(e, &at, "existing ephemeral containers \"%s\" may not be changed", name);
    }
}
