/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configurations of admission webhooks, and APIServices: who else answers in the API server's name. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"

#define TIMEOUT_SECONDS_MAX  30
#define GROUP_PRIORITY_MAX   20000
#define VERSION_PRIORITY_MAX 1000
#define URL_FORM             "; desired format: https://host[/path]"

static const struct place spec_place = {.name = "spec"};

/* --- webhooks --- */

static void check_full_name(struct field_errors *e, const struct place *at, const char *name) {
    size_t segments = 1;
    if (!*name) {
        complain_required(e, at, "");
        return;
    }
    for (const char *p = name; *p; p++)
        segments += *p == '.';
    if (check_name(e, at, name, name_form_dns1123_subdomain) && segments < 3)
        complain_invalid_text(e, at, name, "should be a domain with at least three segments separated by dots");
}

/* A list that is not empty, in which "*" stands alone. what: "operations" as the message says it. */
static void check_star_list(struct field_errors *e, const struct place *at, const struct json *list, const char *what) {
    if (!json_len(list))
        complain_required(e, at, "");
    for (size_t i = 0; json_len(list) > 1 && i < json_len(list); i++)
        if (strcmp(json_str_or(json_at(list, i), ""), "*") == 0) {
            complain_invalid(e, at, list, "if '*' is present, must not specify other %s", what);
            return;
        }
}

static void check_webhook_rule(struct field_errors *e, const struct place *at, const struct json *rule) {
    static const struct {
        const char *key, *what;
    } lists[] = {{"operations", "operations"}, {"apiGroups", "API groups"}, {"apiVersions", "API versions"}};
    struct place resources = place_in(at, "resources"), versions = place_in(at, "apiVersions");
    const struct json *list = json_get(rule, "apiVersions"), *names = json_get(rule, "resources");
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct place place = place_in(at, lists[i].key);
        check_star_list(e, &place, json_get(rule, lists[i].key), lists[i].what);
    }
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&versions, i);
        if (!json_str_len(json_at(list, i)))
            complain_required(e, &one, "");
    }
    if (!json_len(names))
        complain_required(e, &resources, "");
    for (size_t i = 0; i < json_len(names); i++) {
        struct place one = place_at(&resources, i);
        if (!json_str_len(json_at(names, i)))
            complain_required(e, &one, "");
        else if (json_len(names) > 1 && strcmp(json_str(json_at(names, i)), "*/*") == 0)
            complain_invalid(e, &resources, names, "if '*/*' is present, must not specify other resources");
    }
}

static void check_url(struct field_errors *e, const struct place *at, const char *url) {
    const char *host = url + strlen("https://");
    if (strncmp(url, "https://", 8) != 0)
        complain_invalid_text(e, at, url, "'https' is the only allowed URL scheme" URL_FORM);
    else if (!*host || *host == '/')
        complain_invalid_text(e, at, url, "host must be specified" URL_FORM);
    else if (strchr(host, '@'))
        complain_invalid_text(e, at, url, "user information is not permitted in the URL");
    else if (strchr(host, '#'))
        complain_invalid_text(e, at, url, "fragments are not permitted in the URL");
    else if (strchr(host, '?'))
        complain_invalid_text(e, at, url, "query parameters are not permitted in the URL");
}

static void check_service_port(struct field_errors *e, const struct place *at, const struct json *service) {
    struct place port = place_in(at, "port");
    int64_t number = json_int_or(json_get(service, "port"), 443);
    if (number < 1 || number > 65535)
        complain_invalid(e, &port, json_get(service, "port"),
                         "port is not valid: must be between 1 and 65535, inclusive");
}

static void check_client_config(struct field_errors *e, const struct place *at, const struct json *config) {
    struct place url = place_in(at, "url"), service_place = place_in(at, "service");
    struct place name = place_in(&service_place, "name"), ns = place_in(&service_place, "namespace");
    const struct json *service = json_get(config, "service");
    if (json_is_null(json_get(config, "url")) == json_is_null(service)) {
        complain_required(e, at, "exactly one of url or service is required");
        return;
    }
    if (json_is_null(service)) {
        check_url(e, &url, json_get_str(config, "url"));
        return;
    }
    if (!*json_get_str(service, "name"))
        complain_required(e, &name, "service name is required");
    if (!*json_get_str(service, "namespace"))
        complain_required(e, &ns, "service namespace is required");
    check_service_port(e, &service_place, service);
}

static void check_review_versions(struct field_errors *e, const struct place *at, const struct json *list) {
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    bool known = false;
    if (!json_len(list)) {
        complain_required(e, at, "must specify one of v1, v1beta1");
        return;
    }
    for (size_t i = 0; i < json_len(list); i++) {
        const char *version = json_str_or(json_at(list, i), "");
        struct place one = place_at(at, i);
        known = known || strcmp(version, "v1") == 0 || strcmp(version, "v1beta1") == 0;
        if (seen_before(&seen, version))
            complain_invalid_text(e, &one, version, "duplicate version");
        check_name(e, &one, version, name_form_dns1035_label);
    }
    if (!known)
        complain_invalid(e, at, list, "must include at least one of v1, v1beta1");
}

static void check_webhook(struct field_errors *e, const struct place *at, const struct json *hook) {
    static const char *const effects[] = {"None", "NoneOnDryRun", NULL};
    struct place name = place_in(at, "name"), rules = place_in(at, "rules"), seconds = place_in(at, "timeoutSeconds");
    struct place side = place_in(at, "sideEffects"), client = place_in(at, "clientConfig"),
                 versions = place_in(at, "admissionReviewVersions");
    int64_t timeout = json_int_or(json_get(hook, "timeoutSeconds"), 1);
    check_full_name(e, &name, json_get_str(hook, "name"));
    for (size_t i = 0; i < json_len(json_get(hook, "rules")); i++) {
        struct place one = place_at(&rules, i);
        check_webhook_rule(e, &one, json_at(json_get(hook, "rules"), i));
    }
    if (!*json_get_str(hook, "sideEffects"))
        complain_required(e, &side, "must specify one of None, NoneOnDryRun");
    else
        check_one_of(e, at, hook, "sideEffects", true, effects);
    if (timeout < 1 || timeout > TIMEOUT_SECONDS_MAX)
        complain_invalid(e, &seconds, json_get(hook, "timeoutSeconds"),
                         "the timeout value must be between 1 and 30 seconds");
    check_review_versions(e, &versions, json_get(hook, "admissionReviewVersions"));
    check_client_config(e, &client, json_get(hook, "clientConfig"));
}

void rules_webhook_configuration(struct field_errors *e, const struct json *object) {
    static const struct place hooks = {.name = "webhooks"};
    _cleanup_(hashmap_freep) struct hashmap *names = NULL;
    const struct json *list = json_get(object, "webhooks");
    for (size_t i = 0; i < json_len(list); i++) {
        const char *said = json_get_str(json_at(list, i), "name");
        struct place one = place_at(&hooks, i), name = place_in(&one, "name");
        check_webhook(e, &one, json_at(list, i));
        if (*said && seen_before(&names, said))
            complain_duplicate(e, &name, said);
    }
}

/* --- APIService --- */

static void check_priority(struct field_errors *e, const struct json *spec, const char *key, int max) {
    struct place at = place_in(&spec_place, key);
    _cleanup_json_ struct json *value = json_int(json_int_or(json_get(spec, key), 0));
    if (json_int_or(value, 0) <= 0 || json_int_or(value, 0) > max)
        complain_invalid(e, &at, value, "must be positive and less than %d", max);
}

static void check_api_service_backend(struct field_errors *e, const struct json *spec) {
    struct place service = place_in(&spec_place, "service"), skip = place_in(&spec_place, "insecureSkipTLSVerify");
    struct place bundle = place_in(&spec_place, "caBundle");
    const struct json *unsafe = json_get(spec, "insecureSkipTLSVerify");
    bool skips = json_bool_or(unsafe, false), trusts = json_str_len(json_get(spec, "caBundle")) > 0;
    if (json_is_null(json_get(spec, "service"))) {
        if (trusts)
            complain_invalid(e, &bundle, json_get(spec, "caBundle"), "local APIServices may not have a caBundle");
        if (skips)
            complain_invalid(e, &skip, unsafe, "local APIServices may not have insecureSkipTLSVerify");
        return;
    }
    check_required_text(e, &service, json_get(spec, "service"), "namespace");
    check_required_text(e, &service, json_get(spec, "service"), "name");
    check_service_port(e, &service, json_get(spec, "service"));
    if (skips && trusts)
        complain_invalid(e, &skip, unsafe, "may not be true if caBundle is present");
}

void rules_api_service(struct field_errors *e, const struct json *object) {
    static const struct place metadata = {.name = "metadata"};
    struct place name = place_in(&metadata, "name"), group_place = place_in(&spec_place, "group"),
                 version_place = place_in(&spec_place, "version");
    const struct json *spec = json_get(object, "spec");
    const char *group = json_get_str(spec, "group"), *version = json_get_str(spec, "version");
    const char *said = json_str_or(json_path(object, "metadata", "name"), "");
    _cleanup_free_ char *wanted = xasprintf("%s.%s", version, group);
    if (strcmp(said, wanted) != 0)
        complain_invalid_text(e, &name, said, "must be `spec.version+\".\"+spec.group`: \"%s\"", wanted);
    if (!*group && strcmp(version, "v1") != 0)
        complain_required(e, &group_place, "only v1 may have an empty group and it better be legacy kube");
    if (*group)
        check_name(e, &group_place, group, name_form_dns1123_subdomain);
    check_name(e, &version_place, version, name_form_dns1035_label);
    check_priority(e, spec, "groupPriorityMinimum", GROUP_PRIORITY_MAX);
    check_priority(e, spec, "versionPriority", VERSION_PRIORITY_MAX);
    check_api_service_backend(e, spec);
}
