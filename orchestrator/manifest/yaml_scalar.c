/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/manifest/yaml_scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"

static bool is_one_of(const char *s, const char *const *words) {
    for (; *words; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const true_words[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y", NULL};
static const char *const false_words[] = {"false", "False", "FALSE", "no", "No", "NO",
                                          "off",   "Off",   "OFF",   "n",  "N",  NULL};
static const char *const not_json_words[] = {".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF", "+.inf",
                                             "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};
static bool only(const char *s, const char *characters) {
    return *s != '\0' && s[strspn(s, characters)] == '\0';
}

/* An integer with optional sign and 0x, 0o, 0b or 0 in front; s without underscores. */
static bool parse_integer(const char *s, struct json **ret) {
    static const struct {
        const char *prefix, *digits;
        int base;
    } forms[] = {{"0x", "0123456789abcdefABCDEF", 16},
                 {"0X", "0123456789abcdefABCDEF", 16},
                 {"0o", "01234567", 8},
                 {"0O", "01234567", 8},
                 {"0b", "01", 2},
                 {"0B", "01", 2},
                 {"0", "01234567", 8},
                 {"", "0123456789", 10}};
    bool negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t skip = strlen(forms[i].prefix);
        if (strncmp(s, forms[i].prefix, skip) != 0 || !only(s + skip, forms[i].digits))
            continue;
        errno = 0;
        unsigned long long v = strtoull(s + skip, NULL, forms[i].base);
        if (errno != 0)
            return false;
        if (v > (unsigned long long) INT64_MAX + negative)
            *ret = json_double(negative ? -(double) v : (double) v);
        else
            *ret = json_int(negative ? (int64_t) (0 - v) : (int64_t) v);
        return true;
    }
    return false;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?  */
static bool is_float(const char *s) {
    if (*s == '-' || *s == '+')
        s++;
    size_t whole = strspn(s, "0123456789"), fraction = 0;
    s += whole;
    if (*s == '.') {
        fraction = strspn(s + 1, "0123456789");
        s += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        size_t exponent = strspn(s, "0123456789");
        if (exponent == 0)
            return false;
        s += exponent;
    }
    return *s == '\0';
}

/* A number in YAML 1.1 may have underscores between its digits. NULL when it is no number. */
static struct json *parse_number(const char *s, size_t n) {
    _cleanup_free_ char *plain = xmalloc(n + 1);
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] != '_')
            plain[len++] = s[i];
    plain[len] = '\0';
    struct json *v = NULL;
    if (parse_integer(plain, &v))
        return v;
    /* Also what begins with 0 and is not octal ("08"), and what is too large for 64 bits. */
    if (is_float(plain)) {
        double d = strtod(plain, NULL);
        if (d - d == 0) /* finite */
            return json_double(d);
    }
    return NULL;
}

struct json *yaml_plain_value(const char *s, size_t n) {
    if (strlen(s) != n) /* holds a NUL byte */
        return json_string_len(s, n);
    if (is_one_of(s, null_words))
        return json_null();
    if (is_one_of(s, true_words))
        return json_bool(true);
    if (is_one_of(s, false_words))
        return json_bool(false);
    if (is_one_of(s, not_json_words))
        return NULL;
    if (strchr("0123456789+-.", *s) != NULL) {
        struct json *number = parse_number(s, n);
        if (number)
            return number;
    }
    return json_string_len(s, n);
}

/* "12:30:45.5": sexagesimal to older readers. */
static bool is_base60(const char *s) {
    return *s != '\0' && strchr("+-0123456789", *s) != NULL && strchr(s, ':') != NULL && only(s, "+-0123456789_:.");
}

/* "2026-01-02…": a timestamp to other readers. */
static bool is_dated(const char *s) {
    return strspn(s, "0123456789") == 4 && s[4] == '-' && only(s, "0123456789-:TtZz+. ");
}

bool yaml_plain_is_ambiguous(const char *s, size_t n) {
    _cleanup_json_ struct json *v = yaml_plain_value(s, n);
    return !json_is_string(v) || strcmp(s, "<<") == 0 || strcmp(s, "=") == 0 || is_base60(s) || is_dated(s);
}
