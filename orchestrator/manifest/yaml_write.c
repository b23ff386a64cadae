/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/manifest/yaml.h"
#include "orchestrator/manifest/yaml_scalar.h"
#include "podium/base/alloc.h"

#define SIMPLE_KEY_MAX 900u /* readers accept 1024 characters, quotes and escapes included; longer keys need "? " */

/* What a string's bytes allow. */
struct form {
    bool plain, single, block;
    bool lines;
};

static bool is_space_or_end(char c) {
    return c == ' ' || c == '\n' || c == '\0';
}

/* Length of the UTF-8 sequence at s if YAML may show it as it is; 0 for what must be escaped: controls, tab, invalid
 * bytes, and what YAML 1.1 takes for a line break (NEL, LS, PS) or a byte order mark. */
static size_t printable(const unsigned char *s, size_t n) {
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;
    size_t len = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (len == 0 || s[0] >= 0xf5 || n < len)
        return 0;
    unsigned long c = s[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    bool shown = c >= 0xa0 && c != 0x2028 && c != 0x2029 && c != 0xfeff && !(c >= 0xd800 && c < 0xe000) &&
                 (c & 0xfffe) != 0xfffe && c < 0x110000;
    return shown ? len : 0;
}

static bool plain_start(const char *s, size_t n) {
    if (strncmp(s, "---", 3) == 0 || strncmp(s, "...", 3) == 0 || strchr(" ,[]{}#&*!|>'\"%@`", s[0]) != NULL)
        return false;
    return !(strchr("-?:", s[0]) != NULL && is_space_or_end(s[1]));
}

static struct form examine(const char *s, size_t n) {
    struct form f = {.plain = n > 0 && plain_start(s, n), .single = true, .block = true};
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n') {
            f.lines = true;
            f.plain = false;
            if (i > 0 && s[i - 1] == ' ') /* would be invisible, and lost in folding */
                f.block = f.single = false;
            continue;
        }
        size_t len = printable((const unsigned char *) s + i, n - i);
        if (len == 0)
            return (struct form){0};
        if ((s[i] == ':' && is_space_or_end(s[i + 1])) || (s[i] == '#' && i > 0 && s[i - 1] == ' '))
            f.plain = false;
        i += len - 1;
    }
    if (n > 0 && s[n - 1] == ' ')
        f.plain = f.block = false;
    if (f.lines)
        f.single = false;
    return f;
}

static void write_double_quoted(const char *s, size_t n, struct strbuf *out) {
    strbuf_addc(out, '"');
    for (size_t i = 0; i < n;) {
        const unsigned char *c = (const unsigned char *) s + i;
        size_t len = printable(c, n - i);
        if (*c == '"' || *c == '\\')
            strbuf_addf(out, "\\%c", *c);
        else if (len > 0)
            strbuf_add(out, c, len);
        else if (*c == '\n' || *c == '\t' || *c == '\r')
            strbuf_adds(out, *c == '\n' ? "\\n" : *c == '\t' ? "\\t" : "\\r");
        else if (*c < 0x80)
            strbuf_addf(out, "\\x%02x", *c);
        else if (*c == 0xc2) /* U+0080 … U+009F */
            strbuf_addf(out, "\\x%02x", c[1]), len = 2;
        else if (*c < 0xf0 && n - i >= 3) /* a line or paragraph separator, a byte order mark, a noncharacter */
            strbuf_addf(out, "\\u%04x", (*c & 0xfu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu)), len = 3;
        else if (n - i >= 4)
            strbuf_addf(out, "\\U%08x",
                        (*c & 0x7u) << 18 | (c[1] & 0x3fu) << 12 | (c[2] & 0x3fu) << 6 | (c[3] & 0x3fu)),
                len = 4;
        i += len ? len : 1;
    }
    strbuf_addc(out, '"');
}

static void write_single_quoted(const char *s, size_t n, struct strbuf *out) {
    strbuf_addc(out, '\'');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\'')
            strbuf_addc(out, '\'');
        strbuf_addc(out, s[i]);
    }
    strbuf_addc(out, '\'');
}

static void write_indent(unsigned indent, struct strbuf *out) {
    for (unsigned i = 0; i < indent; i++)
        strbuf_addc(out, ' ');
}

/* "|" with its marks, then the lines; ends without a newline. */
static void write_block(const char *s, size_t n, unsigned indent, struct strbuf *out) {
    strbuf_addc(out, '|');
    if (s[0] == ' ' || s[0] == '\n')
        strbuf_addc(out, '2');
    if (s[n - 1] != '\n')
        strbuf_addc(out, '-');
    else if (n == 1 || s[n - 2] == '\n')
        strbuf_addc(out, '+');
    for (size_t at = 0; at < n;) {
        size_t len = (size_t) ((const char *) memchr(s + at, '\n', n - at) ?: s + n) - (size_t) (s + at);
        strbuf_addc(out, '\n');
        if (len > 0)
            write_indent(indent, out);
        strbuf_add(out, s + at, len);
        at += len + 1;
    }
}

/* indent: where lines of a block start; 0 allows no block (keys, the root). */
static void write_string(const char *s, size_t n, unsigned indent, struct strbuf *out) {
    struct form f = examine(s, n);
    bool ambiguous = yaml_plain_is_ambiguous(s, n);
    if (f.lines && f.block && indent > 0)
        write_block(s, n, indent, out);
    else if (f.plain && !ambiguous)
        strbuf_add(out, s, n);
    else if (f.single && !ambiguous)
        write_single_quoted(s, n, out);
    else
        write_double_quoted(s, n, out);
}

static bool is_letter(unsigned char c) {
    return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The value of a run of digits; `carry`: it continues a number that began before, so that its zeros count. */
static uint64_t digits_value(const char *s, bool carry, size_t *ret_n) {
    uint64_t v = carry;
    for (*ret_n = 0; s[*ret_n] >= '0' && s[*ret_n] <= '9'; (*ret_n)++)
        v = v * 10 + (uint64_t) (s[*ret_n] - '0');
    return v;
}

/* kubectl's order: letters by code, other characters before letters, runs of digits by value ("a2" before "a10"). */
static int compare_keys(const char *a, const char *b) {
    size_t i = 0, n_a, n_b;
    bool in_number = false; /* the digits just before the difference are not all zeros */
    for (; a[i] && a[i] == b[i]; i++)
        in_number = a[i] >= '0' && a[i] <= '9' && (in_number || a[i] != '0');
    if (!a[i] || !b[i])
        return (a[i] != 0) - (b[i] != 0);
    bool letter_a = is_letter((unsigned char) a[i]), letter_b = is_letter((unsigned char) b[i]);
    int by_code = (unsigned char) a[i] < (unsigned char) b[i] ? -1 : 1;
    if (letter_a && letter_b)
        return by_code;
    if (letter_a || letter_b)
        return letter_b ? -1 : 1;
    bool carry = in_number && (a[i] == '0' || b[i] == '0');
    uint64_t v_a = digits_value(a + i, carry, &n_a), v_b = digits_value(b + i, carry, &n_b);
    if (v_a != v_b)
        return v_a < v_b ? -1 : 1;
    return n_a != n_b ? (n_a < n_b ? -1 : 1) : by_code;
}

static int by_key(const void *a, const void *b, void *object) {
    size_t i = *(const size_t *) a, j = *(const size_t *) b;
    int r = compare_keys(json_key_at(object, i), json_key_at(object, j));
    return r ? r : (i > j) - (i < j);
}

/* Where the cursor is when a value is to be written. */
enum place {
    AT_LINE_START, /* the root */
    AFTER_KEY,     /* "key:" was written */
    AFTER_DASH,    /* "- " was written: a collection's first line continues here */
};

static void write_value(const struct json *v, unsigned indent, enum place place, struct strbuf *out);

static void write_key(const struct json *key, struct strbuf *out) {
    size_t start = out->len;
    write_string(json_str(key), json_str_len(key), 0, out);
    if (out->len - start <= SIMPLE_KEY_MAX) {
        strbuf_addc(out, ':');
        return;
    }
    _cleanup_free_ char *text = xstrdup(strbuf_str(out) + start);
    out->len = start;
    strbuf_addf(out, "? %s", text);
}

static void write_mapping(const struct json *v, unsigned indent, enum place place, struct strbuf *out) {
    size_t n = json_len(v);
    _cleanup_free_ size_t *order = xcalloc(n, sizeof(*order));
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(*order), by_key, (void *) v);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 || place == AFTER_KEY) {
            strbuf_addc(out, '\n');
            write_indent(indent, out);
        }
        size_t start = out->len;
        write_key(json_key_value_at(v, order[i]), out);
        if (strncmp(out->data + start, "? ", 2) == 0) {
            strbuf_addc(out, '\n');
            write_indent(indent, out);
            strbuf_addc(out, ':');
        }
        write_value(json_value_at(v, order[i]), indent, AFTER_KEY, out);
    }
}

static void write_sequence(const struct json *v, unsigned indent, enum place place, struct strbuf *out) {
    for (size_t i = 0; i < json_len(v); i++) {
        if (i > 0 || place == AFTER_KEY) {
            strbuf_addc(out, '\n');
            write_indent(indent, out);
        }
        strbuf_addc(out, '-');
        strbuf_addc(out, ' ');
        write_value(json_at(v, i), indent, AFTER_DASH, out);
    }
}

/* indent: the column of the mapping or sequence that holds the value. */
static void write_value(const struct json *v, unsigned indent, enum place place, struct strbuf *out) {
    if (json_type(v) == JSON_SEALED) {
        _cleanup_json_ struct json *tree = json_opened(v);
        write_value(tree, indent, place, out);
        return;
    }
    bool collection = (json_is_object(v) || json_is_array(v)) && json_len(v) > 0;
    /* A list under a key keeps the key's column; everything else goes two deeper. */
    unsigned inner = place == AT_LINE_START || (place == AFTER_KEY && json_is_array(v)) ? indent : indent + 2;
    if (collection && json_is_object(v)) {
        write_mapping(v, inner, place, out);
        return;
    }
    if (collection) {
        write_sequence(v, inner, place, out);
        return;
    }
    if (place == AFTER_KEY)
        strbuf_addc(out, ' ');
    if (json_is_string(v))
        write_string(json_str(v), json_str_len(v), place == AT_LINE_START ? 0 : indent + 2, out);
    else
        json_write(v, 0, out); /* null, true, 3, [], {} are the same in both */
}

void yaml_write(const struct json *v, struct strbuf *out) {
    write_value(v, 0, AT_LINE_START, out);
    strbuf_addc(out, '\n');
}
