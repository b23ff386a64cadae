/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is not well, line by line, short enough for a screen: what has the same cause is one line with a count, and of
 * one kind of thing only the first few are told.
 *
 * Ownership: findings_finish(). Threads: pure.
 */
#ifndef PODIUM_CLI_FINDINGS_H
#define PODIUM_CLI_FINDINGS_H

#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"

#define FINDINGS_SHOWN 8 /* of a kind */

struct finding {
    char *kind, *cause, *text;
    size_t more; /* others of the same cause */
};
struct findings {
    struct finding *items;
    size_t n, cap;
};
#define FINDINGS_INIT                                                                                                  \
    { NULL, 0, 0 }

void findings_finish(struct findings *f);
/* kind: "pods" (in the plural, as it is read in "4 more pods"). cause: what those of one cause have in common; NULL: it
 * is alone. */
void findings_add(struct findings *f, const char *kind, const char *cause, const char *fmt, ...) _printf_(4, 5);
/* Each on a line, indented by two. */
void findings_print(const struct findings *f, struct strbuf *out);

#endif
