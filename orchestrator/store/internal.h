/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the store share among themselves; nobody else includes it.
 *
 * Three locks, always taken in this order:
 *   submit   the order of writes: queue, newest submitted state of objects being written, next revision
 *   state    (rwlock) what is committed: indexes, event windows, committed revision, the table of resources
 *   watching lists of watches waiting for an event
 * Only the commit thread takes `state` for writing (and whoever makes a resource known for the first time), for as long
 * as it takes to link a batch in; nothing is encoded, freed or written to disk under it.
 */
#ifndef PODIUM_STORE_INTERNAL_H
#define PODIUM_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "orchestrator/store/backend.h"
#include "orchestrator/store/store.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"
#include "podium/base/strbuf.h"

enum { STORE_KEY_PART_BYTES_MAX = 1024 }; /* of a resource, namespace or name; rows have 16 bits for their sizes */

/* --- item.c --- */
struct item_text {
    size_t len;
    char data[];
};

/* doc and text are each derived from the other on first use; at least one is always there. */
struct store_item {
    atomic_uint refs;
    unsigned held; /* how many of refs belong to event windows and to the index; under the state lock */
    uint64_t revision;
    _Atomic(struct json *) doc;
    _Atomic(struct item_text *) text, packed; /* packed: NULL until somebody wants it */
    struct json_words *words;                 /* the store's: of documents read from the text; may be NULL */
    size_t name_at;
    char ns[]; /* "ns\0name\0" */
};

/* A document on its way to become an item: everything expensive is done before the submit lock is taken. */
struct item_draft {
    struct json_words *words;
    struct json
        *doc; /* packed, else own copies of root and metadata, so that the revision can be set without copying */
    struct json *blank; /* packed: where the revision goes */
    struct strbuf text; /* encoded with an empty resourceVersion */
    size_t hole;        /* where its digits go */
};
void item_draft_init(struct item_draft *d, const struct json *doc, struct json_words *words);
/* Makes the text, and packs the document: the one informers and readers will share. */
void item_draft_encode(struct item_draft *d);
void item_draft_finish(struct item_draft *d);
struct store_item *item_from_draft(struct item_draft *d, uint64_t revision, const char *ns, const char *name);
/* words: see struct store_item. */
struct store_item *item_from_text(const char *text, size_t len, uint64_t revision, const char *ns, const char *name,
                                  struct json_words *words);
/* Takes the document out of an item nobody but event windows and the index hold, to be rebuilt from the text if ever
 * asked for; NULL when it is in use, or when somebody else has the document anyway. Under the state write lock; the
 * caller unrefs. */
struct json *item_take_doc(struct store_item *i);
/* Likewise what store_item_packed() has made; the caller frees. */
struct item_text *item_take_packed(struct store_item *i);
/* Both, as things to release. */
struct garbage;
void item_drop_made(struct store_item *i, struct garbage *g);
size_t item_text_len(const struct store_item *i); /* 0 when not encoded yet */

/* --- index.c: items ordered by (ns, name); holds one reference each --- */
struct index {
    struct index_chunk **chunks;
    size_t n_chunks, cap, n_items;
};
struct index_pos {
    size_t chunk, at; /* (n_chunks, 0) is the end */
};
void index_finish(struct index *ix);
int index_compare(const struct store_item *i, const char *ns, const char *name);
struct store_item *index_find(const struct index *ix, const char *ns, const char *name); /* borrowed */
/* Take the reference of `take`; return that of the item replaced or removed, or NULL. */
struct store_item *index_put(struct index *ix, struct store_item *take);
struct store_item *index_remove(struct index *ix, const char *ns, const char *name);
/* The first item at or behind a key. name NULL: behind every name of the namespace. */
struct index_pos index_seek(const struct index *ix, const char *ns, const char *name);
struct index_pos index_seek_behind(const struct index *ix, const char *ns, const char *name);
struct index_pos index_end(const struct index *ix);
struct store_item *index_at(const struct index *ix, struct index_pos p); /* borrowed; NULL at the end */
void index_next(const struct index *ix, struct index_pos *p);
size_t index_distance(const struct index *ix, struct index_pos from, struct index_pos to); /* from <= to */
/* Documents of the items of some chunks from `chunk` on that nobody reads any more go; returns where to go on, 0 at the
 * end. Under the state write lock, which is why it is not all at once. */
size_t index_drop_docs(const struct index *ix, size_t chunk, struct garbage *g);

/* --- events.c: the newest events of one resource --- */
struct window_event {
    struct store_event event;
    uint64_t time; /* monotonic, microseconds */
};
struct window {
    struct window_event *ring; /* capacity is a power of two; event `seq` is at seq % cap */
    size_t cap, max_events;
    uint64_t max_age;     /* microseconds */
    uint64_t first, next; /* sequence numbers: [first, next) are there */
    uint64_t floor;       /* events up to this revision may be missing */
    uint64_t stale;       /* events before this one were asked to give up their documents */
    size_t bytes;         /* of text */
    struct list holders;  /* watches nothing is dropped in front of; under the state lock */
};
/* A watch that holds the window, as a member of it. */
struct window_holder {
    struct list link;
    uint64_t seq; /* next event it will look at */
};
/* Things to release once the state lock is let go. */
struct garbage {
    struct store_item **items;
    size_t n_items, cap_items;
    struct json **docs;
    size_t n_docs, cap_docs;
    struct item_text **texts;
    size_t n_texts, cap_texts;
};
void garbage_add_item(struct garbage *g, struct store_item *take); /* NULL is fine */
void garbage_add_doc(struct garbage *g, struct json *take);
void garbage_add_text(struct garbage *g, struct item_text *take);
void garbage_empty(struct garbage *g);
void garbage_finish(struct garbage *g);
void window_init(struct window *w, size_t max_events, uint64_t max_age, uint64_t floor);
void window_finish(struct window *w);
/* References of its own are taken; what falls out goes to g. now: monotonic microseconds. */
void window_push(struct window *w, const struct store_event *e, uint64_t now, struct garbage *g);
/* Drops events that are too old, and documents of those that are not fresh by the clock. Now and then. */
void window_sweep(struct window *w, uint64_t now, struct garbage *g);
const struct store_event *window_at(const struct window *w, uint64_t seq);
uint64_t window_seek(const struct window *w, uint64_t revision); /* first event with a greater revision, or next */

/* --- the store --- */
struct resource_state {
    char *name;
    struct index index;
    struct window window;
    struct list armed;    /* watches to wake at the next event; under `watching` */
    uint64_t woken_batch; /* commit thread only */
};

/* Somebody who waits for a write of somebody else; see store_settle(). */
struct settler {
    struct settler *next;
    store_done_fn done;
    void *userdata;
};

struct write {
    struct write *next;
    enum store_op op;
    struct resource_state *resource;
    struct store_item *item; /* new state, or last state with the deletion's revision */
    struct store_item *old;  /* NULL for CREATE */
    char *key;               /* in store.pending */
    store_done_fn done;
    void *userdata;
    int result;
    struct settler *settlers; /* under `submit`, until it is out of store.pending */
};

struct write_queue {
    struct write *head, **tail;
    size_t n;
};

struct seal;
struct store {
    struct store_backend *backend;
    struct seal *seal; /* sealing.h; NULL: nothing is encrypted */
    struct json_words *words;
    unsigned window_events;
    uint64_t window_age;    /* microseconds */
    uint64_t open_revision; /* no event up to here is in any window */

    pthread_mutex_t submit;
    pthread_cond_t submitted;
    struct write_queue queue;
    struct hashmap *pending; /* key → newest write (struct write) of an object under way */
    uint64_t next_revision;
    bool stopping;
    atomic_uint_fast64_t failures;

    pthread_rwlock_t state;
    struct hashmap *resources; /* name → struct resource_state */
    uint64_t revision;

    pthread_mutex_t watching;
    pthread_cond_t woken;
    struct list waking; /* commit thread is about to wake these */

    pthread_t thread;
};

/* Under the state lock; NULL when no object or watch of that resource was ever seen. */
struct resource_state *store_resource_find(struct store *s, const char *resource);
/* Takes and leaves the state lock; never NULL. */
struct resource_state *store_resource_get(struct store *s, const char *resource);

/* --- open.c --- */
extern const char *const store_sealed_resources[]; /* what is encrypted where there is a key; ends with NULL */

/* --- commit.c --- */
void *store_commit_main(void *store);

/* --- watch.c --- */
/* Calls wake of every watch that waits for one of these writes. Commit thread, no lock held. */
void store_wake_watches(struct store *s, struct write *const *writes, size_t n, uint64_t batch);

/* --- list_at.c --- */
struct list_range {
    const char *ns, *after_ns, *after_name;
    size_t limit;
};
/* The state at an older revision which the window is known to reach. Under the state lock. */
void store_list_at(const struct resource_state *res, uint64_t revision, const struct list_range *range,
                   struct store_list *ret);
/* list.c: where a range starts and ends in the index. */
struct index_pos list_range_start(const struct index *ix, const struct list_range *range);
struct index_pos list_range_end(const struct index *ix, const struct list_range *range);

#endif
