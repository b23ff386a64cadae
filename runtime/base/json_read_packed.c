/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON text to packed documents. A container is written when it ends, behind what is in it; until then the distances of
 * its parts wait on a stack.
 */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "podium/base/limits.h"
#include "runtime/base/json_value.h"

struct level {
    size_t from;     /* its parts on the stack begin here */
    bool sealed_key; /* the member under way is to be sealed, if it is an object */
};

enum { PARTS = 1024 };

struct reader {
    yajl_handle yajl;
    const char *text, *seal;
    size_t seal_len;
    uint32_t *parts; /* distances: of items, of keys and values in turn; here or allocated */
    size_t n_parts, cap_parts;
    unsigned depth, sealed_depth; /* inside a sealed object: containers open in it */
    size_t sealed_from;
    uint32_t root;
    bool too_deep, out_of_range;
    /* From here on nothing is set before it is used. */
    struct level levels[JSON_DEPTH_MAX + 1];
    uint32_t parts_here[PARTS];
    struct json_draft draft;
};

static void grow_parts(struct reader *r) {
    bool moved = r->parts != r->parts_here;

    r->cap_parts *= 2;
    r->parts = xreallocarray(moved ? r->parts : NULL, r->cap_parts, sizeof(*r->parts));
    if (!moved)
        memcpy(r->parts, r->parts_here, sizeof(r->parts_here));
}

static void add_part(struct reader *r, uint32_t distance) {
    if (r->n_parts == r->cap_parts)
        grow_parts(r);
    r->parts[r->n_parts++] = distance;
}

static int put(struct reader *r, uint32_t distance) {
    if (r->depth == 0)
        r->root = distance;
    else
        add_part(r, distance);
    return !r->draft.too_large;
}

static int on_null(void *ctx) {
    struct reader *r = ctx;

    if (r->sealed_depth > 0)
        return 1;
    uint32_t at = draft_take(&r->draft, 1);
    draft_head(&r->draft, at, JSON_NULL);
    return put(r, at);
}

static int on_boolean(void *ctx, int value) {
    struct reader *r = ctx;

    return r->sealed_depth > 0 || put(r, draft_bool(&r->draft, value));
}

static int put_double(struct reader *r, const char *text) {
    double d = strtod(text, NULL);

    r->out_of_range = !isfinite(d);
    return !r->out_of_range && put(r, draft_number(&r->draft, JSON_DOUBLE, &d));
}

static int on_number(void *ctx, const char *s, size_t n) {
    struct reader *r = ctx;
    char small[64], *end;

    if (r->sealed_depth > 0)
        return 1;
    _cleanup_free_ char *large = n < sizeof(small) ? NULL : xstrndup(s, n);
    char *text = large ? large : memcpy(small, s, n);
    text[n] = 0;
    if (!memchr(text, '.', n) && !memchr(text, 'e', n) && !memchr(text, 'E', n)) {
        errno = 0;
        int64_t i = strtoll(text, &end, 10);
        if (errno == 0 && *end == 0)
            return put(r, draft_number(&r->draft, JSON_INT, &i));
    }
    return put_double(r, text);
}

static int on_string(void *ctx, const unsigned char *s, size_t n) {
    struct reader *r = ctx;

    if (r->sealed_depth > 0)
        return 1;
    if (r->depth == 0) /* the whole document: never a word of all */
        return put(r, draft_string(&r->draft, JSON_STRING, (const char *) s, n));
    return put(r, draft_text(&r->draft, JSON_STRING, (const char *) s, n));
}

static int on_map_key(void *ctx, const unsigned char *s, size_t n) {
    struct reader *r = ctx;

    if (r->sealed_depth > 0)
        return 1;
    r->levels[r->depth].sealed_key = r->seal && n == r->seal_len && memcmp(s, r->seal, n) == 0;
    add_part(r, draft_key(&r->draft, (const char *) s, n));
    return !r->draft.too_large;
}

static int deeper(struct reader *r, unsigned *depth) {
    if (r->depth + r->sealed_depth == JSON_DEPTH_MAX) {
        r->too_deep = true;
        return 0;
    }
    ++*depth;
    return 1;
}

static int open_container(struct reader *r) {
    if (!deeper(r, &r->depth))
        return 0;
    r->levels[r->depth] = (struct level){.from = r->n_parts};
    return 1;
}

static int on_start_map(void *ctx) {
    struct reader *r = ctx;

    if (r->sealed_depth == 0 && r->depth > 0 && r->levels[r->depth].sealed_key)
        r->sealed_from = yajl_get_bytes_consumed(r->yajl) - 1;
    else if (r->sealed_depth == 0)
        return open_container(r);
    return deeper(r, &r->sealed_depth);
}

static int on_start_array(void *ctx) {
    struct reader *r = ctx;

    if (r->sealed_depth > 0)
        return deeper(r, &r->sealed_depth);
    return open_container(r);
}

/* Its parts leave the stack; what they are parts of becomes one itself. */
static int close_container(struct reader *r, enum json_type type) {
    size_t from = r->levels[r->depth].from, parts = r->n_parts - from;
    uint32_t n = (uint32_t) (type == JSON_OBJECT ? parts / 2 : parts);
    uint32_t table = type == JSON_OBJECT && n > INDEX_FROM ? packed_index_size(n) : 0;
    uint32_t at = draft_take(&r->draft, 2 + parts + table);

    if (r->draft.too_large)
        return 0;
    draft_head(&r->draft, at, type);
    r->draft.words[at + 1] = n;
    if (parts > 0)
        memcpy(r->draft.words + at + 2, r->parts + from, parts * sizeof(*r->parts));
    if (table)
        draft_index(r->draft.words + at + 2 + parts, table, (struct json *) (void *) (r->draft.words + at), n);
    r->n_parts = from;
    r->depth--;
    return put(r, at);
}

static int end_sealed(struct reader *r) {
    if (--r->sealed_depth > 0)
        return 1;
    size_t end = yajl_get_bytes_consumed(r->yajl);
    return put(r, draft_text(&r->draft, JSON_SEALED, r->text + r->sealed_from, end - r->sealed_from));
}

static int on_end_map(void *ctx) {
    struct reader *r = ctx;

    return r->sealed_depth > 0 ? end_sealed(r) : close_container(r, JSON_OBJECT);
}

static int on_end_array(void *ctx) {
    struct reader *r = ctx;

    return r->sealed_depth > 0 ? end_sealed(r) : close_container(r, JSON_ARRAY);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

static int refused(const struct reader *r, struct error *err) {
    if (r->too_deep)
        return error_set(err, -ELOOP, "nested deeper than %u levels", JSON_DEPTH_MAX);
    if (r->draft.too_large)
        return error_set(err, -E2BIG, "too large for a packed document");
    if (r->out_of_range)
        return error_set(err, -EINVAL, "a number is too large for any number type");
    return error_set(err, -EINVAL, "no valid JSON at byte %zu", yajl_get_bytes_consumed(r->yajl));
}

static int read_packed(struct reader *r, const char *p, size_t n, struct json **ret, struct error *err) {
    if (yajl_parse(r->yajl, (const unsigned char *) p, n) != yajl_status_ok ||
        yajl_complete_parse(r->yajl) != yajl_status_ok)
        return refused(r, err);
    if (r->root == 0)
        return error_set(err, -EINVAL, "empty document");
    *ret = in_block(draft_block(&r->draft, r->root), r->root);
    return 0;
}

int json_parse_packed(const char *p, size_t n, const struct json_packed_options *options, struct json **ret,
                      struct error *err) {
    static const struct json_packed_options none = {0};
    struct reader r;

    if (!options)
        options = &none;
    memset(&r, 0, offsetof(struct reader, levels));
    r.parts = r.parts_here;
    r.cap_parts = PARTS;
    r.text = p;
    r.seal = options->seal;
    r.seal_len = r.seal ? strlen(r.seal) : 0;
    draft_init(&r.draft, options->words);
    r.yajl = yajl_alloc(&callbacks, NULL, &r);
    int code = read_packed(&r, p, n, ret, err);
    yajl_free(r.yajl);
    if (r.parts != r.parts_here)
        free(r.parts);
    draft_finish(&r.draft);
    return code;
}
