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
    struct json_draft draft;
    struct json_words *words;          /* locked; may be NULL */
    uint32_t seen[SEEN_SLOTS], n_seen; /* strings of this document */
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

uint32_t draft_string(struct json_draft *d, enum json_type type, const char *s, size_t n) {
    uint32_t at = draft_take(d, string_words(n));

    write_string(d->words + at, at, type, s, n);
    return at;
}

uint32_t draft_number(struct json_draft *d, enum json_type type, const void *bytes) {
    uint32_t at = draft_take(d, 3);

    draft_head(d, at, type);
    memcpy(d->words + at + 1, bytes, 8);
    return at;
}

uint32_t draft_bool(struct json_draft *d, bool b) {
    uint32_t at = draft_take(d, 2);

    draft_head(d, at, JSON_BOOL);
    d->words[at + 1] = b;
    return at;
}

void draft_index(uint32_t *table, uint32_t size, const struct json *v, uint32_t n) {
    memset(table, 0, size * sizeof(*table));
    for (uint32_t i = 0; i < n; i++) {
        const struct json *key = member_key(v, i);
        uint32_t h = (uint32_t) fnv1a(string_text(key), string_len(key));
        while (table[h & (size - 1)])
            h++;
        table[h & (size - 1)] = i + 1;
    }
}

struct json_block *draft_block(struct json_draft *d, uint32_t root, struct json_block *words) {
    struct json_block *b = xrealloc(steal(&d->words), d->n * sizeof(uint32_t));

    *b = (struct json_block){.refs = 1, .root = root, .words = words};
    return b;
}

static uint32_t pack_string(struct packer *p, enum json_type type, const char *s, size_t n) {
    uint32_t i = (uint32_t) fnv1a(s, n) ^ (uint32_t) type;

    for (;; i++) {
        uint32_t distance = p->seen[i % SEEN_SLOTS];
        if (!distance)
            break;
        const uint32_t *at = p->draft.words + distance;
        if ((at[0] & TYPE_MASK) == type && at[1] == n && memcmp(at + 2, s, n) == 0)
            return distance;
    }
    uint32_t at = draft_string(&p->draft, type, s, n);
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
    uint32_t n = count_of(v), at = draft_take(&p->draft, 2 + (size_t) n);

    p->draft.words[at + 1] = n;
    for (uint32_t i = 0; i < n && !p->draft.too_large; i++) {
        uint32_t item = pack_value(p, array_item(v, i));
        p->draft.words[at + 2 + i] = item;
    }
    return at;
}

static uint32_t pack_object(struct packer *p, const struct json *v) {
    uint32_t n = count_of(v), table = n > INDEX_FROM ? packed_index_size(n) : 0;
    uint32_t at = draft_take(&p->draft, 2 + 2 * (size_t) n + table);

    p->draft.words[at + 1] = n;
    for (uint32_t i = 0; i < n && !p->draft.too_large; i++) {
        uint32_t key = pack_key(p, member_key(v, i)), value = pack_value(p, member_value(v, i));
        p->draft.words[at + 2 + 2 * i] = key;
        p->draft.words[at + 3 + 2 * i] = value;
    }
    if (table)
        draft_index(p->draft.words + at + 2 + 2 * (size_t) n, table, v, n);
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
    case JSON_INT:
        i = int_value(v);
        return draft_number(&p->draft, type, &i);
    case JSON_DOUBLE:
        d = double_value(v);
        return draft_number(&p->draft, type, &d);
    case JSON_BOOL:
        return draft_bool(&p->draft, bool_value(v));
    case JSON_ARRAY:
        at = pack_array(p, v);
        break;
    case JSON_OBJECT:
        at = pack_object(p, v);
        break;
    case JSON_NULL:
        at = draft_take(&p->draft, 1);
        break;
    }
    draft_head(&p->draft, at, type);
    return at;
}

/* Packed without a vocabulary it says again what others say, too. */
static bool is_packed_with(const struct json *v, const struct json_words *words) {
    return is_packed(v) && *words_of(v) >> 4 == block_of(v)->root && (!words || block_of(v)->words == words->arena);
}

struct json *json_packed(const struct json *v, struct json_words *words) {
    if (!v || is_packed_with(v, words))
        return json_ref(v);
    if (type_of(v) != JSON_OBJECT && type_of(v) != JSON_ARRAY) /* nothing to be gained */
        return json_ref(v);
    struct packer p = {.words = words};
    draft_init(&p.draft, 1024);
    if (words)
        (void) pthread_mutex_lock(&words->lock);
    uint32_t root = pack_value(&p, v);
    if (words)
        (void) pthread_mutex_unlock(&words->lock);
    if (p.draft.too_large) {
        free(p.draft.words);
        return json_ref(v);
    }
    if (words)
        json_block_ref(words->arena);
    return in_block(draft_block(&p.draft, root, words ? words->arena : NULL), root);
}
