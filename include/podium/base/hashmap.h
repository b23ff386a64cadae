/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash table from strings to pointers. Keys are copied; values belong to the table when a free function is
 * given. Iteration order is unspecified; the table must not change during an iteration, except by
 * hashmap_remove() of the entry just returned.
 *
 *   struct hashmap_iter it = {0};
 *   while (hashmap_next(map, &it)) use(it.key, it.value);
 *
 * Threads: none of its own; the caller orders access.
 */
#ifndef PODIUM_BASE_HASHMAP_H
#define PODIUM_BASE_HASHMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"

struct hashmap;

struct hashmap_iter {
    size_t index;
    const char *key;
    void *value;
};

struct hashmap *hashmap_new(void (*free_value)(void *)); /* free_value may be NULL */
void hashmap_free(struct hashmap *map);                  /* frees values too when there is a free function */
DEFINE_CLEANUP(struct hashmap *, hashmap_free)

void *hashmap_get(const struct hashmap *map, const char *key); /* NULL when absent */
bool hashmap_has(const struct hashmap *map, const char *key);
void hashmap_put(struct hashmap *map, const char *key, void *value); /* frees a value it replaces */
bool hashmap_remove(struct hashmap *map, const char *key);           /* frees the value; false when absent */
void *hashmap_steal(struct hashmap *map, const char *key);           /* removes without freeing the value */
void hashmap_clear(struct hashmap *map);
size_t hashmap_len(const struct hashmap *map);
bool hashmap_next(const struct hashmap *map, struct hashmap_iter *it);

/* FNV-1a, 64 bit; for names and spreading, not for anything an adversary may choose to collide. */
uint64_t fnv1a(const void *p, size_t n);

#endif
