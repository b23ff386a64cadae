/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generated tables (gen/typegen.c writes their definitions at build time). Private to this folder; others go
 * through resources.h and schema.h. All static and immutable.
 */
#ifndef PODIUM_OBJECT_TYPE_TABLES_H
#define PODIUM_OBJECT_TYPE_TABLES_H

#include <string.h>

#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "type_ids.h"

/* Fields of one type; typegen holds to it. */
#define TYPE_FIELDS_MAX 254

/* One field of a protobuf message. Structs that Go embeds are messages of their own on the wire while their fields lie
 * flat in the JSON: then `nested` describes the embedded message and there is no field. */
struct proto_entry {
    uint32_t number;
    uint16_t field_number;        /* index in field_table + 1; 0: nested */
    uint16_t nested_at, n_nested; /* in proto_table, by number */
};

/* fieldselectors.tsv; selectors: comma separated labels. group and version "*": the rule for kinds without a row. */
struct fieldselector_row {
    const char *group, *version, *kind, *selectors, *note;
};

/* printcolumns.tsv, in display order within a kind; empty cells are "". */
struct printcolumn_row {
    const char *kind, *column, *type, *format;
    int priority;
    const char *value;
};

/* descriptions.tsv, sorted by key: "core.v1.Pod", "core.v1.Pod.spec", "*.spec" (a field of any type). Places in
 * type_strings. */
struct description_row {
    uint32_t key_at, text_at;
};

extern const struct description_row description_table[];
extern const size_t description_table_len;
extern const char type_strings[];             /* the string pool: NUL-terminated texts; the first is empty */
extern const char *const type_string_lists[]; /* NULL-terminated runs; the first is empty */
extern const struct field_info field_table[]; /* the fields of one type in a row */
extern const struct proto_entry proto_table[];
extern const struct type_info type_table[]; /* by name (strcmp) */
extern const size_t type_table_len;
extern const struct resource resource_table[]; /* discovery order */
extern const size_t resource_table_len;
extern const struct fieldselector_row fieldselector_table[];
extern const size_t fieldselector_table_len;
extern const struct printcolumn_row printcolumn_table[];
extern const size_t printcolumn_table_len;

/* APIResource.verbs is the only list outside of maps that is, on the wire, a message around its items. */
static inline bool proto_is_wrapped_list(const struct field_info *f) {
    const struct type_info *t = &type_table[TYPE_meta_v1_APIResource];
    return f->container == FIELD_ARRAY && f >= t->fields && f < t->fields + t->n_fields &&
           strcmp(field_name(f), "verbs") == 0;
}

#endif
