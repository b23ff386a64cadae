/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authn/bootstrap_tokens.h"

#include <errno.h>

#include "orchestrator/object/bootstrap_token.h"
#include "orchestrator/pki/pki.h"
#include "orchestrator/store/store.h"
#include "podium/base/alloc.h"

int bootstrap_token_authenticate(struct store *store, const char *token, uint64_t now_usec, struct api_user *ret) {
    _cleanup_(bootstrap_token_finish) struct bootstrap_token t = {0};

    if (!bootstrap_token_has_form(token))
        return 0;
    _cleanup_free_ char *name = xasprintf(BOOTSTRAP_TOKEN_PREFIX "%.*s", BOOTSTRAP_ID_BYTES, token);
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(store, "secrets", BOOTSTRAP_TOKEN_NAMESPACE, name);
    if (!item || !bootstrap_token_read(store_item_doc(item), &t) ||
        !pki_secret_equal(t.secret, token + BOOTSTRAP_ID_BYTES + 1) || bootstrap_token_is_over(&t, now_usec) ||
        !t.authentication)
        return -EACCES;
    ret->name = xasprintf(BOOTSTRAP_USER_PREFIX "%s", t.id);
    ret->groups = steal(&t.groups);
    strv_push_dup(&ret->groups, "system:authenticated");
    return 1;
}
