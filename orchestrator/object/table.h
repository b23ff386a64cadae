/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * meta.k8s.io/v1 Table views (tables/printcolumns.tsv): what `kubectl get` prints, also used by our own CLI.
 * Kinds without rows get NAME and AGE. Pure given `now`; any thread.
 */
#ifndef PODIUM_OBJECT_TABLE_H
#define PODIUM_OBJECT_TABLE_H

#include <stdint.h>

#include "orchestrator/object/resources.h"
#include "podium/base/json.h"

enum table_include { TABLE_INCLUDE_METADATA, TABLE_INCLUDE_OBJECT, TABLE_INCLUDE_NONE };

/* columnDefinitions. */
struct json *table_columns(const struct resource *r);
/* One row {cells, object, conditions?} of one object. now_usec: real time for the age columns. */
struct json *table_row(const struct resource *r, const struct json *object, enum table_include include,
                       uint64_t now_usec);
/* PartialObjectMetadata of an object (kind, apiVersion meta.k8s.io/v1, metadata). */
struct json *partial_metadata(const struct json *object);

#endif
