/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/service_ledger.h"

#include <pthread.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

#define RESOURCE "services"

struct service_ledger {
    struct store *store;
    pthread_mutex_t lock;
    struct store_watch *watch; /* NULL: to be opened, holders is not to be believed */
    struct hashmap *holders;   /* key → "ns/name" */
    struct hashmap *grants;    /* key → request, borrowed, only compared */
};

struct service_ledger *service_ledger_new(struct store *store) {
    struct service_ledger *l = xnew0(struct service_ledger);
    l->store = store;
    l->holders = hashmap_new(free);
    l->grants = hashmap_new(NULL);
    (void) pthread_mutex_init(&l->lock, NULL);
    return l;
}

void service_ledger_free(struct service_ledger *l) {
    if (!l)
        return;
    store_watch_close(l->watch);
    hashmap_free(l->holders);
    hashmap_free(l->grants);
    (void) pthread_mutex_destroy(&l->lock);
    free(l);
}

/* --- what Services hold --- */

typedef void (*key_fn)(struct service_ledger *l, const char *key, const char *owner);

static void hold(struct service_ledger *l, const char *key, const char *owner) {
    hashmap_put(l->holders, key, xstrdup(owner));
}

static void let_go(struct service_ledger *l, const char *key, const char *owner) {
    const char *holder = hashmap_get(l->holders, key);
    if (holder && strcmp(holder, owner) == 0)
        (void) hashmap_remove(l->holders, key);
}

static void port_key(struct service_ledger *l, const struct json *number, const char *owner, key_fn fn) {
    char key[24];
    int64_t n = json_int_or(number, 0);
    if (n == 0)
        return;
    (void) snprintf(key, sizeof(key), "%lld", (long long) n);
    fn(l, key, owner);
}

static void each_key(struct service_ledger *l, struct store_item *item, key_fn fn) {
    const struct json *spec = json_get(store_item_doc(item), "spec"), *ports = json_get(spec, "ports");
    const struct json *ips = json_get(spec, "clusterIPs");
    _cleanup_free_ char *owner = xasprintf("%s/%s", store_item_namespace(item), store_item_name(item));
    for (size_t i = 0; i < json_len(ips); i++)
        if (strcmp(json_str_or(json_at(ips, i), "None"), "None") != 0)
            fn(l, json_str(json_at(ips, i)), owner);
    for (size_t i = 0; i < json_len(ports); i++)
        port_key(l, json_get(json_at(ports, i), "nodePort"), owner, fn);
    port_key(l, json_get(spec, "healthCheckNodePort"), owner, fn);
}

/* Nobody waits for these changes: they are looked at when needed. */
static void ignore_wake(void *userdata) {
}

static void read_all(struct service_ledger *l) {
    _cleanup_(store_list_finish) struct store_list all = {0};
    hashmap_clear(l->holders);
    if (store_list(l->store, RESOURCE, NULL, NULL, NULL, 0, 0, &all) < 0)
        return;
    for (size_t i = 0; i < all.n; i++)
        each_key(l, all.items[i], hold);
    if (store_watch_open(l->store, RESOURCE, NULL, all.revision, ignore_wake, l, &l->watch) < 0)
        l->watch = NULL; /* then all is read again next time */
}

static void catch_up(struct service_ledger *l) {
    struct store_event e;
    int r = l->watch ? 1 : -ESTALE;
    while (r > 0) {
        r = store_watch_next(l->watch, &e);
        if (r <= 0)
            break;
        if (e.old)
            each_key(l, e.old, let_go);
        if (e.type != STORE_EVENT_DELETED)
            each_key(l, e.item, hold);
    }
    if (r == 0)
        return;
    store_watch_close(steal(&l->watch)); /* too far behind, or the first time */
    read_all(l);
}

void service_ledger_begin(struct service_ledger *l) {
    (void) pthread_mutex_lock(&l->lock);
    catch_up(l);
}

void service_ledger_end(struct service_ledger *l) {
    (void) pthread_mutex_unlock(&l->lock);
}

/* --- grants --- */

enum ledger_state service_ledger_state(const struct service_ledger *l, const char *key, const char *owner,
                                       const void *request) {
    const char *holder = hashmap_get(l->holders, key);
    const void *granted = hashmap_get(l->grants, key);
    if (holder) /* also when the request it was granted to has not ended yet */
        return strcmp(holder, owner) == 0 ? LEDGER_OWN : LEDGER_TAKEN;
    return !granted ? LEDGER_FREE : granted == request ? LEDGER_OWN : LEDGER_TAKEN;
}

void service_ledger_grant(struct service_ledger *l, const char *key, const void *request) {
    hashmap_put(l->grants, key, (void *) request);
}

void service_ledger_settle(struct service_ledger *l, const void *request) {
    struct hashmap_iter it = {0};
    (void) pthread_mutex_lock(&l->lock);
    while (hashmap_next(l->grants, &it))
        if (it.value == request)
            (void) hashmap_remove(l->grants, it.key);
    (void) pthread_mutex_unlock(&l->lock);
}
