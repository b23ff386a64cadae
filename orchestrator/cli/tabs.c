/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/tabs.h"

#include <string.h>

#include "podium/base/alloc.h"

#define CELLS_MAX 32 /* of one line; more are printed as they are */

struct line {
    const char *cells[CELLS_MAX + 1]; /* the end of cell i is cells[i + 1] - 1 (its tab) */
    size_t widths[CELLS_MAX];
    size_t n; /* cells that end with a tab */
    const char *end;
};

static size_t characters(const char *p, const char *end) {
    size_t n = 0;
    for (; p < end; p++)
        n += ((unsigned char) *p & 0xc0) != 0x80;
    return n;
}

static struct line *split(const char *text, size_t *ret_n) {
    struct line *lines = NULL;
    size_t n = 0, cap = 0;
    for (const char *p = text; *p; n++) {
        xgrow(&lines, n, &cap);
        struct line *l = &lines[n];
        *l = (struct line){.end = p + strcspn(p, "\n")};
        l->cells[0] = p;
        for (const char *tab;
             l->n < CELLS_MAX && (tab = memchr(l->cells[l->n], '\t', (size_t) (l->end - l->cells[l->n])));)
            l->cells[++l->n] = tab + 1;
        p = *l->end ? l->end + 1 : l->end;
    }
    *ret_n = n;
    return lines;
}

static void measure(struct line *lines, size_t n, size_t column) {
    for (size_t i = 0; i < n;) {
        size_t from = i, widest = 0;
        for (; i < n && lines[i].n > column; i++) {
            size_t w = characters(lines[i].cells[column], lines[i].cells[column + 1] - 1);
            widest = w > widest ? w : widest;
        }
        for (size_t j = from; j < i; j++)
            lines[j].widths[column] = widest;
        i += i == from;
    }
}

void tabs_align(const char *text, size_t padding, struct strbuf *out) {
    size_t n;
    _cleanup_free_ struct line *lines = split(text, &n);
    for (size_t column = 0; column < CELLS_MAX; column++)
        measure(lines, n, column);
    for (size_t i = 0; i < n; i++) {
        const struct line *l = &lines[i];
        for (size_t j = 0; j < l->n; j++) {
            const char *end = l->cells[j + 1] - 1;
            strbuf_add(out, l->cells[j], (size_t) (end - l->cells[j]));
            size_t width = l->widths[j] + (l->widths[j] ? padding : 0);
            strbuf_addf(out, "%*s", (int) (width - characters(l->cells[j], end)), "");
        }
        strbuf_add(out, l->cells[l->n], (size_t) (l->end - l->cells[l->n]));
        strbuf_addc(out, '\n');
    }
}
