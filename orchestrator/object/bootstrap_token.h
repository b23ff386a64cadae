/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bootstrap tokens, as Kubernetes keeps them: "ID.SECRET" ([a-z0-9]{6}.[a-z0-9]{16}), each a Secret
 * kube-system/bootstrap-token-ID of type bootstrap.kubernetes.io/token. Pure; any thread.
 */
#ifndef PODIUM_OBJECT_BOOTSTRAP_TOKEN_H
#define PODIUM_OBJECT_BOOTSTRAP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

#define BOOTSTRAP_TOKEN_NAMESPACE "kube-system"
#define BOOTSTRAP_TOKEN_PREFIX    "bootstrap-token-"
#define BOOTSTRAP_TOKEN_TYPE      "bootstrap.kubernetes.io/token"
#define BOOTSTRAP_TOKEN_BYTES     23 /* without the NUL */
#define BOOTSTRAP_ID_BYTES        6
#define BOOTSTRAP_USER_PREFIX     "system:bootstrap:"
#define BOOTSTRAP_GROUP           "system:bootstrappers"
/* Tokens with this group let nodes join (podium token create). */
#define BOOTSTRAP_JOIN_GROUP "system:bootstrappers:podium:join"

struct bootstrap_token {
    char *id, *secret;
    bool authentication, signing; /* what it may be used for */
    char **groups;                /* BOOTSTRAP_GROUP first */
    uint64_t expires;             /* microseconds; 0: never; 1 where nobody could read the date */
};

/* Whether it looks like one. */
bool bootstrap_token_has_form(const char *token);
/* What the Secret says. False: none (another type, being deleted, without id or secret, named for another id, or with a
 * group outside system:bootstrappers). */
bool bootstrap_token_read(const struct json *secret, struct bootstrap_token *ret);
void bootstrap_token_finish(struct bootstrap_token *t);
/* now: microseconds. */
bool bootstrap_token_is_over(const struct bootstrap_token *t, uint64_t now);
bool bootstrap_token_in_group(const struct bootstrap_token *t, const char *group);

#endif
