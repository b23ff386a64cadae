/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of names as upstream prints them, and the containers of a pod one after another.
 *
 *   struct words bad = WORDS_INIT;
 *   for (struct ps_container c = {0}; ps_next_container(spec, &c);)
 *       if (…)
 *           words_add(&bad, c.name);
 */
#ifndef PODIUM_APISERVER_PODSECURITY_WORDS_H
#define PODIUM_APISERVER_PODSECURITY_WORDS_H

#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct words {
    char **items;
    size_t n, cap;
    struct strbuf text; /* of the last words_…() that returns a text */
};
#define WORDS_INIT                                                                                                     \
    { NULL, 0, 0, STRBUF_INIT }
void words_finish(struct words *w);
#define _cleanup_words_ _cleanup_(words_finish)

void words_add(struct words *w, const char *word);
/* Keeps the words sorted, each of them once. */
void words_insert(struct words *w, const char *word);
void words_addf(struct words *w, const char *fmt, ...) _printf_(2, 3);
/* `"a", "b"`; `a, b` with another separator. Valid until the next call or change. */
const char *words_quoted(struct words *w);
const char *words_joined(struct words *w, const char *separator);
/* `container "a"`, `containers "a", "b"` */
const char *words_counted(struct words *w, const char *singular, const char *plural);
/* Go's %q of a plain text. Appends. */
void words_quote(struct strbuf *out, const char *text);

/* The containers in upstream's order: init, ordinary, ephemeral. Start with {0}. */
struct ps_container {
    unsigned list;
    size_t next;
    const struct json *doc, *security; /* the container, its securityContext (NULL when absent) */
    const char *name;
};
bool ps_next_container(const struct json *spec, struct ps_container *c);

#endif
