/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/managed/field_set.h"

#include <ctype.h>
#include <string.h>

#include "podium/base/alloc.h"

#define CHUNK_BYTES 8000u

/* --- the arena --- */

struct fset_chunk {
    struct fset_chunk *next;
    max_align_t data[];
};

void fset_arena_finish(struct fset_arena *a) {
    while (a->chunks) {
        struct fset_chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
    *a = (struct fset_arena){0};
}

static void *alloc_bytes(struct fset_arena *a, size_t size) {
    if ((size_t) (a->end - a->at) < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        struct fset_chunk *c = xmalloc(sizeof(*c) + room);
        c->next = a->chunks;
        a->chunks = c;
        a->at = (char *) c->data;
        a->end = a->at + room;
    }
    void *p = a->at;
    a->at += size;
    return p;
}

void *fset_alloc(struct fset_arena *a, size_t size) {
    size_t slack = (size_t) - (uintptr_t) a->at % sizeof(void *);
    if ((size_t) (a->end - a->at) > slack)
        a->at += slack;
    return alloc_bytes(a, (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1));
}

const char *fset_copy(struct fset_arena *a, const char *p, size_t n) {
    return n ? memcpy(alloc_bytes(a, n), p, n) : "";
}

/* --- elements --- */

/* Numbers outside strings compare by size, so that port 80 stands before 443. */
static int compare_json_texts(const char *a, size_t n, const char *b, size_t m) {
    bool quoted = false;
    size_t i = 0, run = 0; /* run: where the number began that both are in */
    for (; i < n && i < m && a[i] == b[i]; i++) {
        if (a[i] == '"' && (i == 0 || a[i - 1] != '\\'))
            quoted = !quoted;
        if (!isdigit((unsigned char) a[i]))
            run = i + 1;
    }
    size_t x = i, y = i;
    while (!quoted && x < n && isdigit((unsigned char) a[x]))
        x++;
    while (!quoted && y < m && isdigit((unsigned char) b[y]))
        y++;
    if (x > run && y > run && x != y)
        return x < y ? -1 : 1;
    if (i < n && i < m)
        return (unsigned char) a[i] < (unsigned char) b[i] ? -1 : 1;
    return n < m ? -1 : n > m;
}

int fset_compare_elements(const struct fset *a, const struct fset *b) {
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind != FSET_NAME)
        return compare_json_texts(a->text, a->len, b->text, b->len);
    int c = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return c ? c : a->len < b->len ? -1 : a->len > b->len;
}

static void grow(struct fset_arena *a, struct fset *parent) {
    if (parent->n < parent->cap)
        return;
    uint32_t cap = parent->cap ? parent->cap * 2 : 4;
    struct fset *kids = fset_alloc(a, cap * sizeof(*kids));
    if (parent->n > 0)
        memcpy(kids, parent->kids, parent->n * sizeof(*kids));
    parent->kids = kids;
    parent->cap = cap;
}

struct fset *fset_kid(struct fset_arena *a, struct fset *parent, enum fset_kind kind, const char *text, size_t len) {
    grow(a, parent);
    struct fset *kid = &parent->kids[parent->n++];
    *kid = (struct fset){.kind = (uint8_t) kind, .text = text, .len = (uint32_t) len};
    return kid;
}

void fset_settle(struct fset *parent) {
    if (parent->n > 0 && fset_is_empty(&parent->kids[parent->n - 1]))
        parent->n--;
}

static int compare_for_sort(const void *a, const void *b) {
    return fset_compare_elements(a, b);
}

void fset_sort(struct fset *parent) {
    for (uint32_t i = 1; i < parent->n; i++)
        if (fset_compare_elements(&parent->kids[i - 1], &parent->kids[i]) > 0) {
            qsort(parent->kids, parent->n, sizeof(*parent->kids), compare_for_sort);
            return;
        }
}

struct fset *fset_find(const struct fset *parent, enum fset_kind kind, const char *text, size_t len) {
    struct fset wanted = {.kind = (uint8_t) kind, .text = text, .len = (uint32_t) len};
    uint32_t lo = 0, hi = parent->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = fset_compare_elements(&wanted, &parent->kids[mid]);
        if (c == 0)
            return &parent->kids[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* --- operations: one walk over both sorted lists of kids --- */

enum operation { UNION, DIFFERENCE, INTERSECTION };

static struct fset combine(struct fset_arena *a, enum operation op, const struct fset *x, const struct fset *y);

static void keep(struct fset_arena *a, struct fset *out, const struct fset *kid) {
    if (fset_is_empty(kid))
        return;
    grow(a, out);
    out->kids[out->n++] = *kid;
}

static struct fset combine(struct fset_arena *a, enum operation op, const struct fset *x, const struct fset *y) {
    static const bool members[3][2][2] = {
        [UNION] = {{false, true}, {true, true}},
        [DIFFERENCE] = {{false, false}, {true, false}},
        [INTERSECTION] = {{false, false}, {false, true}},
    };
    struct fset out = {.text = x->text, .len = x->len, .kind = x->kind, .member = members[op][x->member][y->member]};
    uint32_t i = 0, j = 0;
    while (i < x->n || j < y->n) {
        int c = i == x->n ? 1 : j == y->n ? -1 : fset_compare_elements(&x->kids[i], &y->kids[j]);
        if (c < 0) {
            if (op != INTERSECTION)
                keep(a, &out, &x->kids[i]);
            i++;
        } else if (c > 0) {
            if (op == UNION)
                keep(a, &out, &y->kids[j]);
            j++;
        } else {
            struct fset both = combine(a, op, &x->kids[i++], &y->kids[j++]);
            keep(a, &out, &both);
        }
    }
    return out;
}

struct fset fset_union(struct fset_arena *a, const struct fset *x, const struct fset *y) {
    return combine(a, UNION, x, y);
}

struct fset fset_difference(struct fset_arena *a, const struct fset *x, const struct fset *y) {
    return combine(a, DIFFERENCE, x, y);
}

struct fset fset_intersection(struct fset_arena *a, const struct fset *x, const struct fset *y) {
    return combine(a, INTERSECTION, x, y);
}

bool fset_equal(const struct fset *x, const struct fset *y) {
    if (x->member != y->member || x->n != y->n)
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (fset_compare_elements(&x->kids[i], &y->kids[i]) != 0 || !fset_equal(&x->kids[i], &y->kids[i]))
            return false;
    return true;
}

/* --- paths for people --- */

static void print_key(const struct fset *s, struct strbuf *out) {
    _cleanup_json_ struct json *keys = NULL;
    strbuf_addc(out, '[');
    if (json_parse(s->text, s->len, NULL, &keys, NULL) < 0)
        strbuf_add(out, s->text, s->len); /* cannot happen: the text is canonical */
    for (size_t i = 0; i < json_len(keys); i++) {
        strbuf_addf(out, "%s%s=", i ? "," : "", json_key_at(keys, i));
        json_write(json_value_at(keys, i), 0, out);
    }
    strbuf_addc(out, ']');
}

static void print_element(const struct fset *s, struct strbuf *out) {
    switch ((enum fset_kind) s->kind) {
    case FSET_NAME:
        strbuf_addc(out, '.');
        strbuf_add(out, s->text, s->len);
        return;
    case FSET_KEY:
        print_key(s, out);
        return;
    case FSET_VALUE:
        strbuf_adds(out, "[=");
        strbuf_add(out, s->text, s->len);
        strbuf_addc(out, ']');
        return;
    case FSET_INDEX:
        strbuf_addc(out, '[');
        strbuf_add(out, s->text, s->len);
        strbuf_addc(out, ']');
        return;
    }
}

struct visit {
    void (*fn)(void *userdata, const char *path);
    void *userdata;
    struct strbuf path;
};

static void visit(struct visit *v, const struct fset *s) {
    size_t len = v->path.len;
    for (int below = 0; below < 2; below++)
        for (uint32_t i = 0; i < s->n; i++) {
            const struct fset *kid = &s->kids[i];
            if (below ? kid->n == 0 : !kid->member)
                continue;
            print_element(kid, &v->path);
            if (below)
                visit(v, kid);
            else
                v->fn(v->userdata, strbuf_str(&v->path));
            v->path.len = len;
            v->path.data[len] = 0;
        }
}

void fset_each(const struct fset *s, void (*fn)(void *userdata, const char *path), void *userdata) {
    struct visit v = {.fn = fn, .userdata = userdata, .path = STRBUF_INIT};
    strbuf_adds(&v.path, "");
    visit(&v, s);
    strbuf_finish(&v.path);
}
