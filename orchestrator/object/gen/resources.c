/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of resources with their verbs and subresources. */
#include "orchestrator/object/gen/typegen.h"

#include <stdlib.h>
#include <string.h>

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

void put_resources(FILE *o, const struct table *r) {
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
