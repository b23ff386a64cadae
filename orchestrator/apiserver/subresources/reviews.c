/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions about users and permissions: answered in the POST, never stored. */
#include <string.h>

#include "orchestrator/apiserver/authn/account_tokens.h"
#include "orchestrator/apiserver/authn/bootstrap_tokens.h"
#include "orchestrator/apiserver/authz/node_authorizer.h"
#include "orchestrator/apiserver/authz/rbac.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/apiserver/verbs/prepare.h"
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

/* Tokens of service accounts and bootstrap tokens; others are known to nobody but the server itself. */
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
    const struct json *wanted = json_path(req->input, "spec", "audiences");
    /* bootstrap tokens are for the API and nobody else */
    int r =
        json_len(wanted) == 0 ? bootstrap_token_authenticate(req->api->store, token, now_realtime_usec(), &user) : 0;
    if (r == 0 && req->api->accounts)
        r = account_tokens_authenticate(req->api->accounts, token, wanted, now_realtime_usec(), &user, &audiences);
    if (r > 0) {
        json_set(&status, "authenticated", json_bool(true));
        json_set(&status, "user", user_info(&user));
        if (audiences)
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

/* --- may somebody do something? --- */

static void complain(struct field_errors *e, const char *field, const struct json *value, const char *text) {
    _cleanup_json_ struct json *null = json_null();
    field_errors_add(e, "FieldValueInvalid", field, value ? value : null, "%s", text);
}

/* A fieldSelector or labelSelector of the attributes. */
static void check_selector(struct field_errors *e, const char *field, const struct json *selector) {
    const struct json *raw = json_get(selector, "rawSelector"), *requirements = json_get(selector, "requirements");
    _cleanup_free_ char *of_raw = xasprintf("%s.rawSelector", field), *of_list = xasprintf("%s.requirements", field);
    if (!selector || json_is_null(selector))
        return;
    if (*json_str_or(raw, "") && json_len(requirements) > 0)
        complain(e, of_raw, raw, "may not specified at the same time as requirements");
    if (!*json_str_or(raw, "") && json_len(requirements) == 0)
        field_errors_add(e, "FieldValueRequired", of_list, NULL,
                         "when %s is specified, requirements or rawSelector is required", field);
    for (size_t i = 0; i < json_len(requirements); i++) {
        const struct json *r = json_at(requirements, i);
        const char *operator= json_get_str(r, "operator");
        bool set = strcmp(operator, "In") == 0 || strcmp(operator, "NotIn") == 0;
        _cleanup_free_ char *key = xasprintf("%s[%zu].key", of_list, i),
                            *values = xasprintf("%s[%zu].values", of_list, i);
        if (!*json_get_str(r, "key"))
            field_errors_add(e, "FieldValueRequired", key, NULL, "must be specified");
        if (set && json_len(json_get(r, "values")) == 0)
            field_errors_add(e, "FieldValueRequired", values, NULL,
                             "must be specified when `operator` is 'In' or 'NotIn'");
        if (!set && json_len(json_get(r, "values")) > 0)
            field_errors_add(e, "FieldValueForbidden", values, NULL,
                             "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    }
}

/* A member that is there and not null. */
static const struct json *given(const struct json *object, const char *key) {
    const struct json *v = json_get(object, key);
    return json_is_null(v) ? NULL : v;
}

static void check_spec(struct field_errors *e, const struct json *spec, bool self) {
    const struct json *resource = given(spec, "resourceAttributes"), *path = given(spec, "nonResourceAttributes");
    if (resource && path)
        complain(e, "spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes");
    if (!resource && !path)
        complain(e, "spec.resourceAttributes", NULL,
                 "exactly one of nonResourceAttributes or resourceAttributes must be specified");
    if (!self && !*json_get_str(spec, "user") && json_len(json_get(spec, "groups")) == 0) {
        _cleanup_json_ struct json *nobody = json_string("");
        complain(e, "spec.user", nobody, "at least one of user or group must be specified");
    }
    check_selector(e, "spec.resourceAttributes.fieldSelector", json_get(resource, "fieldSelector"));
    check_selector(e, "spec.resourceAttributes.labelSelector", json_get(resource, "labelSelector"));
}

static void check_local(struct field_errors *e, const struct json *spec, const char *ns) {
    const struct json *resource = given(spec, "resourceAttributes"), *path = given(spec, "nonResourceAttributes");
    _cleanup_json_ struct json *of = json_string(json_get_str(resource, "namespace"));
    if (resource && strcmp(json_str(of), ns) != 0)
        complain(e, "spec.resourceAttributes.namespace", of, "must match metadata.namespace");
    if (path)
        complain(e, "spec.nonResourceAttributes", path, "disallowed on this kind of request");
}

/* A review is no object: nothing but its namespace may be said of it. */
static void check_metadata(struct field_errors *e, const struct json *meta, bool local) {
    for (size_t i = 0; i < json_len(meta); i++) {
        const struct json *v = json_value_at(meta, i);
        const char *key = json_key_at(meta, i);
        bool empty = json_is_null(v) || (json_is_string(v) ? !*json_str(v) : json_len(v) == 0);
        if (empty || strcmp(key, "managedFields") == 0 || (local && strcmp(key, "namespace") == 0))
            continue;
        complain(e, "metadata", meta, local ? "must be empty except for namespace" : "must be empty");
        return;
    }
}

static bool review_is_valid(struct api_request *req) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    const struct json *spec = json_get(req->input, "spec");
    check_metadata(&errors, json_get(req->input, "metadata"), strncmp(req->resource->plural, "local", 5) == 0);
    check_spec(&errors, spec, strncmp(req->resource->plural, "self", 4) == 0);
    if (strncmp(req->resource->plural, "local", 5) == 0)
        check_local(&errors, spec, req->ns);
    if (errors.n == 0)
        return true;
    (void) api_invalid(req, req->resource->kind, req->resource->group, "", &errors);
    return false;
}

/* The equality terms of a field selector, the only ones that decide anything, as text. */
static char *selector_text(const struct json *selector) {
    const struct json *requirements = json_get(selector, "requirements");
    struct strbuf b = STRBUF_INIT;
    if (*json_get_str(selector, "rawSelector"))
        return xstrdup(json_get_str(selector, "rawSelector"));
    for (size_t i = 0; i < json_len(requirements); i++) {
        const struct json *r = json_at(requirements, i), *values = json_get(r, "values");
        if (json_get_is(r, "operator", "In") && json_len(values) == 1)
            strbuf_addf(&b, "%s%s=%s", b.len ? "," : "", json_get_str(r, "key"), json_str_or(json_at(values, 0), ""));
    }
    return strbuf_steal(&b);
}

static void question_from(const struct json *spec, struct authz_question *q) {
    const struct json *r = given(spec, "resourceAttributes"), *p = given(spec, "nonResourceAttributes");
    q->verb = json_get_str(r ? r : p, "verb");
    q->group = json_get_str(r, "group");
    q->plural = json_get_str(r, "resource");
    q->subname = json_get_str(r, "subresource");
    q->ns = json_get_str(r, "namespace");
    q->name = json_get_str(r, "name");
    q->path = r ? NULL : json_get_str(p, "path");
}

static void user_from(const struct json *spec, struct api_user *u) {
    const struct json *groups = json_get(spec, "groups");
    u->name = xstrdup(json_get_str(spec, "user"));
    u->groups = strv_new();
    for (size_t i = 0; i < json_len(groups); i++)
        strv_push_dup(&u->groups, json_str_or(json_at(groups, i), ""));
}

enum api_progress access_review_serve(struct api_request *req) {
    _cleanup_(api_user_finish) struct api_user other = {0};
    _cleanup_free_ char *selector = NULL, *reason = NULL;
    if (!read_review(req) || !prepare_identity(req, &req->input) || !review_is_valid(req))
        return API_DONE;
    const struct json *spec = json_get(req->input, "spec");
    struct authz_question q = {.user = req->user};
    question_from(spec, &q);
    q.field_selector = selector = selector_text(json_path(spec, "resourceAttributes", "fieldSelector"));
    if (strncmp(req->resource->plural, "self", 4) != 0) {
        user_from(spec, &other);
        q.user = &other;
    }
    struct json *status = json_object();
    json_set(&status, "allowed", json_bool(authz_allows(req->api, &q, &reason)));
    if (*reason)
        json_set(&status, "reason", json_string(reason));
    return answer(req, status);
}

/* --- what may I do? --- */

static struct json *rule_part(const struct json *rule, const char *const *members) {
    struct json *part = json_object();
    for (; *members; members++)
        if (json_len(json_get(rule, *members)) > 0)
            json_set(&part, *members, json_ref(json_get(rule, *members)));
    return part;
}

enum api_progress rules_review_serve(struct api_request *req) {
    static const char *const of_resources[] = {"verbs", "apiGroups", "resources", "resourceNames", NULL};
    static const char *const of_paths[] = {"verbs", "nonResourceURLs", NULL};
    if (!read_review(req))
        return API_DONE;
    const char *ns = json_str_or(json_path(req->input, "spec", "namespace"), "");
    if (!*ns)
        return api_bad_request(req, "no namespace on request");
    _cleanup_json_ struct json *rules = rbac_rules_of(req->api->rbac, req->user, ns);
    struct json *status = json_object();
    bool node = node_of_user(req->user) != NULL;
    json_set(&status, "resourceRules", json_array());
    json_set(&status, "nonResourceRules", json_array());
    for (size_t i = 0; i < json_len(rules); i++) {
        const struct json *rule = json_at(rules, i);
        if (json_len(json_get(rule, "resources")) > 0)
            json_append(json_edit(&status, "resourceRules"), rule_part(rule, of_resources));
        if (json_len(json_get(rule, "nonResourceURLs")) > 0)
            json_append(json_edit(&status, "nonResourceRules"), rule_part(rule, of_paths));
    }
    json_set(&status, "incomplete", json_bool(node)); /* what its pods need is no rule */
    if (node)
        json_set(&status, "evaluationError", json_string("node authorizer does not support user rule resolution"));
    return answer(req, status);
}
