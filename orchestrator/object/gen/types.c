/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of types and fields. */
#include "orchestrator/object/gen/typegen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct type *types;
static size_t n_types;

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct type *) a)->name, ((const struct type *) b)->name);
}

void collect_types(const struct table *fields) {
    types = need(calloc(fields->n, sizeof(*types)));
    for (size_t i = 0; i < fields->n; i++) {
        const char *name = fields->rows[i][0];
        if (n_types && strcmp(types[n_types - 1].name, name) == 0) {
            types[n_types - 1].n++;
            continue;
        }
        struct type *t = &types[n_types++];
        t->name = name;
        t->first = i;
        t->n = 1;
        snprintf(t->id, sizeof(t->id), "%s", name);
        for (char *p = t->id; *p; p++)
            if (!isalnum((unsigned char) *p))
                *p = '_';
    }
    qsort(types, n_types, sizeof(*types), by_name);
    for (size_t i = 1; i < n_types; i++)
        if (strcmp(types[i - 1].name, types[i].name) == 0)
            die("fields.tsv: the rows of %s are not together", types[i].name);
}

static long type_index(const char *name, size_t n) {
    for (size_t i = 0; i < n_types; i++)
        if (strncmp(types[i].name, name, n) == 0 && !types[i].name[n])
            return (long) i;
    return -1;
}

static bool is_placeholder(const struct table *fields, const struct type *t) {
    return t->n == 1 && strcmp(cell(fields, t->first, "jsonType"), "empty-object") == 0;
}

static const struct {
    const char *name, *id;
} scalars[] = {
    {"string", "FIELD_STRING"},
    {"bool", "FIELD_BOOL"},
    {"int32", "FIELD_INT32"},
    {"int64", "FIELD_INT64"},
    {"double", "FIELD_DOUBLE"},
    {"bytes", "FIELD_BYTES"},
    {"time", "FIELD_TIME"},
    {"micro-time", "FIELD_MICRO_TIME"},
    {"duration", "FIELD_DURATION"},
    {"quantity", "FIELD_QUANTITY"},
    {"int-or-string", "FIELD_INT_OR_STRING"},
    {"raw", "FIELD_RAW"},
};

static void put_field_type(FILE *o, const char *json_type) {
    const char *s = json_type, *container = "FIELD_PLAIN", *one_of = "ONE_OF_NONE", *type = NULL;
    long object = -1;
    if (starts(&s, "array:"))
        container = "FIELD_ARRAY";
    else if (starts(&s, "map:array:"))
        container = "FIELD_MAP_OF_ARRAY";
    else if (starts(&s, "map:"))
        container = "FIELD_MAP";
    if (starts(&s, "one-of:")) {
        const char *bar = strchr(s, '|');
        if (!bar)
            die("malformed %s", json_type);
        type = "FIELD_ONE_OF";
        one_of = strcmp(bar, "|bool") == 0           ? "ONE_OF_BOOL"
                 : strcmp(bar, "|array:string") == 0 ? "ONE_OF_STRING_ARRAY"
                                                     : "ONE_OF_OBJECT_ARRAY";
    }
    if (starts(&s, "object:")) {
        type = type ? type : "FIELD_OBJECT";
        object = type_index(s, strcspn(s, "|"));
        if (object < 0)
            die("unknown type %s", s);
    }
    for (size_t i = 0; !type && i < sizeof(scalars) / sizeof(scalars[0]); i++)
        if (strcmp(scalars[i].name, s) == 0)
            type = scalars[i].id;
    if (!type)
        die("unknown JSON type %s", json_type);
    fprintf(o, ".type = %s, .container = %s, .object_number = %ld, .one_of = %s,\n     ", type, container, object + 1,
            one_of);
}

/* defaults.tsv rows that only ask whether the field is there; every other condition is a rule in defaulting.c. */
static bool is_plain_condition(const char *c) {
    if (!*c)
        return true;
    if (!starts(&c, "absent") && !starts(&c, "empty") && !starts(&c, "0"))
        return false;
    return !*c || (c[0] == ' ' && c[1] == '(');
}

static const char *default_of(const struct table *defaults, const char *type, const char *field,
                              const char *json_type) {
    char path[512];
    snprintf(path, sizeof(path), "%s.%s", type, field);
    bool object = strncmp(json_type, "object:", 7) == 0;
    if (strncmp(json_type, "array:", 6) == 0 || strncmp(json_type, "map:", 4) == 0)
        return NULL;
    for (size_t i = 0; i < defaults->n; i++) {
        const char *stage = cell(defaults, i, "stage"), *value = cell(defaults, i, "default");
        if (strcmp(defaults->rows[i][0], path) != 0 ||
            (strcmp(stage, "marker") != 0 && strcmp(stage, "defaulting") != 0) ||
            !is_plain_condition(cell(defaults, i, "condition")))
            continue;
        if (object ? strcmp(value, "{}") != 0 : strpbrk(value, "(+[{") != NULL)
            continue; /* an expression */
        return strcmp(value, "\"\"") == 0 ? "" : value;
    }
    return NULL;
}

static void put_field(FILE *o, const struct table *f, const struct table *defaults, size_t row) {
    const char *strategy = cell(f, row, "patchStrategy"), *list = cell(f, row, "listType"),
               *wire = cell(f, row, "protoWire");
    const char *value = default_of(defaults, f->rows[row][0], cell(f, row, "field"), cell(f, row, "jsonType"));
    bool repeated = strstr(wire, "/rep") != NULL;
    fprintf(o, "    {.name_at = %zu, ", intern(cell(f, row, "field")));
    put_field_type(o, cell(f, row, "jsonType"));
    fprintf(o, ".required = %d, .omitempty = %d, .pointer = %d, .list_type = %s, ", yes(f, row, "required"),
            yes(f, row, "omitempty"), yes(f, row, "pointer"),
            strcmp(list, "map") == 0   ? "LIST_MAP"
            : strcmp(list, "set") == 0 ? "LIST_SET"
                                       : "LIST_ATOMIC");
    fprintf(o, ".list_map_keys_at = %zu, .struct_atomic = %d,\n     ", intern_list(cell(f, row, "listMapKeys"), ','),
            strcmp(cell(f, row, "mapOrStructType"), "atomic") == 0);
    fprintf(o, ".patch_merge = %d, .patch_retain_keys = %d, .patch_replace = %d, .patch_merge_key_at = %zu,\n     ",
            strstr(strategy, "merge") != NULL, strstr(strategy, "retainKeys") != NULL,
            strstr(strategy, "replace") != NULL, intern_or_none(cell(f, row, "patchMergeKey")));
    fprintf(o, ".protobuf_at = %zu, .proto_wire = '%c', ", intern_or_none(cell(f, row, "protobuf")),
            *wire ? (repeated ? toupper((unsigned char) *wire) : *wire) : '-');
    fprintf(o, ".enum_values_at = %zu, .enum_closed = %d, .default_value_at = %zu},\n",
            intern_list(cell(f, row, "enum"), '|'), strcmp(cell(f, row, "enumKind"), "closed") == 0,
            value ? intern(value) : 0);
}

/* The same hash as type_field() in schema.c. */
static unsigned name_hash(const char *s) {
    unsigned h = 2166136261u;
    for (; *s; s++)
        h = (h ^ (unsigned char) *s) * 16777619u;
    return h ^ (h >> 15);
}

static unsigned put_hash(FILE *o, const struct table *f, const struct type *t, size_t index) {
    unsigned size = 4;
    unsigned char slots[1024] = {0};
    while (size < 2 * t->n)
        size *= 2;
    if (size > sizeof(slots) || t->n > 254)
        die("%s has too many fields", t->name);
    for (size_t i = 0; i < t->n; i++) {
        unsigned at = name_hash(cell(f, t->first + i, "field")) & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = (unsigned char) (i + 1);
    }
    fprintf(o, "static const unsigned char hash_%zu[] = {", index);
    for (unsigned i = 0; i < size; i++)
        fprintf(o, "%u, ", slots[i]);
    fputs("};\n", o);
    return size - 1;
}

/* By row: the fields of one type are neighbours in fields.tsv. */
static void put_fields(FILE *o, const struct table *f, const struct table *defaults) {
    fputs("const struct field_info field_table[] = {\n", o);
    for (size_t row = 0; row < f->n; row++) {
        if (strcmp(cell(f, row, "jsonType"), "empty-object") == 0)
            fputs("    {0},\n", o);
        else
            put_field(o, f, defaults, row);
    }
    fputs("};\n\n", o);
}

void put_types(FILE *o, const struct table *f, const struct table *defaults) {
    unsigned *masks = need(calloc(n_types, sizeof(*masks)));
    size_t *protos = need(calloc(n_types, sizeof(*protos))), *at = need(calloc(n_types, sizeof(*at)));
    put_fields(o, f, defaults);
    fputs("const struct proto_entry proto_table[] = {\n", o);
    for (size_t i = 0; i < n_types; i++)
        if (!is_placeholder(f, &types[i])) /* an object without fields */
            protos[i] = put_proto(o, f, &types[i], "", &at[i]);
    fputs("};\n\n", o);
    for (size_t i = 0; i < n_types; i++)
        if (!is_placeholder(f, &types[i]))
            masks[i] = put_hash(o, f, &types[i], i);
    fputs("static const unsigned char hash_none[] = {0};\n", o);
    fputs("const struct type_info type_table[] = {\n", o);
    for (size_t i = 0; i < n_types; i++) {
        fputs("    {", o);
        put_string(o, types[i].name);
        if (is_placeholder(f, &types[i]))
            fprintf(o, ", NULL, 0, %zu, hash_none, 0, NULL, 0},\n", i);
        else
            fprintf(o, ", &field_table[%zu], %zu, %zu, hash_%zu, %u, &proto_table[%zu], %zu},\n", types[i].first,
                    types[i].n, i, i, masks[i], at[i], protos[i]);
    }
    fprintf(o, "};\nconst size_t type_table_len = %zu;\n\n", n_types);
    put_pools(o);
    free(masks);
    free(protos);
    free(at);
}

void put_ids(FILE *o) {
    fputs("/* Generated from tables/fields.tsv. The index of each type in type_table. */\n"
          "#ifndef PODIUM_TYPE_IDS_H\n#define PODIUM_TYPE_IDS_H\n\nenum type_id {\n",
          o);
    for (size_t i = 0; i < n_types; i++)
        fprintf(o, "    TYPE_%s = %zu,\n", types[i].id, i);
    fprintf(o, "    TYPE_COUNT = %zu,\n};\n\n#endif\n", n_types);
}
