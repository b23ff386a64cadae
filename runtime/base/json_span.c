/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of compact JSON texts, found by counting brackets. */
#include <string.h>

#include "podium/base/json.h"

/* Behind the string that begins at p, or end. */
static const char *skip_string(const char *p, const char *end) {
    for (p++; p < end; p++) {
        const char *quote = memchr(p, '"', (size_t) (end - p));
        if (!quote)
            return end;
        size_t backslashes = 0;
        while (quote - backslashes > p && quote[-1 - (long) backslashes] == '\\')
            backslashes++;
        p = quote;
        if (backslashes % 2 == 0)
            return p + 1;
    }
    return end;
}

/* Behind the value that begins at p, or end. */
static const char *skip_value(const char *p, const char *end) {
    unsigned depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            if (depth == 0)
                return p;
            continue;
        }
        if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p;
            if (--depth == 0)
                return p + 1;
        } else if (*p == ',' && depth == 0) {
            return p;
        }
        p++;
    }
    return end;
}

bool json_span_member(struct json_span object, const char *key, struct json_span *ret) {
    const char *p = object.text, *end = p + object.len;
    size_t n = strlen(key);

    if (p == end || *p != '{')
        return false;
    while (++p < end && *p == '"') { /* behind "{" or "," */
        const char *name = p + 1, *value = skip_string(p, end);
        if (value == end || *value != ':')
            return false;
        p = skip_value(value + 1, end);
        if ((size_t) (value - name) == n + 1 && memcmp(name, key, n) == 0) {
            *ret = (struct json_span){value + 1, (size_t) (p - value - 1)};
            return true;
        }
        if (p == end || *p != ',')
            return false;
    }
    return false;
}
