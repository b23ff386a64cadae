/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of typegen: tables.c (reading), pool.c (texts), types.c, protobuf.c, resources.c, typegen.c (main and the
 * plain tables). A program of the build machine: what is malformed ends it, memory is not given back.
 */
#ifndef PODIUM_OBJECT_TYPEGEN_H
#define PODIUM_OBJECT_TYPEGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* --- tables.c --- */

#define COLUMNS_MAX 20

struct table {
    char *(*rows)[COLUMNS_MAX];
    size_t n, cap;
    int columns;
    const char *header[COLUMNS_MAX];
    const char *name;
};

/* Tells why on standard error and exits with 1. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void *need(void *p); /* p, which must not be NULL: dies of it */
struct table read_table(const char *folder, const char *name);
const char *cell(const struct table *t, size_t row, const char *column); /* dies when there is no such column */
bool yes(const struct table *t, size_t row, const char *column);         /* the cell is "y" */
bool starts(const char **s, const char *prefix);                         /* and then goes behind the prefix */

/* --- pool.c --- */

void put_string(FILE *o, const char *s);
void put_string_or_null(FILE *o, const char *s); /* NULL when empty */
/* A NULL-terminated list as compound literal; separators never stand inside a value. */
void put_list(FILE *o, const char *s, char separator, bool null_when_empty);
/* Where the text is in the pool. 0 is kept for "none", so that an empty text is not the same as none. */
size_t intern(const char *s);
size_t intern_or_none(const char *s); /* 0 when empty */
/* Where the list is in the table of lists; 0 for an empty one. */
size_t intern_list(const char *s, char separator);
void put_pools(FILE *o); /* after all was interned */

/* --- types.c --- */

struct type {
    const char *name;
    size_t first, n; /* rows of the field table */
    char id[128];
};

void collect_types(const struct table *fields); /* before the others */
void put_types(FILE *o, const struct table *f, const struct table *defaults);
void put_ids(FILE *o);

/* --- protobuf.c --- */

/* Writes the entries of one (possibly nested) message; returns how many, and where they are. The nested ones come
 * first. */
size_t put_proto(FILE *o, const struct table *f, const struct type *t, const char *prefix, size_t *ret_at);

/* --- resources.c --- */

void put_resources(FILE *o, const struct table *r);

#endif
