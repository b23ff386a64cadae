/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Deployment and its ReplicaSets as numbers, between the files of this folder. */
#ifndef PODIUM_CONTROLLER_DEPLOYMENT_VIEW_H
#define PODIUM_CONTROLLER_DEPLOYMENT_VIEW_H

#include "orchestrator/controller/deployment/decide.h"

/* One ReplicaSet while deciding; spec is the number wanted for it so far. */
struct set_view {
    struct json *object;
    int64_t spec, status, ready, available;
    int64_t was; /* spec when we began */
    uint64_t created;
    size_t pods_alive;
    bool marked; /* its replica annotations are to be renewed */
};

struct view {
    const struct json *d;
    int64_t replicas, surge, unavailable;
    bool recreate, paused, deleting;
    struct set_view *sets; /* oldest first */
    size_t n;
    struct set_view *current; /* the one with the Deployment's template, or NULL */
    uint64_t now;
};

void view_init(struct view *v, const struct json *d, const struct observed_rs *sets, size_t n, uint64_t now);
void view_finish(struct view *v);
int64_t view_total_spec(const struct view *v);
/* Below zero when the annotation is missing. */
int64_t set_annotation(const struct json *rs, const char *name);

/* scaling.c: each changes the `spec` of sets; true when it did. */
bool scale_rolling(struct view *v);
bool scale_recreate(struct view *v);
/* The Deployment's size itself changed, or it is paused. */
void scale_all(struct view *v);
/* How many pods the new ReplicaSet may have now. */
int64_t scale_new_target(const struct view *v);

/* status.c */
struct json *status_compute(const struct view *v, bool created_new, const char *found_new, uint64_t *ret_wait);
bool status_is_complete(const struct json *d, const struct json *status);

/* revision.c: the whole object to write, or NULL when nothing differs. */
struct json *revision_new_set(const struct view *v);
struct json *revision_update(const struct view *v, const struct set_view *s, char **ret_revision);
void set_scale_annotations(const struct view *v, struct json **rs);
int64_t revision_of(const struct json *object);

#endif
