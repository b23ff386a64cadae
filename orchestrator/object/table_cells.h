/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cells of table rows that are computed rather than looked up. Private to this folder; table.c finds them by kind and
 * column. One function per cell; each returns a new value, never NULL.
 */
#ifndef PODIUM_OBJECT_TABLE_CELLS_H
#define PODIUM_OBJECT_TABLE_CELLS_H

#include <stdint.h>

#include "podium/base/json.h"
#include "podium/base/strbuf.h"

typedef struct json *(*table_cell_fn)(const struct json *object, uint64_t now_usec);

/* A cell of one kind and column; a NULL kind holds for every kind that has the column with the same value text. */
struct table_cell {
    const char *kind, *column;
    table_cell_fn make;
};

/* Ends with an element whose column is NULL. */
extern const struct table_cell table_pod_cells[];
extern const struct table_cell table_workload_cells[];
extern const struct table_cell table_network_cells[];
extern const struct table_cell table_storage_cells[];
extern const struct table_cell table_cluster_cells[];

/* --- pieces they are made of --- */

/* A string cell from the buffer, or from `empty` when nothing was added. Empties the buffer. */
struct json *table_text(struct strbuf *b, const char *empty);
/* Age of a timestamp as a person reads it; "<unknown>" when absent. */
struct json *table_age(const struct json *timestamp, uint64_t now_usec);
/* Appends ", item" or "item". */
void table_join(struct strbuf *b, const char *separator, const char *item);
/* "a=1,b=2", sorted by key; nothing for an empty map. */
void table_add_map(struct strbuf *b, const struct json *map);
/* The condition of a type in status.conditions (or any list of conditions); NULL when absent. */
const struct json *table_condition(const struct json *conditions, const char *type);
bool table_condition_is_true(const struct json *conditions, const char *type);
/* The string at a dotted path; "" when absent. */
const char *table_str(const struct json *object, const char *path);

#endif
