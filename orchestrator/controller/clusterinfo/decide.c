/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/clusterinfo/decide.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/object/bootstrap_token.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

#define KUBECONFIG       "kubeconfig"
#define SIGNATURE_PREFIX "jws-kubeconfig-"
#define SHA256_BYTES     32

static struct json *config_map(const char *ns, const char *name) {
    struct json *o = json_object();
    json_set(&o, "apiVersion", json_string("v1"));
    json_set(&o, "kind", json_string("ConfigMap"));
    json_set_path(&o, json_string(name), "metadata", "name");
    json_set_path(&o, json_string(ns), "metadata", "namespace");
    return o;
}

struct json *authentication_wanted(const struct json *have, const char *ca_pem) {
    if (json_get_is(json_get(have, "data"), "client-ca-file", ca_pem))
        return NULL;
    struct json *o = have ? json_ref(have) : config_map(AUTHENTICATION_NAMESPACE, AUTHENTICATION);
    json_set_path(&o, json_string(ca_pem), "data", "client-ca-file");
    return o;
}

/* --- signatures --- */

static char *base64_url(const void *p, size_t n) {
    char *s = base64_encode(p, n);
    for (char *c = s; *c; c++)
        *c = (char) (*c == '+' ? '-' : *c == '/' ? '_' : *c);
    s[strcspn(s, "=")] = 0;
    return s;
}

char *detached_signature(const char *text, const char *id, const char *secret) {
    _cleanup_free_ char *head = xasprintf("{\"alg\":\"HS256\",\"kid\":\"%s\"}", id);
    _cleanup_free_ char *first = base64_url(head, strlen(head)), *second = base64_url(text, strlen(text));
    _cleanup_free_ char *both = xasprintf("%s.%s", first, second);
    unsigned char mac[SHA256_BYTES];
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, strlen(secret), both, strlen(both), mac) < 0)
        abort(); /* only without SHA-256, which no build of GnuTLS is */
    _cleanup_free_ char *last = base64_url(mac, sizeof(mac));
    return xasprintf("%s..%s", first, last);
}

/* --- cluster-info --- */

/* As kubeadm writes it: one cluster without a name, no user. */
static char *kubeconfig(const char *ca_pem, const char *address, int port) {
    _cleanup_free_ char *ca = base64_encode(ca_pem, strlen(ca_pem));
    bool v6 = strchr(address, ':') != NULL;
    return xasprintf("apiVersion: v1\n"
                     "clusters:\n"
                     "- cluster:\n"
                     "    certificate-authority-data: %s\n"
                     "    server: https://%s%s%s:%d\n"
                     "  name: \"\"\n"
                     "contexts: null\n"
                     "current-context: \"\"\n"
                     "kind: Config\n"
                     "preferences: {}\n"
                     "users: null\n",
                     ca, v6 ? "[" : "", address, v6 ? "]" : "", port);
}

static void add_signatures(struct json **data, const char *text, struct json *const *tokens, size_t n, uint64_t now) {
    for (size_t i = 0; i < n; i++) {
        _cleanup_(bootstrap_token_finish) struct bootstrap_token t = {0};
        if (strcmp(meta_namespace(tokens[i]), BOOTSTRAP_TOKEN_NAMESPACE) != 0 || !bootstrap_token_read(tokens[i], &t) ||
            !t.signing || bootstrap_token_is_over(&t, now))
            continue;
        _cleanup_free_ char *key = xasprintf(SIGNATURE_PREFIX "%s", t.id);
        _cleanup_free_ char *signature = detached_signature(text, t.id, t.secret);
        json_set(data, key, json_string(signature));
    }
}

/* What else is in it stays. */
static struct json *without_signatures(const struct json *data) {
    struct json *kept = json_object();
    for (size_t i = 0; i < json_len(data); i++)
        if (strncmp(json_key_at(data, i), SIGNATURE_PREFIX, strlen(SIGNATURE_PREFIX)) != 0)
            json_set(&kept, json_key_at(data, i), json_ref(json_value_at(data, i)));
    return kept;
}

struct json *cluster_info_wanted(const struct json *have, const char *ca_pem, const char *address, int port,
                                 struct json *const *tokens, size_t n_tokens, uint64_t now) {
    _cleanup_json_ struct json *data = without_signatures(json_get(have, "data"));
    if (!*json_str_or(json_get(data, KUBECONFIG), "")) {
        _cleanup_free_ char *text = kubeconfig(ca_pem, address, port);
        json_set(&data, KUBECONFIG, json_string(text));
    }
    _cleanup_free_ char *text = xstrdup(json_str(json_get(data, KUBECONFIG)));
    add_signatures(&data, text, tokens, n_tokens, now);
    if (have && json_equal(data, json_get(have, "data")))
        return NULL;
    struct json *o = have ? json_ref(have) : config_map(CLUSTER_INFO_NAMESPACE, CLUSTER_INFO);
    json_set(&o, "data", json_ref(data));
    return o;
}
