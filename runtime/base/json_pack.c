/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole documents in one allocation each (see json_value.h): for those that are kept by the ten thousand. */
#include <pthread.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "runtime/base/json_value.h"

enum {
    WORDS_SLOTS = 8192, /* a power of two */
    WORDS_MAX = 4096,
    WORDS_PROBES = 64,    /* hashes that fall on each other, by chance or by design, are not followed further */
    WORDS_ARENA = 131072, /* 32-bit words: 512 kB */
    WORD_LEN_MAX = 64,
    SEALED_LEN_MAX = 8192,
    SIGHTS_SLOTS = 4096, /* a power of two */
    SIGHTS_WORD = 16,    /* a value that comes this often is likely to come on, and not the name of a busy object */
    SIGHTS_SEALED = 4,
};

/* Words are found without the lock: what a slot says is written before the slot. */
struct json_words {
    pthread_mutex_t lock;     /* who adds one */
    struct json_block *arena; /* of fixed size: what is in it never moves */
    uint32_t used, n;
    atomic_bool full;                    /* nothing more is added */
    _Atomic uint32_t slots[WORDS_SLOTS]; /* distances in the arena; 0: free */
    /* Of values that are no words yet: hash, and how often (low half). The last comer has the slot; counts that are
     * lost between threads make no difference. */
    _Atomic uint64_t sights[SIGHTS_SLOTS];
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

static bool same(const uint32_t *at, enum json_type type, const char *s, size_t n) {
    return (at[0] & TYPE_MASK) == type && at[1] == n && memcmp(at + 2, s, n) == 0;
}

/* Eight bytes at a time: who owns which field is a kilobyte or two of text. */
static uint32_t hash_text(enum json_type type, const char *s, size_t n) {
    uint64_t h = n ^ ((uint64_t) type << 32), part;

    for (; n >= sizeof(part); s += sizeof(part), n -= sizeof(part)) {
        memcpy(&part, s, sizeof(part));
        h = (h ^ part) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 29;
    }
    part = 0;
    memcpy(&part, s, n);
    h = (h ^ part) * 0x9e3779b97f4a7c15ULL;
    return (uint32_t) (h >> 32);
}

static bool seen_often(struct json_words *w, uint32_t hash, unsigned often) {
    _Atomic uint64_t *slot = &w->sights[hash % SIGHTS_SLOTS];
    uint64_t sight = atomic_load_explicit(slot, memory_order_relaxed);
    uint32_t n = sight >> 32 == hash ? (uint32_t) sight + 1 : 1;

    atomic_store_explicit(slot, (uint64_t) hash << 32 | n, memory_order_relaxed);
    return n >= often;
}

/* The distance of a word, or 0; *ret_slot: where it is or belongs, NULL when there is no place. */
static uint32_t find_word(struct json_words *w, uint32_t hash, enum json_type type, const char *s, size_t n,
                          _Atomic uint32_t **ret_slot) {
    *ret_slot = NULL;
    for (uint32_t i = 0; i < WORDS_PROBES; i++) {
        _Atomic uint32_t *slot = &w->slots[(hash + i) % WORDS_SLOTS];
        uint32_t distance = atomic_load_explicit(slot, memory_order_acquire);
        if (distance && !same(words_of(in_block(w->arena, distance)), type, s, n))
            continue;
        *ret_slot = slot;
        return distance;
    }
    return 0;
}

static uint32_t add_word(struct json_words *w, uint32_t hash, enum json_type type, const char *s, size_t n) {
    _Atomic uint32_t *slot;

    (void) pthread_mutex_lock(&w->lock);
    uint32_t distance = find_word(w, hash, type, s, n, &slot); /* somebody may have been faster */
    if (!distance && slot && w->n < WORDS_MAX && w->used + string_words(n) <= WORDS_ARENA) {
        distance = w->used;
        write_string((uint32_t *) (void *) w->arena + distance, distance, type, s, n);
        w->used += string_words(n);
        w->n++;
        atomic_store_explicit(slot, distance, memory_order_release);
    }
    if (!distance && slot)
        atomic_store_explicit(&w->full, true, memory_order_relaxed);
    (void) pthread_mutex_unlock(&w->lock);
    return distance;
}

/* The distance of a word that has come often enough, or 0: it is none, or there is no room for it. */
static uint32_t word(struct json_words *w, enum json_type type, const char *s, size_t n, unsigned often) {
    uint32_t hash = hash_text(type, s, n);
    _Atomic uint32_t *slot;
    uint32_t distance = find_word(w, hash, type, s, n, &slot);

    if (distance || !slot || atomic_load_explicit(&w->full, memory_order_relaxed) ||
        (often > 1 && !seen_often(w, hash, often)))
        return distance;
    return add_word(w, hash, type, s, n);
}

/* --- packing --- */

void draft_init(struct json_draft *d, struct json_words *vocabulary) {
    d->words = d->here;
    d->n = BLOCK_WORDS;
    d->cap = DRAFT_WORDS;
    d->vocabulary = vocabulary;
    d->too_large = false;
    d->n_seen = 0;
    memset(d->seen, 0, sizeof(d->seen));
    /* the head is asked where the vocabulary is, also by those who look into what is done of a draft */
    *(struct json_block *) (void *) d->words = (struct json_block){.words = vocabulary ? vocabulary->arena : NULL};
}

void draft_finish(struct json_draft *d) {
    if (d->words != d->here)
        free(d->words);
}

void draft_grow(struct json_draft *d, size_t n) {
    bool moved = d->words != d->here;

    while (d->cap - d->n < n)
        d->cap *= 2;
    d->words = xreallocarray(moved ? d->words : NULL, d->cap, sizeof(uint32_t));
    if (!moved)
        memcpy(d->words, d->here, d->n * sizeof(uint32_t));
}

uint32_t draft_string(struct json_draft *d, enum json_type type, const char *s, size_t n) {
    uint32_t at = draft_take(d, string_words(n));

    write_string(d->words + at, at, type, s, n);
    return at;
}

static uint32_t string_once(struct json_draft *d, enum json_type type, const char *s, size_t n) {
    uint32_t i = hash_text(type, s, n);

    for (;; i++) {
        uint32_t distance = d->seen[i % SEEN_SLOTS];
        if (!distance)
            break;
        if (same(d->words + distance, type, s, n))
            return distance;
    }
    uint32_t at = draft_string(d, type, s, n);
    if (d->n_seen < SEEN_MAX) {
        d->n_seen++;
        d->seen[i % SEEN_SLOTS] = at;
    }
    return at;
}

uint32_t draft_key(struct json_draft *d, const char *s, size_t n) {
    uint32_t distance = d->vocabulary && n <= WORD_LEN_MAX ? word(d->vocabulary, JSON_STRING, s, n, 1) : 0;

    return distance ? distance | WORD_BIT : string_once(d, JSON_STRING, s, n);
}

/* Objects made from one template have most of their values in common, and who owns their fields, too. */
uint32_t draft_text(struct json_draft *d, enum json_type type, const char *s, size_t n) {
    bool sealed = type == JSON_SEALED;
    uint32_t distance = 0;

    if (d->vocabulary && n <= (sealed ? SEALED_LEN_MAX : WORD_LEN_MAX))
        distance = word(d->vocabulary, type, s, n, sealed ? SIGHTS_SEALED : SIGHTS_WORD);
    return distance ? distance | WORD_BIT : string_once(d, type, s, n);
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

struct json_block *draft_block(const struct json_draft *d, uint32_t root) {
    struct json_block *b = xmalloc(d->n * sizeof(uint32_t)), *words = d->vocabulary ? d->vocabulary->arena : NULL;

    if (words)
        json_block_ref(words);
    memcpy(b, d->words, d->n * sizeof(uint32_t));
    *b = (struct json_block){.refs = 1, .root = root, .words = words};
    return b;
}

struct packer {
    struct json_draft draft;
    const struct json *blank; /* to be filled in later; may be NULL */
    uint32_t blank_at;
};

static uint32_t pack_text(struct packer *p, const struct json *v) {
    if (v != p->blank)
        return draft_text(&p->draft, type_of(v), string_text(v), string_len(v));
    return p->blank_at = draft_string(&p->draft, JSON_STRING, string_text(v), string_len(v));
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
        const struct json *k = member_key(v, i);
        uint32_t key = draft_key(&p->draft, string_text(k), string_len(k)), value = pack_value(p, member_value(v, i));
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

/* Packed without a vocabulary it says again what others say, too. Whose vocabulary it is makes no difference. */
static bool is_packed_well(const struct json *v, bool words) {
    return is_packed(v) && *words_of(v) >> 4 == block_of(v)->root && (!words || block_of(v)->words);
}

static struct json *pack(const struct json *v, struct json_words *words, const struct json *blank,
                         struct json **ret_blank) {
    struct packer p;
    struct json_block *b = NULL;

    p.blank = blank;
    p.blank_at = 0;
    draft_init(&p.draft, words);
    uint32_t root = pack_value(&p, v);
    if (!p.draft.too_large)
        b = draft_block(&p.draft, root);
    draft_finish(&p.draft);
    if (!b)
        return json_ref(v);
    if (p.blank_at)
        *ret_blank = in_block(b, p.blank_at);
    return in_block(b, root);
}

struct json *json_packed(const struct json *v, struct json_words *words) {
    if (!v || is_packed_well(v, words))
        return json_ref(v);
    if (type_of(v) != JSON_OBJECT && type_of(v) != JSON_ARRAY) /* nothing to be gained */
        return json_ref(v);
    return pack(v, words, NULL, NULL);
}

struct json *json_packed_blank(const struct json *v, struct json_words *words, const struct json *blank,
                               struct json **ret_blank) {
    *ret_blank = NULL;
    return pack(v, words, blank, ret_blank);
}

void json_fill_blank(struct json *blank, const char *s, size_t n) {
    uint32_t *at = (uint32_t *) (void *) blank;

    if (n > at[1])
        n = at[1];
    memset(at + 2, 0, at[1]);
    memcpy(at + 2, s, n);
    at[1] = (uint32_t) n;
}
