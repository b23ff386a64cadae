/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/tokensecret/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

#define TYPE         "kubernetes.io/service-account-token"
#define ACCOUNT_NAME "kubernetes.io/service-account.name"
#define ACCOUNT_UID  "kubernetes.io/service-account.uid"
#define SECONDS_MAX  (INT64_C(1) << 32) /* what a TokenRequest may ask for at most: 136 years */

static const char *annotation(const struct json *secret, const char *key) {
    return json_str_or(json_path(secret, "metadata", "annotations", key), "");
}

const char *token_secret_account(const struct json *secret) {
    const char *name = annotation(secret, ACCOUNT_NAME);

    return strcmp(json_str_or(json_get(secret, "type"), ""), TYPE) == 0 && *name ? name : NULL;
}

static struct json *encoded(const char *text) {
    _cleanup_free_ char *s = base64_encode(text, strlen(text));

    return json_string(s);
}

static bool has(const struct json *secret, const char *key, const char *text) {
    _cleanup_json_ struct json *want = encoded(text);

    return json_equal(json_path(secret, "data", key), want);
}

enum token_secret_action token_secret_decide(const struct json *secret, const struct json *account,
                                             const char *ca_pem) {
    const char *uid = annotation(secret, ACCOUNT_UID);

    if (!token_secret_account(secret) || meta_is_deleting(secret))
        return TOKEN_SECRET_NOTHING;
    if (!account || (*uid && strcmp(uid, meta_uid(account)) != 0))
        return TOKEN_SECRET_REMOVE;
    if (!*json_str_or(json_path(secret, "data", "token"), ""))
        return TOKEN_SECRET_ASK;
    return *uid && has(secret, "namespace", meta_namespace(secret)) && (!ca_pem || has(secret, "ca.crt", ca_pem))
               ? TOKEN_SECRET_NOTHING
               : TOKEN_SECRET_WRITE;
}

struct json *token_secret_filled(const struct json *secret, const struct json *account, const char *ca_pem,
                                 const char *token) {
    struct json *o = json_ref(secret);

    json_set_path(&o, json_string(meta_uid(account)), "metadata", "annotations", ACCOUNT_UID);
    json_set_path(&o, encoded(meta_namespace(secret)), "data", "namespace");
    if (ca_pem)
        json_set_path(&o, encoded(ca_pem), "data", "ca.crt");
    if (token)
        json_set_path(&o, encoded(token), "data", "token");
    return o;
}

struct json *token_secret_request(const struct json *secret) {
    struct json *o = json_object(), *ref = json_object();

    json_set(&ref, "apiVersion", json_string("v1"));
    json_set(&ref, "kind", json_string("Secret"));
    json_set(&ref, "name", json_string(meta_name(secret)));
    json_set(&ref, "uid", json_string(meta_uid(secret)));
    json_set(&o, "apiVersion", json_string("authentication.k8s.io/v1"));
    json_set(&o, "kind", json_string("TokenRequest"));
    json_set_path(&o, ref, "spec", "boundObjectRef");
    json_set_path(&o, json_int(SECONDS_MAX), "spec", "expirationSeconds");
    return o;
}
