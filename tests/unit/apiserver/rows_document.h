/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How cases change documents: by paths as field errors write them, with "${…}" in texts.
 *   spec.containers[0].env[1].name    an index one past the end appends
 *   metadata.labels[app.kubernetes.io/name]
 *   ${a*63}      63 times "a"
 *   ${name}      the text of that name in bases.yaml
 * and an object {$repeat: 3, of: X} stands for the list [X, X, X]. */
#ifndef TESTS_APISERVER_ROWS_DOCUMENT_H
#define TESTS_APISERVER_ROWS_DOCUMENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "podium/base/alloc.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* --- texts --- */

static inline char *rows_expand(const struct json *texts, const char *s) {
    struct strbuf out = STRBUF_INIT;
    for (const char *end; *s; s = end + 1) {
        const char *open = strstr(s, "${");
        end = open ? strchr(open, '}') : NULL;
        if (!end) {
            strbuf_adds(&out, s);
            break;
        }
        strbuf_add(&out, s, (size_t) (open - s));
        _cleanup_free_ char *what = xstrndup(open + 2, (size_t) (end - open - 2));
        char *star = strrchr(what, '*');
        if (star && star[1] >= '0' && star[1] <= '9') {
            for (long i = strtol(star + 1, NULL, 10); i > 0; i--)
                strbuf_add(&out, what, (size_t) (star - what));
        } else {
            if (!json_str(json_get(texts, what)))
                fail_msg("no text ${%s} in bases.yaml", what);
            _cleanup_free_ char *inner = rows_expand(texts, json_str(json_get(texts, what)));
            strbuf_adds(&out, inner);
        }
    }
    return strbuf_steal(&out);
}

/* A copy with all texts and keys expanded. */
static inline struct json *rows_expanded(const struct json *texts, const struct json *v) {
    if (json_is_string(v)) {
        _cleanup_free_ char *s = rows_expand(texts, json_str(v));
        return json_string(s);
    }
    if (json_is_array(v)) {
        struct json *out = json_array();
        for (size_t i = 0; i < json_len(v); i++)
            json_append(&out, rows_expanded(texts, json_at(v, i)));
        return out;
    }
    if (json_get(v, "$repeat")) {
        struct json *out = json_array();
        for (int64_t i = json_int_or(json_get(v, "$repeat"), 0); i > 0; i--)
            json_append(&out, rows_expanded(texts, json_get(v, "of")));
        return out;
    }
    if (json_is_object(v)) {
        struct json *out = json_object();
        for (size_t i = 0; i < json_len(v); i++) {
            _cleanup_free_ char *key = rows_expand(texts, json_key_at(v, i));
            json_set(&out, key, rows_expanded(texts, json_value_at(v, i)));
        }
        return out;
    }
    return json_ref(v);
}

/* --- paths --- */

struct rows_step {
    char *key; /* NULL: an index */
    size_t index;
};

/* Takes the first step off the path. */
static inline struct rows_step rows_step_next(const char **path) {
    const char *p = *path;
    struct rows_step step = {0};
    p += *p == '.';
    if (*p == '[' && (p[1] < '0' || p[1] > '9')) {
        const char *end = strchr(p, ']');
        assert_non_null(end);
        step.key = xstrndup(p + 1, (size_t) (end - p - 1));
        p = end + 1;
    } else if (*p == '[') {
        char *end;
        step.index = strtoul(p + 1, &end, 10);
        assert_int_equal(*end, ']');
        p = end + 1;
    } else {
        size_t n = strcspn(p, ".[");
        step.key = xstrndup(p, n);
        p += n;
    }
    *path = p;
    return step;
}

/* Takes the value. */
static inline void rows_set(struct json **doc, const char *path, struct json *value) {
    struct json **slot = doc;
    while (*path) {
        struct rows_step step = rows_step_next(&path);
        if (step.key) {
            slot = json_edit(slot, step.key);
        } else {
            while (json_len(*slot) <= step.index)
                json_append(slot, json_null());
            slot = json_edit_at(slot, step.index);
        }
        free(step.key);
    }
    json_unref(*slot);
    *slot = value;
}

static inline void rows_del(struct json **doc, const char *path) {
    struct json **slot = doc;
    for (;;) {
        struct rows_step step = rows_step_next(&path);
        _cleanup_free_ char *key = step.key;
        if (!*path && key)
            json_del(slot, key);
        else if (!*path)
            json_remove_at(slot, step.index);
        if (!*path)
            return;
        slot = key ? json_edit(slot, key) : json_edit_at(slot, step.index);
        if (!slot)
            return;
    }
}

static inline const struct json *rows_get(const struct json *doc, const char *path) {
    while (*path && doc) {
        struct rows_step step = rows_step_next(&path);
        doc = step.key ? json_get(doc, step.key) : json_at(doc, step.index);
        free(step.key);
    }
    return doc;
}

/* A path of a case: below `at`, or of the whole document when it starts with "/". Caller frees. */
static inline char *rows_path(const char *at, const char *path) {
    if (*path == '/')
        return xstrdup(path + 1);
    if (!*at || !*path)
        return xstrdup(*at ? at : path);
    return xasprintf("%s%s%s", at, *path == '[' ? "" : ".", path);
}

/* The members of a map path -> value, and the paths of a list. */
static inline void rows_change(struct json **doc, const char *at, const struct json *set, const struct json *del) {
    for (size_t i = 0; i < json_len(set); i++) {
        _cleanup_free_ char *path = rows_path(at, json_key_at(set, i));
        rows_set(doc, path, json_ref(json_value_at(set, i)));
    }
    for (size_t i = 0; i < json_len(del); i++) {
        _cleanup_free_ char *path = rows_path(at, json_str(json_at(del, i)));
        rows_del(doc, path);
    }
}

#endif
