/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a value looks like, for the files that implement podium/base/json.h.
 *
 * Two forms. A value of its own is one allocation with a reference count. A packed value is part of a block that holds
 * a whole document without a pointer in it: 32-bit words, children by their distance from the block's start. Both begin
 * with a head that says which it is, so readers hand out either. Packed values never change; a reference to one holds
 * its block.
 *
 *   head            type (3 bits), packed (1 bit); then the column of a value of its own (16 bits, at the top), or a
 *                   packed value's distance from its block's start, in words
 *   string, sealed  head, length, bytes and a NUL
 *   int, double     head, two words
 *   bool            head, 0 or 1
 *   array           head, n, n distances of values
 *   object          head, n, n times the distances of key and value; with more than INDEX_FROM members then a table of
 *                   member numbers + 1, open addressing
 * A distance with WORD_BIT set is one in the block's vocabulary, where only strings and sealed objects are.
 */
#ifndef PODIUM_BASE_JSON_VALUE_H
#define PODIUM_BASE_JSON_VALUE_H

#include <stdatomic.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/json.h"

#define TYPE_MASK 7u
#define PACKED    8u
#define WORD_BIT  0x80000000u
/* Objects with more members than this get a hash index: keeps look-ups in hostile or simply large maps O(1). */
#define INDEX_FROM 16u

struct member {
    struct json *key; /* a JSON_STRING, shared between copies of the object */
    struct json *value;
};

struct json {
    uint32_t head;
    _Atomic uint32_t refs;
    uint32_t line;
    union { /* allocated as far as the type needs it */
        bool b;
        int64_t i;
        double d;
        struct {
            size_t len; /* string, sealed object: bytes in text[] */
            char text[];
        } s;
        struct {
            uint32_t n, cap;
            struct json **items;
        } array;
        struct {
            uint32_t n, cap;
            struct member *members;
            uint32_t *index; /* open addressing, member number + 1; NULL up to INDEX_FROM members */
            uint32_t index_mask;
        } object;
    } u;
};

struct json_block {
    _Atomic uint32_t refs;
    uint32_t root;            /* distance of the whole document */
    struct json_block *words; /* the vocabulary's, referenced; may be NULL */
};
#define BLOCK_WORDS ((uint32_t) (sizeof(struct json_block) / sizeof(uint32_t)))

static inline const uint32_t *words_of(const struct json *v) {
    return (const uint32_t *) (const void *) v;
}

static inline enum json_type type_of(const struct json *v) {
    return (enum json_type)(*words_of(v) & TYPE_MASK);
}

static inline bool is_packed(const struct json *v) {
    return (*words_of(v) & PACKED) != 0;
}

static inline struct json_block *block_of(const struct json *packed) {
    return (struct json_block *) (void *) (words_of(packed) - (*words_of(packed) >> 4));
}

static inline struct json *in_block(const struct json_block *b, uint32_t distance) {
    return (struct json *) (void *) ((const uint32_t *) (const void *) b + distance);
}

static inline size_t string_len(const struct json *v) {
    return is_packed(v) ? words_of(v)[1] : v->u.s.len;
}

static inline const char *string_text(const struct json *v) {
    return is_packed(v) ? (const char *) (words_of(v) + 2) : v->u.s.text;
}

static inline int64_t int_value(const struct json *v) {
    int64_t i;

    memcpy(&i, is_packed(v) ? (const void *) (words_of(v) + 1) : &v->u.i, sizeof(i));
    return i;
}

static inline double double_value(const struct json *v) {
    double d;

    memcpy(&d, is_packed(v) ? (const void *) (words_of(v) + 1) : &v->u.d, sizeof(d));
    return d;
}

static inline bool bool_value(const struct json *v) {
    return is_packed(v) ? words_of(v)[1] != 0 : v->u.b;
}

static inline struct json *at_distance(const struct json *packed, uint32_t distance) {
    const struct json_block *b = block_of(packed);

    return in_block(distance & WORD_BIT ? b->words : b, distance & ~WORD_BIT);
}

/* Of arrays and objects. */
static inline uint32_t count_of(const struct json *v) {
    if (is_packed(v))
        return words_of(v)[1];
    return type_of(v) == JSON_ARRAY ? v->u.array.n : v->u.object.n;
}

static inline struct json *array_item(const struct json *v, uint32_t i) {
    return is_packed(v) ? at_distance(v, words_of(v)[2 + i]) : v->u.array.items[i];
}

static inline struct json *member_key(const struct json *v, uint32_t i) {
    return is_packed(v) ? at_distance(v, words_of(v)[2 + 2 * i]) : v->u.object.members[i].key;
}

static inline struct json *member_value(const struct json *v, uint32_t i) {
    return is_packed(v) ? at_distance(v, words_of(v)[3 + 2 * i]) : v->u.object.members[i].value;
}

/* The size of the table of a packed object with n > INDEX_FROM members. */
static inline uint32_t packed_index_size(uint32_t n) {
    uint32_t size = 64;

    while (size < n * 2)
        size *= 2;
    return size;
}

void json_block_ref(struct json_block *b);
void json_block_unref(struct json_block *b);

/* --- blocks in the making --- */

#define DISTANCE_MAX (1u << 28)
enum {
    DRAFT_WORDS = 4096, /* what a draft has room for without an allocation: a pod and more */
    SEEN_SLOTS = 1024,  /* strings of one document that are looked for again; a power of two */
    SEEN_MAX = 640,
};

/* Grows in a place of its own, usually on the stack: the block of a finished draft is one allocation of its size, and
 * leaves no holes between blocks that live for long. */
struct json_draft {
    uint32_t *words; /* here[], or allocated */
    size_t n, cap;
    struct json_words *vocabulary; /* may be NULL */
    bool too_large;                /* more than distances can say: to be given up */
    uint32_t n_seen, seen[SEEN_SLOTS];
    _Alignas(struct json_block) uint32_t here[DRAFT_WORDS];
};

void draft_init(struct json_draft *d, struct json_words *vocabulary);
void draft_finish(struct json_draft *d);
void draft_grow(struct json_draft *d, size_t n);

/* The distance of n new words. */
static inline uint32_t draft_take(struct json_draft *d, size_t n) {
    if (d->cap - d->n < n)
        draft_grow(d, n);
    uint32_t at = (uint32_t) d->n;
    d->n += n;
    d->too_large |= d->n >= DISTANCE_MAX;
    return at;
}

static inline void draft_head(struct json_draft *d, uint32_t at, enum json_type type) {
    d->words[at] = (uint32_t) type | PACKED | at << 4;
}

/* Words of a string of n bytes, with the NUL. */
static inline uint32_t string_words(size_t n) {
    return 2 + (uint32_t) (n / sizeof(uint32_t)) + 1;
}

/* at: where in memory, distance: what will be said of it. */
static inline void write_string(uint32_t *at, uint32_t distance, enum json_type type, const char *s, size_t n) {
    at[0] = (uint32_t) type | PACKED | distance << 4;
    at[1] = (uint32_t) n;
    at[string_words(n) - 1] = 0;
    if (n)
        memcpy(at + 2, s, n);
}

/* A key, a value with text (string or sealed), an int or double (8 bytes), a bool; their distances. Texts that were
 * there before, in the document or in the vocabulary, are not written again. */
uint32_t draft_key(struct json_draft *d, const char *s, size_t n);
uint32_t draft_text(struct json_draft *d, enum json_type type, const char *s, size_t n);
uint32_t draft_number(struct json_draft *d, enum json_type type, const void *bytes);
uint32_t draft_bool(struct json_draft *d, bool b);
/* A text that is written in any case. */
uint32_t draft_string(struct json_draft *d, enum json_type type, const char *s, size_t n);
/* Makes the table of an object that needs one: v has the n members of the object. */
void draft_index(uint32_t *table, uint32_t size, const struct json *v, uint32_t n);
/* The block of a draft: its first reference. */
struct json_block *draft_block(const struct json_draft *d, uint32_t root);

#endif
