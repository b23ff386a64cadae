/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts and lists of texts: written as C, and collected in pools that every table points into. */
#include "orchestrator/object/gen/typegen.h"

#include <stdlib.h>
#include <string.h>

void put_string(FILE *o, const char *s) {
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

void put_string_or_null(FILE *o, const char *s) {
    if (*s)
        put_string(o, s);
    else
        fputs("NULL", o);
}

void put_list(FILE *o, const char *s, char separator, bool null_when_empty) {
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

size_t intern(const char *s) {
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

size_t intern_or_none(const char *s) {
    return *s ? intern(s) : 0;
}

static bool same_list(const char *const *a, const char *const *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!b[i] != !a[i] || (a[i] && strcmp(a[i], b[i]) != 0))
            return false;
    return true;
}

size_t intern_list(const char *s, char separator) {
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

void put_pools(FILE *o) {
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
