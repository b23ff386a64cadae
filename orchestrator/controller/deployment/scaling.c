/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the wanted pods are spread over old and new ReplicaSets. */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/deployment/view.h"
#include "podium/base/alloc.h"

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static bool is_old(const struct view *v, const struct set_view *s) {
    return s != v->current;
}

int64_t view_total_spec(const struct view *v) {
    int64_t total = 0;
    for (size_t i = 0; i < v->n; i++)
        total += v->sets[i].spec;
    return total;
}

/* --- rolling update --- */

int64_t scale_new_target(const struct view *v) {
    int64_t have = v->current ? v->current->spec : 0;
    if (v->recreate)
        return v->replicas;
    int64_t room = v->replicas + v->surge - view_total_spec(v);
    if (room <= 0)
        return have;
    return have + least(room, v->replicas - have > 0 ? v->replicas - have : 0);
}

static bool set_spec(struct set_view *s, int64_t spec) {
    if (spec < 0)
        spec = 0;
    if (s->spec == spec)
        return false;
    s->spec = spec;
    s->marked = true;
    return true;
}

static bool scale_new(struct view *v) {
    if (!v->current || v->current->spec == v->replicas)
        return false;
    if (v->current->spec > v->replicas)
        return set_spec(v->current, v->replicas);
    return set_spec(v->current, scale_new_target(v));
}

/* Pods of old sets that are not available serve nobody: they go first, up to the limit. Returns how many. */
static int64_t drop_unhealthy(struct view *v, int64_t limit) {
    int64_t dropped = 0;
    for (size_t i = 0; i < v->n && dropped < limit; i++) {
        struct set_view *s = &v->sets[i];
        int64_t unhealthy = s->spec - s->available;
        if (!is_old(v, s) || s->spec == 0 || unhealthy <= 0)
            continue;
        int64_t n = least(limit - dropped, unhealthy);
        set_spec(s, s->spec - n);
        dropped += n;
    }
    return dropped;
}

/* Takes pods from old sets, the oldest sets first. After drop_unhealthy() only available ones are left, and the limit
 * is what may become unavailable. */
static int64_t drop_healthy(struct view *v, int64_t limit) {
    int64_t dropped = 0;
    for (size_t i = 0; i < v->n && dropped < limit; i++) {
        struct set_view *s = &v->sets[i];
        if (!is_old(v, s) || s->spec == 0)
            continue;
        int64_t n = least(s->spec, limit - dropped);
        set_spec(s, s->spec - n);
        dropped += n;
    }
    return dropped;
}

static bool scale_old(struct view *v) {
    int64_t total = view_total_spec(v), old = total - (v->current ? v->current->spec : 0);
    if (old == 0)
        return false;
    int64_t new_available = v->current ? least(v->current->available, v->current->spec) : 0;
    int64_t new_unavailable = v->current ? v->current->spec - new_available : 0;
    /* How many of all pods may be missing, counting new ones that are not there yet. The status of a set may lag behind
     * its last scaling: never count on more pods than it is to have. */
    int64_t limit = total - (v->replicas - v->unavailable) - new_unavailable;
    if (limit <= 0)
        return false;
    int64_t dropped = drop_unhealthy(v, limit);
    dropped += drop_healthy(v, limit - dropped);
    return dropped > 0;
}

bool scale_rolling(struct view *v) {
    return scale_new(v) || scale_old(v);
}

/* --- recreate --- */

bool scale_recreate(struct view *v) {
    bool changed = false, alive = false;
    for (size_t i = 0; i < v->n; i++) {
        struct set_view *s = &v->sets[i];
        if (!is_old(v, s))
            continue;
        changed |= set_spec(s, 0);
        alive |= s->pods_alive > 0 || s->status > 0;
    }
    if (changed)
        return true;
    if (alive || !v->current) /* old pods first, to the last */
        return alive;
    return set_spec(v->current, v->replicas);
}

/* --- the size of the Deployment --- */

/* The one set that takes the whole size: the only active one, or the newest when none is active. */
static struct set_view *sole_set(struct view *v) {
    struct set_view *active = NULL;
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (v->sets[i].spec > 0) {
            active = &v->sets[i];
            n++;
        }
    if (n == 1)
        return active;
    if (n > 1)
        return NULL;
    return v->current ? v->current : v->n > 0 ? &v->sets[v->n - 1] : NULL;
}

static bool is_saturated(const struct view *v) {
    return v->current && set_annotation(v->current->object, ANNOTATION_DESIRED) == v->replicas &&
           v->current->spec == v->replicas && v->current->available == v->replicas;
}

/* The set's part of the change, by its part of the former size; rounded to the nearest. */
static int64_t fraction(const struct view *v, const struct set_view *s) {
    if (v->replicas == 0)
        return -s->spec;
    int64_t before = set_annotation(s->object, ANNOTATION_MAX);
    if (before <= 0)
        before = json_int_or(json_path(v->d, "status", "replicas"), 0);
    if (before <= 0)
        return 0;
    return (2 * s->spec * (v->replicas + v->surge) + before) / (2 * before) - s->spec;
}

static int compare(int64_t a, int64_t b) {
    return a < b ? -1 : a > b;
}

static int bigger_newer_first(const void *pa, const void *pb) {
    const struct set_view *a = *(struct set_view *const *) pa, *b = *(struct set_view *const *) pb;
    int r = compare(b->spec, a->spec);
    return r ? r : compare((int64_t) b->created, (int64_t) a->created);
}

static int bigger_older_first(const void *pa, const void *pb) {
    const struct set_view *a = *(struct set_view *const *) pa, *b = *(struct set_view *const *) pb;
    int r = compare(b->spec, a->spec);
    return r ? r : compare((int64_t) a->created, (int64_t) b->created);
}

static void scale_proportionally(struct view *v) {
    _cleanup_free_ struct set_view **active = xcalloc(v->n + 1, sizeof(*active));
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (v->sets[i].spec > 0)
            active[n++] = &v->sets[i];
    if (n == 0)
        return;
    int64_t allowed = v->replicas > 0 ? v->replicas + v->surge : 0;
    int64_t add = allowed - view_total_spec(v), added = 0;
    qsort(active, n, sizeof(*active), add > 0 ? bigger_newer_first : bigger_older_first);
    _cleanup_free_ int64_t *sizes = xcalloc(n, sizeof(*sizes));
    for (size_t i = 0; i < n; i++) {
        int64_t part = 0;
        if (add != 0 && add != added) {
            part = fraction(v, active[i]);
            if (add > 0 ? part > add - added : part < add - added)
                part = add - added;
        }
        sizes[i] = active[i]->spec + part;
        added += part;
    }
    sizes[0] += add - added; /* what rounding left goes to the biggest */
    for (size_t i = 0; i < n; i++)
        set_spec(active[i], sizes[i]);
}

void scale_all(struct view *v) {
    for (size_t i = 0; i < v->n; i++)
        v->sets[i].marked |= v->sets[i].spec > 0 || &v->sets[i] == v->current;
    struct set_view *sole = sole_set(v);
    if (sole) {
        set_spec(sole, v->replicas);
    } else if (is_saturated(v)) {
        for (size_t i = 0; i < v->n; i++)
            if (is_old(v, &v->sets[i]))
                set_spec(&v->sets[i], 0);
    } else if (!v->recreate) {
        scale_proportionally(v);
    }
}
