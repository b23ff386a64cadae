/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns/dns/cache.h"

#include <string.h>

#include "netns/dns/message.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

struct entry {
    struct list used; /* most recently used last */
    char key[2 * DNS_QUERY_MAX + 1];
    uint64_t since, until;
    size_t n;
    uint8_t reply[];
};

struct dns_cache {
    struct hashmap *entries;
    struct list used;
};

static void entry_free(void *p) {
    struct entry *e = p;

    list_remove(&e->used);
    free(e);
}

struct dns_cache *dns_cache_new(void) {
    struct dns_cache *cache = xnew0(struct dns_cache);

    cache->entries = hashmap_new(entry_free);
    list_init(&cache->used);
    return cache;
}

void dns_cache_free(struct dns_cache *cache) {
    if (!cache)
        return;
    hashmap_free(cache->entries);
    free(cache);
}

void dns_cache_clear(struct dns_cache *cache) {
    hashmap_clear(cache->entries);
}

/* All but the id, so that text (hex) can be the key. */
static void key_of(const uint8_t *query, size_t n, char key[2 * DNS_QUERY_MAX + 1]) {
    static const char digits[] = "0123456789abcdef";
    char *o = key;

    for (size_t i = 2; i < n && i < DNS_QUERY_MAX; i++) {
        *o++ = digits[query[i] >> 4];
        *o++ = digits[query[i] & 15];
    }
    *o = 0;
}

void dns_cache_put(struct dns_cache *cache, const uint8_t *query, size_t query_n, const uint8_t *reply, size_t n,
                   uint64_t now) {
    uint32_t ttl = n <= DNS_CACHE_REPLY_BYTES ? dns_reply_ttl(reply, n, DNS_CACHE_TTL_MAX) : 0;

    if (ttl == 0)
        return;
    if (hashmap_len(cache->entries) >= DNS_CACHE_ENTRIES)
        (void) hashmap_remove(cache->entries, list_entry(cache->used.next, struct entry, used)->key);
    struct entry *e = xmalloc(sizeof(*e) + n);
    *e = (struct entry){.since = now, .until = now + ttl * USEC_PER_SEC, .n = n};
    key_of(query, query_n, e->key);
    memcpy(e->reply, reply, n);
    list_init(&e->used);
    hashmap_put(cache->entries, e->key, e); /* frees the one before */
    list_append(&cache->used, &e->used);
}

size_t dns_cache_get(struct dns_cache *cache, const uint8_t *query, size_t query_n, uint64_t now, uint8_t *out) {
    char key[2 * DNS_QUERY_MAX + 1];

    key_of(query, query_n, key);
    struct entry *e = hashmap_get(cache->entries, key);
    if (!e)
        return 0;
    if (now >= e->until) {
        (void) hashmap_remove(cache->entries, key);
        return 0;
    }
    list_remove(&e->used);
    list_append(&cache->used, &e->used);
    memcpy(out, e->reply, e->n);
    dns_reply_age(out, e->n, (uint32_t) ((now - e->since) / USEC_PER_SEC));
    return e->n;
}
