/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/kinds.h"

#include <string.h>

#include "podium/base/alloc.h"

#define NEEDED_VERBS (VERB_LIST | VERB_WATCH | VERB_DELETE)

static bool is_listed(const struct resource *const *list, size_t n, const struct resource *r) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->key, r->key) == 0)
            return true;
    return false;
}

const struct resource **kinds_stored(size_t *ret_n) {
    size_t n_all, n = 0;
    const struct resource *all = resources_all(&n_all);
    const struct resource **list = xcalloc(n_all + 1, sizeof(*list));
    for (size_t i = 0; i < n_all; i++) {
        const struct resource *r = &all[i];
        if (r->stored && r->preferred_version && (r->verbs & NEEDED_VERBS) == NEEDED_VERBS &&
            strcmp(r->plural, "events") != 0 && !is_listed(list, n, r))
            list[n++] = r;
    }
    *ret_n = n;
    return list;
}
