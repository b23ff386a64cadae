/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a Deployment needs done, as upstream's pkg/controller/deployment: pure functions of the Deployment, its
 * ReplicaSets and the time. One decision is one step; what it changes comes back as events and makes the next.
 */
#ifndef PODIUM_CONTROLLER_DEPLOYMENT_DECIDE_H
#define PODIUM_CONTROLLER_DEPLOYMENT_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"

#define ANNOTATION_REVISION         "deployment.kubernetes.io/revision"
#define ANNOTATION_REVISION_HISTORY "deployment.kubernetes.io/revision-history"
#define ANNOTATION_DESIRED          "deployment.kubernetes.io/desired-replicas"
#define ANNOTATION_MAX              "deployment.kubernetes.io/max-replicas"
#define LABEL_TEMPLATE_HASH         "pod-template-hash"

/* A ReplicaSet of the Deployment as observed. */
struct observed_rs {
    struct json *object; /* borrowed */
    size_t pods_alive;   /* its pods that are neither finished nor gone; those that terminate count */
};

/* The whole ReplicaSet to write with PUT. from and to differ when it is scaled: then it is worth an event. */
struct rs_update {
    struct json *object;
    int64_t from, to;
};

struct deployment_plan {
    struct json *create; /* the ReplicaSet to create, NULL: none */
    struct rs_update *updates;
    size_t n_updates;
    struct json **remove; /* borrowed */
    size_t n_remove;
    char *revision;      /* to set in the Deployment's annotation; NULL: as it is */
    struct json *status; /* the whole new status; NULL: as it is */
    uint64_t wait;       /* look again after this time, UINT64_MAX: no need */
};
void deployment_plan_finish(struct deployment_plan *p);
/* now: real time, microseconds. */
void deployment_decide(const struct json *d, const struct observed_rs *sets, size_t n, uint64_t now,
                       struct deployment_plan *ret);

/* Status after the creation of the new ReplicaSet failed: with Progressing False for the reason, or, when its name is
 * taken by another template, with the next collisionCount (message NULL). New. */
struct json *deployment_status_create_failed(const struct json *d, const char *message, uint64_t now);
/* Two pod templates are the same but for the hash label. */
bool deployment_templates_equal(const struct json *a, const struct json *b);
/* The hash in ReplicaSet names: of the template and the collision count; 1 to 10 characters of the names' alphabet. The
 * caller frees. */
char *deployment_template_hash(const struct json *template, int64_t collisions);
/* maxSurge and maxUnavailable as numbers (percentages of replicas, surge up, unavailable down; both zero: one
 * unavailable). Zero for Recreate. */
void deployment_bounds(const struct json *d, int64_t *ret_surge, int64_t *ret_unavailable);

#endif
