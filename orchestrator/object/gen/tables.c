/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading of the tables: tab-separated, the first row names the columns. */
#include "orchestrator/object/gen/typegen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("typegen: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

void *need(void *p) {
    if (!p)
        die("out of memory");
    return p;
}

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

struct table read_table(const char *folder, const char *name) {
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

const char *cell(const struct table *t, size_t row, const char *column) {
    for (int i = 0; i < t->columns; i++)
        if (strcmp(t->header[i], column) == 0)
            return t->rows[row][i];
    die("%s has no column %s", t->name, column);
}

bool yes(const struct table *t, size_t row, const char *column) {
    return strcmp(cell(t, row, column), "y") == 0;
}

bool starts(const char **s, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(*s, prefix, n) != 0)
        return false;
    *s += n;
    return true;
}
