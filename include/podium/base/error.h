/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error object: a negative errno for the program, a sentence for the person.
 *
 * Every fallible function returns 0 (or a count) on success and a negative errno on failure, and takes a
 * `struct error *` as its last argument, which may be NULL. The text says what failed, on what, why, and, where
 * it can, what to do. Logging happens only at the edges (main, the event loop, the API's Status encoder).
 *
 *   _cleanup_(error_clear) struct error err = ERROR_INIT;
 *   r = cg_set_limit(cg, "pids.max", 100, &err);
 *   if (r < 0)
 *       return log_errno(r, "%s", error_text(&err, r));
 *
 * Ownership: the object owns its text. The first error set wins; a later error_set() on a set object replaces it.
 */
#ifndef PODIUM_BASE_ERROR_H
#define PODIUM_BASE_ERROR_H

#include "podium/base/cleanup.h"

struct error {
    int code;   /* negative errno, 0 when nothing is set */
    char *text; /* NULL when nothing is set */
};

#define ERROR_INIT                                                                                                     \
    { 0, NULL }

/* Sets code and text; returns code, which must be negative. err may be NULL: then only the code travels. */
int error_set(struct error *err, int code, const char *fmt, ...) _printf_(3, 4);

/* Like error_set(), with ": <strerror(-code)>" appended. */
int error_set_errno(struct error *err, int code, const char *fmt, ...) _printf_(3, 4);

/* Puts "text: " in front of what is there; sets strerror text if nothing is. Returns code. */
int error_prefix(struct error *err, int code, const char *fmt, ...) _printf_(3, 4);

/* The text, or strerror(-r) when none is set. Never NULL; valid until the object changes. */
const char *error_text(const struct error *err, int r);

/* Releases the text and resets the object. Usable with _cleanup_. */
void error_clear(struct error *err);

#endif
