/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * meta.k8s.io/v1 Table views (tables/printcolumns.tsv): what `kubectl get` prints, also used by our own CLI.
 * Kinds without rows get NAME and AGE. Pure given `now`; any thread.
 */
#ifndef PODIUM_OBJECT_TABLE_H
#define PODIUM_OBJECT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/object/resources.h"
#include "podium/base/json.h"

struct printcolumn_row;

enum table_include { TABLE_INCLUDE_METADATA, TABLE_INCLUDE_OBJECT, TABLE_INCLUDE_NONE };

/* columnDefinitions. */
struct json *table_columns(const struct resource *r);

#define TABLE_COLUMNS_MAX 16
/* How the rows of one resource are made: looked up once for all rows of a table. */
struct table_view {
    const struct printcolumn_row *columns;
    size_t n;
    struct json *(*make[TABLE_COLUMNS_MAX])(const struct json *object,
                                            uint64_t now_usec); /* NULL: as the column says */
    bool pods;
};
struct table_view table_view(const struct resource *r);
/* One row {cells, object, conditions?} of one object. now_usec: real time for the age columns. */
struct json *table_row(const struct table_view *view, const struct json *object, enum table_include include,
                       uint64_t now_usec);
/* PartialObjectMetadata of an object (kind, apiVersion meta.k8s.io/v1, metadata). */
struct json *partial_metadata(const struct json *object);

#endif
