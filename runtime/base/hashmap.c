/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open addressing with linear probing; deletion by back-shifting, so there are no tombstones. */
#include "podium/base/hashmap.h"

#include <string.h>

#include "podium/base/alloc.h"

struct slot {
    uint64_t hash;
    char *key; /* NULL: empty */
    void *value;
};

struct hashmap {
    struct slot *slots;
    size_t n, mask;
    void (*free_value)(void *);
};

uint64_t fnv1a(const void *p, size_t n) {
    const unsigned char *s = p;
    uint64_t h = 14695981039346656037ull;

    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * 1099511628211ull;
    return h ^ (h >> 29);
}

struct hashmap *hashmap_new(void (*free_value)(void *)) {
    struct hashmap *map = xnew0(struct hashmap);

    map->free_value = free_value;
    return map;
}

static struct slot *find(const struct hashmap *map, const char *key, uint64_t hash) {
    if (!map->slots)
        return NULL;
    for (size_t i = hash & map->mask;; i = (i + 1) & map->mask) {
        struct slot *s = &map->slots[i];
        if (!s->key || (s->hash == hash && strcmp(s->key, key) == 0))
            return s;
    }
}

static void grow(struct hashmap *map) {
    size_t old_cap = map->slots ? map->mask + 1 : 0, cap = old_cap ? old_cap * 2 : 8;
    struct slot *old = map->slots;

    map->slots = xcalloc(cap, sizeof(*map->slots));
    map->mask = cap - 1;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].key)
            *find(map, old[i].key, old[i].hash) = old[i];
    free(old);
}

void *hashmap_get(const struct hashmap *map, const char *key) {
    struct slot *s = map ? find(map, key, fnv1a(key, strlen(key))) : NULL;

    return s && s->key ? s->value : NULL;
}

bool hashmap_has(const struct hashmap *map, const char *key) {
    struct slot *s = map ? find(map, key, fnv1a(key, strlen(key))) : NULL;

    return s && s->key;
}

void hashmap_put(struct hashmap *map, const char *key, void *value) {
    uint64_t hash = fnv1a(key, strlen(key));

    if (!map->slots || (map->n + 1) * 4 > (map->mask + 1) * 3)
        grow(map);
    struct slot *s = find(map, key, hash);
    if (s->key) {
        if (map->free_value && s->value != value)
            map->free_value(s->value);
        s->value = value;
        return;
    }
    *s = (struct slot){hash, xstrdup(key), value};
    map->n++;
}

void *hashmap_steal(struct hashmap *map, const char *key) {
    struct slot *s = map ? find(map, key, fnv1a(key, strlen(key))) : NULL;

    if (!s || !s->key)
        return NULL;
    void *value = s->value;
    free(s->key);
    s->key = NULL;
    map->n--;

    /* close the gap: move back every follower that a probe from its home would no longer reach */
    size_t gap = (size_t) (s - map->slots);
    for (size_t i = (gap + 1) & map->mask; map->slots[i].key; i = (i + 1) & map->mask) {
        size_t home = map->slots[i].hash & map->mask;
        if (((i - home) & map->mask) >= ((i - gap) & map->mask)) {
            map->slots[gap] = map->slots[i];
            map->slots[i].key = NULL;
            gap = i;
        }
    }
    return value;
}

bool hashmap_remove(struct hashmap *map, const char *key) {
    if (!hashmap_has(map, key))
        return false;
    void *value = hashmap_steal(map, key);
    if (map->free_value)
        map->free_value(value);
    return true;
}

void hashmap_clear(struct hashmap *map) {
    for (size_t i = 0; map->slots && i <= map->mask; i++)
        if (map->slots[i].key) {
            free(map->slots[i].key);
            if (map->free_value)
                map->free_value(map->slots[i].value);
        }
    free(map->slots);
    map->slots = NULL;
    map->n = map->mask = 0;
}

void hashmap_free(struct hashmap *map) {
    if (!map)
        return;
    hashmap_clear(map);
    free(map);
}

size_t hashmap_len(const struct hashmap *map) {
    return map ? map->n : 0;
}

bool hashmap_next(const struct hashmap *map, struct hashmap_iter *it) {
    /* The entry returned last may have been removed, and a follower moved into its slot: that one is next. */
    if (map && map->slots && it->key && it->index > 0) {
        const char *there = map->slots[it->index - 1].key;
        if (there && there != it->key)
            it->index--;
    }
    while (map && map->slots && it->index <= map->mask) {
        const struct slot *s = &map->slots[it->index++];
        if (s->key) {
            it->key = s->key;
            it->value = s->value;
            return true;
        }
    }
    return false;
}
