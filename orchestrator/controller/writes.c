/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/writes.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

/* Should a watch never show it (written and gone between two lists). */
#define WAIT_USEC (5 * USEC_PER_SEC)

/* The unseen of one key. */
struct unseen {
    struct hashmap *revisions; /* name → text of resourceVersion */
    uint64_t until;
    bool wanted; /* somebody waits */
};

struct write_tracker {
    const struct informer *informer;
    struct hashmap *keys;    /* → struct unseen */
    struct hashmap *resting; /* key → uint64_t until; monotonic */
};

static void unseen_free(void *p) {
    struct unseen *u = p;
    hashmap_free(u->revisions);
    free(u);
}

struct write_tracker *write_tracker_new(const struct informer *informer) {
    struct write_tracker *w = xnew0(struct write_tracker);
    w->informer = informer;
    w->keys = hashmap_new(unseen_free);
    w->resting = hashmap_new(free);
    return w;
}

void write_tracker_free(struct write_tracker *w) {
    if (!w)
        return;
    hashmap_free(w->keys);
    hashmap_free(w->resting);
    free(w);
}

static const char *revision_text(const struct json *object) {
    return json_str_or(json_path(object, "metadata", "resourceVersion"), "0");
}

/* The API's revisions are ordered numbers. */
static bool is_older(const char *a, const char *b) {
    return strtoull(a, NULL, 10) < strtoull(b, NULL, 10);
}

void write_tracker_expect(struct write_tracker *w, const char *key, const struct json *object) {
    const struct json *seen = informer_get(w->informer, meta_namespace(object), meta_name(object));
    if (seen && !is_older(revision_text(seen), revision_text(object)))
        return; /* the watch was faster than the answer */
    struct unseen *u = hashmap_get(w->keys, key);
    if (!u) {
        u = xnew0(struct unseen);
        u->revisions = hashmap_new(free);
        hashmap_put(w->keys, key, u);
    }
    u->until = now_monotonic_usec() + WAIT_USEC;
    hashmap_put(u->revisions, meta_name(object), xstrdup(revision_text(object)));
}

void write_tracker_rest(struct write_tracker *w, const char *key, uint64_t usec) {
    uint64_t until = now_monotonic_usec() + usec;
    hashmap_put(w->resting, key, xmemdup(&until, sizeof(until)));
}

static bool is_resting(struct write_tracker *w, struct task *t, uint64_t now) {
    const uint64_t *until = hashmap_get(w->resting, t->key);
    if (!until)
        return false;
    if (*until <= now) {
        (void) hashmap_remove(w->resting, t->key);
        return false;
    }
    task_again_after(t, *until - now);
    return true;
}

bool write_tracker_waits(struct write_tracker *w, struct task *t) {
    struct unseen *u = hashmap_get(w->keys, t->key);
    uint64_t now = now_monotonic_usec();
    if (!u)
        return is_resting(w, t, now);
    if (u->until <= now) {
        hashmap_remove(w->keys, t->key);
        return false;
    }
    u->wanted = true;
    task_again_after(t, u->until - now);
    return true;
}

bool write_tracker_saw(struct write_tracker *w, const char *key, const struct json *old, const struct json *object) {
    struct unseen *u = hashmap_get(w->keys, key);
    const char *name = meta_name(object ? object : old);
    const char *expected = u ? hashmap_get(u->revisions, name) : NULL;
    if (!expected)
        return true; /* somebody else's change */
    if (object && is_older(revision_text(object), expected))
        return false; /* ours is still to come */
    bool ours = object && strcmp(revision_text(object), expected) == 0;
    hashmap_remove(u->revisions, name);
    if (hashmap_len(u->revisions) > 0)
        return !ours;
    bool again = !ours || u->wanted;
    hashmap_remove(w->keys, key);
    return again;
}

/* --- plans --- */

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    struct slice_writes *w = arg;
    int r = client_errno(result);
    if (client_ok(result) && json_is_object(json_get(result->object, "metadata")))
        write_tracker_expect(w->tracker, t->key, result->object);
    if (r == -ENOENT) /* gone under our hands: what we know is old */
        r = -EAGAIN;
    if (r < 0 && !task_namespace_is_ending(result))
        w->result = r;
    if (t->pending == 0)
        w->done(t, w->result);
}

static void on_removed(struct task *t, const struct client_result *result, void *arg) {
    struct slice_writes *w = arg;
    int r = client_errno(result);
    if (r < 0 && r != -ENOENT)
        w->result = r;
    if (t->pending == 0)
        w->done(t, w->result);
}

static void write_all(struct task *t, struct slice_writes *w, const struct json *docs, enum client_verb verb) {
    for (size_t i = 0; i < json_len(docs); i++) {
        struct json *doc = json_at(docs, i);
        struct client_request r = {
            .verb = verb,
            .resource = w->resource,
            .ns = w->ns,
            .name = verb == CLIENT_CREATE ? NULL : meta_name(doc),
            .body = doc,
        };
        task_call(t, &r, on_written, w);
    }
}

static void remove_all(struct task *t, struct slice_writes *w, const struct json *docs) {
    for (size_t i = 0; i < json_len(docs); i++)
        task_delete(t, w->resource, json_at(docs, i), NULL, on_removed, w);
}

void slices_write(struct task *t, struct slice_writes *w, const struct slice_plan *plan) {
    w->result = 0;
    write_all(t, w, plan->create, CLIENT_CREATE);
    write_all(t, w, plan->update, CLIENT_UPDATE);
    remove_all(t, w, plan->remove); /* last: nothing is missing in between */
    if (t->pending == 0)
        w->done(t, 0);
}

void write_tracker_slice_changed(struct write_tracker *w, struct task_queue *q, const char *manager,
                                 const struct json *old, const struct json *slice) {
    _cleanup_strv_ char **keys = strv_new();

    if (old)
        slice_service_key(old, manager, &keys);
    if (slice)
        slice_service_key(slice, manager, &keys);
    for (char **key = keys; *key; key++)
        if (write_tracker_saw(w, *key, old, slice))
            workqueue_add(q->queue, *key);
}
