/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium get: tables as the server draws them, or objects; and watching them. */
#include <string.h>

#include "orchestrator/cli/print.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"

#define ACCEPT_TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

const struct flag flags_get[] = {
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT",
     "wide, yaml, json, name, jsonpath=TEMPLATE, custom-columns=HEADING:.path,…"},
    {"watch", 'w', FLAG_BOOL, NULL, NULL, "list, then show each change as it happens"},
    {"watch-only", 0, FLAG_BOOL, NULL, NULL, "show changes only"},
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "objects with these labels (a=b,c!=d,e in (f,g))"},
    {"field-selector", 0, FLAG_VALUE, NULL, "FIELDS", "objects with these fields (status.phase=Running)"},
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", "the objects named in a file, folder or - for standard input"},
    {"recursive", 'R', FLAG_BOOL, NULL, NULL, "with -f: also folders below"},
    {"show-labels", 0, FLAG_BOOL, NULL, NULL, "all labels as last column"},
    {"label-columns", 'L', FLAG_VALUE, NULL, "KEYS", "a column for each of these labels"},
    {"show-kind", 0, FLAG_BOOL, NULL, NULL, "names as kind/name"},
    {"sort-by", 0, FLAG_VALUE, NULL, "PATH", "sort by a field, e.g. .metadata.creationTimestamp"},
    {"no-headers", 0, FLAG_BOOL, NULL, NULL, "no line of headings"},
    {"ignore-not-found", 0, FLAG_BOOL, NULL, NULL, "what does not exist is no error"},
    {"show-managed-fields", 0, FLAG_BOOL, NULL, NULL, "keep metadata.managedFields in yaml and json"},
    {"chunk-size", 0, FLAG_VALUE, NULL, "N", "accepted for kubectl's sake"},
    FLAG_END,
};

/* What one request brought: a Table, an object or a list. */
struct answer {
    const struct resource *resource;
    struct json *doc;
    bool named;
};
struct getting {
    struct cli *c;
    struct output_format format;
    struct targets targets;
    struct jsonpath *sort;
    struct answer *answers;
    size_t n, cap;
    char **label_columns;
    bool tables;
};

static char *request_target(const struct getting *g, const struct target *t, bool watch, const char *version) {
    struct client_request r = target_request(t, t->name && !watch ? CLIENT_GET : CLIENT_LIST);
    _cleanup_free_ char *by_name = NULL;
    if (!t->name) {
        r.label_selector = args_str(&g->c->args, "selector");
        r.field_selector = args_str(&g->c->args, "field-selector");
    } else if (watch) {
        r.name = NULL;
        r.field_selector = by_name = xasprintf("metadata.name=%s", t->name);
    }
    r.resource_version = version;
    _cleanup_free_ char *target = http_request_target(&r, watch);
    if (!g->tables || !g->sort)
        return steal(&target);
    return xasprintf("%s%cincludeObject=Object", target, strchr(target, '?') ? '&' : '?');
}

/* 1 when something could not be had (told). */
static int fetch(struct getting *g, const struct target *t) {
    _cleanup_free_ char *target = request_target(g, t, false, NULL);
    struct json *doc = NULL;
    bool quiet = args_bool(&g->c->args, "ignore-not-found", false);
    int r = cli_get_json(g->c, target, g->tables ? ACCEPT_TABLE : NULL, quiet, &doc);
    if (r < 0)
        return r == -ENOENT && quiet ? 0 : 1;
    xgrow(&g->answers, g->n, &g->cap);
    g->answers[g->n++] = (struct answer){.resource = t->resource, .doc = doc, .named = t->name != NULL};
    return 0;
}

/* --- sorting --- */

static const struct json *sort_key(const struct jsonpath *path, const struct json *item, struct json **keep) {
    *keep = jsonpath_find(path, item);
    return json_at(*keep, 0);
}

static int compare_keys(const struct json *a, const struct json *b) {
    if (json_is_null(a) || json_is_null(b))
        return json_is_null(b) - json_is_null(a); /* what has none comes first */
    if (json_is_string(a) && json_is_string(b))
        return strcmp(json_str(a), json_str(b));
    double x = json_double_or(a, 0), y = json_double_or(b, 0);
    return x < y ? -1 : x > y;
}

static int compare_items(const void *pa, const void *pb, void *path) {
    struct json *const *a = pa, *const *b = pb;
    _cleanup_json_ struct json *keep_a = NULL, *keep_b = NULL;
    const struct json *of_a = json_get(*a, "cells") ? json_get(*a, "object") : *a;
    const struct json *of_b = json_get(*b, "cells") ? json_get(*b, "object") : *b;
    return compare_keys(sort_key(path, of_a, &keep_a), sort_key(path, of_b, &keep_b));
}

static void sort_list(struct jsonpath *path, struct json **list) {
    size_t n = json_len(*list);
    _cleanup_free_ struct json **items = xcalloc(n + 1, sizeof(*items));
    for (size_t i = 0; i < n; i++)
        items[i] = json_ref(json_at(*list, i));
    qsort_r(items, n, sizeof(*items), compare_items, path);
    json_unref(*list);
    *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_append(list, items[i]);
}

/* --- tables --- */

static bool same_kind_as_before(const struct getting *g, size_t i) {
    return i > 0 && g->answers[i].resource == g->answers[i - 1].resource;
}

static bool several_kinds(const struct getting *g) {
    for (size_t i = 1; i < g->targets.n; i++)
        if (g->targets.items[i].resource != g->targets.items[0].resource)
            return true;
    return false;
}

static struct table_options table_options(const struct getting *g, const struct resource *r) {
    return (struct table_options){
        .wide = g->format.output == OUTPUT_WIDE,
        .headers = !args_bool(&g->c->args, "no-headers", false),
        .namespaces = g->c->all_namespaces && r->namespaced,
        .kinds = several_kinds(g) || args_bool(&g->c->args, "show-kind", false),
        .labels = args_bool(&g->c->args, "show-labels", false),
        .label_columns = g->label_columns,
        .resource = r,
    };
}

/* Tables of one kind asked by several names are one. */
static void print_tables(struct getting *g) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < g->n;) {
        _cleanup_columns_ struct columns columns = COLUMNS_INIT;
        const struct answer *first = &g->answers[i];
        struct table_options o = table_options(g, first->resource);
        const struct json *definitions = json_get(first->doc, "columnDefinitions");
        size_t rows = 0;
        do {
            if (json_len(json_get(g->answers[i].doc, "rows")) == 0)
                continue;
            if (g->sort)
                sort_list(g->sort, json_edit(&g->answers[i].doc, "rows"));
            rows += json_len(json_get(g->answers[i].doc, "rows"));
            table_add(&o, definitions, g->answers[i].doc, &columns);
            o.headers = false;
        } while (++i < g->n && same_kind_as_before(g, i));
        if (rows > 0 && out.len > 0)
            strbuf_addc(&out, '\n');
        columns_print(&columns, "", 3, &out);
    }
    fwrite(strbuf_str(&out), 1, out.len, stdout);
    bool cluster_scope = g->targets.n == 1 && !g->targets.items[0].resource->namespaced;
    if (out.len > 0 || args_bool(&g->c->args, "ignore-not-found", false))
        return;
    if (g->c->all_namespaces || cluster_scope)
        fputs("No resources found\n", stderr);
    else
        fprintf(stderr, "No resources found in %s namespace.\n", g->c->ns);
}

/* --- objects --- */

static void hide_managed_fields(const struct getting *g, struct json **object) {
    if (!args_bool(&g->c->args, "show-managed-fields", false) && json_path(*object, "metadata", "managedFields"))
        json_del(json_edit(object, "metadata"), "managedFields");
}

static void add_item(struct getting *g, const struct resource *r, const struct json *object, struct json **items) {
    struct json *item = json_ref(object);
    if (!json_get(item, "kind")) { /* lists leave them out */
        json_set(&item, "apiVersion", json_string(r->api_version));
        json_set(&item, "kind", json_string(r->kind));
    }
    hide_managed_fields(g, &item);
    json_append(items, item);
}

static void print_objects(struct getting *g) {
    _cleanup_json_ struct json *items = json_array(), *list = json_object();
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < g->n; i++) {
        const struct json *inner = json_get(g->answers[i].doc, "items");
        if (g->answers[i].named)
            add_item(g, g->answers[i].resource, g->answers[i].doc, &items);
        for (size_t j = 0; !g->answers[i].named && j < json_len(inner); j++)
            add_item(g, g->answers[i].resource, json_at(inner, j), &items);
    }
    if (g->targets.n == 1 && g->targets.items[0].name) {
        if (json_len(items) == 0)
            return;
        output_print(&g->format, json_at(items, 0), &out);
    } else {
        if (g->sort)
            sort_list(g->sort, &items);
        json_set(&list, "apiVersion", json_string("v1"));
        json_set(&list, "items", json_ref(items));
        json_set(&list, "kind", json_string("List"));
        json_set_path(&list, json_string(""), "metadata", "resourceVersion");
        output_print(&g->format, list, &out);
    }
    fwrite(strbuf_str(&out), 1, out.len, stdout);
}

/* --- watching --- */

struct watching {
    struct getting *g;
    const struct target *target;
    struct strbuf line;
    struct json *definitions;
    char *version;
    bool headed, failed;
};

static void note_version(struct watching *w, const struct json *object) {
    const struct json *row = json_at(json_get(object, "rows"), 0); /* of a Table */
    const char *v = json_str(json_path(row ? json_get(row, "object") : object, "metadata", "resourceVersion"));
    if (v && *v) {
        free(w->version);
        w->version = xstrdup(v);
    }
}

static void show_table_event(struct watching *w, const struct json *table) {
    _cleanup_columns_ struct columns columns = COLUMNS_INIT;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    struct table_options o = table_options(w->g, w->target->resource);
    if (json_len(json_get(table, "columnDefinitions")) > 0) {
        json_unref(w->definitions);
        w->definitions = json_ref(json_get(table, "columnDefinitions"));
    }
    o.headers = o.headers && !w->headed;
    w->headed = true;
    table_add(&o, w->definitions, table, &columns);
    columns_print(&columns, "", 3, &out);
    fwrite(strbuf_str(&out), 1, out.len, stdout);
}

static void show_object_event(struct watching *w, const struct json *object) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    _cleanup_json_ struct json *shown = json_ref(object);
    hide_managed_fields(w->g, &shown);
    if (w->g->format.output == OUTPUT_YAML)
        strbuf_adds(&out, "---\n");
    output_print(&w->g->format, shown, &out);
    fwrite(strbuf_str(&out), 1, out.len, stdout);
}

/* Negative ends the watch. */
static int show_event(struct watching *w, const char *p, size_t n) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *event = NULL;
    int r = json_parse(p, n, NULL, &event, &err);
    if (r < 0) {
        w->failed = true;
        (void) cli_fail("the server sent a broken event: %s", error_text(&err, r));
        return r;
    }
    const char *type = json_str_or(json_get(event, "type"), "");
    const struct json *object = json_get(event, "object");
    if (strcmp(type, "ERROR") == 0) {
        int code = (int) json_int_or(json_get(object, "code"), 500);
        free(steal(&w->version));
        if (code == 410) /* too far behind: from the present on */
            return -ESTALE;
        w->failed = true;
        (void) cli_refused(w->g->c, "", code, object, json_str_or(json_get(object, "message"), ""));
        return -EIO;
    }
    note_version(w, object);
    if (strcmp(type, "BOOKMARK") == 0)
        return 0;
    if (w->g->tables)
        show_table_event(w, object);
    else
        show_object_event(w, object);
    if (fflush(stdout) == 0)
        return 0;
    w->failed = true; /* whoever read has gone */
    return -EPIPE;
}

static int on_bytes(void *userdata, const char *p, size_t n) {
    struct watching *w = userdata;
    strbuf_add(&w->line, p, n);
    for (char *end; w->line.len && (end = memchr(w->line.data, '\n', w->line.len));) {
        size_t length = (size_t) (end - w->line.data);
        int r = length ? show_event(w, w->line.data, length) : 0;
        strbuf_consume(&w->line, length + 1);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Until the user ends it or the server refuses. A stream that ends is taken up where it was. */
static int watch(struct getting *g) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf answer = STRBUF_INIT;
    struct watching w = {.g = g, .target = &g->targets.items[0], .headed = g->n > 0};
    if (g->n > 0) {
        const char *v = json_str(json_path(g->answers[0].doc, "metadata", "resourceVersion"));
        w.version = xstrdup(v ? v : "");
        w.definitions = json_ref(json_get(g->answers[0].doc, "columnDefinitions"));
        w.headed = json_len(json_get(g->answers[0].doc, "rows")) > 0;
    }
    int exit_code = 0, code = 200, r = 0;
    while (!w.failed && code == 200 && r == 0) {
        _cleanup_free_ char *target = request_target(g, w.target, true, w.version);
        const struct plain_request request = {.target = target,
                                              .accept = g->tables ? ACCEPT_TABLE : NULL,
                                              .bytes = on_bytes,
                                              .userdata = &w,
                                              .endless = true};
        strbuf_reset(&w.line);
        r = connection_get(&g->c->connection, &request, &code, &answer, &err);
        r = r == -ESTALE ? 0 : r;
    }
    if (!w.failed && r < 0)
        exit_code = cli_refused(g->c, "", 0, NULL, error_text(&err, r));
    else if (!w.failed)
        exit_code = cli_refused(g->c, "", code, NULL, strbuf_str(&answer));
    strbuf_finish(&w.line);
    json_unref(w.definitions);
    free(w.version);
    return w.failed ? 1 : exit_code;
}

/* --- the verb --- */

static int prepare(struct getting *g) {
    struct cli *c = g->c;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = output_parse(args_str(&c->args, "output"), &g->format, &err);
    if (r == 0 && args_has(&c->args, "sort-by"))
        r = jsonpath_parse_relaxed(args_str(&c->args, "sort-by"), &g->sort, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    g->tables = g->format.output == OUTPUT_TABLE || g->format.output == OUTPUT_WIDE;
    g->label_columns = strv_new();
    for (char *const *v = args_all(&c->args, "label-columns"); *v; v++)
        for (const char *p = *v; *p;) {
            size_t n = strcspn(p, ",");
            strv_push(&g->label_columns, xstrndup(p, n));
            p += n + (p[n] == ',');
        }
    r = cli_connect(c);
    if (r == 0 && args_has(&c->args, "filename"))
        return targets_from_files(c, args_bool(&c->args, "recursive", false), &g->targets);
    return r ? r : targets_from_words(c, c->args.words, &g->targets);
}

static void finish(struct getting *g) {
    output_finish(&g->format);
    targets_finish(&g->targets);
    jsonpath_free(g->sort);
    for (size_t i = 0; i < g->n; i++)
        json_unref(g->answers[i].doc);
    free(g->answers);
    strv_free(g->label_columns);
}

static int get(struct getting *g) {
    struct cli *c = g->c;
    int r = prepare(g), failed = 0;
    bool only = args_bool(&c->args, "watch-only", false), watched = only || args_bool(&c->args, "watch", false);
    if (r != 0)
        return r;
    if (watched && g->targets.n != 1)
        return cli_usage(c, "you may only watch one type of object, or one object, at a time");
    for (size_t i = 0; i < g->targets.n && !only; i++)
        failed |= fetch(g, &g->targets.items[i]);
    if (g->tables && (g->n > 0 || !failed) && !watched)
        print_tables(g);
    else if (g->tables && g->n > 0 && json_len(json_get(g->answers[0].doc, "rows")) > 0)
        print_tables(g);
    else if (!g->tables && (g->n > 0 || !failed) && !only)
        print_objects(g);
    (void) fflush(stdout);
    return failed || !watched ? failed : watch(g);
}

int cli_verb_get(struct cli *c) {
    struct getting g = {.c = c};
    int r = get(&g);
    finish(&g);
    return r;
}
