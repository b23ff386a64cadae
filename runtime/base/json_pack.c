/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole documents in one allocation each (see json_value.h): for those that are kept by the ten thousand. */
#include <pthread.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "runtime/base/json_value.h"

enum {
    SEEN_SLOTS = 1024, /* strings of one document that are looked for again; a power of two */
    SEEN_MAX = 640,
    WORDS_SLOTS = 8192, /* a power of two */
    WORDS_MAX = 4096,
    WORDS_ARENA = 131072, /* 32-bit words: 512 kB */
    WORD_LEN_MAX = 64,
    SEALED_LEN_MAX = 8192,
    SIGHTS_SLOTS = 4096, /* a power of two */
    SIGHTS_WORD = 16,    /* a value that comes this often is likely to come on, and not the name of a busy object */
    SIGHTS_SEALED = 4,
    DISTANCE_MAX = 1 << 28,
};

struct json_words {
    pthread_mutex_t lock;
    struct json_block *arena; /* of fixed size: what is in it never moves */
    uint32_t used, n;
    uint32_t slots[WORDS_SLOTS]; /* distances in the arena; 0: free */
    struct {
        uint32_t hash, n;
    } sights[SIGHTS_SLOTS]; /* of values that are no words yet; the last comer has the slot */
};

struct packer {
    uint32_t *out;
    size_t n, cap;
    struct json_words *words;          /* locked; may be NULL */
    uint32_t seen[SEEN_SLOTS], n_seen; /* strings of this document */
    bool too_large;
};

/* --- blocks --- */

void json_block_ref(struct json_block *b) {
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

void json_block_unref(struct json_block *b) {
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct json_block *words = b->words;
    free(b);
    json_block_unref(words);
}

/* --- the vocabulary --- */

struct json_words *json_words_new(void) {
    struct json_words *w = xnew0(struct json_words);

    (void) pthread_mutex_init(&w->lock, NULL);
    w->arena = xcalloc(WORDS_ARENA, sizeof(uint32_t));
    atomic_init(&w->arena->refs, 1);
    w->arena->size = WORDS_ARENA;
    w->used = BLOCK_WORDS;
    return w;
}

void json_words_free(struct json_words *w) {
    if (!w)
        return;
    json_block_unref(w->arena); /* documents may hold it on */
    (void) pthread_mutex_destroy(&w->lock);
    free(w);
}

static bool same(const struct json *v, enum json_type type, const char *s, size_t n) {
    return type_of(v) == type && string_len(v) == n && memcmp(string_text(v), s, n) == 0;
}

static uint32_t string_words(size_t n) {
    return 2 + (uint32_t) (n / sizeof(uint32_t)) + 1; /* with the NUL */
}

static void write_string(uint32_t *at, uint32_t distance, enum json_type type, const char *s, size_t n) {
    at[0] = (uint32_t) type | PACKED | distance << 4;
    at[1] = (uint32_t) n;
    at[string_words(n) - 1] = 0;
    if (n)
        memcpy(at + 2, s, n);
}

static bool seen_often(struct json_words *w, uint32_t hash, unsigned often) {
    uint32_t i = hash % SIGHTS_SLOTS;

    if (w->sights[i].hash != hash) {
        w->sights[i].hash = hash;
        w->sights[i].n = 0;
    }
    return ++w->sights[i].n >= often;
}

/* The distance of a word that has come often enough, or 0: it is none, or there is no room for it. */
static uint32_t word(struct json_words *w, enum json_type type, const char *s, size_t n, unsigned often) {
    uint32_t hash = (uint32_t) fnv1a(s, n) ^ (uint32_t) type, i = hash;

    for (;; i++) {
        uint32_t distance = w->slots[i % WORDS_SLOTS];
        if (!distance)
            break;
        if (same(in_block(w->arena, distance), type, s, n))
            return distance;
    }
    if (often > 1 && !seen_often(w, hash, often))
        return 0;
    if (w->n == WORDS_MAX || w->used + string_words(n) > WORDS_ARENA)
        return 0;
    uint32_t distance = w->used;
    write_string((uint32_t *) (void *) w->arena + distance, distance, type, s, n);
    w->used += string_words(n);
    w->n++;
    return w->slots[i % WORDS_SLOTS] = distance;
}

/* --- packing --- */

static uint32_t take(struct packer *p, size_t n) {
    while (p->cap - p->n < n) {
        p->cap *= 2;
        p->out = xreallocarray(p->out, p->cap, sizeof(uint32_t));
    }
    uint32_t at = (uint32_t) p->n;
    p->n += n;
    p->too_large |= p->n >= DISTANCE_MAX;
    return at;
}

static uint32_t pack_string(struct packer *p, enum json_type type, const char *s, size_t n) {
    uint32_t i = (uint32_t) fnv1a(s, n) ^ (uint32_t) type;

    for (;; i++) {
        uint32_t distance = p->seen[i % SEEN_SLOTS];
        if (!distance)
            break;
        const uint32_t *at = p->out + distance;
        if ((at[0] & TYPE_MASK) == type && at[1] == n && memcmp(at + 2, s, n) == 0)
            return distance;
    }
    uint32_t at = take(p, string_words(n));
    write_string(p->out + at, at, type, s, n);
    if (p->n_seen < SEEN_MAX) {
        p->n_seen++;
        p->seen[i % SEEN_SLOTS] = at;
    }
    return at;
}

static uint32_t pack_key(struct packer *p, const struct json *key) {
    size_t n = string_len(key);
    uint32_t distance = p->words && n <= WORD_LEN_MAX ? word(p->words, JSON_STRING, string_text(key), n, 1) : 0;

    return distance ? distance | WORD_BIT : pack_string(p, JSON_STRING, string_text(key), n);
}

/* Objects made from one template have most of their values in common, and who owns their fields, too. */
static uint32_t pack_text(struct packer *p, const struct json *v) {
    enum json_type type = type_of(v);
    bool sealed = type == JSON_SEALED;
    size_t n = string_len(v);
    uint32_t distance = 0;

    if (p->words && n <= (sealed ? SEALED_LEN_MAX : WORD_LEN_MAX))
        distance = word(p->words, type, string_text(v), n, sealed ? SIGHTS_SEALED : SIGHTS_WORD);
    return distance ? distance | WORD_BIT : pack_string(p, type, string_text(v), n);
}

static uint32_t pack_value(struct packer *p, const struct json *v);

static uint32_t pack_array(struct packer *p, const struct json *v) {
    uint32_t n = count_of(v), at = take(p, 2 + (size_t) n);

    p->out[at + 1] = n;
    for (uint32_t i = 0; i < n && !p->too_large; i++) {
        uint32_t item = pack_value(p, array_item(v, i));
        p->out[at + 2 + i] = item;
    }
    return at;
}

static void index_members(uint32_t *table, uint32_t size, const struct json *v, uint32_t n) {
    memset(table, 0, size * sizeof(*table));
    for (uint32_t i = 0; i < n; i++) {
        const struct json *key = member_key(v, i);
        uint32_t h = (uint32_t) fnv1a(string_text(key), string_len(key));
        while (table[h & (size - 1)])
            h++;
        table[h & (size - 1)] = i + 1;
    }
}

static uint32_t pack_object(struct packer *p, const struct json *v) {
    uint32_t n = count_of(v), table = n > INDEX_FROM ? packed_index_size(n) : 0;
    uint32_t at = take(p, 2 + 2 * (size_t) n + table);

    p->out[at + 1] = n;
    for (uint32_t i = 0; i < n && !p->too_large; i++) {
        uint32_t key = pack_key(p, member_key(v, i)), value = pack_value(p, member_value(v, i));
        p->out[at + 2 + 2 * i] = key;
        p->out[at + 3 + 2 * i] = value;
    }
    if (table)
        index_members(p->out + at + 2 + 2 * (size_t) n, table, v, n);
    return at;
}

static uint32_t pack_number(struct packer *p, const void *bytes) {
    uint32_t at = take(p, 3);

    memcpy(p->out + at + 1, bytes, 8);
    return at;
}

static uint32_t pack_value(struct packer *p, const struct json *v) {
    enum json_type type = type_of(v);
    int64_t i;
    double d;
    uint32_t at = 0;

    switch (type) {
    case JSON_STRING:
    case JSON_SEALED:
        return pack_text(p, v);
    case JSON_ARRAY:
        at = pack_array(p, v);
        break;
    case JSON_OBJECT:
        at = pack_object(p, v);
        break;
    case JSON_INT:
        i = int_value(v);
        at = pack_number(p, &i);
        break;
    case JSON_DOUBLE:
        d = double_value(v);
        at = pack_number(p, &d);
        break;
    case JSON_BOOL:
        at = take(p, 2);
        p->out[at + 1] = bool_value(v);
        break;
    case JSON_NULL:
        at = take(p, 1);
        break;
    }
    p->out[at] = (uint32_t) type | PACKED | at << 4;
    return at;
}

struct json *json_packed(const struct json *v, struct json_words *words) {
    if (!v || (is_packed(v) && *words_of(v) >> 4 == BLOCK_WORDS))
        return json_ref(v);
    struct packer p = {.words = words, .n = BLOCK_WORDS, .cap = 1024};
    if (type_of(v) != JSON_OBJECT && type_of(v) != JSON_ARRAY) /* nothing to be gained */
        return json_ref(v);
    p.out = xreallocarray(NULL, p.cap, sizeof(uint32_t));
    if (words)
        (void) pthread_mutex_lock(&words->lock);
    (void) pack_value(&p, v);
    if (words)
        (void) pthread_mutex_unlock(&words->lock);
    if (p.too_large) {
        free(p.out);
        return json_ref(v);
    }
    struct json_block *b = xrealloc(p.out, p.n * sizeof(uint32_t));
    *b = (struct json_block){.refs = 1, .size = (uint32_t) p.n, .words = words ? words->arena : NULL};
    if (words)
        json_block_ref(words->arena);
    return in_block(b, BLOCK_WORDS);
}
