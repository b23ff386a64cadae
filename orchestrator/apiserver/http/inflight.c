/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/inflight.h"

#include <pthread.h>
#include <stdatomic.h>

#include "orchestrator/apiserver/authz/authorize.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

struct inflight_user {
    char *name;
    atomic_size_t refs; /* from and to zero under the lock */
    bool exempt;
    atomic_uint now[2]; /* reading, mutating */
};

struct inflight {
    pthread_mutex_t lock; /* guards users */
    struct hashmap *users;
    unsigned max[2];
    atomic_uint now[2];
    atomic_ullong dropped[2];
};

struct inflight *inflight_new(unsigned reading_max, unsigned mutating_max) {
    struct inflight *f = xnew0(struct inflight);
    (void) pthread_mutex_init(&f->lock, NULL);
    f->users = hashmap_new(NULL);
    f->max[0] = reading_max ? reading_max : INFLIGHT_READING_MAX;
    f->max[1] = mutating_max ? mutating_max : INFLIGHT_MUTATING_MAX;
    return f;
}

void inflight_free(struct inflight *f) {
    if (!f)
        return;
    hashmap_free(f->users);
    (void) pthread_mutex_destroy(&f->lock);
    free(f);
}

/* A name may come with the group and without: two users. */
static char *key_of(const struct api_user *u, bool exempt) {
    return xasprintf("%c%s", exempt ? '+' : '-', u && u->name ? u->name : "system:anonymous");
}

struct inflight_user *inflight_user(struct inflight *f, const struct api_user *u) {
    bool exempt = u && user_in_group(u, "system:masters");
    _cleanup_free_ char *key = key_of(u, exempt);
    (void) pthread_mutex_lock(&f->lock);
    struct inflight_user *found = hashmap_get(f->users, key);
    if (!found) {
        found = xnew0(struct inflight_user);
        found->name = steal(&key);
        found->exempt = exempt;
        hashmap_put(f->users, found->name, found);
    }
    (void) atomic_fetch_add(&found->refs, 1);
    (void) pthread_mutex_unlock(&f->lock);
    return found;
}

struct inflight_user *inflight_ref(struct inflight_user *u) {
    (void) atomic_fetch_add(&u->refs, 1);
    return u;
}

void inflight_unref(struct inflight *f, struct inflight_user *u) {
    size_t refs = u ? atomic_load(&u->refs) : 0;
    if (!u)
        return;
    while (refs > 1)
        if (atomic_compare_exchange_weak(&u->refs, &refs, refs - 1))
            return;
    (void) pthread_mutex_lock(&f->lock);
    bool last = atomic_fetch_sub(&u->refs, 1) == 1;
    if (last)
        (void) hashmap_remove(f->users, u->name);
    (void) pthread_mutex_unlock(&f->lock);
    if (!last)
        return;
    free(u->name);
    free(u);
}

bool inflight_enter(struct inflight *f, struct inflight_user *u, bool mutating) {
    if (u->exempt)
        return true;
    unsigned all = atomic_fetch_add_explicit(&f->now[mutating], 1, memory_order_relaxed);
    unsigned own = atomic_fetch_add_explicit(&u->now[mutating], 1, memory_order_relaxed);
    if (all < f->max[mutating] && own < (f->max[mutating] + 1) / 2)
        return true;
    inflight_leave(f, u, mutating);
    (void) atomic_fetch_add(&f->dropped[mutating], 1);
    return false;
}

void inflight_leave(struct inflight *f, struct inflight_user *u, bool mutating) {
    if (u->exempt)
        return;
    (void) atomic_fetch_sub_explicit(&u->now[mutating], 1, memory_order_relaxed);
    (void) atomic_fetch_sub_explicit(&f->now[mutating], 1, memory_order_relaxed);
}

uint64_t inflight_dropped(const struct inflight *f, bool mutating) {
    return atomic_load(&f->dropped[mutating]);
}
