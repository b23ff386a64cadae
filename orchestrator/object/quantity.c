/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/quantity.h"

#include <ctype.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

typedef quantity_nano wide;

#define WIDE_LIMIT      ((wide) 1 << 120) /* results are cut off here, far beyond what int64 in nano units needs */
#define NANO_DIGITS     9
#define FRACTION_DIGITS 18 /* of a binary quantity; what is behind only decides the rounding */

enum form { FORM_DECIMAL_SI, FORM_DECIMAL_EXPONENT, FORM_BINARY_SI };

/* A number as written: ±digits × 10^exponent × 2^shift, without leading zeros in digits. */
struct number {
    bool negative;
    char *digits;
    size_t n;
    int64_t exponent;
    unsigned shift;
    enum form form;
};

static void number_finish(struct number *q) {
    free(q->digits);
}

static const struct suffix {
    const char *text;
    enum form form;
    int exponent; /* of ten, or of two for FORM_BINARY_SI */
} suffixes[] = {
    {"n", FORM_DECIMAL_SI, -9}, {"u", FORM_DECIMAL_SI, -6}, {"m", FORM_DECIMAL_SI, -3}, {"", FORM_DECIMAL_SI, 0},
    {"k", FORM_DECIMAL_SI, 3},  {"M", FORM_DECIMAL_SI, 6},  {"G", FORM_DECIMAL_SI, 9},  {"T", FORM_DECIMAL_SI, 12},
    {"P", FORM_DECIMAL_SI, 15}, {"E", FORM_DECIMAL_SI, 18}, {"Ki", FORM_BINARY_SI, 10}, {"Mi", FORM_BINARY_SI, 20},
    {"Gi", FORM_BINARY_SI, 30}, {"Ti", FORM_BINARY_SI, 40}, {"Pi", FORM_BINARY_SI, 50}, {"Ei", FORM_BINARY_SI, 60},
};

static int error_format(struct error *err) {
    return error_set(err, -EINVAL,
                     "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static int parse_suffix(const char *s, struct number *q, struct error *err) {
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (strcmp(s, suffixes[i].text) != 0)
            continue;
        q->form = suffixes[i].form;
        if (q->form == FORM_BINARY_SI)
            q->shift = (unsigned) suffixes[i].exponent;
        else
            q->exponent += suffixes[i].exponent;
        return 0;
    }
    size_t letters = strspn(s, "eEinumkKMGTP");
    const char *p = s + letters;
    if (*p == '-' || *p == '+')
        p++;
    size_t n_digits = strspn(p, "0123456789");
    if (p[n_digits] != '\0')
        return error_format(err);
    if (letters != 1 || (*s != 'e' && *s != 'E') || n_digits == 0 || n_digits > 9)
        return error_set(err, -EINVAL, "unable to parse quantity's suffix");
    q->form = FORM_DECIMAL_EXPONENT;
    q->exponent += strtol(s + 1, NULL, 10);
    return 0;
}

/* On failure there is nothing to release. */
static int number_parse(const char *s, struct number *ret, struct error *err) {
    struct number q = {0};
    const char *p = s;
    if (*p == '-' || *p == '+')
        q.negative = *p++ == '-';
    size_t whole = strspn(p, "0123456789");
    const char *fraction = p + whole;
    size_t n_fraction = 0;
    const char *rest = fraction;
    if (*fraction == '.') {
        fraction++;
        n_fraction = strspn(fraction, "0123456789");
        rest = fraction + n_fraction;
    }
    if (whole + n_fraction == 0)
        return error_format(err);
    q.exponent = -(int64_t) n_fraction;
    int r = parse_suffix(rest, &q, err);
    if (r < 0)
        return r;
    q.digits = xmalloc(whole + n_fraction + 1);
    memcpy(q.digits, p, whole);
    memcpy(q.digits + whole, fraction, n_fraction);
    q.n = whole + n_fraction;
    size_t zeros = 0;
    while (zeros < q.n && q.digits[zeros] == '0')
        zeros++;
    q.n -= zeros;
    memmove(q.digits, q.digits + zeros, q.n);
    q.digits[q.n] = '\0';
    *ret = q;
    return 0;
}

/* |digits × 10^power|, rounded away from zero. */
static wide scale_decimal(const char *digits, size_t n, int64_t power) {
    wide v = 0;
    if (n == 0)
        return 0;
    int64_t whole = (int64_t) n + power; /* number of digits in front of the point */
    if (whole > 40)
        return WIDE_LIMIT;
    bool inexact = false;
    for (int64_t i = 0; i < whole; i++) {
        if (v >= WIDE_LIMIT / 10)
            return WIDE_LIMIT;
        v = v * 10 + (i < (int64_t) n ? digits[i] - '0' : 0);
    }
    for (size_t i = whole > 0 ? (size_t) whole : 0; i < n; i++)
        inexact |= digits[i] != '0';
    return v + inexact;
}

static wide power_of_ten(unsigned n) {
    wide v = 1;
    while (n-- > 0)
        v *= 10;
    return v;
}

/* |value × 10^scale| of a binary quantity, rounded away from zero; scale <= 9. The whole part and the fraction are
 * multiplied separately, so that nothing leaves 128 bits. */
static wide scale_binary(const struct number *q, unsigned scale) {
    const wide cap = INT64_MAX;
    size_t n_fraction = (size_t) -q->exponent;
    size_t n_whole = q->n > n_fraction ? q->n - n_fraction : 0;
    wide whole = scale_decimal(q->digits, n_whole, 0);
    if (whole > (cap >> q->shift))
        return cap * power_of_ten(scale);
    whole <<= q->shift;

    /* The digits behind the point, with the zeros that were stripped from the front of "0.00x". */
    size_t lead = n_fraction - (q->n - n_whole), kept = n_fraction < FRACTION_DIGITS ? n_fraction : FRACTION_DIGITS;
    wide fraction = 0;
    bool inexact = false;
    for (size_t i = 0; i < n_fraction; i++) {
        int digit = i < lead ? 0 : q->digits[n_whole + (i - lead)] - '0';
        if (i < kept)
            fraction = fraction * 10 + digit;
        else
            inexact |= digit != 0;
    }
    wide unit = power_of_ten((unsigned) kept), factor = power_of_ten(scale);
    fraction <<= q->shift;
    wide left = fraction % unit * factor;
    wide v = (whole + fraction / unit) * factor + left / unit + (left % unit != 0 || inexact);
    return v < cap * factor ? v : cap * factor;
}

/* value × 10^scale, rounded away from zero; scale <= 9. */
static wide number_scaled(const struct number *q, unsigned scale) {
    wide v = q->form == FORM_BINARY_SI ? scale_binary(q, scale) : scale_decimal(q->digits, q->n, q->exponent + scale);
    return q->negative ? -v : v;
}

static int parse_scaled(const char *s, unsigned scale, int64_t *ret, struct error *err) {
    _cleanup_(number_finish) struct number q = {0};
    int r = number_parse(s, &q, err);
    if (r < 0)
        return r;
    wide v = number_scaled(&q, scale);
    *ret = v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t) v;
    return 0;
}

int quantity_parse(const char *s, int64_t *ret, struct error *err) {
    return parse_scaled(s, 0, ret, err);
}

int quantity_parse_milli(const char *s, int64_t *ret, struct error *err) {
    return parse_scaled(s, 3, ret, err);
}

static int64_t json_scaled(const struct json *v, unsigned scale, int64_t otherwise) {
    int64_t result;
    if (json_is_null(v) || json_is_array(v) || json_is_object(v))
        return otherwise;
    if (json_is_string(v))
        return parse_scaled(json_str(v), scale, &result, NULL) < 0 ? otherwise : result;
    _cleanup_free_ char *text = json_to_text(v);
    return parse_scaled(text, scale, &result, NULL) < 0 ? otherwise : result;
}

int64_t quantity_json(const struct json *v, int64_t otherwise) {
    return json_scaled(v, 0, otherwise);
}

int64_t quantity_json_milli(const struct json *v, int64_t otherwise) {
    return json_scaled(v, 3, otherwise);
}

static wide nano_or_zero(const char *s) {
    _cleanup_(number_finish) struct number q = {0};
    return number_parse(s, &q, NULL) < 0 ? 0 : number_scaled(&q, NANO_DIGITS);
}

int quantity_compare(const char *a, const char *b) {
    wide x = nano_or_zero(a), y = nano_or_zero(b);
    return (x > y) - (x < y);
}

/* Digits of v (positive) in decimal. */
static void add_wide(struct strbuf *b, wide v) {
    char text[48];
    size_t i = sizeof(text);
    do
        text[--i] = (char) ('0' + (int) (v % 10));
    while ((v /= 10) > 0);
    strbuf_add(b, text + i, sizeof(text) - i);
}

/* Mantissa without trailing zeros, exponent a multiple of three. */
static void format_decimal(struct strbuf *b, const char *digits, size_t n, int64_t exponent, enum form form) {
    while (n > 0 && digits[n - 1] == '0') {
        n--;
        exponent++;
    }
    int64_t pad = ((exponent % 3) + 3) % 3;
    exponent -= pad;
    if (form == FORM_DECIMAL_SI && exponent > 18) { /* no suffix beyond E */
        pad += exponent - 18;
        exponent = 18;
    }
    strbuf_add(b, digits, n);
    for (int64_t i = 0; i < pad; i++)
        strbuf_addc(b, '0');
    if (form == FORM_DECIMAL_EXPONENT) {
        if (exponent != 0)
            strbuf_addf(b, "e%lld", (long long) exponent);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (suffixes[i].form == FORM_DECIMAL_SI && suffixes[i].exponent == exponent)
            strbuf_adds(b, suffixes[i].text);
}

static void format_base1024(struct strbuf *b, wide v) {
    unsigned exponent = 0;
    while (v % 1024 == 0 && exponent < 60) {
        v /= 1024;
        exponent += 10;
    }
    add_wide(b, v);
    for (size_t i = 0; exponent > 0 && i < ARRAY_LEN(suffixes); i++)
        if (suffixes[i].form == FORM_BINARY_SI && suffixes[i].exponent == (int) exponent)
            strbuf_adds(b, suffixes[i].text);
}

/* A magnitude in 10^exponent units as a decimal quantity. */
static void format_wide(struct strbuf *b, wide v, int64_t exponent, enum form form) {
    _cleanup_strbuf_ struct strbuf digits = STRBUF_INIT;
    add_wide(&digits, v);
    format_decimal(b, strbuf_str(&digits), digits.len, exponent, form);
}

static void format_binary_nano(struct strbuf *b, wide nano) {
    const wide unit = power_of_ten(NANO_DIGITS);
    /* Below 1024, and where rounding would lose something, upstream prefers the decimal form. */
    if (nano % unit == 0 && nano / unit >= 1024)
        format_base1024(b, nano / unit);
    else
        format_wide(b, nano, -NANO_DIGITS, FORM_DECIMAL_SI);
}

char *quantity_canonical(const char *s) {
    _cleanup_(number_finish) struct number q = {0};
    if (number_parse(s, &q, NULL) < 0)
        return NULL;
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    if (q.n == 0)
        return xstrdup("0");
    if (q.negative)
        strbuf_addc(&b, '-');
    q.negative = false;
    if (q.form == FORM_BINARY_SI)
        format_binary_nano(&b, number_scaled(&q, NANO_DIGITS));
    else if (q.exponent < -NANO_DIGITS)
        format_wide(&b, number_scaled(&q, NANO_DIGITS), -NANO_DIGITS, q.form);
    else
        format_decimal(&b, q.digits, q.n, q.exponent, q.form);
    return strbuf_steal(&b);
}

char *quantity_format_binary(int64_t bytes) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    wide v = bytes;
    if (v < 0) {
        strbuf_addc(&b, '-');
        v = -v;
    }
    if (v < 1024)
        add_wide(&b, v);
    else
        format_base1024(&b, v);
    return strbuf_steal(&b);
}

char *quantity_format_milli(int64_t milli) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    wide v = milli;
    if (v == 0)
        return xstrdup("0");
    if (v < 0) {
        strbuf_addc(&b, '-');
        v = -v;
    }
    format_wide(&b, v, -3, FORM_DECIMAL_SI);
    return strbuf_steal(&b);
}

/* --- sums --- */

bool quantity_read(const struct json *v, struct quantity *ret) {
    _cleanup_(number_finish) struct number q = {0};
    _cleanup_free_ char *text = NULL;
    *ret = (struct quantity){0, FORM_DECIMAL_SI};
    if (json_is_null(v) || json_is_array(v) || json_is_object(v))
        return false;
    if (!json_is_string(v))
        text = json_to_text(v);
    if (number_parse(text ? text : json_str(v), &q, NULL) < 0)
        return false;
    *ret = (struct quantity){number_scaled(&q, NANO_DIGITS), (int) q.form};
    return true;
}

struct quantity quantity_of(int64_t whole) {
    return (struct quantity){(wide) whole * power_of_ten(NANO_DIGITS), FORM_DECIMAL_SI};
}

static wide limited(wide v) {
    return v > WIDE_LIMIT ? WIDE_LIMIT : v < -WIDE_LIMIT ? -WIDE_LIMIT : v;
}

void quantity_add(struct quantity *sum, const struct quantity *q) {
    if (sum->nano == 0)
        sum->form = q->form;
    sum->nano = limited(sum->nano + q->nano);
}

void quantity_subtract(struct quantity *sum, const struct quantity *q) {
    if (sum->nano == 0)
        sum->form = q->form;
    sum->nano = limited(sum->nano - q->nano);
}

void quantity_raise(struct quantity *q, const struct quantity *other) {
    if (other->nano > q->nano)
        *q = *other;
}

char *quantity_text(const struct quantity *q) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    wide v = q->nano < 0 ? -q->nano : q->nano;
    if (v == 0)
        return xstrdup("0");
    if (q->nano < 0)
        strbuf_addc(&b, '-');
    if (q->form == FORM_BINARY_SI)
        format_binary_nano(&b, v);
    else
        format_wide(&b, v, -NANO_DIGITS, (enum form) q->form);
    return strbuf_steal(&b);
}
