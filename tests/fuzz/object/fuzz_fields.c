/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of fields as clients send them: what is read must be written and read again as the same set, and every operation
 * must keep its promises. Input: two texts, split at the first NUL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/managed/field_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct fset_arena *a, const struct fset *s) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct fset again, own;
    fset_write(s, &text);
    if (fset_read(a, text.data, text.len, true, &again, NULL) < 0 || !fset_equal(s, &again))
        abort();
    if (fset_read(a, text.data, text.len, false, &own, NULL) < 0 || !fset_equal(s, &own))
        abort();
}

static void check_operations(struct fset_arena *a, const struct fset *x, const struct fset *y) {
    struct fset both = fset_union(a, x, y), cut = fset_intersection(a, x, y), less = fset_difference(a, x, y);
    struct fset again = fset_union(a, &less, &cut), none = fset_intersection(a, &less, y);
    if (!fset_equal(&again, x) || !fset_is_empty(&none))
        abort();
    again = fset_union(a, &less, y);
    if (!fset_equal(&again, &both))
        abort();
}

static void count(void *userdata, const char *path) {
    ++*(size_t *) userdata;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *) data, *split = memchr(text, 0, size);
    size_t n = split ? (size_t) (split - text) : size, paths = 0;
    _cleanup_(fset_arena_finish) struct fset_arena a = {0};
    struct fset x = {0}, y = {0};
    if (fset_read(&a, text, n, true, &x, NULL) < 0)
        return 0;
    check_text(&a, &x);
    fset_each(&x, count, &paths);
    if (!split || fset_read(&a, split + 1, size - n - 1, true, &y, NULL) < 0)
        return 0;
    check_operations(&a, &x, &y);
    return 0;
}
