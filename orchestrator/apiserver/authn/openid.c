/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authn/openid.h"

#include "orchestrator/apiserver/authn/account_tokens.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

enum api_progress openid_configuration_serve(struct api_request *req) {
    static const struct {
        const char *key, *value;
    } lists[] = {
        {"response_types_supported", "id_token"},
        {"subject_types_supported", "public"},
        {"id_token_signing_alg_values_supported", "ES256"},
    };
    if (!req->api->accounts)
        return api_unknown_path(req);
    const char *issuer = account_tokens_issuer(req->api->accounts);
    _cleanup_json_ struct json *o = json_object();
    json_set(&o, "issuer", json_string(issuer));
    /* the issuer's own name resolves inside the cluster, which is where tokens are checked */
    json_set(&o, "jwks_uri", json_stringf("%s/openid/v1/jwks", issuer));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_append(json_edit(&o, lists[i].key), json_string(lists[i].value));
    return api_reply_text(req, 200, "application/json", json_to_text(o));
}

enum api_progress openid_keys_serve(struct api_request *req) {
    if (!req->api->accounts)
        return api_unknown_path(req);
    return api_reply_text(req, 200, "application/jwk-set+json", xstrdup(account_tokens_jwks(req->api->accounts)));
}
