/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From wanted endpoints to writes of EndpointSlices: as few writes as possible, slices filled up, each with one set of
 * ports (upstream's k8s.io/endpointslice reconciler). Pure.
 */
#ifndef PODIUM_CONTROLLER_SLICES_H
#define PODIUM_CONTROLLER_SLICES_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/json.h"

/* What all slices of one owner have in common. Borrowed. */
struct slice_set {
    const char *ns, *prefix;        /* names are generated from prefix and "-" */
    const struct json *labels;      /* exactly these */
    const struct json *owner;       /* the owner reference */
    const struct json *annotations; /* exactly these, beside the trigger; NULL: none */
    const char *trigger; /* endpoints.kubernetes.io/last-change-trigger-time of what is written; NULL: none */
    size_t max;          /* endpoints in one slice */
    bool placeholder;    /* when nothing is wanted one empty slice remains */
};

/* Arrays of documents: to create (without names), to update (with their resourceVersion), to delete (as they are). */
struct slice_plan {
    struct json *create, *update, *remove;
};
void slice_plan_finish(struct slice_plan *plan);

/* Adds an endpoint (taken) to the group of its ports; *groups is made when NULL. ports: borrowed. */
void slice_group_add(struct json **groups, const char *address_type, const struct json *ports, struct json *endpoint);

/* groups: as slice_group_add() made them, may be NULL. existing: the owner's slices as the API has them. */
void slices_decide(const struct slice_set *set, const struct json *groups, struct json *const *existing, size_t n,
                   struct slice_plan *ret);

/* The service a slice belongs to, "NAMESPACE/NAME", added to keys when `manager` is its managed-by label. */
void slice_service_key(const struct json *slice, const char *manager, char ***keys);

#endif
