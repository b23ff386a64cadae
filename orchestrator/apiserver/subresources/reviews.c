/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions about users and permissions: answered in the POST, never stored. */
#include <string.h>

#include "orchestrator/apiserver/authn/account_tokens.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

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

static struct json *user_info(const struct api_user *user) {
    struct json *u = json_object();
    json_set(&u, "username", json_string(user->name));
    if (user->uid)
        json_set(&u, "uid", json_string(user->uid));
    for (char **g = user->groups; g && *g; g++)
        json_append(json_edit(&u, "groups"), json_string(*g));
    if (user->extra)
        json_set(&u, "extra", json_ref(user->extra));
    return u;
}

enum api_progress self_review_serve(struct api_request *req) {
    if (!read_review(req))
        return API_DONE;
    struct json *status = json_object();
    json_set(&status, "userInfo", user_info(req->user));
    return answer(req, status);
}

/* Only tokens of service accounts are known to others than the server itself. */
enum api_progress token_review_serve(struct api_request *req) {
    if (!read_review(req))
        return API_DONE;
    _cleanup_(api_user_finish) struct api_user user = {0};
    const char *token = json_str_or(json_path(req->input, "spec", "token"), "");
    struct json *status = json_object(), *audiences = NULL;
    if (!*token) {
        json_unref(status);
        return api_bad_request(req, "token is required for TokenReview in authentication");
    }
    int r = !req->api->accounts
                ? 0
                : account_tokens_authenticate(req->api->accounts, token, json_path(req->input, "spec", "audiences"),
                                              now_realtime_usec(), &user, &audiences);
    if (r > 0) {
        json_set(&status, "authenticated", json_bool(true));
        json_set(&status, "user", user_info(&user));
        json_set(&status, "audiences", audiences);
    } else {
        json_set(&status, "user", json_object());
        json_set(&status, "error",
                 json_string(r < 0 ? "[invalid bearer token, service account token is expired, of another audience, or "
                                     "of an account or object that is gone]"
                                   : "invalid bearer token"));
    }
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
