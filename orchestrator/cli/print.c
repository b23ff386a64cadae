/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/print.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"

/* --- columns --- */

void columns_finish(struct columns *c) {
    for (size_t i = 0; i < c->n; i++)
        strv_free(c->lines[i]);
    free(c->lines);
    *c = (struct columns){0};
}

void columns_line(struct columns *c) {
    xgrow(&c->lines, c->n, &c->cap);
    c->lines[c->n++] = strv_new();
}

/* What would move the cursor or begin a line is shown as a question mark: names come from others. */
static char *printable(const char *text) {
    char *s = xstrdup(text);
    for (char *p = s; *p; p++)
        if (iscntrl((unsigned char) *p))
            *p = *p == '\n' || *p == '\t' ? ' ' : '?';
    return s;
}

void columns_cell(struct columns *c, const char *text) {
    strv_push(&c->lines[c->n - 1], printable(text));
}

void columns_cellf(struct columns *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    columns_cell(c, text);
}

/* Characters, not bytes: all but the continuation bytes of UTF-8. */
static size_t width_of(const char *s) {
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char) *s & 0xc0) != 0x80;
    return n;
}

void columns_print(const struct columns *c, const char *indent, size_t gap, struct strbuf *out) {
    size_t n_columns = 0;
    for (size_t i = 0; i < c->n; i++) {
        size_t n = strv_len(c->lines[i]);
        n_columns = n > n_columns ? n : n_columns;
    }
    _cleanup_free_ size_t *widths = xcalloc(n_columns + 1, sizeof(*widths));
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; c->lines[i][j]; j++) {
            size_t w = width_of(c->lines[i][j]);
            widths[j] = w > widths[j] && c->lines[i][j + 1] ? w : widths[j];
        }
    for (size_t i = 0; i < c->n; i++) {
        strbuf_adds(out, indent);
        for (size_t j = 0; c->lines[i][j]; j++) {
            strbuf_adds(out, c->lines[i][j]);
            if (c->lines[i][j + 1])
                strbuf_addf(out, "%*s", (int) (widths[j] - width_of(c->lines[i][j]) + gap), "");
        }
        strbuf_addc(out, '\n');
    }
}

/* --- formats --- */

static int parse_jsonpath(const char *text, struct output_format *ret, struct error *err) {
    ret->output = OUTPUT_JSONPATH;
    return jsonpath_parse_relaxed(text, &ret->jsonpath, err);
}

/* "NAME:.metadata.name,NODE:.spec.nodeName" */
static int parse_columns(const char *text, struct output_format *ret, struct error *err) {
    ret->output = OUTPUT_COLUMNS;
    ret->headings = strv_new();
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ","), heading = strcspn(p, ":");
        size_t i = strv_len(ret->headings);
        if (heading >= n)
            return error_set(err, -EINVAL, "custom-columns wants HEADING:.path[,HEADING:.path…], not \"%s\"", text);
        _cleanup_free_ char *path = xstrndup(p + heading + 1, n - heading - 1);
        ret->paths = xreallocarray(ret->paths, i + 1, sizeof(*ret->paths));
        int r = jsonpath_parse_relaxed(path, &ret->paths[i], err);
        if (r < 0)
            return r;
        strv_push(&ret->headings, xstrndup(p, heading));
        p += n + (p[n] == ',');
    }
    return *ret->headings ? 0 : error_set(err, -EINVAL, "custom-columns wants HEADING:.path[,HEADING:.path…]");
}

int output_parse(const char *text, struct output_format *ret, struct error *err) {
    static const char *const names[] = {
        [OUTPUT_WIDE] = "wide", [OUTPUT_YAML] = "yaml", [OUTPUT_JSON] = "json", [OUTPUT_NAME] = "name"};
    *ret = (struct output_format){.output = OUTPUT_TABLE};
    if (!text || !*text)
        return 0;
    for (size_t i = OUTPUT_WIDE; i < ARRAY_LEN(names); i++)
        if (strcmp(text, names[i]) == 0) {
            ret->output = (enum output) i;
            return 0;
        }
    if (strncmp(text, "jsonpath=", 9) == 0)
        return parse_jsonpath(text + 9, ret, err);
    if (strncmp(text, "custom-columns=", 15) == 0)
        return parse_columns(text + 15, ret, err);
    return error_set(err, -EINVAL,
                     "unable to match a printer suitable for the output format \"%s\"; allowed formats are: "
                     "wide, yaml, json, name, jsonpath=TEMPLATE, custom-columns=HEADING:.path,…",
                     text);
}

void output_finish(struct output_format *f) {
    jsonpath_free(f->jsonpath);
    for (size_t i = 0; i < strv_len(f->headings); i++)
        jsonpath_free(f->paths[i]);
    free(f->paths);
    strv_free(f->headings);
    *f = (struct output_format){0};
}

static int by_key(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

struct json *json_sorted(const struct json *v) {
    size_t n = json_len(v);
    struct json *out;
    if (json_is_array(v)) {
        out = json_array();
        for (size_t i = 0; i < n; i++)
            json_append(&out, json_sorted(json_at(v, i)));
        return out;
    }
    if (!json_is_object(v))
        return v ? json_ref(v) : json_null();
    _cleanup_free_ const char **keys = xcalloc(n + 1, sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = json_key_at(v, i);
    qsort(keys, n, sizeof(*keys), by_key);
    out = json_object();
    for (size_t i = 0; i < n; i++)
        json_set(&out, keys[i], json_sorted(json_get(v, keys[i])));
    return out;
}

static void print_name(const struct json *object, struct strbuf *out) {
    const struct resource *r = resource_by_api_version(json_str_or(json_get(object, "apiVersion"), ""),
                                                       json_str_or(json_get(object, "kind"), ""));
    const char *name = json_str_or(json_path(object, "metadata", "name"), "");
    if (!r)
        strbuf_addf(out, "%s\n", name);
    else if (*r->group)
        strbuf_addf(out, "%s.%s/%s\n", r->singular, r->group, name);
    else
        strbuf_addf(out, "%s/%s\n", r->singular, name);
}

static void print_columns(const struct output_format *f, const struct json *object, struct strbuf *out) {
    _cleanup_columns_ struct columns c = COLUMNS_INIT;
    const struct json *items = json_get(object, "items");
    columns_line(&c);
    for (char *const *h = f->headings; *h; h++)
        columns_cell(&c, *h);
    for (size_t i = 0; i < (items ? json_len(items) : 1); i++) {
        columns_line(&c);
        for (size_t j = 0; f->headings[j]; j++) {
            _cleanup_strbuf_ struct strbuf cell = STRBUF_INIT;
            jsonpath_print(f->paths[j], items ? json_at(items, i) : object, &cell);
            columns_cell(&c, cell.len ? cell.data : "<none>");
        }
    }
    columns_print(&c, "", 3, out);
}

void output_print(const struct output_format *f, const struct json *object, struct strbuf *out) {
    const struct json *items = json_get(object, "items");
    _cleanup_json_ struct json *sorted = NULL;
    switch (f->output) {
    case OUTPUT_TABLE:
    case OUTPUT_WIDE:
        break;
    case OUTPUT_YAML:
        yaml_write(object, out);
        break;
    case OUTPUT_JSON:
        sorted = json_sorted(object);
        json_write(sorted, JSON_WRITE_PRETTY, out);
        strbuf_addc(out, '\n');
        break;
    case OUTPUT_NAME:
        for (size_t i = 0; i < json_len(items); i++)
            print_name(json_at(items, i), out);
        if (!items)
            print_name(object, out);
        break;
    case OUTPUT_JSONPATH:
        jsonpath_print(f->jsonpath, object, out);
        break;
    case OUTPUT_COLUMNS:
        print_columns(f, object, out);
        break;
    }
}

/* --- tables --- */

static void add_cell(struct columns *c, const struct json *v) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    if (json_is_string(v)) {
        columns_cell(c, json_str(v));
    } else if (json_is_null(v)) {
        columns_cell(c, "<none>");
    } else {
        json_write(v, 0, &text);
        columns_cell(c, strbuf_str(&text));
    }
}

static char *labels_text(const struct json *labels) {
    _cleanup_json_ struct json *sorted = json_sorted(labels);
    struct strbuf s = STRBUF_INIT;
    for (size_t i = 0; i < json_len(sorted); i++)
        strbuf_addf(&s, "%s%s=%s", i ? "," : "", json_key_at(sorted, i), json_str_or(json_value_at(sorted, i), ""));
    return s.len ? strbuf_steal(&s) : xstrdup("<none>");
}

static char *upper(const char *s) {
    char *u = xstrdup(s);
    for (char *p = u; *p; p++)
        *p = (char) toupper((unsigned char) *p);
    return u;
}

static void add_headings(const struct table_options *o, const struct json *definitions, struct columns *c) {
    columns_line(c);
    if (o->namespaces)
        columns_cell(c, "NAMESPACE");
    for (size_t i = 0; i < json_len(definitions); i++) {
        const struct json *d = json_at(definitions, i);
        if (o->wide || json_int_or(json_get(d, "priority"), 0) == 0) {
            _cleanup_free_ char *name = upper(json_str_or(json_get(d, "name"), ""));
            columns_cell(c, name);
        }
    }
    for (char *const *l = o->label_columns; l && *l; l++) {
        const char *slash = strrchr(*l, '/');
        _cleanup_free_ char *name = upper(slash ? slash + 1 : *l);
        columns_cell(c, name);
    }
    if (o->labels)
        columns_cell(c, "LABELS");
}

static void add_row(const struct table_options *o, const struct json *definitions, const struct json *row,
                    struct columns *c) {
    const struct json *cells = json_get(row, "cells"), *metadata = json_path(row, "object", "metadata");
    const struct json *labels = json_get(metadata, "labels");
    columns_line(c);
    if (o->namespaces)
        columns_cell(c, json_str_or(json_get(metadata, "namespace"), ""));
    for (size_t i = 0; i < json_len(cells); i++) {
        const struct json *d = json_at(definitions, i);
        if (!o->wide && json_int_or(json_get(d, "priority"), 0) != 0)
            continue;
        if (i == 0 && o->kinds && o->resource)
            columns_cellf(c, "%s%s%s/%s", o->resource->singular, *o->resource->group ? "." : "", o->resource->group,
                          json_str_or(json_at(cells, i), ""));
        else
            add_cell(c, json_at(cells, i));
    }
    for (char *const *l = o->label_columns; l && *l; l++)
        columns_cell(c, json_str_or(json_get(labels, *l), ""));
    if (o->labels) {
        _cleanup_free_ char *text = labels_text(labels);
        columns_cell(c, text);
    }
}

void table_add(const struct table_options *o, const struct json *definitions, const struct json *table,
               struct columns *c) {
    const struct json *rows = json_get(table, "rows");
    if (o->headers)
        add_headings(o, definitions, c);
    for (size_t i = 0; i < json_len(rows); i++)
        add_row(o, definitions, json_at(rows, i), c);
}
