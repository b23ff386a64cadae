/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store: all objects, one revision sequence over all kinds, durable writes, watches from a revision.
 *
 * What it is. A current-state index in memory (rebuilt at start) over a durable back-end (LMDB; etcd later) plus, per
 * resource, a bounded window of events to resume watches from. A back-end is a `struct store_backend_ops` (backend.h).
 * What the API makes of events (encoding per media type, fan-out, bookmarks) is not here but in orchestrator/watch/.
 *
 * Invariants. Revisions start at 1 and rise by one per submitted write; a write that fails leaves a gap; no revision is
 * ever used twice, also after a restart. A write is acknowledged (and visible to readers and watchers) only after it is
 * durable. Writers are checked against the newest *submitted* state, so that pipelined writes to one object order
 * correctly; if a batch fails, every write of it and all that were built on it fail. Documents handed in are
 * published: nobody writes them afterwards. Writing a document that equals the stored one is the caller's business.
 *
 * Room. When map or disk are nearly full, creations fail with -ENOSPC. Updates go on for as long as they do not make
 * objects much larger, deletions in any case.
 *
 * Order. DESIGN.md has the event loop order the writes; here a short mutex does, and readers take a read lock, so that
 * the threads which serve HTTP answer gets, lists and watches, and submit writes, without a detour over the loop.
 *
 * Memory. An object is its document, packed (base/json.h), and its compact text, each made from the other on first use.
 * Event windows hold up to window_events events and 16 MiB of text per resource, for window_age_usec; old ones go as
 * writes come, to whatever resource; more while a watch holds them (store_watch_hold()). Objects and events whose
 * document nobody holds keep the text only, after a while. No item may be asked for its document once the store is
 * closed.
 *
 * Threads. Every function may be called from any thread, for one watch from one thread at a time. Reads take a short
 * read lock and return references. Callbacks (`store_done_fn`, `store_wake_fn`) run on the store's commit thread: they
 * must only hand over (post to a loop, resume a connection), never block and never call store_close(). They may submit
 * writes. A process that forks must not use the store in the child.
 *
 * Keys. `resource` is struct resource.key ("pods", "deployments.apps"); `ns` is "" for cluster-scoped objects. Each
 * part has at most 1,024 bytes. Order of lists: by (ns, name), bytewise.
 */
#ifndef PODIUM_STORE_STORE_H
#define PODIUM_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct store;

/* One stored object at one revision; immutable, refcounted. */
struct store_item;
struct store_item *store_item_ref(struct store_item *i);
void store_item_unref(struct store_item *i);
DEFINE_CLEANUP(struct store_item *, store_item_unref)
uint64_t store_item_revision(const struct store_item *i);
const char *store_item_namespace(const struct store_item *i);
const char *store_item_name(const struct store_item *i);
/* The document with metadata.resourceVersion (a string) set; borrowed, as long as the item is held. */
const struct json *store_item_doc(struct store_item *i);
/* The same as a new reference; made for the caller alone when nobody has it: for those who go through many items, which
 * would otherwise all carry a document ever after. */
struct json *store_item_read(struct store_item *i);
/* One member of one of its top-level objects as a new reference, NULL when absent: where there is no document, only
 * this part of the text is read. */
struct json *store_item_member(struct store_item *i, const char *object, const char *member);
/* Its compact JSON text, encoded at most once and shared; borrowed. */
const char *store_item_text(struct store_item *i, size_t *ret_len);
/* A second encoding of it (protobuf), likewise made at most once and shared among all watchers; borrowed. Who makes it
 * is the caller's business, but it must be the same for every caller. It goes with the documents nobody reads. encode
 * NULL: only if it is there already; else, or when encode fails, NULL. */
typedef int (*store_encode_fn)(void *userdata, const struct json *doc, struct strbuf *out);
const char *store_item_packed(struct store_item *i, store_encode_fn encode, void *userdata, size_t *ret_len);

enum store_op { STORE_CREATE, STORE_UPDATE, STORE_DELETE };

struct store_write {
    enum store_op op;
    const char *resource, *ns, *name;
    struct json *doc; /* CREATE, UPDATE: the new document (a reference is taken; resourceVersion in it is ignored).
                       * DELETE: the last state to show to watchers, or NULL for the stored one. */
    uint64_t expect_revision; /* UPDATE, DELETE: must be the object's revision; 0: whatever it is */
};

/* result: 0, or -EEXIST, -ENOENT, -ESTALE (revision is not expect_revision), -ENOSPC (back-end full), -E2BIG (object
 * too large), -ECANCELED (built on a write that failed: nothing speaks against trying again), -EIO. item: the new state
 * (deletion: last state carrying the revision of the deletion); borrowed. */
typedef void (*store_done_fn)(void *userdata, int result, struct store_item *item);

struct store_options {
    const char *path;         /* folder of the back-end */
    size_t map_bytes;         /* LMDB map size, 0: 8 GiB (sparse) */
    unsigned window_events;   /* per resource; 0: WATCH_WINDOW_EVENTS */
    uint64_t window_age_usec; /* 0: WATCH_WINDOW_AGE_USEC */
    bool no_sync;             /* tests and benchmarks only */
    const char *key_file;     /* Secrets are sealed with the keys in it (seal_keys.h), made when absent; NULL: plain */
};

/* Creates the folder (mode 0700) and data.mdb in it (0600) where absent. -EBUSY: another process has it open. -EBADMSG:
 * damaged, or not a store; -EPROTONOSUPPORT: written by another version. */
int store_open_lmdb(const struct store_options *options, struct store **ret, struct error *err) _must_check_;
/* Flushes and closes; no watch or write may be in flight. */
void store_close(struct store *s);

/* Submits one write. Failures known at once are returned and done is not called: -EEXIST, -ENOENT, -ESTALE (revision is
 * not expect_revision), -E2BIG (beyond OBJECT_STORED_BYTES_MAX, or a name too long), -EINVAL (no object, or metadata is
 * none). Otherwise 0 and done is called exactly once, possibly before this returns. Encodes on the calling thread. */
int store_submit(struct store *s, const struct store_write *w, store_done_fn done, void *userdata) _must_check_;

uint64_t store_revision(struct store *s); /* of the newest committed write */
/* A new reference, or NULL. */
struct store_item *store_get(struct store *s, const char *resource, const char *ns, const char *name);
/* The newest submitted state, which may not be durable yet: what a read-modify-write must build on, or it would lose
 * against every write still on its way to the disk. Never show it to anybody before a write on top of it is
 * acknowledged. */
struct store_item *store_get_submitted(struct store *s, const char *resource, const char *ns, const char *name);

/* Who refuses something because of what store_get_submitted() or store_submit() told must not say so before that is
 * durable: else others could be shown the older state afterwards. 1: the object has a write under way, done is called
 * when it is durable (result 0) or has failed (item is NULL in both cases); 0: there is none, done is not called. */
int store_settle(struct store *s, const char *resource, const char *ns, const char *name, store_done_fn done,
                 void *userdata) _must_check_;
/* Rises when writes fail after they were submitted: a conclusion drawn from a submitted state meanwhile may be wrong.
 */
uint64_t store_failures(struct store *s);

struct store_list {
    struct store_item **items; /* references */
    size_t n;
    uint64_t revision; /* the state the list shows */
    bool more;         /* limit reached before the end */
    size_t remaining;  /* objects after the last one returned, when more */
};
void store_list_finish(struct store_list *l);
/* ns NULL: all namespaces. after_ns/after_name: start behind this key (NULL: from the beginning). limit 0: everything.
 * at_revision 0: newest; else exactly the state at that revision as far as the event window reaches back, -ESTALE when
 * it doesn't, -ERANGE when it lies in the future. */
int store_list(struct store *s, const char *resource, const char *ns, const char *after_ns, const char *after_name,
               size_t limit, uint64_t at_revision, struct store_list *ret) _must_check_;
size_t store_count(struct store *s, const char *resource);

/* --- watching --- */
enum store_event_type { STORE_EVENT_ADDED, STORE_EVENT_MODIFIED, STORE_EVENT_DELETED };
struct store_event {
    enum store_event_type type;
    uint64_t revision;
    struct store_item *item; /* new state; for DELETED the last state with the deletion's revision */
    struct store_item *old;  /* previous state, NULL for ADDED; for selector transitions */
};

struct store_watch;
typedef void (*store_wake_fn)(void *userdata);
/* Events with a revision greater than `after`. -ESTALE when the window no longer reaches back, -ERANGE when `after`
 * is in the future. ns NULL: all namespaces. wake is called once after store_watch_next() returned 0 and an event came;
 * now and then without one (then next returns 0 again). It must not call store_watch_close(). */
int store_watch_open(struct store *s, const char *resource, const char *ns, uint64_t after, store_wake_fn wake,
                     void *userdata, struct store_watch **ret) _must_check_;
/* 1: *ret filled (references borrowed until the next call on this watch); 0: nothing now, wake is armed;
 * -ESTALE: fell out of the window (reader too slow). */
int store_watch_next(struct store_watch *w, struct store_event *ret) _must_check_;
/* The revision up to which the watch has seen everything: for bookmarks. Rises with other resources' writes, too. */
uint64_t store_watch_position(struct store_watch *w);
/* From now on no event is dropped before this watch has seen it, however many there are (to half a million, or half a
 * gigabyte of text): for the process's own parts, which would have to list everything again just when they are behind.
 */
void store_watch_hold(struct store_watch *w);
/* After the return, wake is not running and will not be called. Not from within wake. */
void store_watch_close(struct store_watch *w);

#endif
