/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON text to trees: yajl gives the tokens, the stack of open containers is ours. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/json.h"
#include "podium/base/limits.h"

struct reader {
    yajl_handle yajl;
    const struct json_parse_options *options;
    unsigned depth_max, depth;
    struct json **stack; /* open containers; each owned here until it closes */
    struct json **keys;  /* the member name pending in the object at the same depth */
    struct json *root;
    const unsigned char *text;
    size_t counted; /* bytes whose newlines are in `line` */
    size_t line_start;
    unsigned line;
    unsigned sealed_depth; /* inside an object that becomes sealed: containers open in it */
    size_t sealed_from;
    bool too_deep, out_of_range;
};

static void position(struct reader *r, struct json *v, size_t length) {
    size_t at = yajl_get_bytes_consumed(r->yajl);

    at = at > length ? at - length : 0;
    for (; r->counted < at; r->counted++)
        if (r->text[r->counted] == '\n') {
            r->line++;
            r->line_start = r->counted + 1;
        }
    json_set_position(v, r->line, at >= r->line_start ? (unsigned) (at - r->line_start + 1) : 1);
}

static char *path_of_member(const struct reader *r, const char *name) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    for (unsigned i = 0; i < r->depth; i++) {
        if (json_is_array(r->stack[i])) {
            strbuf_addf(&b, "[%zu]", json_len(r->stack[i]));
            continue;
        }
        const char *key = i + 1 == r->depth ? name : json_str(r->keys[i]);
        strbuf_addf(&b, "%s%s", b.len ? "." : "", key ? key : "");
    }
    return strbuf_steal(&b);
}

static int put(struct reader *r, struct json *take) {
    if (r->depth == 0) {
        r->root = take;
        return 1;
    }
    struct json **top = &r->stack[r->depth - 1];
    if (json_is_array(*top)) {
        json_append(top, take);
        return 1;
    }
    struct json **key = &r->keys[r->depth - 1];
    if (r->options && r->options->duplicate && json_get(*top, json_str(*key))) {
        _cleanup_free_ char *path = path_of_member(r, json_str(*key));
        r->options->duplicate(r->options->userdata, path);
    }
    json_set_key(top, *key, take);
    *key = NULL;
    return 1;
}

static int scalar(struct reader *r, struct json *take, size_t length) {
    position(r, take, length);
    return put(r, take);
}

/* --- sealed objects: nothing is built, only their end is looked for --- */

static bool is_sealed(const struct reader *r) {
    return r->sealed_depth > 0;
}

static int sealed_deeper(struct reader *r) {
    r->too_deep = r->depth + ++r->sealed_depth > r->depth_max;
    return !r->too_deep;
}

static bool seals(const struct reader *r) {
    const struct json *key = r->depth > 0 ? r->keys[r->depth - 1] : NULL;

    return r->options && r->options->seal && key && strcmp(json_str(key), r->options->seal) == 0;
}

static int seal(struct reader *r) {
    size_t end = yajl_get_bytes_consumed(r->yajl);

    return put(r, json_sealed((const char *) r->text + r->sealed_from, end - r->sealed_from));
}

static int on_null(void *ctx) {
    if (is_sealed(ctx))
        return 1;
    return scalar(ctx, json_null(), 4);
}

static int on_boolean(void *ctx, int value) {
    if (is_sealed(ctx))
        return 1;
    return scalar(ctx, json_bool(value), value ? 4 : 5);
}

static int on_number(void *ctx, const char *s, size_t n) {
    char small[64];
    _cleanup_free_ char *large = n < sizeof(small) ? NULL : xstrndup(s, n);
    char *text = large ? large : memcpy(small, s, n), *end;

    if (is_sealed(ctx))
        return 1;
    text[n] = 0;
    if (!memchr(text, '.', n) && !memchr(text, 'e', n) && !memchr(text, 'E', n)) {
        errno = 0;
        long long i = strtoll(text, &end, 10);
        if (errno == 0 && *end == 0)
            return scalar(ctx, json_int(i), n);
    }
    double d = strtod(text, NULL);
    if (!isfinite(d)) {
        ((struct reader *) ctx)->out_of_range = true;
        return 0;
    }
    return scalar(ctx, json_double(d), n);
}

static int on_string(void *ctx, const unsigned char *s, size_t n) {
    if (is_sealed(ctx))
        return 1;
    return scalar(ctx, json_string_len((const char *) s, n), n + 2);
}

static int open_container(struct reader *r, struct json *take) {
    position(r, take, 1);
    if (r->depth >= r->depth_max) {
        json_unref(take);
        r->too_deep = true;
        return 0;
    }
    r->keys[r->depth] = NULL;
    r->stack[r->depth++] = take;
    return 1;
}

static int on_start_map(void *ctx) {
    struct reader *r = ctx;

    if (is_sealed(r))
        return sealed_deeper(r);
    if (seals(r)) {
        r->sealed_from = yajl_get_bytes_consumed(r->yajl) - 1;
        return sealed_deeper(r);
    }
    return open_container(ctx, json_object());
}

static int on_start_array(void *ctx) {
    if (is_sealed(ctx))
        return sealed_deeper(ctx);
    return open_container(ctx, json_array());
}

static int on_map_key(void *ctx, const unsigned char *s, size_t n) {
    struct reader *r = ctx;

    if (is_sealed(r))
        return 1;
    r->keys[r->depth - 1] = json_string_len((const char *) s, n);
    return 1;
}

static int on_end(void *ctx) {
    struct reader *r = ctx;

    if (is_sealed(r))
        return --r->sealed_depth > 0 ? 1 : seal(r);
    return put(r, r->stack[--r->depth]);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

static int syntax_error(struct reader *r, const unsigned char *p, size_t n, struct error *err) {
    if (r->too_deep)
        return error_set(err, -ELOOP, "line %u: nested deeper than %u levels", r->line, r->depth_max);

    if (r->out_of_range)
        return error_set(err, -EINVAL, "line %u: a number is too large for any number type", r->line);

    size_t at = yajl_get_bytes_consumed(r->yajl);
    unsigned line = 1;
    size_t start = 0;
    for (size_t i = 0; i < at && i < n; i++)
        if (p[i] == '\n') {
            line++;
            start = i + 1;
        }
    unsigned char *text = yajl_get_error(r->yajl, 0, p, n);
    text[strcspn((char *) text, "\n")] = 0;
    int code = error_set(err, -EINVAL, "line %u, column %zu: %s", line, at - start + 1, (char *) text);
    yajl_free_error(r->yajl, text);
    return code;
}

int json_parse(const char *p, size_t n, const struct json_parse_options *options, struct json **ret,
               struct error *err) {
    struct reader r = {.options = options, .text = (const unsigned char *) p, .line = 1};
    int code = 0;

    if (options && options->bytes_max && n > options->bytes_max)
        return error_set(err, -E2BIG, "larger than %zu bytes", options->bytes_max);
    r.depth_max = options && options->depth_max ? options->depth_max : JSON_DEPTH_MAX;
    _cleanup_free_ struct json **stack = xcalloc(r.depth_max, sizeof(*stack));
    _cleanup_free_ struct json **keys = xcalloc(r.depth_max, sizeof(*keys));
    r.stack = stack;
    r.keys = keys;
    r.yajl = yajl_alloc(&callbacks, NULL, &r);
    if (yajl_parse(r.yajl, r.text, n) != yajl_status_ok || yajl_complete_parse(r.yajl) != yajl_status_ok)
        code = syntax_error(&r, r.text, n, err);
    else if (!r.root)
        code = error_set(err, -EINVAL, "empty document");
    yajl_free(r.yajl);
    for (unsigned i = 0; i < r.depth; i++) {
        json_unref(stack[i]);
        json_unref(keys[i]);
    }
    if (code < 0) {
        json_unref(r.root);
        return code;
    }
    *ret = r.root;
    return 0;
}

int json_parse_file(const char *path, size_t bytes_max, struct json **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    int r = file_read(path, bytes_max, &b, err);

    if (r < 0)
        return r;
    r = json_parse(strbuf_str(&b), b.len, NULL, ret, err);
    return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}
