/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading ahead of the disk: for writers that compute the next state of an object from its last. */
#include "orchestrator/store/internal.h"
#include "podium/base/alloc.h"

struct store_item *store_get_submitted(struct store *s, const char *resource, const char *ns, const char *name) {
    _cleanup_free_ char *key = xasprintf("%s\x1f%s\x1f%s", resource, ns, name); /* as store_submit() makes it */

    pthread_mutex_lock(&s->submit);
    const struct write *pending = hashmap_get(s->pending, key);
    if (!pending) {
        pthread_mutex_unlock(&s->submit);
        return store_get(s, resource, ns, name);
    }
    struct store_item *i = pending->op == STORE_DELETE ? NULL : store_item_ref(pending->item);
    pthread_mutex_unlock(&s->submit);
    return i;
}
