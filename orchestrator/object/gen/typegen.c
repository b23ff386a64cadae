/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the type tables as C source: `typegen TABLES-FOLDER OUT.c IDS.h`. Runs on the build machine only, so it stands
 * alone and simply ends with a message when a table is malformed. Memory is not given back: the program lives for
 * milliseconds.
 */
#include "orchestrator/object/gen/typegen.h"

#include <stdlib.h>
#include <string.h>

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

static int by_key(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Before the pools are written; sorted, to be searched. */
static void put_descriptions(FILE *o, struct table *t) {
    qsort(t->rows, t->n, sizeof(t->rows[0]), by_key);
    fputs("const struct description_row description_table[] = {\n", o);
    for (size_t i = 0; i < t->n; i++)
        fprintf(o, "    {%zu, %zu},\n", intern(t->rows[i][0]), intern(t->rows[i][1]));
    fprintf(o, "};\nconst size_t description_table_len = %zu;\n\n", t->n);
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
    struct table descriptions = read_table(argv[1], "descriptions.tsv");
    collect_types(&fields);

    FILE *o = create(argv[2]);
    fputs("/* Generated from orchestrator/object/tables by typegen. */\n"
          "#include \"orchestrator/object/type_tables.h\"\n\n",
          o);
    put_descriptions(o, &descriptions);
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
