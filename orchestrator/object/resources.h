/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of API resources (generated from tables/resources.tsv): what exists, under which path, with which verbs.
 * Static and immutable; no allocation, any thread.
 */
#ifndef PODIUM_OBJECT_RESOURCES_H
#define PODIUM_OBJECT_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>

enum resource_verb {
    VERB_GET = 1 << 0,
    VERB_LIST = 1 << 1,
    VERB_WATCH = 1 << 2,
    VERB_CREATE = 1 << 3,
    VERB_UPDATE = 1 << 4,
    VERB_PATCH = 1 << 5,
    VERB_DELETE = 1 << 6,
    VERB_DELETECOLLECTION = 1 << 7,
};

/* A subresource row ("pods/log"): its body kind may live in another group. */
struct subresource {
    const char *name; /* "log", "status", "scale" */
    const char *kind; /* body kind */
    const char *group, *version;
    unsigned verbs;
};

struct resource {
    const char *group; /* "" for core */
    const char *version;
    const char *plural;    /* "deployments" */
    const char *kind;      /* "Deployment" */
    const char *list_kind; /* "DeploymentList"; NULL when it cannot be listed */
    const char *singular;
    const char *const *short_names; /* NULL-terminated, never NULL */
    const char *const *categories;  /* NULL-terminated, never NULL */
    bool namespaced;
    bool preferred_version;
    bool create_on_put, unconditional_put, tracks_generation;
    bool stored; /* a persistent object (has get/list), not a review-like POST */
    unsigned verbs;
    const char *storage_version_hash;
    const struct subresource *subresources;
    size_t n_subresources;
    /* Store key prefix: "pods", "deployments.apps". Rows that show the same objects in different versions (core and
     * events.k8s.io Events, HorizontalPodAutoscaler v1 and v2) share it; exactly one of them is the storage version,
     * the shape that is stored (storage_version.h converts). */
    const char *key;
    bool storage_version;
    const char *display_name; /* "pods", "deployments.apps", "events.events.k8s.io" */
    const char *api_version;  /* "v1", "apps/v1" */
    const char *type;         /* row prefix in the type tables: "core.v1.Pod" */
};

/* All rows, groups in discovery priority order, core first. */
const struct resource *resources_all(size_t *ret_n);
const struct resource *resource_by_plural(const char *group, const char *version, const char *plural);
const struct resource *resource_by_kind(const char *group, const char *version, const char *kind);
/* apiVersion as in documents: "v1", "apps/v1". NULL arguments give NULL. */
const struct resource *resource_by_api_version(const char *api_version, const char *kind);
/* What a person types: plural, singular, short name or kind in any case, with optional ".group" ("deploy", "Pods",
 * "deployments.apps"). The first match in discovery order; NULL if unknown. */
const struct resource *resource_by_name(const char *typed);
/* The row whose shape is stored; r itself for nearly all. */
const struct resource *resource_storage(const struct resource *r);
const struct subresource *resource_subresource(const struct resource *r, const char *name);
/* "v1" or "apps/v1"; static storage. */
const char *resource_api_version(const struct resource *r);
/* "deployments.apps" / "pods": how Status messages and kubectl name it. */
const char *resource_display_name(const struct resource *r);

#endif
