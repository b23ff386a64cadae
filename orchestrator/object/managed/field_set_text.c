/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FieldsV1, both ways. The reader is our own: it copies nothing that has no escapes, and a write reads several sets. */
#include <string.h>

#include "orchestrator/object/managed/field_set.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

static const char prefixes[] = {[FSET_NAME] = 'f', [FSET_KEY] = 'k', [FSET_VALUE] = 'v', [FSET_INDEX] = 'i'};

/* --- writing --- */

static bool is_plain(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char) p[i] < 0x20 || p[i] == '"' || p[i] == '\\')
            return false;
    return true;
}

static void write_element(const struct fset *s, struct strbuf *out) {
    char prefix[3] = {'"', prefixes[s->kind], ':'};
    strbuf_reserve(out, s->len + 8);
    size_t at = out->len;
    if (is_plain(s->text, s->len)) {
        strbuf_add(out, prefix, sizeof(prefix));
        strbuf_add(out, s->text, s->len);
        strbuf_addc(out, '"');
        return;
    }
    /* The quote that begins the escaped text makes room for the prefix. */
    strbuf_add(out, prefix, 2);
    json_write_string(s->text, s->len, out);
    memcpy(out->data + at, prefix, sizeof(prefix));
}

static void write_below(const struct fset *s, bool root, struct strbuf *out) {
    bool first = true;
    strbuf_addc(out, '{');
    if (s->member && s->n > 0 && !root) {
        strbuf_adds(out, "\".\":{}");
        first = false;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (!first)
            strbuf_addc(out, ',');
        first = false;
        write_element(&s->kids[i], out);
        strbuf_addc(out, ':');
        write_below(&s->kids[i], false, out);
    }
    strbuf_addc(out, '}');
}

void fset_write(const struct fset *s, struct strbuf *out) {
    write_below(s, true, out);
}

/* --- reading --- */

struct reader {
    struct fset_arena *arena;
    const char *at, *end;
    bool foreign;
    struct error *err;
};

static int malformed(struct reader *r) {
    return error_set(r->err, -EINVAL, "not a set of fields");
}

static bool take(struct reader *r, char c) {
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* The element's JSON in canonical form: keys sorted, no white space; scalars only. */
static int canonical(struct reader *r, enum fset_kind kind, const char **text, size_t *len) {
    _cleanup_json_ struct json *v = NULL, *sorted = NULL;
    if (json_parse(*text, *len, NULL, &v, NULL) < 0 || json_is_array(v) || json_is_object(v) != (kind == FSET_KEY) ||
        (kind == FSET_INDEX && json_type(v) != JSON_INT))
        return malformed(r);
    if (kind == FSET_KEY) {
        const char *last = "";
        sorted = json_object();
        for (size_t done = 0; done < json_len(v); done++) {
            const char *next = NULL;
            for (size_t i = 0; i < json_len(v); i++) {
                const char *key = json_key_at(v, i);
                if ((done == 0 || strcmp(key, last) > 0) && (!next || strcmp(key, next) < 0))
                    next = key;
            }
            const struct json *value = next ? json_get(v, next) : NULL;
            if (!value || json_is_object(value) || json_is_array(value) || done >= 16)
                return malformed(r);
            json_set(&sorted, next, json_ref(value));
            last = next;
        }
    }
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    json_write(sorted ? sorted : v, 0, &b);
    *text = fset_copy(r->arena, strbuf_str(&b), b.len);
    *len = b.len;
    return 0;
}

/* A string with its escapes resolved; *text points into the input when there are none. */
static int read_string(struct reader *r, const char **text, size_t *len) {
    const char *from = r->at;
    bool escapes = false;
    if (!take(r, '"'))
        return malformed(r);
    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char) *r->at < 0x20)
            return malformed(r);
        if (*r->at == '\\') {
            escapes = true;
            if (++r->at == r->end)
                return malformed(r);
        }
        r->at++;
    }
    if (!take(r, '"'))
        return malformed(r);
    *text = from + 1;
    *len = (size_t) (r->at - from) - 2;
    if (!escapes)
        return 0;
    char *out = fset_alloc(r->arena, *len);
    size_t n = 0;
    for (const char *p = *text, *end = p + *len; p < end; p++) {
        if (*p != '\\') {
            out[n++] = *p;
            continue;
        }
        if (p[1] == '"' || p[1] == '\\' || p[1] == '/') {
            out[n++] = *++p;
            continue;
        }
        /* the rare ones are left to the JSON reader */
        _cleanup_json_ struct json *s = NULL;
        if (json_parse(from, (size_t) (r->at - from), NULL, &s, NULL) < 0)
            return malformed(r);
        *len = json_str_len(s);
        *text = fset_copy(r->arena, json_str(s), *len);
        return 0;
    }
    *text = out;
    *len = n;
    return 0;
}

static int read_below(struct reader *r, struct fset *s, unsigned depth);

static int read_element(struct reader *r, struct fset *s, unsigned depth) {
    const char *text = "";
    size_t len = 0;
    int code = read_string(r, &text, &len);
    if (code < 0)
        return code;
    if (!take(r, ':'))
        return malformed(r);
    if (len == 1 && *text == '.') {
        struct fset none = {0};
        s->member = true;
        code = read_below(r, &none, depth + 1);
        return code < 0 || none.n == 0 ? code : malformed(r);
    }
    const char *prefix = len >= 2 && text[1] == ':' ? memchr(prefixes, text[0], sizeof(prefixes)) : NULL;
    if (!prefix)
        return malformed(r);
    enum fset_kind kind = (enum fset_kind)(prefix - prefixes);
    text += 2;
    len -= 2;
    if (r->foreign && kind != FSET_NAME) {
        code = canonical(r, kind, &text, &len);
        if (code < 0)
            return code;
    }
    struct fset *kid = fset_kid(r->arena, s, kind, text, len);
    code = read_below(r, kid, depth + 1);
    if (code == 0 && kid->n == 0)
        kid->member = true; /* "f:x":{} stands for "f:x":{".":{}} */
    return code;
}

/* Elements that come twice (hostile or merely odd input) become one. */
static void merge_twins(struct reader *r, struct fset *s) {
    uint32_t n = 0;
    fset_sort(s);
    for (uint32_t i = 0; i < s->n; i++) {
        if (n > 0 && fset_compare_elements(&s->kids[n - 1], &s->kids[i]) == 0)
            s->kids[n - 1] = fset_union(r->arena, &s->kids[n - 1], &s->kids[i]);
        else
            s->kids[n++] = s->kids[i];
    }
    s->n = n;
}

static int read_below(struct reader *r, struct fset *s, unsigned depth) {
    if (depth > JSON_DEPTH_MAX)
        return error_set(r->err, -ELOOP, "a set of fields nested deeper than %u levels", JSON_DEPTH_MAX);
    if (!take(r, '{'))
        return malformed(r);
    if (take(r, '}'))
        return 0;
    do {
        int code = read_element(r, s, depth);
        if (code < 0)
            return code;
    } while (take(r, ','));
    if (!take(r, '}'))
        return malformed(r);
    merge_twins(r, s);
    return 0;
}

int fset_read(struct fset_arena *a, const char *text, size_t n, bool foreign, struct fset *ret, struct error *err) {
    struct reader r = {.arena = a, .at = text, .end = text + n, .foreign = foreign, .err = err};
    struct fset root = {0};
    int code = read_below(&r, &root, 0);
    if (code < 0)
        return code;
    if (r.at != r.end)
        return malformed(&r);
    root.member = false; /* "." of the whole object: upstream's empty path, which means nothing to us */
    *ret = root;
    return 0;
}
