/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Creations, updates and patches: who changes a field owns it from then on, who owned it no longer does. */
#include "orchestrator/object/managed/managed.h"

#include <string.h>

#include "orchestrator/object/managed/managers.h"

static const char *writer_name(const struct managed_writer *w) {
    return w->manager && *w->manager ? w->manager : "unknown";
}

/* A new object: everything that differs from an empty one is its creator's, whatever the client said. */
static void record_creation(const struct managed_writer *w, struct managers *m, struct json **doc) {
    const struct resource *r = w->resource;
    struct fset set = fields_created(&m->arena, type_of_kind(r->api_version, r->kind), *doc);
    struct manager *e =
        managers_need(m, writer_name(w), "Update", r->api_version, w->subresource ? w->subresource : "");
    e->set = managers_scope(&m->arena, w, &set);
    e->time = m->now;
    managers_drop_empty(m);
    managers_store(m, doc);
}

/* Takes what was touched from everybody. */
static void disown(const struct managed_writer *w, struct managers *m, const struct change_set *here,
                   const struct json *old, const struct json *doc) {
    for (size_t i = 0; i < m->n; i++) {
        struct manager *e = &m->all[i];
        struct change_set there;
        const struct change_set *c = here;
        if (strcmp(e->api_version, here->api_version) != 0) {
            if (!managers_changes_in(m, w, e->api_version, old, doc, &there)) {
                e->set = (struct fset){0}; /* a version that is not served any more */
                continue;
            }
            c = &there;
        }
        struct fset lost = fset_intersection(&m->arena, &e->set, &c->touched);
        if (lost.n == 0)
            continue;
        e->set = fset_difference(&m->arena, &e->set, &c->touched);
        e->entry = NULL;
    }
}

static void record_change(const struct managed_writer *w, struct managers *m, const struct json *old,
                          const struct json *doc) {
    struct change_set c = managers_changes(m, w, old, doc);
    if (c.touched.n > 0) {
        struct fset taken = fset_union(&m->arena, &c.changes.added, &c.changes.modified);
        disown(w, m, &c, old, doc);
        if (taken.n > 0) {
            struct manager *e = managers_need(m, writer_name(w), "Update", w->resource->api_version,
                                              w->subresource ? w->subresource : "");
            e->set = fset_union(&m->arena, &e->set, &taken);
            e->time = m->now;
            e->entry = NULL;
        }
    }
    managers_drop_empty(m);
    managers_cap(m);
}

/* Whose word counts: the client's list if it has one that can be understood, else the object's own. */
static bool load(const struct managed_writer *w, struct managers *m, const struct json *given,
                 const struct json *stored) {
    bool asked = !w->subresource && json_len(given) > 0 && !json_equal(given, stored);
    if (!w->subresource && managers_is_reset(given))
        return false;
    if (asked && managers_load(m, given, true))
        return true;
    return managers_load(m, stored, false) && m->n > 0;
}

bool managed_same_but_times(const struct json *a, const struct json *b) {
    bool same = json_len(a) == json_len(b);
    for (size_t i = 0; same && i < json_len(a); i++) {
        _cleanup_json_ struct json *x = json_ref(json_at(a, i)), *y = json_ref(json_at(b, i));
        json_del(&x, "time");
        json_del(&y, "time");
        same = json_equal(x, y);
    }
    return same;
}

void managed_record(const struct managed_writer *w, const struct json *old, struct json **doc) {
    struct managers m;
    managers_init(&m, w->now_usec);
    struct json **metadata = json_edit(doc, "metadata");
    _cleanup_json_ struct json *given = managers_sealed(json_get(*metadata, "managedFields"));
    json_del(metadata, "managedFields");
    if (!old) {
        record_creation(w, &m, doc);
    } else if (load(w, &m, given, json_path(old, "metadata", "managedFields"))) {
        /* the sets point into documents: *doc may only be changed when they are written */
        _cleanup_json_ struct json *now = json_ref(*doc);
        record_change(w, &m, old, now);
        managers_store(&m, doc);
    }
    managers_finish(&m);
}
