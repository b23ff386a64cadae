/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tokens of service accounts: what they say, and who somebody showing one is. Claims, limits and checks follow
 * kube-apiserver 1.32 (pkg/serviceaccount): a token is bound to its account's uid and, if asked for, to a Pod, Secret
 * or Node, and is worth nothing once one of these is gone.
 *
 * What it is. Signatures are remembered (a bounded table by the token's hash) because a client shows the same token
 * with every request; whether account and bound objects still exist is looked up in the store every time.
 *
 * Threads. Any.
 */
#ifndef PODIUM_APISERVER_ACCOUNT_TOKENS_H
#define PODIUM_APISERVER_ACCOUNT_TOKENS_H

#include "orchestrator/apiserver/apiserver.h"
#include "podium/base/json.h"

#define ACCOUNT_TOKEN_ISSUER      "https://kubernetes.default.svc.cluster.local"
#define ACCOUNT_USER_PREFIX       "system:serviceaccount:"
#define ACCOUNT_GROUP             "system:serviceaccounts"
#define ACCOUNT_TOKEN_SECONDS_MIN 600                    /* ValidateTokenRequest */
#define ACCOUNT_TOKEN_SECONDS_MAX (INT64_C(1) << 32)     /* the same */
#define ACCOUNT_TOKEN_LEEWAY_SEC  60                     /* objects being deleted count as gone after this much */
#define ACCOUNT_TOKEN_WARN_SEC    3607                   /* asked for by admission: see extended below */
#define ACCOUNT_TOKEN_EXTENDED    (INT64_C(365) * 86400) /* what such a token really lives, as upstream */

struct account_tokens;

/* issuer NULL: ACCOUNT_TOKEN_ISSUER; it is also the API's own audience. The store is borrowed. */
int account_tokens_new(struct store *store, const char *key_file, const char *issuer, struct account_tokens **ret,
                       struct error *err) _must_check_;
void account_tokens_free(struct account_tokens *t);

const char *account_tokens_issuer(const struct account_tokens *t);
const char *account_tokens_jwks(const struct account_tokens *t); /* JSON text */

/* What a token is to say. Objects are documents of the API; all borrowed. */
struct account_token_request {
    const struct json *account;
    const struct json *pod, *secret, *node; /* NULL: not bound to one; node goes with pod, or alone */
    const struct json *audiences;           /* array of strings; empty: the API's */
    int64_t seconds;
    uint64_t now_usec;
};
/* The caller frees; NULL with err set. */
char *account_tokens_issue(const struct account_tokens *t, const struct account_token_request *request,
                           struct error *err);

/* audiences NULL-terminated, or NULL for the API's. 1: *ret filled and, if ret_audiences, the token's audiences that
 * were asked for (array). 0: no token of this issuer. -EACCES: not (or no longer) good, for these audiences. */
int account_tokens_authenticate(struct account_tokens *t, const char *token, const struct json *audiences,
                                uint64_t now_usec, struct api_user *ret, struct json **ret_audiences);

#endif
