/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pods and pod templates. */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "orchestrator/object/object_meta.h"
#include "podium/base/alloc.h"

#define SEARCHES_MAX      32u
#define SEARCH_BYTES_MAX  2048u
#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"
#define DELETION_COST     "controller.kubernetes.io/pod-deletion-cost"

static const struct place spec_place = {.name = "spec"};

static void check_searches(struct field_errors *e, const struct place *config, const struct json *list) {
    struct place at = place_in(config, "searches");
    size_t bytes = 0;
    for (size_t i = 0; i < json_len(list); i++)
        bytes += json_str_len(json_at(list, i)) + (i > 0);
    if (json_len(list) > SEARCHES_MAX)
        complain_invalid(e, &at, list, "must not have more than %u search paths", SEARCHES_MAX);
    if (bytes > SEARCH_BYTES_MAX)
        complain_invalid(e, &at, list, "must not have more than %u characters (including spaces) in the search list",
                         SEARCH_BYTES_MAX);
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&at, i);
        const char *s = json_str_or(json_at(list, i), "");
        size_t n = strlen(s);
        _cleanup_free_ char *bare = xstrndup(s, n - (n && s[n - 1] == '.'));
        if (strcmp(s, ".") != 0)
            check_name(e, &one, bare, name_form_underscored_subdomain);
    }
}

static void check_dns(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place config = place_in(at, "dnsConfig"), servers = place_in(&config, "nameservers");
    struct place options = place_in(&config, "options");
    const struct json *dns = json_get(spec, "dnsConfig"), *list = json_get(dns, "nameservers");
    bool none = json_get_is(spec, "dnsPolicy", "None");
    if (none && json_is_null(dns))
        complain_required(e, &config, "must provide `dnsConfig` when `dnsPolicy` is None");
    else if (none && !json_len(list))
        complain_required(e, &servers, "must provide at least one DNS nameserver when `dnsPolicy` is None");
    if (json_is_null(dns) || (none && !json_len(list)))
        return;
    if (json_len(list) > 3)
        complain_invalid(e, &servers, list, "must not have more than 3 nameservers");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&servers, i);
        check_name(e, &one, json_str_or(json_at(list, i), ""), name_form_ip);
    }
    check_searches(e, &config, json_get(dns, "searches"));
    for (size_t i = 0; i < json_len(json_get(dns, "options")); i++) {
        struct place one = place_at(&options, i);
        if (!json_str_len(json_get(json_at(json_get(dns, "options"), i), "name")))
            complain_required(e, &one, "must not be empty");
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
        for (size_t k = 0; k < json_len(names); k++) {
            struct place host = place_at(&hostnames, k);
            check_name(e, &host, json_str_or(json_at(names, k), ""), name_form_dns1123_subdomain);
        }
    }
}

static void check_gates(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place list = place_in(at, "schedulingGates"), readiness = place_in(at, "readinessGates");
    const struct json *gates = json_get(spec, "schedulingGates");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(gates); i++) {
        const char *name = json_str_or(json_get(json_at(gates, i), "name"), "");
        struct place one = place_at(&list, i);
        check_name(e, &one, name, name_form_qualified);
        if (seen_before(&seen, name))
            complain_duplicate(e, &one, name);
    }
    for (size_t i = 0; i < json_len(json_get(spec, "readinessGates")); i++) {
        struct place one = place_at(&readiness, i), type = place_in(&one, "conditionType");
        check_name(e, &type, json_str_or(json_get(json_at(json_get(spec, "readinessGates"), i), "conditionType"), ""),
                   name_form_qualified);
    }
}

static void check_claims(struct field_errors *e, const struct place *at, const struct json *claims) {
    struct place list = place_in(at, "resourceClaims");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(claims); i++) {
        const struct json *claim = json_at(claims, i), *of = json_get(claim, "resourceClaimName"),
                          *template = json_get(claim, "resourceClaimTemplateName");
        struct place one = place_at(&list, i), name = place_in(&one, "name");
        const char *s = json_get_str(claim, "name");
        if (*s && seen_before(&seen, s))
            complain_duplicate(e, &name, s);
        else
            check_member_name(e, &one, claim, "name", true, name_form_dns1123_label);
        if (!json_is_null(of) && !json_is_null(template))
            complain_invalid(e, &one, claim,
                             "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
        else if (json_is_null(of) && json_is_null(template))
            complain_invalid(e, &one, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
        check_member_name(e, &one, claim, "resourceClaimName", false, name_form_dns1123_subdomain);
        check_member_name(e, &one, claim, "resourceClaimTemplateName", false, name_form_dns1123_subdomain);
    }
}

static void check_overhead(struct field_errors *e, const struct place *at, const struct json *overhead) {
    struct place place = place_in(at, "overhead");
    if (json_is_null(overhead))
        return;
    _cleanup_json_ struct json *resources = json_object();
    json_set(&resources, "limits", json_ref(overhead));
    rules_resource_lists(e, &place, resources);
}

void rules_pod_spec(struct field_errors *e, const struct place *at, const struct json *spec, const char *pod_name) {
    struct place deadline = place_in(at, "activeDeadlineSeconds"),
                 grace = place_in(at, "terminationGracePeriodSeconds");
    _cleanup_(hashmap_freep) struct hashmap *volumes = NULL;
    if (json_is_null(json_get(spec, "terminationGracePeriodSeconds")))
        complain_required(e, &grace, "");
    rules_volumes(e, at, spec, pod_name, &volumes);
    check_claims(e, at, json_get(spec, "resourceClaims"));
    rules_containers(e, at, spec, volumes, pod_name == NULL);
    check_required_text(e, at, spec, "restartPolicy");
    check_required_text(e, at, spec, "dnsPolicy");
    check_dns(e, at, spec);
    check_names(e, at, spec);
    rules_pod_security(e, at, spec);
    check_gates(e, at, spec);
    rules_scheduling(e, at, spec);
    rules_host_process(e, at, spec);
    if (!json_is_null(json_get(spec, "activeDeadlineSeconds")))
        check_range(e, &deadline, json_get(spec, "activeDeadlineSeconds"), 1, INT32_MAX);
    check_overhead(e, at, json_get(spec, "overhead"));
    rules_pod_os(e, at, spec);
}

/* What pods (and templates) say in annotations. */
static void check_annotations(struct field_errors *e, const struct place *at, const struct json *annotations,
                              const struct json *spec) {
    const struct json *mirror = json_get(annotations, MIRROR_ANNOTATION), *cost = json_get(annotations, DELETION_COST);
    if (mirror && !json_str_len(json_get(spec, "nodeName"))) {
        struct place place = place_key(at, MIRROR_ANNOTATION);
        complain_invalid(e, &place, mirror, "must set spec.nodeName if mirror pod annotation is set");
    }
    if (cost) {
        struct place place = place_key(at, DELETION_COST);
        const char *s = json_str_or(cost, "");
        char *end;
        long v = strtol(s, &end, 10);
        if (!*s || *end || v < INT32_MIN || v > INT32_MAX || (*s == '0' && s[1]) || *s == '+' || *s == ' ')
            complain_invalid(e, &place, cost, "must be a 32bit integer");
    }
}

void rules_pod_template(struct field_errors *e, const struct place *at, const struct json *template) {
    /* of the template, not of its metadata: upstream's paths */
    struct place labels = place_in(at, "labels"), annotations = place_in(at, "annotations"),
                 spec = place_in(at, "spec");
    struct place ephemeral = place_in(&spec, "ephemeralContainers");
    const struct json *notes = json_path(template, "metadata", "annotations");
    check_labels(e, &labels, json_path(template, "metadata", "labels"));
    if (notes) {
        object_meta_annotations(e, &annotations, notes);
        check_annotations(e, &annotations, notes, json_get(template, "spec"));
    }
    rules_pod_spec(e, &spec, json_get(template, "spec"), NULL);
    if (json_len(json_path(template, "spec", "ephemeralContainers")))
        complain_forbidden(e, &ephemeral, "ephemeral containers not allowed in pod template");
}

void rules_pod_template_object(struct field_errors *e, const struct json *object) {
    static const struct place template = {.name = "template"};
    rules_pod_template(e, &template, json_get(object, "template"));
}

void rules_pod(struct field_errors *e, const struct json *object) {
    static const struct place metadata = {.name = "metadata"};
    struct place annotations = place_in(&metadata, "annotations");
    const struct json *spec = json_get(object, "spec"), *notes = json_path(object, "metadata", "annotations");
    if (notes)
        check_annotations(e, &annotations, notes, spec);
    rules_pod_spec(e, &spec_place, spec, json_str_or(json_path(object, "metadata", "name"), ""));
}

void rules_pod_create(struct field_errors *e, const struct json *object) {
    struct place at = place_in(&spec_place, "ephemeralContainers"), node = place_in(&spec_place, "nodeName");
    const struct json *spec = json_get(object, "spec");
    if (json_len(json_get(spec, "ephemeralContainers")))
        complain_forbidden(e, &at, "cannot be set on create");
    if (json_len(json_get(spec, "schedulingGates")) && json_str_len(json_get(spec, "nodeName")))
        complain_forbidden(e, &node, "cannot be set until all schedulingGates have been cleared");
}
