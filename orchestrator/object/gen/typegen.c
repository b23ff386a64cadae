/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the type tables as C source: `typegen TABLES-FOLDER OUT.c IDS.h`. Runs on the build machine only, so it stands
 * alone and simply ends with a message when a table is malformed. Memory is not given back: the program lives for
 * milliseconds.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 20

struct table {
    char *(*rows)[COLUMNS_MAX];
    size_t n, cap;
    int columns;
    const char *header[COLUMNS_MAX];
    const char *name;
};

struct type {
    const char *name;
    size_t first, n; /* rows of the field table */
    char id[128];
};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("typegen: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void *need(void *p) {
    if (!p)
        die("out of memory");
    return p;
}

/* --- reading --- */

static int split(char *line, char **cells) {
    int n = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *p = line; p;) {
        char *tab = strchr(p, '\t');
        if (n == COLUMNS_MAX)
            die("too many columns: %s", line);
        if (tab)
            *tab = 0;
        cells[n++] = p;
        p = tab ? tab + 1 : NULL;
    }
    return n;
}

static struct table read_table(const char *folder, const char *name) {
    char path[4096];
    struct table t = {.name = name};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f)
        die("cannot open %s", path);
    char *line = NULL, *cells[COLUMNS_MAX];
    size_t size = 0;
    while (getline(&line, &size, f) >= 0) {
        int n = split(need(strdup(line)), cells);
        if (!t.columns) {
            t.columns = n;
            memcpy(t.header, cells, sizeof(cells[0]) * (size_t) n);
            continue;
        }
        if (n > t.columns)
            die("%s: row with %d columns instead of %d: %s", name, n, t.columns, cells[0]);
        if (t.n == t.cap) {
            t.cap = t.cap ? t.cap * 2 : 256;
            t.rows = need(realloc(t.rows, t.cap * sizeof(*t.rows)));
        }
        for (int i = 0; i < COLUMNS_MAX; i++)
            t.rows[t.n][i] = i < n ? cells[i] : "";
        t.n++;
    }
    free(line);
    fclose(f);
    return t;
}

static const char *cell(const struct table *t, size_t row, const char *column) {
    for (int i = 0; i < t->columns; i++)
        if (strcmp(t->header[i], column) == 0)
            return t->rows[row][i];
    die("%s has no column %s", t->name, column);
}

static bool yes(const struct table *t, size_t row, const char *column) {
    return strcmp(cell(t, row, column), "y") == 0;
}

static bool starts(const char **s, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(*s, prefix, n) != 0)
        return false;
    *s += n;
    return true;
}

/* --- writing --- */

static void put_string(FILE *o, const char *s) {
    fputc('"', o);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', o);
        if (*s == '?' && s[1] == '?') /* no trigraphs */
            fputs("?\"\"", o);
        else
            fputc(*s, o);
    }
    fputc('"', o);
}

static void put_string_or_null(FILE *o, const char *s) {
    if (*s)
        put_string(o, s);
    else
        fputs("NULL", o);
}

/* A NULL-terminated list as compound literal; separators never stand inside a value. */
static void put_list(FILE *o, const char *s, char separator, bool null_when_empty) {
    if (!*s && null_when_empty) {
        fputs("NULL", o);
        return;
    }
    fputs("(const char *const[]){", o);
    while (*s) {
        char part[512];
        size_t n = 0;
        while (s[n] && s[n] != separator)
            n++;
        if (n >= sizeof(part))
            die("list too long: %s", s);
        memcpy(part, s, n);
        part[n] = 0;
        put_string(o, part);
        fputs(", ", o);
        s += n;
        if (*s == separator)
            s++;
    }
    fputs("NULL}", o);
}

/* --- the string pool and the string lists --- */

static struct {
    char *bytes;
    size_t len, cap;
} pool;

static const char *lists[4096]; /* texts, NULL after each list */
static size_t n_lists = 1;      /* the first list is empty */

/* Where the text is in the pool. 0 is kept for "none", so that an empty text is not the same as none. */
static size_t intern(const char *s) {
    size_t n = strlen(s) + 1;
    if (!pool.bytes) {
        pool.cap = 1u << 16;
        pool.bytes = need(calloc(1, pool.cap));
        pool.len = 2;
    }
    for (size_t at = 1; at + n <= pool.len; at += strlen(pool.bytes + at) + 1)
        if (strcmp(pool.bytes + at, s) == 0)
            return at;
    if (pool.len + n > pool.cap)
        die("more text than expected: %s", s);
    memcpy(pool.bytes + pool.len, s, n);
    pool.len += n;
    return pool.len - n;
}

static size_t intern_or_none(const char *s) {
    return *s ? intern(s) : 0;
}

static bool same_list(const char *const *a, const char *const *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!b[i] != !a[i] || (a[i] && strcmp(a[i], b[i]) != 0))
            return false;
    return true;
}

/* Where the list is in the table of lists; 0 for an empty one. */
static size_t intern_list(const char *s, char separator) {
    const char *parts[64];
    size_t n = 0;
    if (!*s)
        return 0;
    while (*s) {
        const char *end = strchr(s, separator);
        size_t len = end ? (size_t) (end - s) : strlen(s);
        if (n + 2 > sizeof(parts) / sizeof(parts[0]))
            die("list too long: %s", s);
        parts[n++] = need(strndup(s, len));
        s += len + (end != NULL);
    }
    parts[n++] = NULL;
    for (size_t at = 1; at + n <= n_lists; at++)
        if ((at == 1 || !lists[at - 1]) && same_list(parts, lists + at, n))
            return at;
    if (n_lists + n > sizeof(lists) / sizeof(lists[0]))
        die("more lists than expected: %s", s);
    memcpy(lists + n_lists, parts, n * sizeof(parts[0]));
    n_lists += n;
    return n_lists - n;
}

static void put_pools(FILE *o) {
    fputs("const char type_strings[] = \"\\0\"\n", o);
    for (size_t at = 1; at < pool.len; at += strlen(pool.bytes + at) + 1) {
        fputs("    ", o);
        put_string(o, pool.bytes + at);
        fputs(" \"\\0\"\n", o);
    }
    fputs("    ;\nconst char *const type_string_lists[] = {\n", o);
    for (size_t i = 0; i < n_lists; i++) {
        fputs(i && lists[i] && !lists[i - 1] ? "\n    " : "    ", o);
        if (lists[i])
            put_string(o, lists[i]);
        else
            fputs("NULL", o);
        fputs(",\n", o);
    }
    fputs("};\n\n", o);
}

/* --- types --- */

static struct type *types;
static size_t n_types;

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct type *) a)->name, ((const struct type *) b)->name);
}

static void collect_types(const struct table *fields) {
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

/* --- protobuf --- */

static bool proto_under(const char *number, const char *prefix) {
    size_t n = strlen(prefix);
    return !n || (strncmp(number, prefix, n) == 0 && number[n] == '.');
}

/* Where the next entry of proto_table goes. */
static size_t n_protos;

/* Writes the entries of one (possibly nested) message; returns how many, and where they are. The nested ones come
 * first. */
static size_t put_proto(FILE *o, const struct table *f, const struct type *t, const char *prefix, size_t *ret_at) {
    unsigned numbers[256], n = 0;
    size_t skip = *prefix ? strlen(prefix) + 1 : 0;
    for (size_t i = 0; i < t->n; i++) {
        const char *p = cell(f, t->first + i, "protobuf");
        if (!*p || !proto_under(p, prefix))
            continue;
        unsigned number = (unsigned) strtoul(p + skip, NULL, 10), at = 0;
        while (at < n && numbers[at] < number)
            at++;
        if (at < n && numbers[at] == number)
            continue;
        memmove(numbers + at + 1, numbers + at, (n - at) * sizeof(*numbers));
        numbers[at] = number;
        n++;
    }
    size_t lengths[256] = {0}, starts_at[256] = {0};
    long leaf[256];
    char child[256][32];
    for (unsigned k = 0; k < n; k++) {
        snprintf(child[k], sizeof(child[k]), "%.20s%s%u", prefix, *prefix ? "." : "", numbers[k]);
        leaf[k] = -1;
        for (size_t i = 0; i < t->n; i++)
            if (strcmp(cell(f, t->first + i, "protobuf"), child[k]) == 0)
                leaf[k] = (long) i;
        if (leaf[k] < 0)
            lengths[k] = put_proto(o, f, t, child[k], &starts_at[k]);
    }
    if (!n)
        return 0;
    *ret_at = n_protos;
    for (unsigned k = 0; k < n; k++) {
        if (leaf[k] >= 0)
            fprintf(o, "    {%u, %zu, 0, 0},\n", numbers[k], t->first + (size_t) leaf[k] + 1);
        else
            fprintf(o, "    {%u, 0, %zu, %zu},\n", numbers[k], starts_at[k], lengths[k]);
    }
    n_protos += n;
    return n;
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

static void put_types(FILE *o, const struct table *f, const struct table *defaults) {
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

static void put_ids(FILE *o) {
    fputs("/* Generated from tables/fields.tsv. The index of each type in type_table. */\n"
          "#ifndef PODIUM_TYPE_IDS_H\n#define PODIUM_TYPE_IDS_H\n\nenum type_id {\n",
          o);
    for (size_t i = 0; i < n_types; i++)
        fprintf(o, "    TYPE_%s = %zu,\n", types[i].id, i);
    fprintf(o, "    TYPE_COUNT = %zu,\n};\n\n#endif\n", n_types);
}

/* --- resources --- */

static const char *package_of(const char *group) {
    static char buffers[4][64];
    static unsigned turn;
    char *b = buffers[turn++ % 4];
    group = *group ? group : "core";
    snprintf(b, sizeof(buffers[0]), "%.*s", (int) strcspn(group, "."), group);
    return b;
}

static void put_verbs(FILE *o, const char *verbs) {
    static const char *const known[] = {"get",    "list",  "watch",  "create",
                                        "update", "patch", "delete", "deletecollection"};
    fputs("0", o);
    while (*verbs) {
        size_t n = strcspn(verbs, ",");
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (strlen(known[i]) == n && strncmp(known[i], verbs, n) == 0) {
                fprintf(o, " | 1u << %zu", i);
                found = true;
            }
        if (!found)
            die("unknown verb in %s", verbs);
        verbs += n + (verbs[n] == ',');
    }
}

static size_t put_subresources(FILE *o, const struct table *r, size_t row, size_t index) {
    const char *plural = cell(r, row, "plural");
    size_t n = 0, len = strlen(plural);
    for (size_t i = 0; i < r->n; i++) {
        const char *p = cell(r, i, "plural");
        if (strcmp(r->rows[i][0], r->rows[row][0]) != 0 ||
            strcmp(cell(r, i, "version"), cell(r, row, "version")) != 0 || strncmp(p, plural, len) != 0 ||
            p[len] != '/')
            continue;
        if (n++ == 0)
            fprintf(o, "static const struct subresource subresources_%zu[] = {\n", index);
        char group[128];
        const char *foreign = cell(r, i, "foreignGroupVersion"), *slash = strchr(foreign, '/');
        snprintf(group, sizeof(group), "%.*s", slash ? (int) (slash - foreign) : 100, slash ? foreign : r->rows[i][0]);
        fprintf(o, "    {\"%s\", \"%s\", \"%s\", \"%s\", ", p + len + 1, cell(r, i, "kind"), group,
                slash ? slash + 1 : cell(r, i, "version"));
        put_verbs(o, cell(r, i, "verbs"));
        fputs("},\n", o);
    }
    if (n)
        fputs("};\n", o);
    return n;
}

/* Rows with one storageVersionHash are versions of the same stored objects; the first preferred one is the shape
 * stored. */
static size_t storage_row(const struct table *r, size_t row) {
    const char *hash = cell(r, row, "storageVersionHash");
    for (size_t i = 0; *hash && i < r->n; i++)
        if (strcmp(cell(r, i, "storageVersionHash"), hash) == 0 && yes(r, i, "preferredVersion"))
            return i;
    return row;
}

static bool has_verb(const struct table *r, size_t row, const char *verb) {
    const char *s = cell(r, row, "verbs");
    size_t n = strlen(verb);
    for (const char *p = strstr(s, verb); p; p = strstr(p + 1, verb))
        if ((p == s || p[-1] == ',') && (!p[n] || p[n] == ','))
            return true;
    return false;
}

static void put_key(FILE *o, const struct table *r, size_t row) {
    const char *group = r->rows[row][0];
    fprintf(o, "\"%s%s%s\"", cell(r, row, "plural"), *group ? "." : "", group);
}

static void put_resource(FILE *o, const struct table *r, size_t row, size_t index, size_t n_sub) {
    const char *group = r->rows[row][0], *version = cell(r, row, "version");
    fprintf(o, "    {\"%s\", \"%s\", \"%s\", \"%s\", ", group, version, cell(r, row, "plural"), cell(r, row, "kind"));
    put_string_or_null(o, cell(r, row, "listKind"));
    fprintf(o, ", \"%s\", ", cell(r, row, "singular"));
    put_list(o, cell(r, row, "shortNames"), ',', false);
    fputs(", ", o);
    put_list(o, cell(r, row, "categories"), ',', false);
    bool stored = has_verb(r, row, "get") && has_verb(r, row, "list") && has_verb(r, row, "create");
    fprintf(o, ",\n     %d, %d, %d, %d, %d, %d, ", yes(r, row, "namespaced"), yes(r, row, "preferredVersion"),
            yes(r, row, "createOnPut"), yes(r, row, "unconditionalPut"), yes(r, row, "tracksGeneration"), stored);
    put_verbs(o, cell(r, row, "verbs"));
    fprintf(o, ", \"%s\", ", cell(r, row, "storageVersionHash"));
    if (n_sub)
        fprintf(o, "subresources_%zu, %zu, ", index, n_sub);
    else
        fputs("NULL, 0, ", o);
    size_t storage = storage_row(r, row);
    put_key(o, r, storage);
    fprintf(o, ", %d, ", storage == row);
    put_key(o, r, row);
    fprintf(o, ", \"%s%s%s\", \"%s.%s.%s\"},\n", group, *group ? "/" : "", version, package_of(group), version,
            cell(r, row, "kind"));
}

/* Main rows in the order of the file, but the preferred version of a group first. */
static size_t resource_order(const struct table *r, size_t *order) {
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        bool first = i == 0 || strcmp(r->rows[i][0], r->rows[i - 1][0]) != 0;
        if (!first)
            continue;
        for (int preferred = 1; preferred >= 0; preferred--)
            for (size_t k = i; k < r->n && strcmp(r->rows[k][0], r->rows[i][0]) == 0; k++)
                if (!strchr(cell(r, k, "plural"), '/') && yes(r, k, "preferredVersion") == preferred)
                    order[n++] = k;
    }
    return n;
}

static void put_resources(FILE *o, const struct table *r) {
    size_t *order = need(calloc(r->n, sizeof(*order))), *subs = need(calloc(r->n, sizeof(*subs)));
    size_t n = resource_order(r, order);
    for (size_t i = 0; i < n; i++)
        subs[i] = put_subresources(o, r, order[i], i);
    fputs("const struct resource resource_table[] = {\n", o);
    for (size_t i = 0; i < n; i++)
        put_resource(o, r, order[i], i, subs[i]);
    fprintf(o, "};\nconst size_t resource_table_len = %zu;\n\n", n);
    free(order);
    free(subs);
}

/* --- tables for other parts of the module --- */

static void put_fieldselectors(FILE *o, const struct table *t) {
    fputs("const struct fieldselector_row fieldselector_table[] = {\n", o);
    for (size_t i = 0; i < t->n; i++) {
        fputs("    {", o);
        for (int c = 0; c < 5; c++) {
            put_string(o, t->rows[i][c]);
            fputs(c < 4 ? ", " : "},\n", o);
        }
    }
    fprintf(o, "};\nconst size_t fieldselector_table_len = %zu;\n\n", t->n);
}

static void put_printcolumns(FILE *o, const struct table *t) {
    fputs("const struct printcolumn_row printcolumn_table[] = {\n", o);
    for (size_t i = 0; i < t->n; i++) {
        fputs("    {", o);
        for (int c = 0; c < 4; c++) {
            put_string(o, t->rows[i][c]);
            fputs(", ", o);
        }
        fprintf(o, "%ld, ", strtol(cell(t, i, "priority"), NULL, 10));
        put_string(o, cell(t, i, "value"));
        fputs("},\n", o);
    }
    fprintf(o, "};\nconst size_t printcolumn_table_len = %zu;\n", t->n);
}

static FILE *create(const char *path) {
    FILE *f = fopen(path, "we");
    if (!f)
        die("cannot write %s", path);
    return f;
}

static void finish(FILE *f, const char *path) {
    if (ferror(f) || fclose(f) != 0)
        die("cannot write %s", path);
}

int main(int argc, char **argv) {
    if (argc != 4)
        die("usage: typegen TABLES-FOLDER OUT.c IDS.h");
    struct table fields = read_table(argv[1], "fields.tsv");
    struct table defaults = read_table(argv[1], "defaults.tsv");
    struct table resources = read_table(argv[1], "resources.tsv");
    struct table selectors = read_table(argv[1], "fieldselectors.tsv");
    struct table columns = read_table(argv[1], "printcolumns.tsv");
    collect_types(&fields);

    FILE *o = create(argv[2]);
    fputs("/* Generated from orchestrator/object/tables by typegen. */\n"
          "#include \"orchestrator/object/type_tables.h\"\n\n",
          o);
    put_types(o, &fields, &defaults);
    put_resources(o, &resources);
    put_fieldselectors(o, &selectors);
    put_printcolumns(o, &columns);
    finish(o, argv[2]);

    o = create(argv[3]);
    put_ids(o);
    finish(o, argv[3]);
    return 0;
}
