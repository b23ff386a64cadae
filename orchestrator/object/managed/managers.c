/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/managed/managers.h"

#include <string.h>

#include "orchestrator/object/storage_version.h"
#include "podium/base/alloc.h"

void managers_init(struct managers *m, uint64_t now_usec) {
    *m = (struct managers){.owned = json_array()};
    timestamp_format(now_usec, m->now);
}

void managers_finish(struct managers *m) {
    fset_arena_finish(&m->arena);
    json_unref(m->owned);
    free(m->all);
}

/* --- from and to documents --- */

bool managers_is_reset(const struct json *list) {
    return json_is_array(list) && (json_len(list) == 0 || (json_len(list) == 1 && json_len(json_at(list, 0)) == 0));
}

struct json *managers_sealed(const struct json *list) {
    struct json *out = json_ref(list);
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *set = json_get(json_at(list, i), "fieldsV1");
        if (!json_is_object(set))
            continue;
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
        json_write(set, 0, &text);
        json_set(json_edit_at(&out, i), "fieldsV1", json_sealed(strbuf_str(&text), text.len));
    }
    return out;
}

static bool load_set(struct managers *m, const struct json *entry, bool foreign, struct fset *ret) {
    size_t n;
    const struct json *v = json_get(entry, "fieldsV1");
    const char *text = json_sealed_text(v, &n);
    *ret = (struct fset){0};
    if (!json_get_is(entry, "fieldsType", "FieldsV1"))
        return false;
    return text ? fset_read(&m->arena, text, n, foreign, ret, NULL) == 0 : json_is_null(v);
}

bool managers_load(struct managers *m, const struct json *entries, bool foreign) {
    struct json *list = managers_sealed(entries);
    if (list)
        json_append(&m->owned, list);
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *entry = json_at(list, i);
        struct fset set;
        if (!load_set(m, entry, foreign, &set)) {
            m->n = 0;
            return false;
        }
        struct manager *at = managers_need(m, json_get_str(entry, "manager"), json_get_str(entry, "operation"),
                                           json_get_str(entry, "apiVersion"), json_get_str(entry, "subresource"));
        at->api_version = json_get_str(entry, "apiVersion");
        at->time = json_get_str(entry, "time");
        at->entry = foreign ? NULL : entry;
        at->set = set;
    }
    return true;
}

static struct json *entry_of(struct manager *e) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct json *out = json_object();
    fset_write(&e->set, &text);
    json_set(&out, "manager", json_string(e->name));
    json_set(&out, "operation", json_string(e->operation));
    json_set(&out, "apiVersion", json_string(e->api_version));
    if (*e->time)
        json_set(&out, "time", json_string(e->time));
    json_set(&out, "fieldsType", json_string("FieldsV1"));
    json_set(&out, "fieldsV1", json_sealed(strbuf_str(&text), text.len));
    if (*e->subresource)
        json_set(&out, "subresource", json_string(e->subresource));
    return out;
}

static int compare_managers(const void *a, const void *b) {
    const struct manager *x = a, *y = b;
    int c = strcmp(x->operation, y->operation);
    if (c == 0)
        c = strcmp(x->time, y->time); /* RFC 3339 in UTC: sorted as text */
    if (c == 0)
        c = strcmp(x->name, y->name);
    if (c == 0)
        c = strcmp(x->api_version, y->api_version);
    return c ? c : strcmp(x->subresource, y->subresource);
}

void managers_store(struct managers *m, struct json **doc) {
    struct json **metadata = json_edit(doc, "metadata"), *list = json_array();
    if (m->n > 1)
        qsort(m->all, m->n, sizeof(*m->all), compare_managers);
    for (size_t i = 0; i < m->n; i++)
        json_append(&list, m->all[i].entry ? json_ref(m->all[i].entry) : entry_of(&m->all[i]));
    if (json_len(list) > 0) {
        json_set(metadata, "managedFields", list);
    } else {
        json_unref(list);
        json_del(metadata, "managedFields");
    }
}

/* --- the table --- */

struct manager *managers_find(struct managers *m, const char *name, const char *operation, const char *api_version,
                              const char *subresource) {
    bool applies = strcmp(operation, "Apply") == 0;
    for (size_t i = 0; i < m->n; i++) {
        struct manager *e = &m->all[i];
        if (strcmp(e->name, name) == 0 && strcmp(e->operation, operation) == 0 &&
            (applies || strcmp(e->api_version, api_version) == 0) && strcmp(e->subresource, subresource) == 0)
            return e;
    }
    return NULL;
}

struct manager *managers_need(struct managers *m, const char *name, const char *operation, const char *api_version,
                              const char *subresource) {
    struct manager *found = managers_find(m, name, operation, api_version, subresource);
    if (found)
        return found;
    xgrow(&m->all, m->n, &m->cap);
    m->all[m->n] = (struct manager){
        .name = name, .operation = operation, .api_version = api_version, .subresource = subresource, .time = ""};
    return &m->all[m->n++];
}

struct managers managers_fork(struct managers *m) {
    struct managers copy = {.owned = json_array(), .n = m->n, .cap = m->n};
    copy.all = m->n ? xmemdup(m->all, m->n * sizeof(*m->all)) : NULL;
    memcpy(copy.now, m->now, sizeof(copy.now));
    return copy;
}

void managers_drop_empty(struct managers *m) {
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->all[i].set.n > 0)
            m->all[n++] = m->all[i];
    m->n = n;
}

static bool is_update(const struct manager *e) {
    return strcmp(e->operation, "Apply") != 0;
}

static int compare_ages(const void *a, const void *b) {
    const struct manager *x = a, *y = b;
    int c = (int) is_update(y) - (int) is_update(x);
    if (c == 0)
        c = strcmp(x->time, y->time);
    return c ? c : compare_managers(a, b);
}

/* Merges the i-th manager into the version's bucket if there is an older one of that version already. */
static bool into_bucket(struct managers *m, size_t i) {
    static const char bucket[] = "ancient-changes";
    for (size_t k = 0; k < i; k++) {
        struct manager *older = &m->all[k], *e = &m->all[i];
        if (!is_update(older) || older->set.n == 0 || strcmp(older->api_version, e->api_version) != 0)
            continue;
        older->set = fset_union(&m->arena, &older->set, &e->set);
        older->name = bucket;
        older->subresource = "";
        older->time = e->time;
        older->entry = NULL;
        e->set = (struct fset){0};
        return true;
    }
    return false;
}

void managers_cap(struct managers *m) {
    size_t updates = 0;
    for (size_t i = 0; i < m->n; i++)
        updates += is_update(&m->all[i]);
    if (updates <= UPDATE_MANAGERS_MAX)
        return;
    qsort(m->all, m->n, sizeof(*m->all), compare_ages);
    for (size_t i = 0, length = updates; i < updates && length > UPDATE_MANAGERS_MAX; i++)
        if (into_bucket(m, i))
            length--;
    managers_drop_empty(m);
}

/* --- scope --- */

static bool is_name(const struct fset *kid, const char *name) {
    return kid->kind == FSET_NAME && kid->len == strlen(name) && memcmp(kid->text, name, kid->len) == 0;
}

static bool is_one_of(const struct fset *kid, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (is_name(kid, names[i]))
            return true;
    return false;
}

/* What nobody owns (upstream's stripmeta), and what the kind's status cannot change. */
static struct fset metadata_scope(struct fset_arena *a, const struct managed_writer *w, const struct fset *set) {
    static const char *const stripped[] = {"name",        "namespace",  "creationTimestamp", "selfLink",       "uid",
                                           "clusterName", "generation", "managedFields",     "resourceVersion"};
    bool status = w->subresource && strcmp(w->subresource, "status") == 0;
    bool pod = strcmp(w->resource->key, "pods") == 0, deployment = strcmp(w->resource->key, "deployments.apps") == 0;
    struct fset out = *set;
    out.member = false;
    out.n = out.cap = 0;
    out.kids = set->n ? fset_alloc(a, set->n * sizeof(*out.kids)) : NULL;
    for (uint32_t i = 0; i < set->n; i++) {
        const struct fset *kid = &set->kids[i];
        if (is_one_of(kid, stripped, ARRAY_LEN(stripped)) || (status && deployment && is_name(kid, "labels")) ||
            (status && pod && (is_name(kid, "ownerReferences") || is_name(kid, "deletionTimestamp"))))
            continue;
        out.kids[out.n++] = *kid;
    }
    return out;
}

/* The strategies' reset fields: a write of the object cannot reach its status, one of a subresource only its part. */
static bool in_reach(const struct managed_writer *w, const struct fset *kid) {
    static const char *const spec_parts[] = {"scale", "finalize", "ephemeralcontainers", "resize"};
    if (is_name(kid, "apiVersion") || is_name(kid, "kind"))
        return false;
    if (!w->subresource)
        return !is_name(kid, "status") || !resource_subresource(w->resource, "status");
    for (size_t i = 0; i < ARRAY_LEN(spec_parts); i++)
        if (strcmp(w->subresource, spec_parts[i]) == 0)
            return is_name(kid, "spec");
    return is_name(kid, "status");
}

struct fset managers_scope(struct fset_arena *a, const struct managed_writer *w, const struct fset *set) {
    struct fset out = *set;
    out.n = out.cap = 0;
    out.kids = set->n ? fset_alloc(a, set->n * sizeof(*out.kids)) : NULL;
    for (uint32_t i = 0; i < set->n; i++) {
        const struct fset *kid = &set->kids[i];
        if (is_name(kid, "metadata")) {
            out.kids[out.n] = metadata_scope(a, w, kid);
            out.n += out.kids[out.n].n > 0;
        } else if (in_reach(w, kid)) {
            out.kids[out.n++] = *kid;
        }
    }
    return out;
}

/* --- versions --- */

const struct json *managers_convert(struct managers *m, const struct resource *from, const char *api_version,
                                    const struct json *doc) {
    const struct resource *to = resource_by_api_version(api_version, from->kind);
    if (!to || strcmp(to->key, from->key) != 0)
        return NULL;
    struct json *shape = json_ref(doc);
    storage_version_encode(from, &shape);
    storage_version_decode(to, &shape);
    json_append(&m->owned, shape);
    return shape;
}

static struct change_set changes_of(struct managers *m, const struct managed_writer *w, const struct json *old,
                                    const struct json *doc) {
    struct shape s = shape_of_type(type_of_kind(w->resource->api_version, w->resource->kind));
    struct change_set c = {.api_version = w->resource->api_version, .changes = fields_compare(&m->arena, s, old, doc)};
    struct fset *sets[] = {&c.changes.added, &c.changes.modified, &c.changes.removed};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        *sets[i] = managers_scope(&m->arena, w, sets[i]);
    c.touched = fset_union(&m->arena, &c.changes.added, &c.changes.modified);
    c.touched = fset_union(&m->arena, &c.touched, &c.changes.removed);
    return c;
}

struct change_set managers_changes(struct managers *m, const struct managed_writer *w, const struct json *old,
                                   const struct json *doc) {
    return changes_of(m, w, old, doc);
}

bool managers_changes_in(struct managers *m, const struct managed_writer *w, const char *api_version,
                         const struct json *old, const struct json *doc, struct change_set *ret) {
    const struct json *a = managers_convert(m, w->resource, api_version, old),
                      *b = managers_convert(m, w->resource, api_version, doc);
    if (!a || !b)
        return false;
    struct managed_writer as = *w;
    as.resource = resource_by_api_version(api_version, w->resource->kind);
    *ret = changes_of(m, &as, a, b);
    return true;
}
