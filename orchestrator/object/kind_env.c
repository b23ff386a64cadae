/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Environment of a container, and the references to the pod's own fields and resources that volumes use too. */
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "podium/base/alloc.h"

/* --- fields of the pod --- */

/* "metadata.labels['k']": the length of the path before the subscript, *key (owned) the key; 0 when there is none. */
static size_t split_subscript(const char *path, char **key) {
    const char *open = strstr(path, "['");
    size_t n = strlen(path);
    if (!open || open == path || n < 4 || strcmp(path + n - 2, "']") != 0 || path + n - 2 < open + 2)
        return 0;
    *key = xstrndup(open + 2, (size_t) (path + n - 2 - (open + 2)));
    return (size_t) (open - path);
}

static bool is_one_of(const char *s, const char *const *values) {
    for (; *values; values++)
        if (strcmp(*values, s) == 0)
            return true;
    return false;
}

static void check_subscript(struct field_errors *e, const struct place *at, const struct place *path_place,
                            const char *path, size_t n, const char *key) {
    static const char annotations[] = "metadata.annotations", labels[] = "metadata.labels";
    if (n == strlen(labels) && strncmp(path, labels, n) == 0) {
        check_name(e, at, key, name_form_qualified);
    } else if (n == strlen(annotations) && strncmp(path, annotations, n) == 0) {
        _cleanup_free_ char *lower = xstrdup(key);
        for (char *p = lower; *p; p++)
            *p = (char) (*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
        check_name(e, at, lower, name_form_qualified);
    } else {
        complain_invalid_text(e, path_place, path,
                              "error converting fieldPath: field label does not support subscript: %s", path);
    }
}

void rules_field_ref(struct field_errors *e, const struct place *at, const struct json *ref,
                     const char *const *sorted) {
    static const char *const known[] = {
        "metadata.annotations", "metadata.labels", "metadata.name",      "metadata.namespace",
        "metadata.uid",         "spec.nodeName",   "spec.restartPolicy", "spec.serviceAccountName",
        "spec.schedulerName",   "status.phase",    "status.hostIP",      "status.hostIPs",
        "status.podIP",         "status.podIPs",   "spec.host",          NULL};
    struct place path_place = place_in(at, "fieldPath");
    const char *path = json_get_str(ref, "fieldPath"), *version = json_get_str(ref, "apiVersion");
    _cleanup_free_ char *key = NULL;
    size_t n = 0;
    if (!check_required_text(e, at, ref, "apiVersion") || !check_required_text(e, at, ref, "fieldPath"))
        return;
    if (strcmp(version, "v1") != 0)
        complain_invalid_text(e, &path_place, path, "error converting fieldPath: unsupported pod version: %s", version);
    else if ((n = split_subscript(path, &key)) > 0)
        check_subscript(e, at, &path_place, path, n, key);
    else if (!is_one_of(path, known))
        complain_invalid_text(e, &path_place, path, "error converting fieldPath: field label not supported: %s", path);
    else if (!is_one_of(strcmp(path, "spec.host") == 0 ? "spec.nodeName" : path, sorted))
        complain_not_supported(e, &path_place, path, sorted);
}

/* --- resources of the container --- */

static void check_divisor(struct field_errors *e, const struct place *at, const char *resource, const char *divisor) {
    static const char *const fractions[] = {"1m", "1", NULL};
    static const char *const sizes[] = {"1",   "1k",  "1M",  "1G",  "1T",  "1P",  "1E",
                                        "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
    static const struct {
        const char *resource, *name;
    } kinds[] = {{"memory", "memory"}, {"ephemeral-storage", "local ephemeral storage"}, {"hugepages-", "hugepages"}};
    struct place place = place_in(at, "divisor");
    const char *dot = strchr(resource, '.'), *what = dot ? dot + 1 : "";
    if (!*divisor || strcmp(divisor, "0") == 0)
        return;
    if (strcmp(what, "cpu") == 0) {
        if (!is_one_of(divisor, fractions))
            complain_invalid_text(e, &place, resource,
                                  "only divisor's values 1m and 1 are supported with the cpu resource");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strncmp(what, kinds[i].resource, strlen(kinds[i].resource)) == 0 && !is_one_of(divisor, sizes))
            complain_invalid_text(e, &place, resource,
                                  "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
                                  "supported with the %s resource",
                                  kinds[i].name);
}

void rules_resource_ref(struct field_errors *e, const struct place *at, const struct json *ref, bool named) {
    static const char *const resources[] = {"limits.cpu",
                                            "limits.ephemeral-storage",
                                            "limits.memory",
                                            "requests.cpu",
                                            "requests.ephemeral-storage",
                                            "requests.memory",
                                            NULL};
    struct place resource = place_in(at, "resource");
    const char *name = json_get_str(ref, "resource");
    if (named && !json_str_len(json_get(ref, "containerName")))
        check_required_text(e, at, ref, "containerName");
    else if (!*name)
        complain_required(e, &resource, "");
    else if (strncmp(name, "limits.hugepages-", 17) != 0 && strncmp(name, "requests.hugepages-", 19) != 0 &&
             !is_one_of(name, resources))
        complain_not_supported(e, &resource, name, resources);
    check_divisor(e, at, name, json_get_str(ref, "divisor"));
}

/* --- variables --- */

static void check_key_ref(struct field_errors *e, const struct place *at, const struct json *ref) {
    struct place name = place_in(at, "name");
    check_name(e, &name, json_get_str(ref, "name"), name_form_dns1123_subdomain);
    check_member_name(e, at, ref, "key", true, name_form_config_map_key);
}

static void check_value_from(struct field_errors *e, const struct place *env, const struct json *var) {
    static const char *const paths[] = {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs", NULL};
    static const char *const kinds[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"};
    const struct json *from = json_get(var, "valueFrom");
    struct place at = place_in(env, "valueFrom");
    unsigned n = 0;
    if (json_is_null(from))
        return;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct json *ref = json_get(from, kinds[i]);
        struct place place = place_in(&at, kinds[i]);
        if (json_is_null(ref))
            continue;
        n++;
        if (i == 0)
            rules_field_ref(e, &place, ref, paths);
        else if (i == 1)
            rules_resource_ref(e, &place, ref, false);
        else
            check_key_ref(e, &place, ref);
    }
    if (!n)
        complain_invalid_text(
            e, &at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
    else if (json_str_len(json_get(var, "value")))
        complain_invalid_text(e, &at, "", "may not be specified when `value` is not empty");
    else if (n > 1)
        complain_invalid_text(e, &at, "", "may not have more than one field specified at a time");
}

void rules_container_env(struct field_errors *e, const struct place *container, const struct json *object) {
    static const char *const sources[] = {"configMapRef", "secretRef"};
    struct place list = place_in(container, "env"), from_list = place_in(container, "envFrom");
    const struct json *vars = json_get(object, "env"), *froms = json_get(object, "envFrom");
    for (size_t i = 0; i < json_len(vars); i++) {
        struct place at = place_at(&list, i);
        check_member_name(e, &at, json_at(vars, i), "name", true, name_form_env_var);
        check_value_from(e, &at, json_at(vars, i));
    }
    for (size_t i = 0; i < json_len(froms); i++) {
        const struct json *from = json_at(froms, i);
        struct place at = place_at(&from_list, i);
        unsigned n = 0;
        check_member_name(e, &at, from, "prefix", false, name_form_env_var);
        for (size_t k = 0; k < ARRAY_LEN(sources); k++) {
            struct place source = place_in(&at, sources[k]);
            if (json_is_null(json_get(from, sources[k])))
                continue;
            n++;
            check_member_name(e, &source, json_get(from, sources[k]), "name", true, name_form_dns1123_subdomain);
        }
        /* Of the list: upstream does not say which. */
        if (!n)
            complain_invalid_text(e, &from_list, "", "must specify one of: `configMapRef` or `secretRef`");
        else if (n > 1)
            complain_invalid_text(e, &from_list, "", "may not have more than one field specified at a time");
    }
}
