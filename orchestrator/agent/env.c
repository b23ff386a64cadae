/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/env.h"

#include <inttypes.h>
#include <string.h>

#include "orchestrator/agent/service_env.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

const char *env_get(char *const *env, const char *name) {
    size_t n = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

void env_put(char ***env, char *take) {
    size_t n = strcspn(take, "=") + 1;

    for (char **e = *env; *e; e++)
        if (strncmp(*e, take, n) == 0) {
            free(*e);
            *e = take;
            return;
        }
    strv_push(env, take);
}

char *env_expand(const char *text, char *const *env) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

    strbuf_adds(&out, "");
    for (const char *p = text; *p; p++) {
        const char *end;

        if (p[0] == '$' && p[1] == '$') {
            strbuf_addc(&out, '$');
            p++;
        } else if (p[0] == '$' && p[1] == '(' && (end = strchr(p, ')'))) {
            _cleanup_free_ char *name = xstrndup(p + 2, (size_t) (end - p - 2));
            const char *value = env_get(env, name);
            if (value)
                strbuf_adds(&out, value);
            else
                strbuf_add(&out, p, (size_t) (end - p + 1));
            p = end;
        } else {
            strbuf_addc(&out, *p);
        }
    }
    return strbuf_steal(&out);
}

/* --- fields --- */

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* "metadata.labels['app']": the value under the key; a whole map as key="value" lines. */
static char *map_field(const struct json *map, const char *rest) {
    size_t n = strlen(rest);

    if (n > 4 && rest[0] == '[' && rest[1] == '\'' && rest[n - 1] == ']' && rest[n - 2] == '\'') {
        _cleanup_free_ char *key = xstrndup(rest + 2, n - 4);
        return xstrdup(json_str_or(json_get(map, key), ""));
    }
    if (n > 0)
        return NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    _cleanup_strv_ char **keys = strv_new();
    for (size_t i = 0; i < json_len(map); i++)
        strv_push_dup(&keys, json_key_at(map, i));
    qsort(keys, strv_len(keys), sizeof(*keys), by_name);
    for (char **key = keys; *key; key++) {
        const struct json *v = json_get(map, *key);
        strbuf_addf(&out, "%s%s=", key != keys ? "\n" : "", *key);
        json_write_string(json_str_or(v, ""), json_str_len(v), &out);
    }
    return strbuf_steal(&out);
}

char *pod_field(const struct pod_context *ctx, const char *path) {
    const struct json *meta = json_get(ctx->pod, "metadata"), *spec = json_get(ctx->pod, "spec");
    const struct {
        const char *path, *value;
    } fields[] = {
        {"metadata.name", json_str_or(json_get(meta, "name"), "")},
        {"metadata.namespace", json_str_or(json_get(meta, "namespace"), "")},
        {"metadata.uid", json_str_or(json_get(meta, "uid"), "")},
        {"spec.nodeName", ctx->node_name},
        {"spec.serviceAccountName", json_str_or(json_get(spec, "serviceAccountName"), "")},
        {"status.hostIP", ctx->host_ip},
        {"status.hostIPs", ctx->host_ip},
        {"status.podIP", ctx->pod_ip},
        {"status.podIPs", ctx->pod_ip},
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(path, fields[i].path) == 0)
            return xstrdup(fields[i].value);
    if (strncmp(path, "metadata.labels", 15) == 0)
        return map_field(json_get(meta, "labels"), path + 15);
    if (strncmp(path, "metadata.annotations", 20) == 0)
        return map_field(json_get(meta, "annotations"), path + 20);
    return NULL;
}

static int64_t divide_up(int64_t value, int64_t by) {
    return by > 0 ? (value + by - 1) / by : value;
}

char *resource_field(const struct pod_context *ctx, const struct json *container, const struct json *ref) {
    const char *resource = json_str_or(json_get(ref, "resource"), "");
    const struct json *divisor = json_get(ref, "divisor");
    const char *dot = strchr(resource, '.');
    if (!dot)
        return NULL;
    bool limits = strncmp(resource, "limits.", 7) == 0;
    const struct json *v = json_path(container, "resources", limits ? "limits" : "requests", dot + 1);

    if (strcmp(dot + 1, "cpu") == 0) {
        int64_t by = quantity_json_milli(divisor, 0);
        int64_t milli = quantity_json_milli(v, limits ? ctx->node_cpu_milli : 0);
        return xasprintf("%" PRId64, divide_up(milli, by > 0 ? by : 1000));
    }
    bool memory = strcmp(dot + 1, "memory") == 0;
    int64_t by = quantity_json(divisor, 0);
    return xasprintf("%" PRId64, divide_up(quantity_json(v, limits && memory ? ctx->node_memory : 0), by > 0 ? by : 1));
}

/* --- sources --- */

static int missing_object(struct pod_problem *problem, const struct json *container, const char *kind,
                          const char *name) {
    int r = pod_problem_set(problem, "CreateContainerConfigError", json_str(json_get(container, "name")),
                            "%s \"%s\" not found", strcmp(kind, "Secret") == 0 ? "secret" : "configmap", name);
    problem->wants_object = true;
    return r;
}

static int add_key(const struct pod_context *ctx, const struct json *container, const char *kind,
                   const struct json *ref, const char *name, char ***env, struct pod_problem *problem) {
    const char *object_name = json_str_or(json_get(ref, "name"), ""), *key = json_str_or(json_get(ref, "key"), "");
    const struct json *object = context_object(ctx, kind, object_name);
    bool optional = json_bool_or(json_get(ref, "optional"), false);
    _cleanup_free_ uint8_t *value = NULL;
    size_t n;

    if (!object)
        return optional ? 0 : missing_object(problem, container, kind, object_name);
    if (object_value(object, key, &value, &n) < 0) {
        if (optional)
            return 0;
        int r = pod_problem_set(problem, "CreateContainerConfigError", json_str(json_get(container, "name")),
                                "couldn't find key %s in %s %s/%s", key,
                                strcmp(kind, "Secret") == 0 ? "Secret" : "ConfigMap", pod_meta(ctx->pod, "namespace"),
                                object_name);
        problem->wants_object = true;
        return r;
    }
    env_put(env, xasprintf("%s=%s", name, (const char *) value));
    return 0;
}

static int add_all(const struct pod_context *ctx, const struct json *container, const char *kind,
                   const struct json *ref, const char *prefix, char ***env, struct pod_problem *problem) {
    const char *object_name = json_str_or(json_get(ref, "name"), "");
    const struct json *object = context_object(ctx, kind, object_name);

    if (!object)
        return json_bool_or(json_get(ref, "optional"), false) ? 0
                                                              : missing_object(problem, container, kind, object_name);
    _cleanup_strv_ char **keys = object_keys(object);
    for (char **key = keys; *key; key++) {
        _cleanup_free_ uint8_t *value = NULL;
        size_t n;
        if (!strchr(*key, '=') && object_value(object, *key, &value, &n) == 0)
            env_put(env, xasprintf("%s%s=%s", prefix, *key, (const char *) value));
    }
    return 0;
}

static int add_from(const struct pod_context *ctx, const struct json *container, const struct json *source,
                    const char *name, char ***env, struct pod_problem *problem) {
    const struct json *field = json_get(source, "fieldRef"), *resource = json_get(source, "resourceFieldRef");
    const char *path = json_str_or(json_get(field, "fieldPath"), "");

    if (json_get(source, "configMapKeyRef"))
        return add_key(ctx, container, "ConfigMap", json_get(source, "configMapKeyRef"), name, env, problem);
    if (json_get(source, "secretKeyRef"))
        return add_key(ctx, container, "Secret", json_get(source, "secretKeyRef"), name, env, problem);
    _cleanup_free_ char *value = field      ? pod_field(ctx, path)
                                 : resource ? resource_field(ctx, container, resource)
                                            : NULL;
    if (!value)
        return pod_problem_set(problem, "CreateContainerConfigError", json_str(json_get(container, "name")),
                               "env %s: the field \"%s\" is not supported", name, path);
    env_put(env, xasprintf("%s=%s", name, value));
    return 0;
}

int env_build(const struct pod_context *ctx, const struct json *container, char ***ret, struct pod_problem *problem) {
    const struct json *from = json_get(container, "envFrom"), *list = json_get(container, "env");
    _cleanup_strv_ char **env = strv_new();
    int r = 0;

    service_env_add(ctx, &env);
    for (size_t i = 0; r == 0 && i < json_len(from); i++) {
        const struct json *item = json_at(from, i);
        const char *prefix = json_str_or(json_get(item, "prefix"), "");
        if (json_get(item, "configMapRef"))
            r = add_all(ctx, container, "ConfigMap", json_get(item, "configMapRef"), prefix, &env, problem);
        if (r == 0 && json_get(item, "secretRef"))
            r = add_all(ctx, container, "Secret", json_get(item, "secretRef"), prefix, &env, problem);
    }
    for (size_t i = 0; r == 0 && i < json_len(list); i++) {
        const struct json *item = json_at(list, i);
        const char *name = json_str_or(json_get(item, "name"), "");
        const char *value = json_str_or(json_get(item, "value"), "");

        if (json_is_object(json_get(item, "valueFrom")) && !*value) {
            r = add_from(ctx, container, json_get(item, "valueFrom"), name, &env, problem);
        } else {
            _cleanup_free_ char *expanded = env_expand(value, env);
            env_put(&env, xasprintf("%s=%s", name, expanded));
        }
    }
    if (r < 0)
        return r;
    *ret = steal(&env);
    return 0;
}
