/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of a table of rules (orchestrator/object/tables/validation.tsv, defaults.tsv), and the lists of those that
 * are not done yet (not-done*.tsv: type, field, rule, reason). */
#ifndef TESTS_APISERVER_ROWS_TABLE_H
#define TESTS_APISERVER_ROWS_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "podium/base/alloc.h"

#define ROW_COLUMNS 5

struct row {
    char *line;                    /* owns the columns */
    char *type, *field, *rule;     /* what names the row */
    const char *errors;            /* "Required,Invalid" */
    const char *op;                /* letters: c create, u update, s status … */
    const char *not_done;          /* the reason; NULL: it must have tests */
    unsigned n_typed, n_generated; /* tests it has */
    unsigned n_failed;
    bool all_generated; /* every clause of the rule was understood */
};

struct row_table {
    struct row *items;
    size_t n, cap;
    char **reasons; /* lines of not-done.tsv */
    size_t n_reasons, cap_reasons;
};

static inline size_t row_columns(char *line, char *columns[ROW_COLUMNS]) {
    size_t n = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *p = line; p && n < ROW_COLUMNS;) {
        columns[n++] = strsep(&p, "\t");
    }
    for (size_t i = n; i < ROW_COLUMNS; i++)
        columns[i] = line + strlen(line);
    return n;
}

/* "core.v1.PodSpec.dnsConfig.options" (defaults.tsv) -> type and field; a rule of "default, if condition". */
static inline void row_from_default(struct row *row, char *columns[ROW_COLUMNS]) {
    char *dot = columns[0];
    for (int i = 0; i < 3 && dot; i++)
        dot = strchr(dot + (i > 0), '.');
    row->type = dot ? xstrndup(columns[0], (size_t) (dot - columns[0])) : xstrdup(columns[0]);
    row->field = xstrdup(dot ? dot + 1 : "");
    row->rule = *columns[2] ? xasprintf("%s, if %s", columns[1], columns[2]) : xstrdup(columns[1]);
    row->errors = row->op = "";
}

static inline void row_table_load(struct row_table *t, const char *path, bool defaults) {
    FILE *f = fopen(path, "re");
    char *line = NULL, *columns[ROW_COLUMNS];
    size_t size = 0;
    assert_non_null(f);
    assert_true(getline(&line, &size, f) > 0); /* the headings */
    while (getline(&line, &size, f) > 0) {
        struct row row = {.line = xstrdup(line)};
        row_columns(row.line, columns);
        if (defaults) {
            row_from_default(&row, columns);
        } else {
            row.type = xstrdup(columns[0]), row.field = xstrdup(columns[1]), row.rule = xstrdup(columns[2]);
            row.errors = columns[3], row.op = columns[4];
        }
        xgrow(&t->items, t->n, &t->cap);
        t->items[t->n++] = row;
    }
    free(line);
    fclose(f);
}

static inline void row_table_finish(struct row_table *t) {
    for (size_t i = 0; i < t->n; i++) {
        free(t->items[i].type);
        free(t->items[i].field);
        free(t->items[i].rule);
        free(t->items[i].line);
    }
    for (size_t i = 0; i < t->n_reasons; i++)
        free(t->reasons[i]);
    free(t->items);
    free(t->reasons);
    *t = (struct row_table){0};
}

/* rule "": the only row of this field. NULL when there is none, or more than one for "". */
static inline struct row *row_find(struct row_table *t, const char *type, const char *field, const char *rule) {
    struct row *found = NULL;
    for (size_t i = 0; i < t->n; i++) {
        struct row *row = &t->items[i];
        if (strcmp(row->type, type) != 0 || strcmp(row->field, field) != 0 || (*rule && strcmp(row->rule, rule) != 0))
            continue;
        if (found)
            return NULL;
        found = row;
    }
    return found;
}

/* Fails at entries that name no row. */
static inline void row_table_not_done(struct row_table *t, const char *path) {
    FILE *f = fopen(path, "re");
    char *line = NULL, *columns[ROW_COLUMNS];
    size_t size = 0, stale = 0;
    if (!f)
        return;
    while (getline(&line, &size, f) > 0) {
        char *copy = xstrdup(line);
        row_columns(copy, columns);
        struct row *row = row_find(t, columns[0], columns[1], columns[2]);
        if (row)
            row->not_done = columns[3];
        else if (strcmp(columns[0], "type") != 0 && ++stale)
            print_error("%s: no such row: %s %s: %s\n", path, columns[0], columns[1], columns[2]);
        xgrow(&t->reasons, t->n_reasons, &t->cap_reasons);
        t->reasons[t->n_reasons++] = copy;
    }
    free(line);
    fclose(f);
    assert_int_equal(stale, 0);
}

#endif
