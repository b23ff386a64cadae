/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rows of defaults.tsv, and what became of each: tested by what the tables alone say (default_places.h), by a case
 * written by hand (cases/defaults), or standing on the list of what is not done (cases/defaults/not-done.tsv,
 * with the reason). A row is named by its field, where several rows have one field by "field = default".
 */
#ifndef TESTS_APISERVER_DEFAULT_ROWS_H
#define TESTS_APISERVER_DEFAULT_ROWS_H

#include "orchestrator/manifest/yaml.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "podium/base/fd.h"
#include "tests/unit/apiserver/server_fixture.h"

#define CASES  "tests/unit/apiserver/cases/defaults/"
#define TABLES "orchestrator/object/tables/"

struct default_row {
    char *field, *value, *condition, *stage;
    const struct type_info *type;    /* generated rows: where the field lives */
    const struct field_info *member; /* and the field */
    struct json *expected;           /* the default as a value */
    bool zero_too;                   /* an explicit zero value counts as absent */
    unsigned by_table, by_hand;
    const char *not_done; /* the reason */
};

struct default_rows {
    struct default_row items[512];
    size_t n;
    struct json *not_done; /* name -> reason */
    unsigned failures;
};

/* Counts a failure and says which; the test fails at its end, so that one run shows all. */
#define row_fails(rows, ...) ((rows)->failures++, print_message(__VA_ARGS__), print_message("\n"))

static inline struct json *read_yaml(const char *path) {
    _cleanup_strbuf_ struct strbuf text = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *doc = NULL;
    if (file_read(path, 1 << 20, &text, &err) < 0 || yaml_parse_one(path, strbuf_str(&text), text.len, &doc, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
    return doc;
}

/* Rows of cells; the first row is the heading and left out. */
static inline void read_tsv(const char *path, void (*row)(void *userdata, char **cells, size_t n), void *userdata) {
    _cleanup_strbuf_ struct strbuf text = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (file_read(path, 1 << 20, &text, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
    _cleanup_free_ char *copy = xstrdup(strbuf_str(&text));
    char *rest = copy;
    (void) strsep(&rest, "\n");
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *cells[8] = {NULL};
        size_t n = 0;
        while (*line && n < ARRAY_LEN(cells) && (cells[n] = strsep(&line, "\t")) != NULL && ++n && line)
            continue;
        if (n > 0)
            row(userdata, cells, n);
    }
}

static inline void add_row(void *userdata, char **cells, size_t n) {
    struct default_rows *rows = userdata;
    assert_true(n == 4 && rows->n < ARRAY_LEN(rows->items));
    struct default_row *r = &rows->items[rows->n++];
    *r = (struct default_row){xstrdup(cells[0]), xstrdup(cells[1]), xstrdup(cells[2]), xstrdup(cells[3]), .type = NULL};
}

static inline void add_not_done(void *userdata, char **cells, size_t n) {
    struct default_rows *rows = userdata;
    assert_int_equal(n, 2);
    json_set(&rows->not_done, cells[0], json_string(cells[1]));
}

static inline bool starts_with(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static inline bool row_is_named(const struct default_row *r, const char *name) {
    size_t n = strlen(r->field);
    return strncmp(name, r->field, n) == 0 &&
           (!name[n] || (starts_with(name + n, " = ") && strcmp(name + n + 3, r->value) == 0));
}

/* By the name; NULL unless exactly one row has it. */
static inline struct default_row *row_of(struct default_rows *rows, const char *name) {
    struct default_row *found = NULL;
    for (size_t i = 0; i < rows->n; i++) {
        if (!row_is_named(&rows->items[i], name))
            continue;
        if (found)
            return NULL;
        found = &rows->items[i];
    }
    return found;
}

/* The default as a document value; NULL when it is an expression and no value. */
static inline struct json *row_value(const struct default_row *r) {
    struct json *v = NULL;
    if (strcmp(r->value, "\"\"") == 0)
        return json_string("");
    if (r->member->type == FIELD_STRING && r->member->container == FIELD_PLAIN)
        return strpbrk(r->value, "(+[{|") ? NULL : json_string(r->value);
    if (strpbrk(r->value, "(+|") || yaml_parse_one(r->field, r->value, strlen(r->value), &v, NULL) < 0)
        return NULL;
    return v;
}

/* Whether the tables alone tell what the row wants: a constant, for a field of a type, when it is not there. */
static inline void row_classify(struct default_row *r) {
    const char *c = r->condition, *dot = strrchr(r->field, '.');
    bool absent = starts_with(c, "absent"), zero = !*c || starts_with(c, "empty") || starts_with(c, "0");
    if ((strcmp(r->stage, "marker") != 0 && strcmp(r->stage, "defaulting") != 0) || (!absent && !zero) || !dot)
        return;
    _cleanup_free_ char *type = xstrndup(r->field, (size_t) (dot - r->field));
    const struct type_info *t = type_by_name(type);
    r->member = t ? type_field(t, dot + 1) : NULL;
    r->expected = r->member ? row_value(r) : NULL;
    if (!r->expected)
        return;
    r->type = t;
    r->zero_too = zero && !r->member->pointer;
}

static inline void rows_read(struct default_rows *rows) {
    read_tsv(TABLES "defaults.tsv", add_row, rows);
    read_tsv(CASES "not-done.tsv", add_not_done, rows);
    for (size_t i = 0; i < rows->n; i++)
        row_classify(&rows->items[i]);
    for (size_t i = 0; i < json_len(rows->not_done); i++) {
        struct default_row *r = row_of(rows, json_key_at(rows->not_done, i));
        if (r)
            r->not_done = json_str(json_value_at(rows->not_done, i));
        else
            row_fails(rows, "not-done.tsv: no such row: %s", json_key_at(rows->not_done, i));
    }
}

static inline void rows_finish(struct default_rows *rows) {
    for (size_t i = 0; i < rows->n; i++) {
        struct default_row *r = &rows->items[i];
        free(r->field);
        free(r->value);
        free(r->condition);
        free(r->stage);
        json_unref(r->expected);
    }
    json_unref(rows->not_done);
}

/* --- places in documents: "spec.containers[0].image", "metadata.labels[app.kubernetes.io/name]" --- */

static inline char *path_step(const char **path, bool *ret_index) {
    const char *p = *path;
    *ret_index = false;
    if (*p == '[') {
        size_t n = strcspn(++p, "]");
        *ret_index = n > 0 && strspn(p, "0123456789") == n;
        *path = p + n + (p[n] == ']');
        *path += **path == '.';
        return xstrndup(p, n);
    }
    size_t n = strcspn(p, ".[");
    *path = p + n + (p[n] == '.');
    return xstrndup(p, n);
}

static inline const struct json *path_get(const struct json *doc, const char *path) {
    while (*path && doc) {
        bool index;
        _cleanup_free_ char *step = path_step(&path, &index);
        doc = index ? json_at(doc, (size_t) atoi(step)) : json_get(doc, step);
    }
    return doc;
}

/* take NULL: the member goes. */
static inline void path_set(struct json **doc, const char *path, struct json *take) {
    bool index;
    _cleanup_free_ char *step = path_step(&path, &index);
    if (!*path && !take && !index) {
        (void) json_del(doc, step);
        return;
    }
    struct json **slot;
    if (index) {
        while (json_len(*doc) <= (size_t) atoi(step))
            json_append(doc, json_null());
        slot = json_edit_at(doc, (size_t) atoi(step));
    } else {
        slot = json_edit(doc, step);
    }
    if (*path) {
        path_set(slot, path, take);
        return;
    }
    json_unref(*slot);
    *slot = take ? take : json_null();
}

/* Where the objects of a kind are: "/apis/apps/v1/namespaces/default/deployments". */
static inline char *collection_of(const struct resource *r, const char *ns) {
    _cleanup_free_ char *scope = r->namespaced ? xasprintf("namespaces/%s/", ns && *ns ? ns : "default") : xstrdup("");
    return xasprintf("/%s/%s/%s%s", *r->group ? "apis" : "api", resource_api_version(r), scope, r->plural);
}

#endif
