/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/slices.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/servicestate.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

/* A slice while it is planned. */
struct draft {
    const struct json *slice; /* as it is; NULL: new */
    const struct json *ports; /* borrowed */
    const char *type;
    struct json *endpoints;
    bool changed;
    bool empty; /* the placeholder: stays without endpoints */
    bool dead;  /* its slice went to another draft */
};

struct drafts {
    struct draft *all;
    size_t n, cap;
};

static struct draft *draft_add(struct drafts *d, const struct draft *one) {
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 8;
        d->all = xreallocarray(d->all, d->cap, sizeof(*d->all));
    }
    d->all[d->n] = *one;
    return &d->all[d->n++];
}

static void drafts_finish(struct drafts *d) {
    for (size_t i = 0; i < d->n; i++)
        json_unref(d->all[i].endpoints);
    free(d->all);
}

void slice_plan_finish(struct slice_plan *plan) {
    json_unref(plan->create);
    json_unref(plan->update);
    json_unref(plan->remove);
    *plan = (struct slice_plan){0};
}

void slice_group_add(struct json **groups, const char *address_type, const struct json *ports, struct json *endpoint) {
    if (!*groups)
        *groups = json_array();
    for (size_t i = 0; i < json_len(*groups); i++) {
        const struct json *g = json_at(*groups, i), *have = json_get(g, "ports");
        if (strcmp(json_str(json_get(g, "addressType")), address_type) == 0 &&
            (have == ports || json_equal(have, ports))) {
            json_append(json_edit(json_edit_at(groups, i), "endpoints"), endpoint);
            return;
        }
    }
    struct json **g = json_append(groups, json_object());
    json_set(g, "addressType", json_string(address_type));
    json_set(g, "ports", json_ref(ports));
    json_append(json_edit(g, "endpoints"), endpoint);
}

/* Who an endpoint is, whatever its condition. */
static char *endpoint_key(const struct json *e) {
    const struct json *target = json_get(e, "targetRef");
    return xasprintf("%s %s %s %s", json_str_or(json_at(json_get(e, "addresses"), 0), ""),
                     json_str_or(json_get(target, "uid"), ""), json_str_or(json_get(target, "name"), ""),
                     json_str_or(json_get(e, "hostname"), ""));
}

/* --- one group of equal ports --- */

struct group {
    const struct json *ports, *endpoints;
    const char *type;
    struct hashmap *left; /* key → endpoint that is in no draft yet */
};

static struct hashmap *by_key(const struct json *endpoints) {
    struct hashmap *map = hashmap_new(NULL);
    for (size_t i = 0; i < json_len(endpoints); i++) {
        _cleanup_free_ char *key = endpoint_key(json_at(endpoints, i));
        hashmap_put(map, key, json_at(endpoints, i));
    }
    return map;
}

static bool draft_fits(const struct draft *d, const struct group *g) {
    return d->slice && strcmp(d->type, g->type) == 0 && json_equal(d->ports, g->ports);
}

/* What is in the slice and still wanted stays in it, as it is now. */
static void keep_wanted(struct draft *d, struct group *g) {
    const struct json *have = json_get(d->slice, "endpoints");
    for (size_t i = 0; i < json_len(have); i++) {
        _cleanup_free_ char *key = endpoint_key(json_at(have, i));
        struct json *wanted = hashmap_steal(g->left, key);
        if (wanted)
            json_append(&d->endpoints, json_ref(wanted));
        if (!wanted || !json_equal(wanted, json_at(have, i)))
            d->changed = true;
    }
}

/* Endpoints in the order they were wanted in, so that plans are the same for the same input. */
static void fill(struct draft *d, struct group *g, size_t *next, size_t max) {
    while (*next < json_len(g->endpoints) && json_len(d->endpoints) < max) {
        _cleanup_free_ char *key = endpoint_key(json_at(g->endpoints, (*next)++));
        struct json *e = hashmap_steal(g->left, key);
        if (!e)
            continue;
        json_append(&d->endpoints, json_ref(e));
        d->changed = true;
    }
}

/* An untouched slice that takes all that is left, the fullest. */
static struct draft *best_fit(struct drafts *all, const struct group *g, size_t max) {
    struct draft *best = NULL;
    for (size_t i = 0; i < all->n; i++) {
        struct draft *d = &all->all[i];
        if (draft_fits(d, g) && !d->changed && json_len(d->endpoints) + hashmap_len(g->left) <= max &&
            (!best || json_len(d->endpoints) > json_len(best->endpoints)))
            best = d;
    }
    return best;
}

static void plan_group(const struct slice_set *set, struct drafts *all, struct group *g) {
    size_t next = 0;
    g->left = by_key(g->endpoints);
    for (size_t i = 0; i < all->n; i++)
        if (draft_fits(&all->all[i], g))
            keep_wanted(&all->all[i], g);
    for (size_t i = 0; i < all->n && hashmap_len(g->left) > 0; i++) /* those that are written anyhow */
        if (draft_fits(&all->all[i], g) && all->all[i].changed)
            fill(&all->all[i], g, &next, set->max);
    while (hashmap_len(g->left) > 0) {
        struct draft *d = best_fit(all, g, set->max);
        if (!d)
            d = draft_add(all, &(struct draft){.ports = g->ports, .type = g->type});
        fill(d, g, &next, set->max);
    }
    hashmap_free(g->left);
}

/* --- documents --- */

static bool annotations_fit(const struct slice_set *set, const struct json *slice) {
    const struct json *have = json_path(slice, "metadata", "annotations");
    size_t others = json_len(have) - (json_get(have, ANNOTATION_TRIGGER) ? 1 : 0);
    if (others != json_len(set->annotations))
        return false;
    for (size_t i = 0; i < json_len(set->annotations); i++)
        if (!json_equal(json_get(have, json_key_at(set->annotations, i)), json_value_at(set->annotations, i)))
            return false;
    return true;
}

static bool metadata_fits(const struct slice_set *set, const struct json *slice) {
    const struct json *refs = json_path(slice, "metadata", "ownerReferences");
    return json_equal(json_path(slice, "metadata", "labels"), set->labels) && json_len(refs) == 1 &&
           json_equal(json_at(refs, 0), set->owner) && annotations_fit(set, slice);
}

static void write_metadata(const struct slice_set *set, struct json **meta) {
    struct json *refs = json_array(), *annotations = json_ref(set->annotations);
    json_append(&refs, json_ref(set->owner));
    json_set(meta, "labels", json_ref(set->labels));
    json_set(meta, "ownerReferences", refs);
    if (set->trigger)
        json_set(&annotations, ANNOTATION_TRIGGER, json_string(set->trigger));
    if (annotations)
        json_set(meta, "annotations", annotations);
    else
        json_del(meta, "annotations");
}

static struct json *document(const struct slice_set *set, const struct draft *d) {
    struct json *doc = d->slice ? json_ref(d->slice) : json_object();
    if (!d->slice) {
        json_set(&doc, "apiVersion", json_string("discovery.k8s.io/v1"));
        json_set(&doc, "kind", json_string("EndpointSlice"));
        json_set_path(&doc, json_stringf("%s-", set->prefix), "metadata", "generateName");
        json_set_path(&doc, json_string(set->ns), "metadata", "namespace");
    }
    write_metadata(set, json_edit(&doc, "metadata"));
    json_set(&doc, "addressType", json_string(d->type));
    json_set(&doc, "ports", json_ref(d->ports));
    json_set(&doc, "endpoints", d->endpoints ? json_ref(d->endpoints) : json_array());
    return doc;
}

/* A slice that would go takes the contents of one that would be made: one write instead of two. */
static void recycle(struct drafts *all) {
    for (size_t i = 0; i < all->n; i++) {
        struct draft *made = &all->all[i];
        for (size_t k = 0; !made->slice && !made->dead && k < all->n; k++) {
            struct draft *gone = &all->all[k];
            if (!gone->slice || json_len(gone->endpoints) > 0 || strcmp(gone->type, made->type) != 0)
                continue;
            made->slice = gone->slice;
            gone->slice = NULL;
            gone->dead = true;
        }
    }
}

static size_t n_filled(const struct drafts *all) {
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        n += json_len(all->all[i].endpoints) > 0;
    return n;
}

/* Nothing is served: one empty slice without ports says so. */
static void plan_placeholder(struct drafts *all, const struct json *no_ports) {
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->all[i].type, "IPv4") == 0) {
            struct draft *d = &all->all[i];
            d->changed = json_len(d->ports) > 0 || json_len(json_get(d->slice, "endpoints")) > 0;
            d->ports = no_ports;
            d->empty = true;
            return;
        }
    draft_add(all, &(struct draft){.ports = no_ports, .type = "IPv4", .empty = true});
}

static void put(const struct slice_set *set, const struct draft *d, struct slice_plan *ret) {
    if (d->dead)
        return;
    if (d->slice && json_len(d->endpoints) == 0 && !d->empty)
        json_append(&ret->remove, json_ref(d->slice));
    else if (!d->slice)
        json_append(&ret->create, document(set, d));
    else if (d->changed || !metadata_fits(set, d->slice))
        json_append(&ret->update, document(set, d));
}

void slices_decide(const struct slice_set *set, const struct json *groups, struct json *const *existing, size_t n,
                   struct slice_plan *ret) {
    _cleanup_json_ struct json *no_ports = json_array();
    struct drafts all = {0};
    *ret = (struct slice_plan){0};
    for (size_t i = 0; i < n; i++)
        if (!meta_is_deleting(existing[i]))
            draft_add(&all, &(struct draft){
                                .slice = existing[i],
                                .ports = json_get(existing[i], "ports"),
                                .type = json_str_or(json_get(existing[i], "addressType"), ""),
                                .changed = !metadata_fits(set, existing[i]),
                            });
    for (size_t i = 0; i < json_len(groups); i++) {
        const struct json *g = json_at(groups, i);
        struct group group = {json_get(g, "ports"), json_get(g, "endpoints"), json_str(json_get(g, "addressType")),
                              NULL};
        plan_group(set, &all, &group);
    }
    if (n_filled(&all) == 0 && set->placeholder)
        plan_placeholder(&all, no_ports);
    else
        recycle(&all);
    for (size_t i = 0; i < all.n; i++)
        put(set, &all.all[i], ret);
    drafts_finish(&all);
}

void slice_service_key(const struct json *slice, const char *manager, char ***keys) {
    const struct json *labels = json_path(slice, "metadata", "labels");
    const char *service = json_str(json_get(labels, LABEL_SERVICE_NAME));

    if (service && strcmp(json_str_or(json_get(labels, LABEL_SLICE_MANAGED_BY), ""), manager) == 0)
        strv_push(keys, xasprintf("%s/%s", meta_namespace(slice), service));
}
