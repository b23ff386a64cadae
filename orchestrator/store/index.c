/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ordered name index: a sorted array of sorted chunks of pointers. Two binary searches find a key, an insertion
 * moves at most one chunk (4 kB); lists run over contiguous memory, and counting the rest of a list costs one addition
 * a chunk.
 */
#include "orchestrator/store/internal.h"

#include <string.h>

#include "podium/base/alloc.h"

enum {
    CHUNK_ITEMS = 512,
    DROP_CHUNKS = 4, /* at once */
};

struct index_chunk {
    size_t n;
    struct store_item *items[CHUNK_ITEMS];
};

void index_finish(struct index *ix) {
    for (size_t c = 0; c < ix->n_chunks; c++) {
        for (size_t i = 0; i < ix->chunks[c]->n; i++)
            store_item_unref(ix->chunks[c]->items[i]);
        free(ix->chunks[c]);
    }
    free(ix->chunks);
    *ix = (struct index){0};
}

int index_compare(const struct store_item *i, const char *ns, const char *name) {
    int r = strcmp(i->ns, ns);

    if (r != 0)
        return r;
    return name ? strcmp(i->ns + i->name_at, name) : -1;
}

/* The first position whose item is at or behind the key (`behind`: strictly behind). *exact: the item has that key. */
static struct index_pos seek(const struct index *ix, const char *ns, const char *name, bool *exact) {
    size_t lo = 0, hi = ix->n_chunks;

    *exact = false;
    while (lo < hi) { /* the first chunk whose last item is at or behind the key */
        size_t mid = (lo + hi) / 2;
        const struct index_chunk *c = ix->chunks[mid];
        if (index_compare(c->items[c->n - 1], ns, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    struct index_pos p = {lo, 0};
    if (lo == ix->n_chunks)
        return p;
    const struct index_chunk *c = ix->chunks[lo];
    size_t from = 0, to = c->n - 1;
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (index_compare(c->items[mid], ns, name) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    p.at = from;
    *exact = index_compare(c->items[from], ns, name) == 0;
    return p;
}

struct index_pos index_seek(const struct index *ix, const char *ns, const char *name) {
    bool exact;

    return seek(ix, ns, name, &exact);
}

struct index_pos index_seek_behind(const struct index *ix, const char *ns, const char *name) {
    bool exact;
    struct index_pos p = seek(ix, ns, name, &exact);

    if (exact)
        index_next(ix, &p);
    return p;
}

struct index_pos index_end(const struct index *ix) {
    return (struct index_pos){ix->n_chunks, 0};
}

struct store_item *index_at(const struct index *ix, struct index_pos p) {
    return p.chunk < ix->n_chunks ? ix->chunks[p.chunk]->items[p.at] : NULL;
}

void index_next(const struct index *ix, struct index_pos *p) {
    if (p->chunk < ix->n_chunks && ++p->at == ix->chunks[p->chunk]->n)
        *p = (struct index_pos){p->chunk + 1, 0};
}

size_t index_distance(const struct index *ix, struct index_pos from, struct index_pos to) {
    size_t n = 0;

    if (from.chunk == to.chunk)
        return to.at - from.at;
    for (size_t c = from.chunk; c < to.chunk; c++)
        n += ix->chunks[c]->n;
    return n - from.at + to.at;
}

struct store_item *index_find(const struct index *ix, const char *ns, const char *name) {
    bool exact;
    struct index_pos p = seek(ix, ns, name, &exact);

    return exact ? index_at(ix, p) : NULL;
}

static void insert_chunk(struct index *ix, size_t at, struct index_chunk *c) {
    xgrow(&ix->chunks, ix->n_chunks, &ix->cap);
    memmove(&ix->chunks[at + 1], &ix->chunks[at], (ix->n_chunks - at) * sizeof(ix->chunks[0]));
    ix->chunks[at] = c;
    ix->n_chunks++;
}

/* Makes room at p, which may move to the new chunk. Names often come in rising order: a full last chunk is left full.
 */
static struct index_pos make_room(struct index *ix, struct index_pos p) {
    if (p.chunk == ix->n_chunks) { /* behind everything */
        if (ix->n_chunks == 0 || ix->chunks[p.chunk - 1]->n == CHUNK_ITEMS) {
            insert_chunk(ix, ix->n_chunks, xnew0(struct index_chunk));
            return (struct index_pos){ix->n_chunks - 1, 0};
        }
        return (struct index_pos){p.chunk - 1, ix->chunks[p.chunk - 1]->n};
    }
    struct index_chunk *c = ix->chunks[p.chunk];
    if (c->n < CHUNK_ITEMS)
        return p;
    struct index_chunk *right = xnew0(struct index_chunk);
    right->n = CHUNK_ITEMS / 2;
    c->n = CHUNK_ITEMS - right->n;
    memcpy(right->items, &c->items[c->n], right->n * sizeof(c->items[0]));
    insert_chunk(ix, p.chunk + 1, right);
    return p.at <= c->n ? p : (struct index_pos){p.chunk + 1, p.at - c->n};
}

struct store_item *index_put(struct index *ix, struct store_item *take) {
    bool exact;

    take->held++;
    struct index_pos p = seek(ix, take->ns, store_item_name(take), &exact);

    if (exact) {
        struct store_item **slot = &ix->chunks[p.chunk]->items[p.at], *old = *slot;
        *slot = take;
        old->held--;
        return old;
    }
    p = make_room(ix, p);
    struct index_chunk *c = ix->chunks[p.chunk];
    memmove(&c->items[p.at + 1], &c->items[p.at], (c->n - p.at) * sizeof(c->items[0]));
    c->items[p.at] = take;
    c->n++;
    ix->n_items++;
    return NULL;
}

/* Joins a chunk with its right neighbour when both fit well into one, so that deletions give their memory back. */
static void join_chunks(struct index *ix, size_t at) {
    if (at + 1 >= ix->n_chunks || ix->chunks[at]->n + ix->chunks[at + 1]->n > CHUNK_ITEMS / 2)
        return;
    struct index_chunk *left = ix->chunks[at], *right = ix->chunks[at + 1];
    memcpy(&left->items[left->n], right->items, right->n * sizeof(right->items[0]));
    left->n += right->n;
    free(right);
    ix->n_chunks--;
    memmove(&ix->chunks[at + 1], &ix->chunks[at + 2], (ix->n_chunks - at - 1) * sizeof(ix->chunks[0]));
}

struct store_item *index_remove(struct index *ix, const char *ns, const char *name) {
    bool exact;
    struct index_pos p = seek(ix, ns, name, &exact);

    if (!exact)
        return NULL;
    struct index_chunk *c = ix->chunks[p.chunk];
    struct store_item *old = c->items[p.at];
    old->held--;
    c->n--;
    ix->n_items--;
    memmove(&c->items[p.at], &c->items[p.at + 1], (c->n - p.at) * sizeof(c->items[0]));
    if (c->n == 0) {
        free(c);
        ix->n_chunks--;
        memmove(&ix->chunks[p.chunk], &ix->chunks[p.chunk + 1], (ix->n_chunks - p.chunk) * sizeof(ix->chunks[0]));
        return old;
    }
    join_chunks(ix, p.chunk);
    if (p.chunk > 0)
        join_chunks(ix, p.chunk - 1);
    return old;
}

size_t index_drop_docs(const struct index *ix, size_t chunk, struct garbage *g) {
    size_t end = chunk + DROP_CHUNKS < ix->n_chunks ? chunk + DROP_CHUNKS : ix->n_chunks;

    for (; chunk < end; chunk++)
        for (size_t i = 0; i < ix->chunks[chunk]->n; i++)
            item_drop_made(ix->chunks[chunk]->items[i], g);
    return end < ix->n_chunks ? end : 0;
}
