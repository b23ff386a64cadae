/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/targets.h"

#include <string.h>

#include "orchestrator/cli/files.h"
#include "podium/base/alloc.h"

#define SUGGEST_EDITS 3

void targets_finish(struct targets *t) {
    for (size_t i = 0; i < t->n; i++) {
        free(t->items[i].ns);
        free(t->items[i].name);
        free(t->items[i].origin);
        json_unref(t->items[i].object);
    }
    free(t->items);
    *t = (struct targets){0};
}

void targets_add(struct targets *t, const struct resource *r, const char *ns, const char *name,
                 const struct json *object, const char *origin) {
    xgrow(&t->items, t->n, &t->cap);
    t->items[t->n++] = (struct target){
        .resource = r,
        .ns = xstrdup(r->namespaced && ns ? ns : ""),
        .name = name ? xstrdup(name) : NULL,
        .object = json_ref(object),
        .origin = origin ? xstrdup(origin) : NULL,
    };
}

char *target_title(const struct resource *r, const char *name) {
    return *r->group ? xasprintf("%s.%s/%s", r->singular, r->group, name) : xasprintf("%s/%s", r->singular, name);
}

struct client_request target_request(const struct target *t, enum client_verb verb) {
    return (struct client_request){.verb = verb, .resource = t->resource, .ns = t->ns, .name = t->name};
}

const struct resource *kind_by_typed(const char *typed) {
    const struct resource *r = resource_by_name(typed);
    if (r && r->stored)
        return r;
    const char *near = NULL;
    size_t n, least = SUGGEST_EDITS;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++) {
        const char *const names[] = {all[i].plural, all[i].singular};
        for (size_t j = 0; j < ARRAY_LEN(names) && all[i].stored; j++)
            if (edit_distance(typed, names[j]) < least) {
                least = edit_distance(typed, names[j]);
                near = names[j];
            }
    }
    if (near)
        (void) cli_fail("the server doesn't have a resource type \"%s\"; did you mean \"%s\"?", typed, near);
    else
        (void) cli_fail("the server doesn't have a resource type \"%s\"; `podium api-resources` lists them", typed);
    return NULL;
}

static void add_category(struct cli *c, const char *category, struct targets *ret) {
    size_t n;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++)
        for (const char *const *s = all[i].categories; *s; s++)
            if (strcmp(*s, category) == 0 && all[i].stored && all[i].preferred_version)
                targets_add(ret, &all[i], c->all_namespaces ? "" : c->ns, NULL, NULL, NULL);
}

/* "pods,deploy" with names behind: each kind with each name. */
static int from_kinds(struct cli *c, const char *kinds, char *const *names, struct targets *ret) {
    for (const char *p = kinds; *p;) {
        size_t n = strcspn(p, ",");
        _cleanup_free_ char *kind = xstrndup(p, n);
        p += n + (p[n] == ',');
        if (strcmp(kind, "all") == 0 && !names[0]) {
            add_category(c, kind, ret);
            continue;
        }
        const struct resource *r = kind_by_typed(kind);
        if (!r)
            return 1;
        if (!names[0])
            targets_add(ret, r, c->all_namespaces ? "" : c->ns, NULL, NULL, NULL);
        for (char *const *name = names; *name; name++)
            targets_add(ret, r, c->ns, *name, NULL, NULL);
    }
    return 0;
}

static int from_pair(struct cli *c, const char *word, struct targets *ret) {
    const char *slash = strchr(word, '/');
    if (!slash)
        return cli_usage(c, "\"%s\" has no type: with TYPE/NAME every argument has one", word);
    if (slash == word || !slash[1] || strchr(slash + 1, '/'))
        return cli_usage(c, "arguments in TYPE/NAME form must have one type and one name, not \"%s\"", word);
    _cleanup_free_ char *kind = xstrndup(word, (size_t) (slash - word));
    const struct resource *r = kind_by_typed(kind);
    if (!r)
        return 1;
    targets_add(ret, r, c->ns, slash + 1, NULL, NULL);
    return 0;
}

int targets_from_words(struct cli *c, char *const *words, struct targets *ret) {
    bool pairs = false;
    for (char *const *w = words; *w; w++)
        pairs |= strchr(*w, '/') != NULL;
    if (!words[0])
        return cli_usage(c, "you must specify the type of resource; `podium api-resources` lists them");
    int r = 0;
    if (!pairs)
        r = from_kinds(c, words[0], words + 1, ret);
    for (char *const *w = words; pairs && *w && r == 0; w++)
        r = from_pair(c, *w, ret);
    if (r == 0 && c->all_namespaces)
        for (size_t i = 0; i < ret->n; i++)
            if (ret->items[i].name && ret->items[i].resource->namespaced)
                return cli_usage(c, "a resource cannot be retrieved by name across all namespaces");
    return r;
}

/* Namespace of a document: its own, which must not contradict -n, else the one in use. */
static int document_target(struct cli *c, const struct document *d, struct targets *ret) {
    const char *api_version = json_str_or(json_get(d->object, "apiVersion"), "");
    const char *kind = json_str_or(json_get(d->object, "kind"), "");
    const struct resource *r = resource_by_api_version(api_version, kind);
    const char *ns = json_str_or(json_path(d->object, "metadata", "namespace"), "");
    const char *asked = args_str(&c->args, "namespace");
    if (!r || !r->stored)
        return cli_fail("%s: no matches for kind \"%s\" in version \"%s\"", d->origin, kind, api_version);
    if (r->namespaced && *ns && asked && strcmp(asked, ns) != 0)
        return cli_fail("%s: the namespace from the provided object \"%s\" does not match the namespace \"%s\"",
                        d->origin, ns, asked);
    targets_add(ret, r, *ns ? ns : c->ns, json_str(json_path(d->object, "metadata", "name")), d->object, d->origin);
    return 0;
}

int targets_from_files(struct cli *c, bool recursive, struct targets *ret) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_documents_ struct documents docs = DOCUMENTS_INIT;
    for (char *const *path = args_all(&c->args, "filename"); *path; path++) {
        int r = documents_load(*path, recursive, &docs, &err);
        if (r < 0)
            return cli_fail("%s", error_text(&err, r));
    }
    int failed = 0;
    for (size_t i = 0; i < docs.n; i++)
        failed |= document_target(c, &docs.items[i], ret);
    return failed;
}

static int list_one(struct cli *c, const struct target *t, const char *label_selector, const char *field_selector,
                    struct targets *out) {
    struct client_request r = target_request(t, CLIENT_LIST);
    r.label_selector = label_selector;
    r.field_selector = field_selector;
    _cleanup_json_ struct json *list = NULL;
    if (cli_call(c, &r, NULL, &list) < 0)
        return 1;
    const struct json *items = json_get(list, "items");
    for (size_t i = 0; i < json_len(items); i++) {
        _cleanup_json_ struct json *object = json_ref(json_at(items, i));
        if (!json_get(object, "kind")) { /* lists leave them out */
            json_set(&object, "apiVersion", json_string(t->resource->api_version));
            json_set(&object, "kind", json_string(t->resource->kind));
        }
        targets_add(out, t->resource, json_str_or(json_path(object, "metadata", "namespace"), ""),
                    json_str_or(json_path(object, "metadata", "name"), ""), object, NULL);
    }
    return 0;
}

int targets_list(struct cli *c, const char *label_selector, const char *field_selector, struct targets *t) {
    struct targets out = TARGETS_INIT;
    for (size_t i = 0; i < t->n; i++) {
        const struct target *x = &t->items[i];
        if (x->name) {
            targets_add(&out, x->resource, x->ns, x->name, x->object, x->origin);
        } else if (list_one(c, x, label_selector, field_selector, &out) != 0) {
            targets_finish(&out);
            return 1;
        }
    }
    targets_finish(t);
    *t = out;
    return 0;
}
