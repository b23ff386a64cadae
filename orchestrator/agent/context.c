/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/context.h"

#include <stdarg.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/hashmap.h"

void pod_problem_finish(struct pod_problem *p) {
    free(p->container);
    free(p->message);
    *p = (struct pod_problem){0};
}

int pod_problem_set(struct pod_problem *p, const char *reason, const char *container, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    char *message = xvasprintf(fmt, ap);
    va_end(ap);
    char *name = container ? xstrdup(container) : NULL;
    pod_problem_finish(p);
    p->reason = reason;
    p->container = name;
    p->message = message;
    return -EAGAIN;
}

char *object_key(const char *kind, const char *namespace, const char *name) {
    return xasprintf("%s/%s/%s", kind, namespace, name);
}

const char *pod_meta(const struct json *pod, const char *member) {
    return json_str_or(json_path(pod, "metadata", member), "");
}

const struct json *context_object(const struct pod_context *ctx, const char *kind, const char *name) {
    _cleanup_free_ char *key = object_key(kind, pod_meta(ctx->pod, "namespace"), name);
    return ctx->objects ? hashmap_get(ctx->objects, key) : NULL;
}

int object_value(const struct json *object, const char *key, uint8_t **ret, size_t *ret_n) {
    bool secret = strcmp(json_str_or(json_get(object, "kind"), ""), "Secret") == 0;
    const struct json *plain = json_get(json_get(object, "data"), key);
    const struct json *encoded = secret ? plain : json_get(json_get(object, "binaryData"), key);

    if (!secret && json_is_string(plain)) {
        *ret_n = json_str_len(plain);
        *ret = xmalloc(*ret_n + 1);
        memcpy(*ret, json_str(plain), *ret_n + 1);
        return 0;
    }
    if (!json_is_string(encoded))
        return -ENOENT;
    return base64_decode(json_str(encoded), json_str_len(encoded), ret, ret_n);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

char **object_keys(const struct json *object) {
    static const char *const members[] = {"data", "binaryData"};
    char **v = strv_new();

    for (size_t m = 0; m < ARRAY_LEN(members); m++) {
        const struct json *map = json_get(object, members[m]);
        for (size_t i = 0; i < json_len(map); i++)
            strv_push_dup(&v, json_key_at(map, i));
    }
    qsort(v, strv_len(v), sizeof(*v), by_name);
    return v;
}
