/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/difference.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define TEXT_BYTES_MAX  4096u
#define VALUE_BYTES_MAX 256u

static void start_line(struct strbuf *out, char sign, unsigned depth) {
    strbuf_addf(out, "%c ", sign);
    for (unsigned i = 0; i < depth; i++)
        strbuf_addc(out, '\t');
}

/* A field as Go spells it. */
static void add_name(struct strbuf *out, const char *key) {
    if (!key)
        return;
    bool lower = key[0] >= 'a' && key[0] <= 'z';
    strbuf_addf(out, "%c%s: ", lower ? key[0] - 'a' + 'A' : key[0], key + (key[0] != 0));
}

static void add_value(struct strbuf *out, char sign, unsigned depth, const char *key, const struct json *v) {
    if (json_is_null(v))
        return;
    _cleanup_free_ char *text = json_to_text(v);
    start_line(out, sign, depth);
    add_name(out, key);
    strbuf_addf(out, "%.*s%s,\n", (int) VALUE_BYTES_MAX, text, strlen(text) > VALUE_BYTES_MAX ? "..." : "");
}

static void add_identical(struct strbuf *out, unsigned depth, size_t n, const char *what) {
    if (!n)
        return;
    start_line(out, ' ', depth);
    strbuf_addf(out, "... // %zu identical %s%s\n", n, what, n == 1 ? "" : "s");
}

static void add_difference(struct strbuf *out, unsigned depth, const char *key, const struct json *old,
                           const struct json *now);

static void add_members(struct strbuf *out, unsigned depth, const struct json *old, const struct json *now) {
    size_t same = 0;
    for (size_t i = 0; i < json_len(old) && out->len < TEXT_BYTES_MAX; i++) {
        const struct json *a = json_value_at(old, i), *b = json_get(now, json_key_at(old, i));
        if (json_equal(a, b)) {
            same++;
            continue;
        }
        add_identical(out, depth, same, "field");
        same = 0;
        add_difference(out, depth, json_key_at(old, i), a, b);
    }
    for (size_t i = 0; i < json_len(now) && out->len < TEXT_BYTES_MAX; i++) {
        if (json_get(old, json_key_at(now, i)))
            continue;
        add_identical(out, depth, same, "field");
        same = 0;
        add_value(out, '+', depth, json_key_at(now, i), json_value_at(now, i));
    }
    add_identical(out, depth, same, "field");
}

static void add_elements(struct strbuf *out, unsigned depth, const struct json *old, const struct json *now) {
    size_t n = json_len(old) > json_len(now) ? json_len(old) : json_len(now), same = 0;
    for (size_t i = 0; i < n && out->len < TEXT_BYTES_MAX; i++) {
        if (json_equal(json_at(old, i), json_at(now, i))) {
            same++;
            continue;
        }
        add_identical(out, depth, same, "element");
        same = 0;
        add_difference(out, depth, NULL, json_at(old, i), json_at(now, i));
    }
    add_identical(out, depth, same, "element");
}

static void add_difference(struct strbuf *out, unsigned depth, const char *key, const struct json *old,
                           const struct json *now) {
    bool objects = json_is_object(old) && json_is_object(now), arrays = json_is_array(old) && json_is_array(now);
    if (!objects && !arrays) {
        add_value(out, '-', depth, key, old);
        add_value(out, '+', depth, key, now);
        return;
    }
    start_line(out, ' ', depth);
    add_name(out, key);
    strbuf_adds(out, "{\n");
    if (objects)
        add_members(out, depth + 1, old, now);
    else
        add_elements(out, depth + 1, old, now);
    start_line(out, ' ', depth);
    strbuf_adds(out, "},\n");
}

char *difference_text(const char *name, const struct json *old, const struct json *now) {
    struct strbuf out = STRBUF_INIT;
    strbuf_addf(&out, "  %s{\n", name);
    add_members(&out, 1, old, now);
    strbuf_adds(&out, "  }\n");
    return strbuf_steal(&out);
}
