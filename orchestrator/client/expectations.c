/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/client/expectations.h"

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

struct expected {
    unsigned creations;
    struct hashmap *deletions; /* uid → itself; NULL when none */
    uint64_t since;
};

struct expectations {
    struct hashmap *by_key;
};

static void expected_free(void *p) {
    struct expected *x = p;
    hashmap_free(x->deletions);
    free(x);
}

struct expectations *expectations_new(void) {
    struct expectations *e = xnew0(struct expectations);
    e->by_key = hashmap_new(expected_free);
    return e;
}

void expectations_free(struct expectations *e) {
    if (!e)
        return;
    hashmap_free(e->by_key);
    free(e);
}

static struct expected *replace(struct expectations *e, const char *key, uint64_t now) {
    struct expected *x = xnew0(struct expected);
    x->since = now;
    hashmap_put(e->by_key, key, x);
    return x;
}

void expectations_expect_creations(struct expectations *e, const char *key, unsigned n, uint64_t now) {
    replace(e, key, now)->creations = n;
}

void expectations_expect_deletions(struct expectations *e, const char *key, const char *const *uids, size_t n,
                                   uint64_t now) {
    struct expected *x = replace(e, key, now);
    x->deletions = hashmap_new(NULL);
    for (size_t i = 0; i < n; i++)
        hashmap_put(x->deletions, uids[i], x);
}

void expectations_creation_observed(struct expectations *e, const char *key) {
    struct expected *x = hashmap_get(e->by_key, key);
    if (x && x->creations > 0)
        x->creations--;
}

void expectations_deletion_observed(struct expectations *e, const char *key, const char *uid) {
    struct expected *x = hashmap_get(e->by_key, key);
    if (x && x->deletions)
        hashmap_remove(x->deletions, uid);
}

bool expectations_satisfied(const struct expectations *e, const char *key, uint64_t now) {
    const struct expected *x = hashmap_get(e->by_key, key);
    if (!x)
        return true;
    if (x->creations == 0 && (!x->deletions || hashmap_len(x->deletions) == 0))
        return true;
    return now - x->since >= EXPECTATIONS_TIMEOUT_USEC;
}

void expectations_forget(struct expectations *e, const char *key) {
    hashmap_remove(e->by_key, key);
}
