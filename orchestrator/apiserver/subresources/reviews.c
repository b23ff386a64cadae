/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions about users and permissions: answered in the POST, never stored. */
#include <string.h>

#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "podium/base/alloc.h"

static bool read_review(struct api_request *req) {
    return body_decode(req, resource_api_version(req->resource), req->resource->kind);
}

static enum api_progress answer(struct api_request *req, struct json *status) {
    struct json *o = json_ref(req->input);
    if (!json_get(o, "metadata"))
        json_set_path(&o, json_null(), "metadata", "creationTimestamp");
    json_set(&o, "status", status);
    return api_reply_object(req, 201, o);
}

enum api_progress self_review_serve(struct api_request *req) {
    if (!read_review(req))
        return API_DONE;
    struct json *u = json_object(), *status = json_object();
    json_set(&u, "username", json_string(req->user->name));
    if (req->user->uid)
        json_set(&u, "uid", json_string(req->user->uid));
    for (char **g = req->user->groups; g && *g; g++)
        json_append(json_edit(&u, "groups"), json_string(*g));
    json_set(&status, "userInfo", u);
    return answer(req, status);
}

static void question_from(const struct json *spec, struct authz_question *q) {
    const struct json *r = json_get(spec, "resourceAttributes"), *p = json_get(spec, "nonResourceAttributes");
    q->verb = json_str_or(json_get(r ? r : p, "verb"), "");
    q->group = json_str_or(json_get(r, "group"), "");
    q->plural = json_str_or(json_get(r, "resource"), "");
    q->subname = json_str_or(json_get(r, "subresource"), "");
    q->ns = json_str_or(json_get(r, "namespace"), "");
    q->name = json_str_or(json_get(r, "name"), "");
    q->path = r ? NULL : json_str_or(json_get(p, "path"), "");
}

static void user_from(const struct json *spec, struct api_user *u) {
    const struct json *groups = json_get(spec, "groups");
    u->name = xstrdup(json_str_or(json_get(spec, "user"), ""));
    u->groups = strv_new();
    for (size_t i = 0; i < json_len(groups); i++)
        strv_push_dup(&u->groups, json_str_or(json_at(groups, i), ""));
}

enum api_progress access_review_serve(struct api_request *req) {
    if (!read_review(req))
        return API_DONE;
    _cleanup_(api_user_finish) struct api_user other = {0};
    const struct json *spec = json_get(req->input, "spec");
    struct authz_question q = {.user = req->user};
    question_from(spec, &q);
    if (strncmp(req->resource->plural, "self", 4) != 0) {
        user_from(spec, &other);
        q.user = &other;
    }
    struct json *status = json_object();
    json_set(&status, "allowed", json_bool(rbac_allows(req->api->rbac, &q)));
    return answer(req, status);
}

static struct json *star_rule(bool paths) {
    struct json *rule = json_object();
    static const char *const resource_keys[] = {"verbs", "apiGroups", "resources"};
    static const char *const path_keys[] = {"verbs", "nonResourceURLs"};
    for (size_t i = 0; i < (paths ? ARRAY_LEN(path_keys) : ARRAY_LEN(resource_keys)); i++)
        json_append(json_edit(&rule, paths ? path_keys[i] : resource_keys[i]), json_string("*"));
    return rule;
}

/* Complete for system:masters; for others the answer says that it is not. */
enum api_progress rules_review_serve(struct api_request *req) {
    if (!read_review(req))
        return API_DONE;
    struct json *status = json_object();
    bool master = user_in_group(req->user, "system:masters");
    json_set(&status, "resourceRules", json_array());
    json_set(&status, "nonResourceRules", json_array());
    if (master) {
        json_append(json_edit(&status, "resourceRules"), star_rule(false));
        json_append(json_edit(&status, "nonResourceRules"), star_rule(true));
    }
    json_set(&status, "incomplete", json_bool(!master));
    return answer(req, status);
}
