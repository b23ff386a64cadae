/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/scheduler/queue.h"

#include <string.h>

#include "orchestrator/scheduler/cycle.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

#define BACK_OFF_FIRST    (1 * USEC_PER_SEC)
#define BACK_OFF_MAX      (10 * USEC_PER_SEC)
#define UNSCHEDULABLE_MAX (300 * USEC_PER_SEC)

enum place { PLACE_ACTIVE, PLACE_BACK_OFF, PLACE_UNSCHEDULABLE, PLACE_OUT, PLACES };

struct queued_pod {
    struct pod_info *pod;
    enum place place;
    unsigned attempts; /* that failed */
    unsigned plugins;  /* that refused it */
    uint64_t order;    /* first come, first served */
    uint64_t time;     /* back-off: until; unschedulable: since */
    uint64_t back_off_until;
    size_t heap_at;
    struct list link; /* unschedulable, oldest first */
};

struct heap {
    struct queued_pod **items;
    size_t n, cap;
    bool (*before)(const struct queued_pod *a, const struct queued_pod *b);
};

struct sched_queue {
    struct hashmap *pods; /* "ns/name" → queued_pod */
    struct heap active, back_off;
    struct list unschedulable;
    size_t count[PLACES];
    uint64_t order;
};

/* --- binary heaps that know where each item is --- */

static bool active_before(const struct queued_pod *a, const struct queued_pod *b) {
    if (a->pod->priority != b->pod->priority)
        return a->pod->priority > b->pod->priority;
    return a->order < b->order;
}

static bool back_off_before(const struct queued_pod *a, const struct queued_pod *b) {
    return a->time < b->time;
}

static void heap_set(struct heap *h, size_t at, struct queued_pod *p) {
    h->items[at] = p;
    p->heap_at = at;
}

static void heap_up(struct heap *h, size_t at) {
    struct queued_pod *p = h->items[at];

    for (; at > 0 && h->before(p, h->items[(at - 1) / 2]); at = (at - 1) / 2)
        heap_set(h, at, h->items[(at - 1) / 2]);
    heap_set(h, at, p);
}

static void heap_down(struct heap *h, size_t at) {
    struct queued_pod *p = h->items[at];

    for (size_t child; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && h->before(h->items[child + 1], h->items[child]))
            child++;
        if (!h->before(h->items[child], p))
            break;
        heap_set(h, at, h->items[child]);
    }
    heap_set(h, at, p);
}

static void heap_add(struct heap *h, struct queued_pod *p) {
    xgrow(&h->items, h->n, &h->cap);
    heap_set(h, h->n++, p);
    heap_up(h, p->heap_at);
}

static void heap_remove(struct heap *h, struct queued_pod *p) {
    size_t at = p->heap_at;
    struct queued_pod *last = h->items[--h->n];

    if (last == p)
        return;
    heap_set(h, at, last);
    heap_up(h, at);
    heap_down(h, last->heap_at);
}

/* --- places --- */

static void leave(struct sched_queue *q, struct queued_pod *p) {
    q->count[p->place]--;
    switch (p->place) {
    case PLACE_ACTIVE:
        heap_remove(&q->active, p);
        break;
    case PLACE_BACK_OFF:
        heap_remove(&q->back_off, p);
        break;
    case PLACE_UNSCHEDULABLE:
        list_remove(&p->link);
        break;
    case PLACE_OUT:
    case PLACES:
        break;
    }
}

static void enter(struct sched_queue *q, struct queued_pod *p, enum place place, uint64_t time) {
    p->place = place;
    p->time = time;
    q->count[place]++;
    switch (place) {
    case PLACE_ACTIVE:
        p->order = ++q->order;
        heap_add(&q->active, p);
        break;
    case PLACE_BACK_OFF:
        heap_add(&q->back_off, p);
        break;
    case PLACE_UNSCHEDULABLE:
        list_append(&q->unschedulable, &p->link);
        break;
    case PLACE_OUT:
    case PLACES:
        break;
    }
}

/* To where it is tried again: at once, or when its back-off is over. */
static void retry(struct sched_queue *q, struct queued_pod *p, uint64_t now) {
    leave(q, p);
    enter(q, p, p->back_off_until > now ? PLACE_BACK_OFF : PLACE_ACTIVE, p->back_off_until);
}

static void count_failure(struct queued_pod *p, uint64_t now) {
    uint64_t wait = BACK_OFF_FIRST;

    for (unsigned i = 0; i < p->attempts && wait < BACK_OFF_MAX; i++)
        wait *= 2;
    p->attempts++;
    p->back_off_until = now + (wait < BACK_OFF_MAX ? wait : BACK_OFF_MAX);
}

/* --- the queue --- */

static void free_queued(void *v) {
    struct queued_pod *p = v;

    pod_info_free(p->pod);
    free(p);
}

struct sched_queue *sched_queue_new(void) {
    struct sched_queue *q = xnew0(struct sched_queue);

    q->pods = hashmap_new(free_queued);
    q->active.before = active_before;
    q->back_off.before = back_off_before;
    list_init(&q->unschedulable);
    return q;
}

void sched_queue_free(struct sched_queue *q) {
    if (!q)
        return;
    hashmap_free(q->pods);
    free(q->active.items);
    free(q->back_off.items);
    free(q);
}

/* Did anything change that scheduling depends on? Status does not, and we write it ourselves. */
static bool same_wish(const struct pod_info *a, const struct pod_info *b) {
    return json_equal(json_get(a->object, "spec"), json_get(b->object, "spec")) &&
           json_equal(json_path(a->object, "metadata", "labels"), json_path(b->object, "metadata", "labels"));
}

void sched_queue_put(struct sched_queue *q, struct pod_info *take, uint64_t now) {
    struct queued_pod *p = hashmap_get(q->pods, take->key);

    if (p && strcmp(p->pod->uid, take->uid) == 0) {
        if (p->place == PLACE_OUT || same_wish(p->pod, take)) {
            pod_info_free(
                take); /* what is out is being tried as it was; the binding fails if that is not right any more */
            return;
        }
        enum place place = p->place;
        leave(q, p);
        pod_info_free(p->pod);
        p->pod = take;
        enter(q, p, place, p->time);
        if (place == PLACE_UNSCHEDULABLE)
            retry(q, p, now);
        return;
    }
    if (p)
        sched_queue_remove(q, take->key);
    p = xnew0(struct queued_pod);
    p->pod = take;
    list_init(&p->link);
    hashmap_put(q->pods, take->key, p);
    enter(q, p, PLACE_ACTIVE, 0);
}

void sched_queue_remove(struct sched_queue *q, const char *key) {
    struct queued_pod *p = hashmap_get(q->pods, key);

    if (!p)
        return;
    leave(q, p);
    (void) hashmap_steal(q->pods, key); /* key may be the pod's own */
    free_queued(p);
}

static void release_due(struct sched_queue *q, uint64_t now) {
    while (q->back_off.n > 0 && q->back_off.items[0]->time <= now) {
        struct queued_pod *p = q->back_off.items[0];
        leave(q, p);
        enter(q, p, PLACE_ACTIVE, 0);
    }
    while (!list_empty(&q->unschedulable)) {
        struct queued_pod *p = list_entry(q->unschedulable.next, struct queued_pod, link);
        if (p->time + UNSCHEDULABLE_MAX > now)
            break;
        retry(q, p, now);
    }
}

const struct pod_info *sched_queue_pop(struct sched_queue *q, uint64_t now) {
    release_due(q, now);
    if (q->active.n == 0)
        return NULL;
    struct queued_pod *p = q->active.items[0];
    leave(q, p);
    enter(q, p, PLACE_OUT, 0);
    return p->pod;
}

static struct queued_pod *find_out(struct sched_queue *q, const char *key) {
    struct queued_pod *p = hashmap_get(q->pods, key);

    return p && p->place == PLACE_OUT ? p : NULL;
}

void sched_queue_unschedulable(struct sched_queue *q, const char *key, unsigned plugins, uint64_t now) {
    struct queued_pod *p = find_out(q, key);

    if (!p)
        return;
    count_failure(p, now);
    p->plugins = plugins;
    leave(q, p);
    enter(q, p, PLACE_UNSCHEDULABLE, now);
}

void sched_queue_back_off(struct sched_queue *q, const char *key, uint64_t now) {
    struct queued_pod *p = find_out(q, key);

    if (!p)
        return;
    count_failure(p, now);
    leave(q, p);
    enter(q, p, PLACE_BACK_OFF, p->back_off_until);
}

/* What may happen to a node that the pod was never tried on, or which was refused for something new since then: any of
 * it counts for every pod, whatever plugin refused it elsewhere. (A node comes in steps: it is added with a taint and
 * without resources, and only the last step makes it fit.) */
#define NODE_EVENTS                                                                                                    \
    (EVENT_NODE_ADDED | EVENT_NODE_ALLOCATABLE | EVENT_NODE_LABELS | EVENT_NODE_TAINTS | EVENT_NODE_SCHEDULABLE)

/* The events a pod waits for that was refused by these plugins (none: there was no node at all). */
static unsigned awaited(unsigned plugins) {
    size_t n;
    const struct sched_plugin *const *all = sched_plugins(&n);
    unsigned events = NODE_EVENTS;

    for (size_t i = 0; i < n; i++)
        if (plugins & (1u << i))
            events |= all[i]->events;
    return events;
}

size_t sched_queue_event(struct sched_queue *q, unsigned events, const struct node_info *node, uint64_t now) {
    struct queued_pod *p;
    size_t moved = 0;

    list_foreach(p, &q->unschedulable, link) {
        if (!(awaited(p->plugins) & events) || !sched_would_fit(p->pod, node))
            continue;
        retry(q, p, now);
        moved++;
    }
    return moved;
}

uint64_t sched_queue_next_time(const struct sched_queue *q) {
    uint64_t next = UINT64_MAX;

    if (q->active.n > 0)
        return 0;
    if (q->back_off.n > 0)
        next = q->back_off.items[0]->time;
    if (!list_empty(&q->unschedulable)) {
        uint64_t due = list_entry(q->unschedulable.next, struct queued_pod, link)->time + UNSCHEDULABLE_MAX;
        next = due < next ? due : next;
    }
    return next;
}

struct sched_queue_sizes sched_queue_sizes(const struct sched_queue *q) {
    return (struct sched_queue_sizes){
        .active = q->count[PLACE_ACTIVE],
        .back_off = q->count[PLACE_BACK_OFF],
        .unschedulable = q->count[PLACE_UNSCHEDULABLE],
        .out = q->count[PLACE_OUT],
    };
}
