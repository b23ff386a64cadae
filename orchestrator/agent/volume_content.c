/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/volume_content.h"

#include <string.h>

#include "orchestrator/agent/env.h"
#include "orchestrator/agent/tokens.h"
#include "podium/base/alloc.h"

static int fail_mount(struct pod_problem *problem, const char *volume, const char *text) {
    return pod_problem_set(problem, "FailedMount", NULL, "MountVolume.SetUp failed for volume \"%s\" : %s", volume,
                           text);
}

struct source {
    const struct pod_context *ctx;
    const char *volume;
    struct payload *out;
    struct pod_problem *problem;
    mode_t mode;  /* default for its files */
    bool refresh; /* of a running pod: what cannot be had now leaves its files as they are */
};

static int add_file(struct source *s, const char *path, uint8_t *take, size_t n, const struct json *mode) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = payload_add(s->out, path, take, n, (mode_t) json_int_or(mode, s->mode) & 0777, &err);

    return r < 0 ? fail_mount(s->problem, s->volume, error_text(&err, r)) : 0;
}

static int add_object(struct source *s, const char *kind, const char *name, const struct json *items, bool optional) {
    const struct json *object = context_object(s->ctx, kind, name);
    const char *lower = strcmp(kind, "Secret") == 0 ? "secret" : "configmap";
    int r = 0;

    if (!object) {
        if (optional)
            return 0;
        _cleanup_free_ char *text = xasprintf("%s \"%s\" not found", lower, name);
        r = fail_mount(s->problem, s->volume, text);
        s->problem->wants_object = true;
        return r;
    }
    if (json_len(items) == 0) {
        _cleanup_strv_ char **keys = object_keys(object);
        for (char **key = keys; r == 0 && *key; key++) {
            uint8_t *data = NULL;
            size_t n;
            if (object_value(object, *key, &data, &n) == 0)
                r = add_file(s, *key, data, n, NULL);
        }
        return r;
    }
    for (size_t i = 0; r == 0 && i < json_len(items); i++) {
        const struct json *item = json_at(items, i);
        const char *key = json_str_or(json_get(item, "key"), "");
        uint8_t *data = NULL;
        size_t n;
        if (object_value(object, key, &data, &n) == 0) {
            r = add_file(s, json_str_or(json_get(item, "path"), key), data, n, json_get(item, "mode"));
        } else if (!optional) {
            _cleanup_free_ char *text = xasprintf("references non-existent %s key: %s", lower, key);
            r = fail_mount(s->problem, s->volume, text);
            s->problem->wants_object = true;
        }
    }
    return r;
}

static const struct json *find_container(const struct json *pod, const char *name) {
    static const char *const lists[] = {"containers", "initContainers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
                return json_at(list, i);
    }
    return NULL;
}

static int add_downward(struct source *s, const struct json *items) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_len(items); i++) {
        const struct json *item = json_at(items, i), *ref = json_get(item, "resourceFieldRef");
        const char *field = json_str_or(json_path(item, "fieldRef", "fieldPath"), "");
        char *value =
            ref ? resource_field(s->ctx, find_container(s->ctx->pod, json_str_or(json_get(ref, "containerName"), "")),
                                 ref)
                : pod_field(s->ctx, field);
        if (!value)
            return fail_mount(s->problem, s->volume, "a downward API field is not supported");
        r = add_file(s, json_str_or(json_get(item, "path"), ""), (uint8_t *) value, strlen(value),
                     json_get(item, "mode"));
    }
    return r;
}

/* The one user all containers run as by their security contexts; -1: there is no such. kubelet's FsUserFrom. */
static int64_t only_user(const struct json *pod) {
    static const char *const lists[] = {"initContainers", "containers"};
    const struct json *of_pod = json_path(pod, "spec", "securityContext", "runAsUser");
    int64_t user = -1;

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++) {
            const struct json *own = json_path(json_at(list, i), "securityContext", "runAsUser");
            int64_t uid = json_int_or(json_is_null(own) ? of_pod : own, -1);
            if (uid < 0 || (user >= 0 && user != uid))
                return -1;
            user = uid;
        }
    }
    return user;
}

/* A token is for its user's eyes when that user is known; else for all in the container, whoever they will be. */
static int add_secret_file(struct source *s, const char *path, const char *text) {
    int64_t user = only_user(s->ctx->pod);
    bool group = json_path(s->ctx->pod, "spec", "securityContext", "fsGroup") != NULL;
    _cleanup_json_ struct json *mode = user >= 0 || group ? json_int(0600) : NULL;

    int r = add_file(s, path, (uint8_t *) xstrdup(text), strlen(text), mode);
    if (r == 0 && user >= 0)
        payload_set_owner(s->out, path, user);
    return r;
}

static int add_token(struct source *s, const struct json *source) {
    const char *text;

    switch (tokens_get(s->ctx->tokens, json_str_or(json_get(source, "audience"), ""),
                       json_int_or(json_get(source, "expirationSeconds"), TOKEN_SECONDS_DEFAULT), &text)) {
    case TOKEN_THERE:
        return add_secret_file(s, json_str_or(json_get(source, "path"), ""), text);
    case TOKEN_REFUSED: {
        _cleanup_free_ char *why = xasprintf("failed to fetch token: %s", text);
        return fail_mount(s->problem, s->volume, why);
    }
    case TOKEN_NONE: /* nobody to ask: see tokens.h */
    case TOKEN_WAITING:
        break;
    }
    return s->refresh ? -EAGAIN : 0;
}

static int add_projected(struct source *s, const struct json *sources) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_len(sources); i++) {
        const struct json *from = json_at(sources, i), *v;

        if ((v = json_get(from, "configMap")))
            r = add_object(s, "ConfigMap", json_str_or(json_get(v, "name"), ""), json_get(v, "items"),
                           json_bool_or(json_get(v, "optional"), false));
        else if ((v = json_get(from, "secret")))
            r = add_object(s, "Secret", json_str_or(json_get(v, "name"), ""), json_get(v, "items"),
                           json_bool_or(json_get(v, "optional"), false));
        else if ((v = json_get(from, "downwardAPI")))
            r = add_downward(s, json_get(v, "items"));
        else if ((v = json_get(from, "serviceAccountToken")))
            r = add_token(s, v);
        else if (json_get(from, "clusterTrustBundle"))
            r = fail_mount(s->problem, s->volume, "projected sources of kind clusterTrustBundle are not supported");
        else
            r = fail_mount(s->problem, s->volume, "this kind of projected source is not supported");
    }
    return r;
}

int volume_content(const struct pod_context *ctx, const struct json *volume, bool refresh, struct payload *out,
                   bool *ret_is, struct pod_problem *problem) {
    const struct json *v;
    struct source s = {.ctx = ctx,
                       .volume = json_str_or(json_get(volume, "name"), ""),
                       .out = out,
                       .problem = problem,
                       .mode = 0644,
                       .refresh = refresh};

    *ret_is = true;
    if ((v = json_get(volume, "configMap"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_object(&s, "ConfigMap", json_str_or(json_get(v, "name"), ""), json_get(v, "items"),
                          json_bool_or(json_get(v, "optional"), false));
    }
    if ((v = json_get(volume, "secret"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_object(&s, "Secret", json_str_or(json_get(v, "secretName"), ""), json_get(v, "items"),
                          json_bool_or(json_get(v, "optional"), false));
    }
    if ((v = json_get(volume, "downwardAPI"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_downward(&s, json_get(v, "items"));
    }
    if ((v = json_get(volume, "projected"))) {
        s.mode = (mode_t) json_int_or(json_get(v, "defaultMode"), 0644);
        return add_projected(&s, json_get(v, "sources"));
    }
    *ret_is = false;
    return 0;
}

static bool items_show_metadata(const struct json *items) {
    for (size_t i = 0; i < json_len(items); i++) {
        const char *path = json_str_or(json_path(json_at(items, i), "fieldRef", "fieldPath"), "");
        if (strncmp(path, "metadata.labels", 15) == 0 || strncmp(path, "metadata.annotations", 20) == 0)
            return true;
    }
    return false;
}

bool volume_shows_metadata(const struct json *volume) {
    const struct json *sources = json_path(volume, "projected", "sources");
    bool shows = items_show_metadata(json_path(volume, "downwardAPI", "items"));

    for (size_t i = 0; i < json_len(sources) && !shows; i++)
        shows = items_show_metadata(json_path(json_at(sources, i), "downwardAPI", "items"));
    return shows;
}
