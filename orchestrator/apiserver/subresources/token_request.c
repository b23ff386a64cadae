/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serviceaccounts/NAME/token: a token in answer to a TokenRequest. Nothing is stored. */
#include <inttypes.h>
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/authn/account_tokens.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

static bool check_seconds(struct api_request *req, int64_t seconds) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    _cleanup_json_ struct json *v = json_int(seconds);

    if (seconds < ACCOUNT_TOKEN_SECONDS_MIN)
        field_errors_add(&errors, "FieldValueInvalid", "spec.expirationSeconds", v,
                         "may not specify a duration less than 10 minutes");
    if (seconds > ACCOUNT_TOKEN_SECONDS_MAX)
        field_errors_add(&errors, "FieldValueInvalid", "spec.expirationSeconds", v,
                         "may not specify a duration larger than 2^32 seconds");
    if (errors.n == 0)
        return true;
    (void) api_invalid(req, "TokenRequest", "authentication.k8s.io", "", &errors);
    return false;
}

/* The stored object a token is to be bound to; NULL: answered. */
static struct store_item *find_bound(struct api_request *req, const char *plural, const struct json *ref) {
    const struct resource *own = req->resource, *resource = resource_by_plural("", "v1", plural);
    const char *name = json_str_or(json_get(ref, "name"), ""), *uid = json_str_or(json_get(ref, "uid"), "");
    _cleanup_(store_item_unrefp) struct store_item *item =
        store_get(req->api->store, resource->key, resource->namespaced ? req->ns : "", name);
    const char *found = item ? json_str_or(json_path(store_item_doc(item), "metadata", "uid"), "") : "";

    req->resource = resource; /* for the words and details of the answer */
    if (!item)
        (void) api_not_found(req, name);
    else if (*uid && strcmp(uid, found) != 0)
        (void) api_conflict(req, name,
                            "the UID in the bound object reference (%s) does not match the UID in record. The object "
                            "might have been deleted and then recreated",
                            uid);
    req->resource = own;
    return item && (!*uid || strcmp(uid, found) == 0) ? steal(&item) : NULL;
}

struct bound {
    struct store_item *pod, *secret, *node;
};

static void bound_finish(struct bound *b) {
    store_item_unref(b->pod);
    store_item_unref(b->secret);
    store_item_unref(b->node);
}

static bool find_objects(struct api_request *req, const struct json *ref, struct bound *b) {
    const char *version = json_str_or(json_get(ref, "apiVersion"), ""), *kind = json_str_or(json_get(ref, "kind"), "");

    if (!ref)
        return true;
    if (strcmp(version, "v1") == 0 && strcmp(kind, "Secret") == 0)
        return (b->secret = find_bound(req, "secrets", ref)) != NULL;
    if (strcmp(version, "v1") == 0 && strcmp(kind, "Node") == 0)
        return (b->node = find_bound(req, "nodes", ref)) != NULL;
    if (strcmp(version, "v1") != 0 || strcmp(kind, "Pod") != 0) {
        (void) api_bad_request(req, "cannot bind token to object of type %s, Kind=%s", version, kind);
        return false;
    }
    b->pod = find_bound(req, "pods", ref);
    if (!b->pod)
        return false;
    const struct json *spec = json_get(store_item_doc(b->pod), "spec");
    if (strcmp(json_str_or(json_get(spec, "serviceAccountName"), ""), req->name) != 0) {
        (void) api_bad_request(req,
                               "cannot bind token for serviceaccount \"%s\" to pod running with different "
                               "serviceaccount name.",
                               req->name);
        return false;
    }
    const char *node = json_str_or(json_get(spec, "nodeName"), "");
    if (*node)
        b->node = store_get(req->api->store, "nodes", "", node);
    return true;
}

static const struct json *doc_of(struct store_item *item) {
    return item ? store_item_doc(item) : NULL;
}

static enum api_progress issue(struct api_request *req, const struct json *account, struct json **doc) {
    const struct json *spec = json_get(*doc, "spec"), *ref = json_get(spec, "boundObjectRef");
    _cleanup_(bound_finish) struct bound bound = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t seconds = json_int_or(json_get(spec, "expirationSeconds"), 3600);
    uint64_t now = now_realtime_usec();
    char until[TIMESTAMP_SIZE];

    if (!check_seconds(req, seconds) || !find_objects(req, json_is_object(ref) ? ref : NULL, &bound))
        return API_DONE;
    const struct account_token_request q = {
        .account = account,
        .pod = doc_of(bound.pod),
        .secret = doc_of(bound.secret),
        .node = doc_of(bound.node),
        .audiences = json_get(spec, "audiences"),
        .seconds = seconds,
        .now_usec = now,
    };
    _cleanup_free_ char *token = account_tokens_issue(req->api->accounts, &q, &err);
    if (!token)
        return api_internal_error(req, "failed to generate token: %s", error_text(&err, -EIO));
    if (json_len(q.audiences) == 0)
        json_append(json_edit(json_edit(doc, "spec"), "audiences"),
                    json_string(account_tokens_issuer(req->api->accounts)));
    timestamp_format(now + (uint64_t) seconds * USEC_PER_SEC, until);
    json_set_path(doc, json_string(token), "status", "token");
    json_set_path(doc, json_string(until), "status", "expirationTimestamp");
    json_set_path(doc, json_ref(json_path(account, "metadata", "creationTimestamp")), "metadata", "creationTimestamp");
    return api_reply_object(req, 201, json_ref(*doc));
}

enum api_progress token_request_serve(struct api_request *req) {
    if (strcmp(req->verb, "create") != 0)
        return api_method_not_supported(req, req->verb);
    if (!req->api->accounts)
        return api_fail(req, 501, "NotImplemented", "this server has no key for tokens");
    if (!body_decode(req, "authentication.k8s.io/v1", "TokenRequest") || !prepare_identity(req, &req->input))
        return API_DONE;
    schema_default("authentication.k8s.io/v1", "TokenRequest", &req->input);
    _cleanup_(store_item_unrefp) struct store_item *account =
        store_get(req->api->store, req->resource->key, req->ns, req->name);
    if (!account)
        return api_not_found(req, req->name);
    if (!node_restriction_token(req, req->input))
        return API_DONE;
    _cleanup_json_ struct json *doc = json_ref(req->input);
    return issue(req, store_item_doc(account), &doc);
}
