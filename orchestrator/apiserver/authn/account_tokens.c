/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authn/account_tokens.h"

#include <pthread.h>
#include <string.h>

#include "orchestrator/apiserver/authn/token_keys.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/pki/pki.h"
#include "orchestrator/store/store.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/random.h"

#define KNOWN_MAX   4096            /* tokens remembered, about 1 kB each */
#define PRIVATE     "kubernetes.io" /* the claim with Kubernetes' own members */
#define EXTRA(name) "authentication.kubernetes.io/" name

struct account_tokens {
    struct store *store;
    struct token_keys *keys;
    char *issuer;
    pthread_mutex_t lock;
    struct hashmap *known; /* SHA-256 of a token with a good signature → its claims */
};

static void json_free(void *p) {
    json_unref(p);
}

int account_tokens_new(struct store *store, const char *key_file, const char *issuer, struct account_tokens **ret,
                       struct error *err) {
    struct account_tokens *t = xnew0(struct account_tokens);

    t->store = store;
    t->issuer = xstrdup(issuer ? issuer : ACCOUNT_TOKEN_ISSUER);
    t->known = hashmap_new(json_free);
    (void) pthread_mutex_init(&t->lock, NULL);
    int r = token_keys_load(key_file, &t->keys, err);
    if (r < 0) {
        account_tokens_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void account_tokens_free(struct account_tokens *t) {
    if (!t)
        return;
    token_keys_free(t->keys);
    hashmap_free(t->known);
    (void) pthread_mutex_destroy(&t->lock);
    free(t->issuer);
    free(t);
}

const char *account_tokens_issuer(const struct account_tokens *t) {
    return t->issuer;
}

const char *account_tokens_jwks(const struct account_tokens *t) {
    return token_keys_jwks(t->keys);
}

/* --- issuing --- */

static const char *meta(const struct json *object, const char *member) {
    return json_str_or(json_path(object, "metadata", member), "");
}

static void add_object(struct json **private, const char *member, const struct json *object) {
    if (!object)
        return;
    json_set_path(private, json_string(meta(object, "name")), member, "name");
    json_set_path(private, json_string(meta(object, "uid")), member, "uid");
}

static bool is_for_the_api(const struct account_tokens *t, const struct json *audiences) {
    for (size_t i = 0; i < json_len(audiences); i++)
        if (strcmp(json_str_or(json_at(audiences, i), ""), t->issuer) != 0)
            return false;
    return true;
}

char *account_tokens_issue(const struct account_tokens *t, const struct account_token_request *q, struct error *err) {
    _cleanup_json_ struct json *claims = json_object(), *private = json_object(), *audiences = NULL;
    const int64_t now = (int64_t) (q->now_usec / USEC_PER_SEC);
    int64_t seconds = q->seconds;
    char id[37];

    audiences = json_len(q->audiences) > 0 ? json_ref(q->audiences) : json_array();
    if (json_len(audiences) == 0)
        json_append(&audiences, json_string(t->issuer));
    json_set(&private, "namespace", json_string(meta(q->account, "namespace")));
    add_object(&private, "node", q->node);
    add_object(&private, "pod", q->pod);
    add_object(&private, "secret", q->secret);
    add_object(&private, "serviceaccount", q->account);
    /* Programs that read the file once would fall out after an hour: the default token of pods lives on, and says from
     * when on that is. --service-account-extend-token-expiration, on by default upstream. */
    if (q->pod && seconds == ACCOUNT_TOKEN_WARN_SEC && is_for_the_api(t, audiences)) {
        json_set(&private, "warnafter", json_int(now + seconds));
        seconds = ACCOUNT_TOKEN_EXTENDED;
    }
    random_uuid(id);
    json_set(&claims, "aud", json_ref(audiences));
    json_set(&claims, "exp", json_int(now + seconds));
    json_set(&claims, "iat", json_int(now));
    json_set(&claims, "iss", json_string(t->issuer));
    json_set(&claims, "jti", json_string(id));
    json_set(&claims, PRIVATE, json_ref(private));
    json_set(&claims, "nbf", json_int(now));
    json_set(&claims, "sub",
             json_stringf(ACCOUNT_USER_PREFIX "%s:%s", meta(q->account, "namespace"), meta(q->account, "name")));
    return token_sign(t->keys, claims, err);
}

/* --- authentication --- */

/* The claims of a token whose signature is ours, checked once; a new reference or NULL. */
static struct json *claims_of(struct account_tokens *t, const char *token) {
    char digest[PKI_SHA256_HEX_SIZE];
    struct json *claims;

    pki_sha256_hex(token, strlen(token), digest);
    (void) pthread_mutex_lock(&t->lock);
    claims = json_ref(hashmap_get(t->known, digest));
    (void) pthread_mutex_unlock(&t->lock);
    if (claims || token_verify(t->keys, token, &claims) < 0)
        return claims;
    (void) pthread_mutex_lock(&t->lock);
    if (hashmap_len(t->known) >= KNOWN_MAX)
        hashmap_clear(t->known); /* rare, and costs each client one check of its signature */
    hashmap_put(t->known, digest, json_ref(claims));
    (void) pthread_mutex_unlock(&t->lock);
    return claims;
}

/* The object a claim names, with the uid it had, and not being deleted for long. */
static bool exists(struct account_tokens *t, const char *resource, const char *ns, const struct json *claim,
                   uint64_t now) {
    _cleanup_(store_item_unrefp) struct store_item *item =
        store_get(t->store, resource, ns, json_str_or(json_get(claim, "name"), ""));
    uint64_t deleted;

    if (!item || strcmp(meta(store_item_doc(item), "uid"), json_str_or(json_get(claim, "uid"), "")) != 0)
        return false;
    const char *when = meta(store_item_doc(item), "deletionTimestamp");
    return !*when || timestamp_parse(when, &deleted) < 0 || now < deleted + ACCOUNT_TOKEN_LEEWAY_SEC * USEC_PER_SEC;
}

static bool is_alive(struct account_tokens *t, const struct json *private, uint64_t now) {
    static const struct {
        const char *member, *resource;
        bool namespaced;
    } objects[] = {
        {"serviceaccount", "serviceaccounts", true},
        {"secret", "secrets", true},
        {"pod", "pods", true},
        {"node", "nodes", false},
    };
    const char *ns = json_str_or(json_get(private, "namespace"), "");

    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        const struct json *claim = json_get(private, objects[i].member);
        /* beside a pod the node is information: the pod's end is what counts */
        if (!claim || (!objects[i].namespaced && json_get(private, "pod")))
            continue;
        if (!exists(t, objects[i].resource, objects[i].namespaced ? ns : "", claim, now))
            return false;
    }
    return json_get(private, "serviceaccount") != NULL;
}

static bool is_in_time(const struct json *claims, uint64_t now_usec) {
    int64_t now = (int64_t) (now_usec / USEC_PER_SEC);

    return now < json_int_or(json_get(claims, "exp"), 0) &&
           now + ACCOUNT_TOKEN_LEEWAY_SEC >= json_int_or(json_get(claims, "nbf"), INT64_MAX);
}

static struct json *shared_audiences(const struct json *of_token, const struct json *wanted) {
    struct json *shared = json_array();

    for (size_t i = 0; i < json_len(wanted); i++)
        for (size_t k = 0; k < json_len(of_token); k++)
            if (json_equal(json_at(wanted, i), json_at(of_token, k))) {
                json_append(&shared, json_ref(json_at(wanted, i)));
                break;
            }
    return shared;
}

static void add_extra(struct json **extra, const char *key, const struct json *value) {
    if (json_str(value))
        json_append(json_edit(extra, key), json_ref(value));
}

static void fill_user(const struct json *claims, struct api_user *u) {
    const struct json *private = json_get(claims, PRIVATE), *jti = json_get(claims, "jti");

    u->name = xstrdup(json_str_or(json_get(claims, "sub"), ""));
    u->uid = xstrdup(json_str_or(json_path(private, "serviceaccount", "uid"), ""));
    u->groups = strv_new();
    strv_push_dup(&u->groups, ACCOUNT_GROUP);
    strv_push(&u->groups, xasprintf(ACCOUNT_GROUP ":%s", json_str_or(json_get(private, "namespace"), "")));
    strv_push_dup(&u->groups, "system:authenticated");
    if (json_str(jti)) {
        _cleanup_json_ struct json *id = json_stringf("JTI=%s", json_str(jti));
        add_extra(&u->extra, EXTRA("credential-id"), id);
    }
    add_extra(&u->extra, EXTRA("node-name"), json_path(private, "node", "name"));
    add_extra(&u->extra, EXTRA("node-uid"), json_path(private, "node", "uid"));
    add_extra(&u->extra, EXTRA("pod-name"), json_path(private, "pod", "name"));
    add_extra(&u->extra, EXTRA("pod-uid"), json_path(private, "pod", "uid"));
}

int account_tokens_authenticate(struct account_tokens *t, const char *token, const struct json *audiences,
                                uint64_t now_usec, struct api_user *ret, struct json **ret_audiences) {
    _cleanup_json_ struct json *claims = claims_of(t, token), *shared = NULL, *own = NULL;

    if (!claims || strcmp(json_str_or(json_get(claims, "iss"), ""), t->issuer) != 0)
        return 0;
    json_append(&own, json_string(t->issuer));
    shared = shared_audiences(json_get(claims, "aud"), json_len(audiences) > 0 ? audiences : own);
    if (json_len(shared) == 0 || !is_in_time(claims, now_usec) || !is_alive(t, json_get(claims, PRIVATE), now_usec))
        return -EACCES;
    fill_user(claims, ret);
    if (ret_audiences)
        *ret_audiences = steal(&shared);
    return 1;
}
