/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resources: their names and amounts, wherever they are listed, and what a container asks for. */
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

/* --- names --- */

static bool is_in(const char *name, const char *const *list) {
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static bool is_huge_page(const char *name) {
    return strncmp(name, "hugepages-", 10) == 0;
}

static bool is_counted(const char *name) {
    static const char *const counted[] = {
        "pods",       "resourcequotas",         "services",           "replicationcontrollers", "secrets",
        "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", NULL};
    return is_in(name, counted);
}

static bool is_of_container(const char *name) {
    static const char *const names[] = {"cpu", "memory", "ephemeral-storage", NULL};
    return is_in(name, names) || is_huge_page(name);
}

static bool is_standard(const char *name) {
    static const char *const names[] = {"requests.cpu", "requests.memory",  "requests.ephemeral-storage",
                                        "limits.cpu",   "limits.memory",    "limits.ephemeral-storage",
                                        "storage",      "requests.storage", NULL};
    return is_of_container(name) || is_counted(name) || is_in(name, names) ||
           strncmp(name, "requests.hugepages-", 19) == 0;
}

static bool is_native(const char *name) {
    return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

/* Somebody's own: with a domain, and still a name when the quota puts "requests." before it. */
static bool is_extended(const char *name) {
    if (is_native(name) || strncmp(name, "requests.", 9) == 0)
        return false;
    const char *problems[NAME_PROBLEMS_MAX];
    _cleanup_free_ char *quota = xasprintf("requests.%s", name);
    return name_form_qualified(quota, problems) == 0;
}

bool resource_is_overcommittable(const char *name) {
    return is_native(name) && !is_huge_page(name);
}

bool rules_resource_name(struct field_errors *e, const struct place *at, const char *name) {
    if (!check_name(e, at, name, name_form_qualified))
        return false;
    if (strchr(name, '/') || is_standard(name))
        return true;
    complain_invalid_text(e, at, name, "must be a standard resource type or fully qualified");
    return false;
}

void rules_container_resource_name(struct field_errors *e, const struct place *at, const char *name) {
    if (is_of_container(name))
        return;
    rules_resource_name(e, at, name);
    if (!strchr(name, '/'))
        complain_invalid_text(e, at, name, "must be a standard resource for containers");
    else if (!is_native(name) && !is_extended(name))
        complain_invalid_text(e, at, name, "doesn't follow extended resource name standard");
}

void rules_resource_value(struct field_errors *e, const struct place *at, const char *name, const struct json *value) {
    int64_t milli = quantity_json_milli(value, 0);
    if (milli < 0)
        complain_invalid(e, at, value, "must be greater than or equal to 0");
    if (milli % 1000 && (is_counted(name) || is_extended(name)))
        complain_invalid(e, at, value, "must be an integer");
}

/* --- lists --- */

static void check_huge_pages(struct field_errors *e, const struct place *at, const char *name,
                             const struct json *value) {
    int64_t page = 0, bytes = quantity_json(value, 0);
    if (quantity_parse(name + strlen("hugepages-"), &page, NULL) < 0 || page <= 0 || bytes % page)
        complain_invalid(e, at, value, "%s is not positive integer multiple of %s", json_str_or(value, ""), name);
}

static void check_amount(struct field_errors *e, const struct place *list, const char *name, const struct json *value) {
    struct place at = place_key(list, name);
    rules_container_resource_name(e, &at, name);
    rules_resource_value(e, &at, name, value);
    if (is_huge_page(name))
        check_huge_pages(e, &at, name, value);
}

static bool has_any(const struct json *list, bool huge_pages) {
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_key_at(list, i);
        if (huge_pages ? is_huge_page(name) : strcmp(name, "cpu") == 0 || strcmp(name, "memory") == 0)
            return true;
    }
    return false;
}

void rules_resource_lists(struct field_errors *e, const struct place *at, const struct json *resources) {
    struct place requests = place_in(at, "requests"), limits = place_in(at, "limits");
    const struct json *wanted = json_get(resources, "requests"), *most = json_get(resources, "limits");
    for (size_t i = 0; i < json_len(most); i++)
        check_amount(e, &limits, json_key_at(most, i), json_value_at(most, i));
    for (size_t i = 0; i < json_len(wanted); i++) {
        const char *name = json_key_at(wanted, i), *have = json_str_or(json_value_at(wanted, i), "0");
        const struct json *limit = json_get(most, name);
        const char *limit_text = json_str_or(limit, "0");
        check_amount(e, &requests, name, json_value_at(wanted, i));
        int order = limit ? quantity_compare(have, limit_text) : 0;
        if (order && !resource_is_overcommittable(name))
            complain_invalid_text(e, &requests, have, "must be equal to %s limit of %s", name, limit_text);
        else if (order > 0)
            complain_invalid_text(e, &requests, have, "must be less than or equal to %s limit of %s", name, limit_text);
        else if (!limit && !resource_is_overcommittable(name))
            complain_required(e, &limits, "Limit must be set for non overcommitable resources");
    }
    if ((has_any(most, true) || has_any(wanted, true)) && !has_any(most, false) && !has_any(wanted, false))
        complain_forbidden(e, at, "HugePages require cpu or memory");
}

/* --- a container's --- */

#define CLAIMS_SHOWN_MAX 32 /* the whole list for each wrong one could become a huge answer */

static void complain_no_claim(struct field_errors *e, const struct place *at, const char *name,
                              const struct json *spec) {
    const struct json *claims = json_get(spec, "resourceClaims");
    _cleanup_strbuf_ struct strbuf detail = STRBUF_INIT;
    _cleanup_free_ char *field = place_text(at);
    _cleanup_json_ struct json *value = json_string(name);
    strbuf_adds(&detail, "must be one of the names in pod.spec.resourceClaims");
    if (!json_len(claims))
        strbuf_adds(&detail, " which is empty");
    for (size_t i = 0; i < json_len(claims) && i < CLAIMS_SHOWN_MAX; i++)
        strbuf_addf(&detail, "%s%s", i ? ", " : ": ", json_get_str(json_at(claims, i), "name"));
    field_errors_add(e, "FieldValueNotFound", field, value, "%s", strbuf_str(&detail));
}

static void check_claims(struct field_errors *e, const struct place *resources, const struct json *claims,
                         const struct json *spec) {
    struct place list = place_in(resources, "claims");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL, *parts = NULL, *known = NULL;
    for (size_t i = 0; i < json_len(json_get(spec, "resourceClaims")); i++)
        (void) seen_before(&known, json_get_str(json_at(json_get(spec, "resourceClaims"), i), "name"));
    for (size_t i = 0; i < json_len(claims); i++) {
        const char *name = json_get_str(json_at(claims, i), "name"),
                   *request = json_get_str(json_at(claims, i), "request");
        struct place at = place_at(&list, i);
        if (!*name) {
            complain_required(e, &at, "");
            continue;
        }
        _cleanup_free_ char *key = *request ? xasprintf("%s/%s", name, request) : xstrdup(name);
        if (*request)
            check_member_name(e, &at, json_at(claims, i), "request", false, name_form_dns1123_label);
        /* All of a claim and a part of it are twice, too. */
        if ((*request && seen && hashmap_has(seen, name)) || (!*request && parts && hashmap_has(parts, name)))
            complain_duplicate(e, &at, name);
        else if (seen_before(&seen, key))
            complain_duplicate(e, &at, key);
        if (*request)
            (void) seen_before(&parts, name);
        if (!known || !hashmap_has(known, name))
            complain_no_claim(e, &at, name, spec);
    }
}

void rules_container_resources(struct field_errors *e, const struct place *container, const struct json *object,
                               const struct json *spec) {
    struct place at = place_in(container, "resources");
    const struct json *resources = json_get(object, "resources");
    rules_resource_lists(e, &at, resources);
    if (json_len(json_get(resources, "claims")))
        check_claims(e, &at, json_get(resources, "claims"), spec);
}
