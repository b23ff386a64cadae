/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/alloc.h"

#include <stdint.h>
#include <string.h>

static __attribute__((noreturn)) void out_of_memory(void) {
    static const char text[] = "out of memory\n";

    ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void) n;
    abort();
}

void *xmalloc(size_t size) {
    void *p = malloc(size ? size : 1);

    if (!p)
        out_of_memory();
    return p;
}

void *xcalloc(size_t n, size_t size) {
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size) {
    void *q = realloc(p, size ? size : 1);

    if (!q)
        out_of_memory();
    return q;
}

void *xreallocarray(void *p, size_t n, size_t size) {
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        out_of_memory();
    return xrealloc(p, total);
}

void *xmemdup(const void *p, size_t size) {
    void *q = xmalloc(size);

    if (size)
        memcpy(q, p, size);
    return q;
}

char *xstrndup(const char *s, size_t n) {
    size_t len = strnlen(s, n);
    char *q = xmalloc(len + 1);

    memcpy(q, s, len);
    q[len] = 0;
    return q;
}

char *xstrdup(const char *s) {
    return xmemdup(s, strlen(s) + 1);
}

char *xvasprintf(const char *fmt, va_list ap) {
    char *s;

    if (vasprintf(&s, fmt, ap) < 0)
        out_of_memory();
    return s;
}

char *xasprintf(const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    char *s = xvasprintf(fmt, ap);
    va_end(ap);
    return s;
}

char **strv_new(void) {
    return xcalloc(1, sizeof(char *));
}

size_t strv_len(char *const *v) {
    size_t n = 0;

    while (v && v[n])
        n++;
    return n;
}

void strv_push(char ***v, char *take) {
    size_t n = strv_len(*v);

    *v = xreallocarray(*v, n + 2, sizeof(char *));
    (*v)[n] = take;
    (*v)[n + 1] = NULL;
}

void strv_push_dup(char ***v, const char *s) {
    strv_push(v, xstrdup(s));
}

void strv_free(char **v) {
    for (size_t i = 0; v && v[i]; i++)
        free(v[i]);
    free(v);
}
