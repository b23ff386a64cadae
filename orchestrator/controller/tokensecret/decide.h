/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a Secret of type kubernetes.io/service-account-token. Pure. */
#ifndef PODIUM_CONTROLLER_TOKENSECRET_DECIDE_H
#define PODIUM_CONTROLLER_TOKENSECRET_DECIDE_H

#include "podium/base/json.h"

enum token_secret_action {
    TOKEN_SECRET_NOTHING, /* none of ours, or as it should be */
    TOKEN_SECRET_REMOVE,  /* its account is gone */
    TOKEN_SECRET_ASK,     /* it has no token yet */
    TOKEN_SECRET_WRITE,   /* its token is there, the rest is to be written */
};

/* The name of the account a Secret is for; NULL when it is no such Secret. */
const char *token_secret_account(const struct json *secret);
/* account NULL: there is none of that name. */
enum token_secret_action token_secret_decide(const struct json *secret, const struct json *account, const char *ca_pem);
/* The Secret filled in; token NULL: keeps its own. New. */
struct json *token_secret_filled(const struct json *secret, const struct json *account, const char *ca_pem,
                                 const char *token);
/* The TokenRequest for it: as good as without end, bound to the Secret. New. */
struct json *token_secret_request(const struct json *secret);

#endif
