/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is printed on stdout: columns, tables of the server, objects as YAML, JSON, names and JSONPath.
 *
 * Pure but for the text it appends; any thread.
 */
#ifndef PODIUM_CLI_PRINT_H
#define PODIUM_CLI_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "orchestrator/cli/jsonpath.h"
#include "orchestrator/object/resources.h"
#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* Lines of cells, aligned when printed: three spaces between, the last column not padded (as kubectl). */
struct columns {
    char ***lines; /* vectors of cells */
    size_t n, cap;
};
#define COLUMNS_INIT                                                                                                   \
    { NULL, 0, 0 }
#define _cleanup_columns_ _cleanup_(columns_finish)
void columns_finish(struct columns *c);
void columns_line(struct columns *c);                   /* begins a line */
void columns_cell(struct columns *c, const char *text); /* appends to the last line */
void columns_cellf(struct columns *c, const char *fmt, ...) _printf_(2, 3);
/* indent: put before each line; gap: spaces between columns. */
void columns_print(const struct columns *c, const char *indent, size_t gap, struct strbuf *out);

/* How "-o" says objects are shown. */
enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_YAML, OUTPUT_JSON, OUTPUT_NAME, OUTPUT_JSONPATH, OUTPUT_COLUMNS };
struct output_format {
    enum output output;
    struct jsonpath *jsonpath; /* OUTPUT_JSONPATH */
    char **headings;           /* OUTPUT_COLUMNS (custom-columns=) */
    struct jsonpath **paths;
};
/* text: NULL or "" is the table. -EINVAL says what is allowed. */
int output_parse(const char *text, struct output_format *ret, struct error *err) _must_check_;
void output_finish(struct output_format *f);
/* An object, or a List of them, in a format other than the tables. */
void output_print(const struct output_format *f, const struct json *object, struct strbuf *out);

/* The server's Table. */
struct table_options {
    bool wide, headers, namespaces, kinds, labels; /* kinds: "pod/x" as names */
    char *const *label_columns;                    /* NULL-terminated; NULL: none */
    const struct resource *resource;
};
/* Appends the rows of the Table to c (with a line of headings before, when options say so). Columns of low priority are
 * left out unless wide. definitions: of the Table, or of an earlier one (events of a watch leave them out). */
void table_add(const struct table_options *o, const struct json *definitions, const struct json *table,
               struct columns *c);
/* The document with the keys of its objects in alphabetical order, as kubectl prints. A new reference. */
struct json *json_sorted(const struct json *v);

#endif
