/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows from printcolumns.tsv. Most columns say in their value text where the cell comes from ("status.phase",
 * "spec.clusterName or <none>", "len(data)"); the rest are computed by the functions of the table_*.c files.
 */
#include "orchestrator/object/table.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/field_path.h"
#include "orchestrator/object/table_cells.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/object/type_tables.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

static const struct printcolumn_row default_columns[] = {
    {"", "Name", "string", "name", 0, "metadata.name"},
    {"", "Age", "string", "", 0, "human-duration since metadata.creationTimestamp; <unknown> if zero"},
};

/* --- pieces --- */

struct json *table_text(struct strbuf *b, const char *empty) {
    struct json *v = b->len > 0 ? json_string_len(b->data, b->len) : json_string(empty);
    strbuf_reset(b);
    return v;
}

struct json *table_age(const struct json *timestamp, uint64_t now_usec) {
    uint64_t then;
    char text[TIMESTAMP_SIZE];
    if (!json_is_string(timestamp) || timestamp_parse(json_str(timestamp), &then) < 0)
        return json_string("<unknown>");
    /* The API's times are cut to seconds, so the difference is taken of seconds. */
    duration_human((int64_t) (now_usec / USEC_PER_SEC) - (int64_t) (then / USEC_PER_SEC), text);
    return json_string(text);
}

void table_join(struct strbuf *b, const char *separator, const char *item) {
    if (b->len > 0)
        strbuf_adds(b, separator);
    strbuf_adds(b, item);
}

static int by_key(const void *a, const void *b, void *map) {
    return strcmp(json_key_at(map, *(const size_t *) a), json_key_at(map, *(const size_t *) b));
}

void table_add_map(struct strbuf *b, const struct json *map) {
    size_t n = json_len(map);
    _cleanup_free_ size_t *order = xcalloc(n + 1, sizeof(*order));
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(*order), by_key, (void *) map);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(b, "%s%s=%s", b->len ? "," : "", json_key_at(map, order[i]),
                    json_str_or(json_value_at(map, order[i]), ""));
}

const struct json *table_condition(const struct json *conditions, const char *type) {
    for (size_t i = 0; i < json_len(conditions); i++)
        if (strcmp(json_str_or(json_get(json_at(conditions, i), "type"), ""), type) == 0)
            return json_at(conditions, i);
    return NULL;
}

bool table_condition_is_true(const struct json *conditions, const char *type) {
    return strcmp(table_str(table_condition(conditions, type), "status"), "True") == 0;
}

const char *table_str(const struct json *object, const char *path) {
    return json_str_or(field_path_get(object, path), "");
}

/* --- cells from the value text --- */

static bool has_suffix(const char *s, size_t n, const char *suffix) {
    size_t k = strlen(suffix);
    return n >= k && strncmp(s + n - k, suffix, k) == 0;
}

/* "len(data)+len(binaryData)" */
static struct json *cell_of_lengths(const struct json *object, const char *value) {
    int64_t sum = 0;
    for (const char *p = strstr(value, "len("); p; p = strstr(p, "len(")) {
        p += strlen("len(");
        _cleanup_free_ char *path = xstrndup(p, strcspn(p, ")"));
        sum += (int64_t) json_len(field_path_get(object, path));
    }
    return json_int(sum);
}

/* "path", "path or word", with " (sent as number)", " (number)" or " bool" behind. */
static struct json *cell_of_path(const struct printcolumn_row *column, const struct json *object) {
    const char *value = column->value, * or = strstr(value, " or ");
    size_t n = strlen(value), path_n = strcspn(value, " ");
    _cleanup_free_ char *path = xstrndup(value, path_n);
    const struct json *v = field_path_get(object, path);
    bool number = has_suffix(value, n, "number)") || strcmp(column->type, "integer") == 0;
    if (has_suffix(value, n, " bool"))
        return json_bool(json_bool_or(v, false));
    if (number)
        return json_int(json_int_or(v, 0));
    if (json_is_null(v) || (json_is_string(v) && json_str_len(v) == 0))
        return json_string(! or || strcmp(or +4, "empty") == 0 ? "" : or +4);
    if (json_is_string(v))
        return json_ref(v);
    if (json_is_object(v) || json_is_array(v))
        return json_string("");
    _cleanup_free_ char *text = json_to_text(v);
    return json_string(text);
}

static struct json *creation_date(const struct json *object) {
    return json_string(table_str(object, "metadata.creationTimestamp"));
}

/* --- computed cells --- */

static table_cell_fn find_cell(const char *kind, const char *column) {
    static const struct table_cell *const lists[] = {table_pod_cells, table_workload_cells, table_network_cells,
                                                     table_storage_cells, table_cluster_cells};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct table_cell *c = lists[i]; c->column; c++)
            if ((!c->kind || strcmp(c->kind, kind) == 0) && strcmp(c->column, column) == 0)
                return c->make;
    return NULL;
}

static struct json *make_cell(const struct printcolumn_row *column, table_cell_fn make, const struct json *object,
                              uint64_t now_usec) {
    if (make)
        return make(object, now_usec);
    if (strncmp(column->value, "human-duration since", strlen("human-duration since")) == 0)
        return table_age(json_path(object, "metadata", "creationTimestamp"), now_usec);
    if (strcmp(column->type, "date") == 0)
        return creation_date(object);
    if (strncmp(column->value, "len(", 4) == 0)
        return cell_of_lengths(object, column->value);
    if (strncmp(column->value, "metrics-server", strlen("metrics-server")) == 0)
        return json_string(table_str(object, "metadata.name"));
    return cell_of_path(column, object);
}

/* --- tables --- */

/* The rows of a kind stand together. */
static const struct printcolumn_row *columns_of(const char *kind, size_t *ret_n) {
    size_t first = 0, n = 0;
    while (first < printcolumn_table_len && strcmp(printcolumn_table[first].kind, kind) != 0)
        first++;
    while (first + n < printcolumn_table_len && strcmp(printcolumn_table[first + n].kind, kind) == 0)
        n++;
    *ret_n = n > 0 ? n : ARRAY_LEN(default_columns);
    return n > 0 ? &printcolumn_table[first] : default_columns;
}

struct json *table_columns(const struct resource *r) {
    size_t n;
    const struct printcolumn_row *columns = columns_of(r->kind, &n);
    struct json *result = json_array();
    for (size_t i = 0; i < n; i++) {
        struct json **definition = json_append(&result, json_object());
        json_set(definition, "name", json_string(columns[i].column));
        json_set(definition, "type", json_string(columns[i].type));
        json_set(definition, "format", json_string(columns[i].format));
        json_set(definition, "description", json_string(""));
        json_set(definition, "priority", json_int(columns[i].priority));
    }
    return result;
}

/* Finished pods are marked, so that clients can leave them out. */
static struct json *row_conditions(const struct json *pod) {
    const char *phase = json_get_str(json_get(pod, "status"), "phase");
    bool succeeded = strcmp(phase, "Succeeded") == 0;
    if (!succeeded && strcmp(phase, "Failed") != 0)
        return NULL;
    struct json *conditions = json_array();
    struct json **condition = json_append(&conditions, json_object());
    json_set(condition, "type", json_string("Completed"));
    json_set(condition, "status", json_string("True"));
    json_set(condition, "reason", json_string(phase));
    json_set(condition, "message", json_string(succeeded ? "The pod has completed successfully." : "The pod failed."));
    return conditions;
}

struct table_view table_view(const struct resource *r) {
    struct table_view view = {.pods = strcmp(r->kind, "Pod") == 0};
    view.columns = columns_of(r->kind, &view.n);
    if (view.n > TABLE_COLUMNS_MAX) /* no kind has so many; a test sees to it */
        view.n = TABLE_COLUMNS_MAX;
    for (size_t i = 0; i < view.n; i++)
        view.make[i] = find_cell(view.columns[i].kind, view.columns[i].column);
    return view;
}

struct json *table_row(const struct table_view *view, const struct json *object, enum table_include include,
                       uint64_t now_usec) {
    struct json *row = json_object(), *cells = json_array(), *conditions = view->pods ? row_conditions(object) : NULL;
    for (size_t i = 0; i < view->n; i++)
        json_append(&cells, make_cell(&view->columns[i], view->make[i], object, now_usec));
    json_set(&row, "cells", cells);
    if (conditions)
        json_set(&row, "conditions", conditions);
    if (include == TABLE_INCLUDE_METADATA)
        json_set(&row, "object", partial_metadata(object));
    else if (include == TABLE_INCLUDE_OBJECT)
        json_set(&row, "object", json_ref(object));
    return row;
}

struct json *partial_metadata(const struct json *object) {
    const struct json *metadata = json_get(object, "metadata");
    struct json *partial = json_object();
    json_set(&partial, "kind", json_string("PartialObjectMetadata"));
    json_set(&partial, "apiVersion", json_string("meta.k8s.io/v1"));
    json_set(&partial, "metadata", metadata ? json_ref(metadata) : json_object());
    return partial;
}
