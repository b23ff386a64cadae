/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/podsecurity/words.h"

#include <stdarg.h>
#include <string.h>

#include "podium/base/alloc.h"

void words_finish(struct words *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->items[i]);
    free(w->items);
    strbuf_finish(&w->text);
    *w = (struct words) WORDS_INIT;
}

static void put(struct words *w, size_t at, char *take) {
    xgrow(&w->items, w->n, &w->cap);
    memmove(w->items + at + 1, w->items + at, (w->n - at) * sizeof(*w->items));
    w->items[at] = take;
    w->n++;
}

void words_add(struct words *w, const char *word) {
    put(w, w->n, xstrdup(word));
}

void words_insert(struct words *w, const char *word) {
    size_t at = 0;

    while (at < w->n && strcmp(w->items[at], word) < 0)
        at++;
    if (at == w->n || strcmp(w->items[at], word) != 0)
        put(w, at, xstrdup(word));
}

void words_addf(struct words *w, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    put(w, w->n, xvasprintf(fmt, ap));
    va_end(ap);
}

static void join(struct words *w, const char *separator) {
    for (size_t i = 0; i < w->n; i++)
        strbuf_addf(&w->text, "%s%s", i ? separator : "", w->items[i]);
}

const char *words_joined(struct words *w, const char *separator) {
    strbuf_reset(&w->text);
    join(w, separator);
    return strbuf_str(&w->text);
}

const char *words_quoted(struct words *w) {
    return words_counted(w, NULL, NULL);
}

const char *words_counted(struct words *w, const char *singular, const char *plural) {
    strbuf_reset(&w->text);
    if (w->n == 0)
        return "";
    if (singular)
        strbuf_addf(&w->text, "%s ", w->n == 1 ? singular : plural);
    strbuf_addc(&w->text, '"');
    join(w, "\", \"");
    strbuf_addc(&w->text, '"');
    return strbuf_str(&w->text);
}

void words_quote(struct strbuf *out, const char *text) {
    json_write_string(text, strlen(text), out);
}

bool ps_next_container(const struct json *spec, struct ps_container *c) {
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

    for (; c->list < ARRAY_LEN(lists); c->list++, c->next = 0) {
        const struct json *all = json_get(spec, lists[c->list]);
        if (c->next >= json_len(all))
            continue;
        c->doc = json_at(all, c->next++);
        c->security = json_get(c->doc, "securityContext");
        c->name = json_get_str(c->doc, "name");
        return true;
    }
    return false;
}
