/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event window of one resource: a ring of its newest events, from which watches resume and older states are
 * rebuilt. Bounded in events, in bytes of text and in age; an event that is no longer fresh gives up its parsed
 * document (the text stays), so that hours of lease renewals cost text and not trees. window_sweep() does by the clock
 * what pushing does by number: a burst that nothing follows does not stay in memory.
 */
#include "orchestrator/store/internal.h"

#include "podium/base/alloc.h"
#include "podium/base/clock.h"

enum {
    WINDOW_BYTES_MAX = 16 * 1024 * 1024, /* of text, per resource */
    WINDOW_HELD_EVENTS_MAX = 1 << 19,    /* the same while somebody holds them */
    WINDOW_HELD_BYTES_MAX = 512 * 1024 * 1024,
    WINDOW_DROPS_MAX = 1024,      /* in front of one event */
    WINDOW_FRESH_EVENTS = 256,    /* these keep their documents: somebody is likely to read them */
    WINDOW_UNSEEN_EVENTS = 16384, /* these, too, while somebody holds them */
    WINDOW_AGED_EVENTS_MIN = 64,  /* however old, these stay */
    WINDOW_FRESH_PARTS = 8,       /* after this part of the greatest age, nothing is fresh */
    WINDOW_CAP_MIN = 16,
};

void garbage_add_item(struct garbage *g, struct store_item *take) {
    if (!take)
        return;
    xgrow(&g->items, g->n_items, &g->cap_items);
    g->items[g->n_items++] = take;
}

void garbage_add_doc(struct garbage *g, struct json *take) {
    if (!take)
        return;
    xgrow(&g->docs, g->n_docs, &g->cap_docs);
    g->docs[g->n_docs++] = take;
}

void garbage_add_text(struct garbage *g, struct item_text *take) {
    if (!take)
        return;
    xgrow(&g->texts, g->n_texts, &g->cap_texts);
    g->texts[g->n_texts++] = take;
}

void garbage_empty(struct garbage *g) {
    for (size_t i = 0; i < g->n_items; i++)
        store_item_unref(g->items[i]);
    for (size_t i = 0; i < g->n_docs; i++)
        json_unref(g->docs[i]);
    for (size_t i = 0; i < g->n_texts; i++)
        free(g->texts[i]);
    g->n_items = g->n_docs = g->n_texts = 0;
}

void garbage_finish(struct garbage *g) {
    garbage_empty(g);
    free(g->items);
    free(g->docs);
    free(g->texts);
}

static struct window_event *slot(const struct window *w, uint64_t seq) {
    return &w->ring[seq & (w->cap - 1)];
}

const struct store_event *window_at(const struct window *w, uint64_t seq) {
    return &slot(w, seq)->event;
}

void window_init(struct window *w, size_t max_events, uint64_t max_age, uint64_t floor) {
    *w = (struct window){.max_events = max_events, .max_age = max_age, .floor = floor};
    list_init(&w->holders);
}

void window_finish(struct window *w) {
    for (uint64_t seq = w->first; seq < w->next; seq++) {
        store_item_unref(slot(w, seq)->event.item);
        store_item_unref(slot(w, seq)->event.old);
    }
    free(w->ring);
}

static void drop_first(struct window *w, struct garbage *g) {
    struct store_event *e = &slot(w, w->first++)->event;

    w->floor = e->revision;
    w->bytes -= item_text_len(e->item);
    e->item->held--;
    garbage_add_item(g, e->item);
    if (e->old) {
        e->old->held--;
        garbage_add_item(g, e->old);
    }
}

static void resize(struct window *w, size_t cap) {
    struct window_event *ring = xcalloc(cap, sizeof(*ring));

    for (uint64_t seq = w->first; seq < w->next; seq++)
        ring[seq & (cap - 1)] = *slot(w, seq);
    free(w->ring);
    w->ring = ring;
    w->cap = cap;
}

/* Somebody who may not miss anything has not looked at the oldest event yet. Not for ever, though: who is so much
 * behind is lost. */
static bool is_held(const struct window *w) {
    const struct window_holder *h;

    if (w->next - w->first >= WINDOW_HELD_EVENTS_MAX || w->bytes > WINDOW_HELD_BYTES_MAX)
        return false;
    list_foreach(h, &w->holders, link) if (h->seq == w->first) return true;
    return false;
}

/* The oldest event is too old to be kept. */
static bool is_aged(const struct window *w, uint64_t now) {
    return w->next - w->first > WINDOW_AGED_EVENTS_MIN && slot(w, w->first)->time + w->max_age < now;
}

static bool is_over_full(const struct window *w, size_t len, uint64_t now) {
    uint64_t n = w->next - w->first;

    if (n == 0)
        return false;
    return n >= w->max_events || w->bytes + len > WINDOW_BYTES_MAX || is_aged(w, now);
}

static void drop_docs(const struct window *w, uint64_t seq, struct garbage *g) {
    const struct store_event *stale = window_at(w, seq);

    item_drop_made(stale->item, g);
    if (stale->old)
        item_drop_made(stale->old, g);
}

/* The first event that still has its document needs it no more: parts of our own that have not seen it would parse the
 * text again, each of them, and be more behind for it. */
static bool is_stale(struct window *w) {
    const struct window_holder *h;

    if (w->stale < w->first)
        w->stale = w->first;
    if (w->next - w->stale <= WINDOW_FRESH_EVENTS)
        return false;
    if (w->next - w->stale > WINDOW_UNSEEN_EVENTS)
        return true;
    list_foreach(h, &w->holders, link) if (h->seq <= w->stale) return false;
    return true;
}

void window_push(struct window *w, const struct store_event *e, uint64_t now, struct garbage *g) {
    size_t len = item_text_len(e->item);

    /* after somebody held a great many the rest goes with the next ones: readers wait meanwhile */
    for (int n = 0; n < WINDOW_DROPS_MAX && is_over_full(w, len, now) && !is_held(w); n++)
        drop_first(w, g);
    if (w->next - w->first == w->cap)
        resize(w, w->cap ? w->cap * 2 : WINDOW_CAP_MIN);
    *slot(w, w->next++) = (struct window_event){*e, now};
    w->bytes += len;
    store_item_ref(e->item)->held++;
    if (e->old)
        store_item_ref(e->old)->held++;
    for (int n = 0; n < WINDOW_DROPS_MAX && is_stale(w); n++)
        drop_docs(w, w->stale++, g);
}

void window_sweep(struct window *w, uint64_t now, struct garbage *g) {
    while (is_aged(w, now) && !is_held(w))
        drop_first(w, g);
    for (uint64_t seq = w->first; seq < w->next; seq++) {
        if (slot(w, seq)->time + w->max_age / WINDOW_FRESH_PARTS >= now)
            break;
        drop_docs(w, seq, g); /* also what was in use when its turn came */
    }
    while (w->cap > WINDOW_CAP_MIN && (w->next - w->first) * 4 <= w->cap)
        resize(w, w->cap / 2);
}

uint64_t window_seek(const struct window *w, uint64_t revision) {
    uint64_t lo = w->first, hi = w->next;

    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (slot(w, mid)->event.revision <= revision)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}
