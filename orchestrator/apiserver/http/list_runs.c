/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/list_runs.h"

#include <pthread.h>
#include <string.h>
#include <zlib.h>

#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/apiserver/http/gzip.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

/* One item in so many ends a run. */
#define RUN_ITEMS_MEAN 64
#define SLOTS          1024u /* a power of two */

struct slot {
    struct list_run **runs;
    size_t n, cap;
};

struct list_runs {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
    struct list by_use; /* first: longest unused */
    size_t bytes;
};

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void list_run_unref(struct list_run *r) {
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(r->revisions);
    free(r->bytes);
    free(r);
}

struct list_runs *list_runs_new(void) {
    struct list_runs *c = xnew0(struct list_runs);

    (void) pthread_mutex_init(&c->lock, NULL);
    list_init(&c->by_use);
    return c;
}

void list_runs_free(struct list_runs *c) {
    if (!c)
        return;
    for (size_t s = 0; s < SLOTS; s++) {
        for (size_t i = 0; i < c->slots[s].n; i++)
            list_run_unref(c->slots[s].runs[i]);
        free(c->slots[s].runs);
    }
    (void) pthread_mutex_destroy(&c->lock);
    free(c);
}

size_t list_run_length(struct store_item *const *items, size_t n) {
    size_t k = 0;

    n = n < RUN_ITEMS_MAX ? n : RUN_ITEMS_MAX;
    while (k < n)
        if (mix(store_item_revision(items[k++])) % RUN_ITEMS_MEAN == 0)
            break;
    return k;
}

/* --- finding --- */

static bool same_form(const struct run_form *a, const struct run_form *b) {
    return a->resource == b->resource && a->media == b->media && a->partial == b->partial && a->v1beta1 == b->v1beta1 &&
           a->gzip == b->gzip;
}

static bool is_run_of(const struct list_run *r, const struct run_form *form, struct store_item *const *items,
                      size_t n) {
    if (r->n_revisions != n || !same_form(&r->form, form))
        return false;
    for (size_t i = 0; i < n; i++)
        if (r->revisions[i] != store_item_revision(items[i]))
            return false;
    return true;
}

/* By its first and last item: runs that share both are few. */
static struct slot *slot_of(struct list_runs *c, uint64_t first, uint64_t last) {
    return &c->slots[mix(first ^ mix(last)) % SLOTS];
}

static size_t weight(const struct list_run *r) {
    return sizeof(*r) + r->n_revisions * sizeof(*r->revisions) + r->len;
}

static void push_out(struct list_runs *c, struct list_run *r) {
    struct slot *s = slot_of(c, r->revisions[0], r->revisions[r->n_revisions - 1]);

    for (size_t i = 0; i < s->n; i++)
        if (s->runs[i] == r)
            s->runs[i--] = s->runs[--s->n];
    list_remove(&r->by_use);
    c->bytes -= weight(r);
    list_run_unref(r);
}

static void make_room(struct list_runs *c, uint64_t now) {
    while (!list_empty(&c->by_use)) {
        struct list_run *oldest = list_entry(c->by_use.next, struct list_run, by_use);
        if (c->bytes <= RUNS_BYTES_MAX && oldest->used + RUN_UNUSED_USEC > now)
            return;
        push_out(c, oldest);
    }
}

static struct list_run *find(struct list_runs *c, const struct run_form *form, struct store_item *const *items,
                             size_t n, uint64_t now) {
    struct slot *s = slot_of(c, store_item_revision(items[0]), store_item_revision(items[n - 1]));

    for (size_t i = 0; i < s->n; i++) {
        struct list_run *r = s->runs[i];
        if (!is_run_of(r, form, items, n))
            continue;
        r->used = now;
        list_remove(&r->by_use);
        list_append(&c->by_use, &r->by_use);
        atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
        return r;
    }
    return NULL;
}

static void keep(struct list_runs *c, struct list_run *r, uint64_t now) {
    struct slot *s = slot_of(c, r->revisions[0], r->revisions[r->n_revisions - 1]);

    r->used = now;
    xgrow(&s->runs, s->n, &s->cap);
    s->runs[s->n++] = r;
    list_append(&c->by_use, &r->by_use);
    c->bytes += weight(r);
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    make_room(c, now);
}

/* --- making --- */

static void encode(const struct run_form *form, struct store_item *const *items, size_t n, struct strbuf *out) {
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && form->media == ACCEPT_JSON)
            strbuf_addc(out, ',');
        encode_run_item(form, items[i], out);
    }
}

static struct list_run *make(const struct run_form *form, struct store_item *const *items, size_t n) {
    struct list_run *r = xnew0(struct list_run);
    struct strbuf plain = STRBUF_INIT;

    atomic_init(&r->refs, 1);
    list_init(&r->by_use);
    r->form = *form;
    r->n_revisions = n;
    r->revisions = xreallocarray(NULL, n, sizeof(*r->revisions));
    for (size_t i = 0; i < n; i++)
        r->revisions[i] = store_item_revision(items[i]);
    encode(form, items, n, &plain);
    r->plain_len = plain.len;
    if (form->gzip) {
        struct strbuf small = STRBUF_INIT;
        r->crc = (uint32_t) crc32_z(crc32_z(0, NULL, 0), (const Bytef *) strbuf_str(&plain), plain.len);
        gzip_part(strbuf_str(&plain), plain.len, &small);
        strbuf_finish(&plain);
        plain = small;
    }
    r->len = plain.len;
    r->bytes = xrealloc(strbuf_steal(&plain), r->len ? r->len : 1); /* it may stay for long */
    return r;
}

struct list_run *list_runs_get(struct list_runs *c, const struct run_form *form, struct store_item *const *items,
                               size_t n) {
    uint64_t now = now_monotonic_usec();

    (void) pthread_mutex_lock(&c->lock);
    struct list_run *r = find(c, form, items, n, now);
    (void) pthread_mutex_unlock(&c->lock);
    if (r)
        return r;
    r = make(form, items, n);
    (void) pthread_mutex_lock(&c->lock);
    struct list_run *other = find(c, form, items, n, now); /* somebody was faster */
    if (!other)
        keep(c, r, now);
    (void) pthread_mutex_unlock(&c->lock);
    if (!other)
        return r;
    list_run_unref(r);
    return other;
}
