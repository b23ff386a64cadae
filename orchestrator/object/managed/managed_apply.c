/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server-side apply. The applier says everything it wants; what it wanted last time and does not mention any more goes,
 * unless somebody else owns it.
 */
#include <string.h>

#include "orchestrator/object/apply_patch.h"
#include "orchestrator/object/managed/field_merge.h"
#include "orchestrator/object/managed/managers.h"
#include "podium/base/alloc.h"

#define REPORT_BYTES_MAX 65536u    /* of what does not fit: a hostile document must not become a bigger answer */
#define KUBECTL          "kubectl" /* the one manager for whom upstream looks at client-side apply's annotation */

struct apply {
    const struct managed_writer *writer;
    const struct json *live, *config; /* live NULL: the object does not exist */
    struct shape shape;
    struct managers *managers; /* as they were */
    struct fset config_set;    /* every field of config */
    struct fset owned_set;     /* of these, what can be owned */
};

static const char *subresource_of(const struct managed_writer *w) {
    return w->subresource ? w->subresource : "";
}

/* --- what is refused --- */

/* The unknown field `unknown field "spec.foo"` as upstream's typed documents report it. */
static void report_undeclared(char *const *unknown, struct strbuf *out) {
    for (size_t i = 0; unknown && unknown[i]; i++) {
        const char *from = strchr(unknown[i], '"');
        if (from)
            strbuf_addf(out, "%s.%.*s: field not declared in schema", out->len ? "\n" : "",
                        (int) strcspn(from + 1, "\""), from + 1);
    }
}

static int misfit(const struct apply *a, const char *why, struct error *err) {
    const struct json *metadata = json_get(a->config, "metadata");
    const struct resource *r = a->writer->resource;
    bool several = strchr(why, '\n') != NULL;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    for (const char *p = why; *p; p++)
        if (*p == '\n')
            strbuf_adds(&text, "\n  ");
        else
            strbuf_addc(&text, *p);
    return error_set(err, -EPROTO, "failed to create typed patch object (%s/%s; %s%s, Kind=%s): %s%s",
                     json_get_str(metadata, "namespace"), json_get_str(metadata, "name"), *r->group ? "" : "/",
                     r->api_version, r->kind, several ? "errors:\n  " : "", strbuf_str(&text));
}

static int check_type(struct apply *a, struct error *err) {
    const struct resource *r = a->writer->resource;
    const struct type_info *t = type_of_kind(r->api_version, r->kind);
    _cleanup_json_ struct json *copy = json_ref(a->config);
    _cleanup_strv_ char **unknown = NULL;
    _cleanup_strbuf_ struct strbuf why = STRBUF_INIT_MAX(REPORT_BYTES_MAX);
    _cleanup_(error_clear) struct error decoding = ERROR_INIT;
    int code = schema_decode(t, &copy, &unknown, &decoding);
    if (code < 0)
        return misfit(a, error_text(&decoding, code), err);
    report_undeclared(unknown, &why);
    bool distinct = fields_check(&a->managers->arena, a->shape, a->config, &why);
    return distinct && why.len == 0 ? 0 : misfit(a, strbuf_str(&why), err);
}

static int check_config(struct apply *a, struct error *err) {
    const struct resource *r = a->writer->resource;
    const char *version = json_get_str(a->config, "apiVersion"), *kind = json_get_str(a->config, "kind");
    if (strcmp(version, r->api_version) != 0 || strcmp(kind, r->kind) != 0)
        return error_set(err, -EINVAL, "invalid object type: %s%s, Kind=%s", strchr(version, '/') ? "" : "/", version,
                         kind);
    if (!json_is_null(json_path(a->config, "metadata", "managedFields")))
        return error_set(err, -EINVAL, "metadata.managedFields must be nil");
    return check_type(a, err);
}

/* --- what goes --- */

static struct fset union_of_version(struct managers *m, const char *api_version) {
    struct fset all = {0};
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->all[i].api_version, api_version) == 0)
            all = fset_union(&m->arena, &all, &m->all[i].set);
    return all;
}

/* The document less `set`; never NULL. */
static struct json *without(struct managers *m, struct shape s, const struct json *doc, const struct fset *set) {
    struct json *left = fields_remove(&m->arena, s, doc, set);
    return left ? left : json_object();
}

/*
 * Upstream's three steps: take away all the applier had; put back what anybody (the applier's new configuration, too)
 * owns; put back what the applier did not own last time. Puts the result in the place of *doc.
 */
static void prune(struct managers *m, struct shape s, const struct fset *last_set, const struct fset *managed_set,
                  struct json **doc) {
    struct fset_arena *a = &m->arena;
    struct fset last = fields_with_parents(a, s, last_set), managed = fields_with_parents(a, s, managed_set);
    _cleanup_json_ struct json *merged = json_ref(*doc), *bare = without(m, s, merged, &last);
    struct fset has = fields_of(a, s, merged), left = fields_of(a, s, bare);
    has = fields_with_parents(a, s, &has);
    left = fields_with_parents(a, s, &left);
    struct fset keep = fset_union(a, &left, &managed), gone = fset_difference(a, &has, &keep);
    _cleanup_json_ struct json *owned = without(m, s, merged, &gone);

    left = fields_of(a, s, owned);
    left = fields_with_parents(a, s, &left);
    gone = fset_difference(a, &has, &left);
    gone = fset_intersection(a, &gone, &last);
    struct json *result = without(m, s, merged, &gone);
    /* the sets point into the documents */
    json_append(&m->owned, steal(&merged));
    json_append(&m->owned, steal(&bare));
    json_append(&m->owned, steal(&owned));
    json_unref(*doc);
    *doc = result;
}

/* In the version the applier used last time: its set is in the terms of that. */
static void prune_last(const struct apply *a, struct managers *m, const struct fset *last, const char *api_version,
                       struct json **doc) {
    const struct resource *here = a->writer->resource, *there = resource_by_api_version(api_version, here->kind);
    if (last->n == 0)
        return;
    struct fset managed = union_of_version(m, api_version);
    /* what the applier says holds all it needs, be it owned or not: an object without its name is none */
    managed = fset_union(&m->arena, &managed, &a->config_set);
    if (strcmp(api_version, here->api_version) == 0) {
        prune(m, a->shape, last, &managed, doc);
        return;
    }
    const struct json *converted = managers_convert(m, here, api_version, *doc);
    if (!converted)
        return;
    struct json *pruned = json_ref(converted);
    prune(m, shape_of_type(type_of_kind(api_version, here->kind)), last, &managed, &pruned);
    const struct json *back = managers_convert(m, there, here->api_version, pruned);
    json_unref(pruned);
    if (back) {
        json_unref(*doc);
        *doc = json_ref(back);
    }
}

/* --- conflicts --- */

void managed_conflicts_finish(struct managed_conflicts *c) {
    for (size_t i = 0; i < c->n; i++) {
        free(c->causes[i].message);
        free(c->causes[i].field);
    }
    free(c->causes);
    free(c->message);
    *c = (struct managed_conflicts){0};
}

static char *manager_text(const struct manager *e) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    json_write_string(e->name, strlen(e->name), &b);
    if (*e->subresource)
        strbuf_addf(&b, " with subresource \"%s\"", e->subresource);
    if (strcmp(e->operation, "Apply") != 0)
        strbuf_addf(&b, " using %s", e->api_version);
    return strbuf_steal(&b);
}

struct conflict_list {
    struct managed_conflicts *out;
    struct strbuf paths;
    const char *manager;
};

static void add_conflict(void *userdata, const char *path) {
    struct conflict_list *l = userdata;
    struct managed_conflicts *c = l->out;
    xgrow(&c->causes, c->n, &c->cap);
    c->causes[c->n++] =
        (struct managed_conflict){.message = xasprintf("conflict with %s", l->manager), .field = xstrdup(path)};
    strbuf_addf(&l->paths, "\n- %s", path);
}

struct conflict {
    const struct manager *with;
    struct fset fields;
};

static int compare_conflicts(const void *a, const void *b) {
    const struct manager *x = ((const struct conflict *) a)->with, *y = ((const struct conflict *) b)->with;
    int c = strcmp(x->name, y->name);
    if (c == 0)
        c = strcmp(x->operation, y->operation);
    if (c == 0)
        c = strcmp(x->api_version, y->api_version);
    return c ? c : strcmp(x->subresource, y->subresource);
}

static void describe(struct conflict *all, size_t n, struct managed_conflicts *out) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    managed_conflicts_finish(out);
    qsort(all, n, sizeof(*all), compare_conflicts);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *manager = manager_text(all[i].with);
        struct conflict_list l = {.out = out, .manager = manager, .paths = STRBUF_INIT};
        fset_each(&all[i].fields, add_conflict, &l);
        strbuf_addf(&text, "%sconflicts with %s:%s", i ? "\n" : "", manager, strbuf_str(&l.paths));
        strbuf_finish(&l.paths);
    }
    out->message = out->n == 1
                       ? xasprintf("Apply failed with 1 conflict: %s: %s", out->causes[0].message, out->causes[0].field)
                       : xasprintf("Apply failed with %zu conflicts: %s", out->n, strbuf_str(&text));
}

/* --- one attempt --- */

struct outcome {
    struct managers managers;
    struct json *doc;
    struct conflict *conflicts; /* in the arena of managers */
    size_t n_conflicts;
};

static void outcome_finish(struct outcome *o) {
    managers_finish(&o->managers);
    json_unref(o->doc);
}

/* What the changes mean for one other manager: they conflict with it, or take its fields away. */
static void confront(const struct apply *a, struct outcome *o, struct manager *e, const struct change_set *c) {
    struct fset_arena *arena = &o->managers.arena;
    struct fset changed = fset_union(arena, &c->changes.added, &c->changes.modified),
                conflict = fset_intersection(arena, &e->set, &changed),
                lost = fset_intersection(arena, &e->set, &c->touched);
    if (conflict.n > 0)
        o->conflicts[o->n_conflicts++] = (struct conflict){.with = e, .fields = conflict};
    if (lost.n == 0)
        return;
    e->set = fset_difference(arena, &e->set, &c->touched);
    e->entry = NULL;
}

static void confront_all(const struct apply *a, struct outcome *o, const struct manager *me,
                         const struct change_set *here) {
    struct managers *m = &o->managers;
    o->conflicts = fset_alloc(&m->arena, (m->n + 1) * sizeof(*o->conflicts));
    for (size_t i = 0; i < m->n; i++) {
        struct manager *e = &m->all[i];
        struct change_set there;
        if (e == me)
            continue;
        if (strcmp(e->api_version, here->api_version) == 0)
            confront(a, o, e, here);
        else if (a->live && managers_changes_in(m, a->writer, e->api_version, a->live, o->doc, &there))
            confront(a, o, e, &there);
        else
            e->set = (struct fset){0};
    }
}

/* Works out what an apply does, as if conflicts were no matter; *o says which there are. */
static void attempt(const struct apply *a, struct outcome *o) {
    const struct managed_writer *w = a->writer;
    const char *name = w->manager, *version = w->resource->api_version;
    *o = (struct outcome){.managers = managers_fork(a->managers)};
    struct managers *m = &o->managers;
    o->doc = a->live ? fields_merge(&m->arena, a->shape, a->live, a->config) : json_ref(a->config);
    struct manager *me = managers_need(m, name, "Apply", version, subresource_of(w));
    struct fset last = me->set;
    const char *last_version = me->api_version;
    me->set = a->owned_set;
    me->api_version = version;
    prune_last(a, m, &last, last_version, &o->doc);
    struct change_set c = {.api_version = version};
    if (a->live)
        c = managers_changes(m, w, a->live, o->doc);
    if (!me->entry || c.touched.n > 0 || !fset_equal(&last, &me->set) || strcmp(last_version, version) != 0) {
        me->time = m->now;
        me->entry = NULL;
    }
    confront_all(a, o, me, &c);
}

/* --- client-side apply's annotation --- */

/* The fields that client-side apply set and nobody changed since: those the same person may take over. */
static struct fset fields_of_last_applied(const struct apply *a, struct managers *m) {
    struct fset none = {0};
    struct json *last = apply_last_applied(a->live);
    if (!last)
        return none;
    json_append(&m->owned, last);
    if (!json_get_is(last, "apiVersion", a->writer->resource->api_version))
        return none;
    struct fset set = fields_of(&m->arena, a->shape, last);
    struct field_changes c = fields_compare(&m->arena, a->shape, last, a->live);
    set = fset_difference(&m->arena, &set, &c.modified);
    set = fset_difference(&m->arena, &set, &c.added);
    return fset_difference(&m->arena, &set, &c.removed);
}

static void forgive(const struct apply *a, struct outcome *o) {
    struct fset allowed = fields_of_last_applied(a, &o->managers);
    size_t n = 0;
    for (size_t i = 0; i < o->n_conflicts; i++) {
        struct conflict c = o->conflicts[i];
        c.fields = fset_difference(&o->managers.arena, &c.fields, &allowed);
        if (c.fields.n > 0)
            o->conflicts[n++] = c;
    }
    o->n_conflicts = n;
}

static void refresh_last_applied(const struct apply *a, struct json **doc) {
    const struct json *had = json_path(*doc, "metadata", "annotations", APPLY_LAST_APPLIED);
    if (json_str_len(had) == 0)
        return;
    _cleanup_json_ struct json *annotated = apply_annotated(a->config);
    json_set_path(doc, json_ref(json_path(annotated, "metadata", "annotations", APPLY_LAST_APPLIED)), "metadata",
                  "annotations", APPLY_LAST_APPLIED);
}

/* --- the whole --- */

/* An object nobody is known to have written belongs to "before-first-apply", so that conflicts show. */
static void load_managers(struct apply *a) {
    struct managers *m = a->managers;
    const struct resource *r = a->writer->resource;
    if (!a->live || (managers_load(m, json_path(a->live, "metadata", "managedFields"), false) && m->n > 0))
        return;
    struct fset all = fields_created(&m->arena, type_of_kind(r->api_version, r->kind), a->live);
    struct manager *e = managers_need(m, "before-first-apply", "Update", r->api_version, subresource_of(a->writer));
    e->set = managers_scope(&m->arena, a->writer, &all);
    e->time = m->now;
    managers_drop_empty(m);
}

static int conclude(const struct apply *a, struct outcome *o, bool force, struct json **ret,
                    struct managed_conflicts *conflicts, struct error *err) {
    bool kubectl = strcmp(a->writer->manager, KUBECTL) == 0;
    if (!force && kubectl && a->live && o->n_conflicts > 0)
        forgive(a, o);
    if (!force && o->n_conflicts > 0) {
        describe(o->conflicts, o->n_conflicts, conflicts);
        return error_set(err, -EBUSY, "%s", conflicts->message);
    }
    managers_drop_empty(&o->managers);
    managers_cap(&o->managers);
    struct json *doc = json_ref(o->doc);
    if (kubectl)
        refresh_last_applied(a, &doc);
    managers_store(&o->managers, &doc);
    *ret = doc;
    return 0;
}

int managed_apply(const struct managed_writer *w, const struct json *live, const struct json *config, bool force,
                  struct json **ret, struct managed_conflicts *conflicts, struct error *err) {
    const struct resource *r = w->resource;
    struct managers m;
    struct outcome o;
    managers_init(&m, w->now_usec);
    struct apply a = {.writer = w,
                      .live = live,
                      .config = config,
                      .managers = &m,
                      .shape = shape_of_type(type_of_kind(r->api_version, r->kind))};
    int code = check_config(&a, err);
    if (code == 0) {
        load_managers(&a);
        a.config_set = fields_of(&m.arena, a.shape, config);
        a.owned_set = managers_scope(&m.arena, w, &a.config_set);
        attempt(&a, &o);
        code = conclude(&a, &o, force, ret, conflicts, err);
        outcome_finish(&o);
    }
    managers_finish(&m);
    return code;
}
