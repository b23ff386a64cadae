/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "podium/base/json.h"

void json_write_string(const char *s, size_t n, struct strbuf *out) {
    static const char hex[] = "0123456789abcdef";
    size_t plain = 0;

    strbuf_reserve(out, n + 2);
    strbuf_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char) s[i];
        char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        size_t len = 6;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        if (c == '"' || c == '\\') {
            esc[1] = (char) c;
            len = 2;
        } else if (c == '\n' || c == '\r' || c == '\t') {
            esc[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
            len = 2;
        }
        strbuf_add(out, s + plain, i - plain);
        strbuf_add(out, esc, len);
        plain = i + 1;
    }
    strbuf_add(out, s + plain, n - plain);
    strbuf_addc(out, '"');
}

static void write_double(double d, struct strbuf *out) {
    char text[40];

    if (d == trunc(d) && fabs(d) < 1e15) {
        strbuf_addf(out, "%" PRId64, (int64_t) d);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the shortest text that reads back as the same number */
        snprintf(text, sizeof(text), "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    strbuf_adds(out, text);
}

static void newline(unsigned flags, unsigned depth, struct strbuf *out) {
    if (!(flags & JSON_WRITE_PRETTY))
        return;
    strbuf_addc(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        strbuf_adds(out, "    ");
}

static void write_value(const struct json *v, unsigned flags, unsigned depth, struct strbuf *out);

static void write_members(const struct json *v, bool object, unsigned flags, unsigned depth, struct strbuf *out) {
    size_t n = json_len(v);

    strbuf_addc(out, object ? '{' : '[');
    for (size_t i = 0; i < n && !out->overflow; i++) {
        if (i)
            strbuf_addc(out, ',');
        newline(flags, depth + 1, out);
        if (object) {
            const struct json *key = json_key_value_at(v, i);
            json_write_string(json_str(key), json_str_len(key), out);
            strbuf_adds(out, flags & JSON_WRITE_PRETTY ? ": " : ":");
        }
        write_value(object ? json_value_at(v, i) : json_at(v, i), flags, depth + 1, out);
    }
    if (n)
        newline(flags, depth, out);
    strbuf_addc(out, object ? '}' : ']');
}

static void write_sealed(const struct json *v, unsigned flags, unsigned depth, struct strbuf *out) {
    size_t n;
    const char *text = json_sealed_text(v, &n);

    if (flags & JSON_WRITE_PRETTY) {
        _cleanup_json_ struct json *tree = json_opened(v);
        write_value(tree, flags, depth, out);
    } else {
        strbuf_add(out, text, n);
    }
}

static void write_value(const struct json *v, unsigned flags, unsigned depth, struct strbuf *out) {
    switch (json_type(v)) {
    case JSON_NULL:
        strbuf_adds(out, "null");
        return;
    case JSON_BOOL:
        strbuf_adds(out, json_bool_or(v, false) ? "true" : "false");
        return;
    case JSON_INT:
        strbuf_addf(out, "%" PRId64, json_int_or(v, 0));
        return;
    case JSON_DOUBLE:
        write_double(json_double_or(v, 0), out);
        return;
    case JSON_STRING:
        json_write_string(json_str(v), json_str_len(v), out);
        return;
    case JSON_ARRAY:
        write_members(v, false, flags, depth, out);
        return;
    case JSON_OBJECT:
        write_members(v, true, flags, depth, out);
        return;
    case JSON_SEALED:
        write_sealed(v, flags, depth, out);
        return;
    }
}

void json_write(const struct json *v, unsigned flags, struct strbuf *out) {
    write_value(v, flags, 0, out);
}

char *json_to_text(const struct json *v) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    json_write(v, 0, &b);
    return strbuf_steal(&b);
}
