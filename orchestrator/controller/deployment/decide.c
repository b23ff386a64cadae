/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/deployment/decide.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/deployment/view.h"
#include "orchestrator/controller/ownership.h"
#include "podium/base/alloc.h"

/* --- the view --- */

/* "25%" of replicas, or a number. */
static int64_t resolve(const struct json *v, int64_t replicas, bool up, int64_t otherwise) {
    const char *text = json_str(v);
    if (!text)
        return json_int_or(v, otherwise);
    int64_t percent = strtoll(text, NULL, 10);
    if (percent < 0 || percent > INT32_MAX)
        return 0;
    return (percent * replicas + (up ? 99 : 0)) / 100;
}

void deployment_bounds(const struct json *d, int64_t *ret_surge, int64_t *ret_unavailable) {
    *ret_surge = *ret_unavailable = 0;
    const struct json *strategy = json_path(d, "spec", "strategy");
    if (strcmp(json_str_or(json_get(strategy, "type"), "RollingUpdate"), "RollingUpdate") != 0)
        return;
    int64_t replicas = json_int_or(json_path(d, "spec", "replicas"), 1);
    int64_t quarter_up = (replicas + 3) / 4, quarter = replicas / 4;
    *ret_surge = resolve(json_path(strategy, "rollingUpdate", "maxSurge"), replicas, true, quarter_up);
    *ret_unavailable = resolve(json_path(strategy, "rollingUpdate", "maxUnavailable"), replicas, false, quarter);
    if (*ret_surge == 0 && *ret_unavailable == 0)
        *ret_unavailable = 1; /* rounding must not stop the rollout */
    if (*ret_unavailable > replicas)
        *ret_unavailable = replicas;
}

static int oldest_first(const void *pa, const void *pb) {
    const struct set_view *a = pa, *b = pb;
    if (a->created != b->created)
        return a->created < b->created ? -1 : 1;
    return strcmp(meta_name(a->object), meta_name(b->object));
}

static int64_t number(const struct json *rs, const char *part, const char *name, int64_t otherwise) {
    return json_int_or(json_path(rs, part, name), otherwise);
}

void view_init(struct view *v, const struct json *d, const struct observed_rs *sets, size_t n, uint64_t now) {
    *v = (struct view){
        .d = d,
        .replicas = number(d, "spec", "replicas", 1),
        .recreate = strcmp(json_str_or(json_path(d, "spec", "strategy", "type"), ""), "Recreate") == 0,
        .paused = json_bool_or(json_path(d, "spec", "paused"), false),
        .deleting = meta_is_deleting(d),
        .sets = xcalloc(n + 1, sizeof(*v->sets)),
        .n = n,
        .now = now,
    };
    deployment_bounds(d, &v->surge, &v->unavailable);
    for (size_t i = 0; i < n; i++) {
        struct json *rs = sets[i].object;
        int64_t spec = number(rs, "spec", "replicas", 1);
        v->sets[i] = (struct set_view){
            .object = rs,
            .spec = spec,
            .was = spec,
            .status = number(rs, "status", "replicas", 0),
            .ready = number(rs, "status", "readyReplicas", 0),
            .available = number(rs, "status", "availableReplicas", 0),
            .created = meta_created_usec(rs),
            .pods_alive = sets[i].pods_alive,
        };
    }
    qsort(v->sets, n, sizeof(*v->sets), oldest_first);
    /* The oldest with the template, should there be several: they must not take turns. */
    for (size_t i = n; i-- > 0;)
        if (deployment_templates_equal(json_path(v->sets[i].object, "spec", "template"),
                                       json_path(d, "spec", "template")))
            v->current = &v->sets[i];
}

void view_finish(struct view *v) {
    free(v->sets);
}

/* --- the decision --- */

void deployment_plan_finish(struct deployment_plan *p) {
    json_unref(p->create);
    for (size_t i = 0; i < p->n_updates; i++)
        json_unref(p->updates[i].object);
    free(p->updates);
    free(p->remove);
    free(p->revision);
    json_unref(p->status);
    *p = (struct deployment_plan){0};
}

static bool is_resized(const struct view *v) {
    for (size_t i = 0; i < v->n; i++) {
        int64_t desired = set_annotation(v->sets[i].object, ANNOTATION_DESIRED);
        if (v->sets[i].spec > 0 && desired >= 0 && desired != v->replicas)
            return true;
    }
    return false;
}

static int lower_revision_first(const void *pa, const void *pb) {
    const struct set_view *a = *(struct set_view *const *) pa, *b = *(struct set_view *const *) pb;
    int64_t ra = revision_of(a->object), rb = revision_of(b->object);
    if (ra != rb)
        return ra < rb ? -1 : 1;
    return oldest_first(a, b);
}

/* Old ReplicaSets beyond the history limit that are empty and known to be so. */
static void clean_up(const struct view *v, struct deployment_plan *p) {
    int64_t limit = json_int_or(json_path(v->d, "spec", "revisionHistoryLimit"), INT32_MAX);
    _cleanup_free_ struct set_view **old = xcalloc(v->n + 1, sizeof(*old));
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        if (&v->sets[i] != v->current && !meta_is_deleting(v->sets[i].object))
            old[n++] = &v->sets[i];
    if (limit < 0 || (int64_t) n <= limit)
        return;
    qsort(old, n, sizeof(*old), lower_revision_first);
    p->remove = xcalloc(n, sizeof(struct json *));
    for (size_t i = 0; i < n - (size_t) limit; i++) {
        const struct set_view *s = old[i];
        bool known =
            number(s->object, "metadata", "generation", 0) <= number(s->object, "status", "observedGeneration", 0);
        if (s->status == 0 && s->spec == 0 && s->was == 0 && known)
            p->remove[p->n_remove++] = s->object;
    }
}

/* True when a new ReplicaSet is to be made. */
static bool step(struct view *v, struct deployment_plan *p) {
    if (v->paused || is_resized(v)) {
        scale_all(v);
        if (v->paused)
            clean_up(v, p);
        return false;
    }
    if (v->recreate) {
        if (scale_recreate(v))
            return false;
    } else {
        if (!v->current)
            return true;
        if (scale_rolling(v))
            return false;
    }
    if (!v->current)
        return true;
    if (status_is_complete(v->d, json_get(v->d, "status")))
        clean_up(v, p);
    return false;
}

void deployment_decide(const struct json *d, const struct observed_rs *sets, size_t n, uint64_t now,
                       struct deployment_plan *ret) {
    struct view v;
    *ret = (struct deployment_plan){.wait = UINT64_MAX};
    view_init(&v, d, sets, n, now);
    if (!v.deleting && step(&v, ret)) {
        ret->create = revision_new_set(&v);
        const char *revision = json_str(json_path(ret->create, "metadata", "annotations", ANNOTATION_REVISION));
        if (strcmp(revision, json_str_or(json_path(d, "metadata", "annotations", ANNOTATION_REVISION), "")) != 0)
            ret->revision = xstrdup(revision);
    }
    ret->updates = xcalloc(n + 1, sizeof(*ret->updates));
    for (size_t i = 0; i < n && !v.deleting; i++) {
        struct set_view *s = &v.sets[i];
        struct json *object = revision_update(&v, s, &ret->revision);
        if (object)
            ret->updates[ret->n_updates++] = (struct rs_update){object, s->was, s->spec};
    }
    const char *name = ret->create ? meta_name(ret->create) : v.current ? meta_name(v.current->object) : NULL;
    struct json *status = status_compute(&v, ret->create != NULL, name, &ret->wait);
    if (json_equal(status, json_get(d, "status")))
        json_unref(status);
    else
        ret->status = status;
    view_finish(&v);
}
