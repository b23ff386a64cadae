/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocation that cannot fail: on exhaustion the process ends with a message. Sizes that come from outside are
 * limited before they get here (limits.h), so a failure means the machine is out of memory, and the processes of
 * this project restart without loss: state is in the store, containers belong to their supervisors.
 */
#ifndef PODIUM_BASE_ALLOC_H
#define PODIUM_BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#include "podium/base/cleanup.h"

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
void *xreallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
void *xmemdup(const void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull)) _printf_(1, 2);
char *xvasprintf(const char *fmt, va_list ap) __attribute__((malloc, returns_nonnull)) _printf_(1, 0);

/* A zeroed object of the type. */
#define xnew0(type) ((type *) xcalloc(1, sizeof(type)))

/* Grows *array (n elements used, *cap allocated) so that one more fits; doubles. */
#define xgrow(array, n, cap)                                                                                           \
    do {                                                                                                               \
        if ((n) >= *(cap)) {                                                                                           \
            *(cap) = *(cap) ? *(cap) *2 : 8;                                                                           \
            *(array) = xreallocarray(*(array), *(cap), sizeof(**(array)));                                             \
        }                                                                                                              \
    } while (0)

/* NULL-terminated string vectors. */
char **strv_new(void);                 /* an empty vector (one NULL) */
void strv_push(char ***v, char *take); /* takes ownership of the string; O(n): for short vectors */
void strv_push_dup(char ***v, const char *s);
size_t strv_len(char *const *v); /* NULL counts as empty */
void strv_free(char **v);        /* NULL is fine */
DEFINE_CLEANUP(char **, strv_free)
#define _cleanup_strv_ _cleanup_(strv_freep)

#endif
