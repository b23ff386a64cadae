/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/selector.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/validation.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

enum match_operator {
    OP_NONE,
    OP_EXISTS,
    OP_ABSENT,
    OP_EQUALS,
    OP_DOUBLE_EQUALS,
    OP_NOT_EQUALS,
    OP_IN,
    OP_NOT_IN,
    OP_GREATER,
    OP_LESS
};

struct term {
    char *key;
    enum match_operator op;
    char **values;  /* NULL-terminated */
    int64_t number; /* of OP_GREATER and OP_LESS */
};

struct selector {
    bool nothing;
    struct term *terms;
    size_t n, cap;
};

void selector_free(struct selector *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->terms[i].key);
        strv_free(s->terms[i].values);
    }
    free(s->terms);
    free(s);
}

static struct term *add_term(struct selector *s, const char *key, enum match_operator op) {
    xgrow(&s->terms, s->n, &s->cap);
    s->terms[s->n] = (struct term){.key = xstrdup(key), .op = op, .values = strv_new()};
    return &s->terms[s->n++];
}

static bool parse_int64(const char *s, int64_t *ret) {
    char *end;
    if (*s != '-' && *s != '+' && (*s < '0' || *s > '9'))
        return false;
    errno = 0;
    *ret = strtoll(s, &end, 10);
    return errno == 0 && end != s && *end == '\0';
}

/* What upstream's NewRequirement() checks. path: "" or where the selector sits, with a dot behind. */
static int check_term(struct term *t, struct error *err) {
    const char *why = name_is_qualified(t->key);
    if (why)
        return error_set(err, -EINVAL, "key: Invalid value: \"%s\": %s", t->key, why);
    size_t n = strv_len(t->values);
    switch (t->op) {
    case OP_IN:
    case OP_NOT_IN:
        if (n == 0)
            return error_set(err, -EINVAL,
                             "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
        break;
    case OP_GREATER:
    case OP_LESS:
        if (n != 1 || !parse_int64(t->values[0], &t->number))
            return error_set(err, -EINVAL,
                             "values[0]: Invalid value: \"%s\": for 'Gt', 'Lt' operators, the value must be an integer",
                             n > 0 ? t->values[0] : "");
        break;
    case OP_EXISTS:
    case OP_ABSENT:
        if (n != 0)
            return error_set(err, -EINVAL,
                             "values: Invalid value: values set must be empty for exists and does not exist");
        break;
    case OP_NONE:
    case OP_EQUALS:
    case OP_DOUBLE_EQUALS:
    case OP_NOT_EQUALS:
        break;
    }
    for (size_t i = 0; i < n; i++)
        if ((why = name_is_label_value(t->values[i])))
            return error_set(err, -EINVAL, "values[%zu][%s]: Invalid value: \"%s\": %s", i, t->key, t->values[i], why);
    return 0;
}

/* --- the string form --- */

enum token {
    T_END,
    T_WORD,
    T_COMMA,
    T_OPEN,
    T_CLOSE,
    T_NOT,
    T_EQUALS,
    T_DOUBLE_EQUALS,
    T_NOT_EQUALS,
    T_GREATER,
    T_LESS
};

/* A cursor over the text: `token` is the one to be consumed next, its text is at start, length n. "in" and "notin" are
 * words: whether they are operators depends on where they stand. */
struct lexer {
    const char *at, *start;
    size_t n;
    enum token token;
};

static void next_token(struct lexer *l) {
    static const struct {
        const char *text;
        enum token token;
    } symbols[] = {{"==", T_DOUBLE_EQUALS}, {"!=", T_NOT_EQUALS}, {"=", T_EQUALS},  {"!", T_NOT}, {",", T_COMMA},
                   {"(", T_OPEN},           {")", T_CLOSE},       {">", T_GREATER}, {"<", T_LESS}};
    l->at += strspn(l->at, " \t\r\n");
    l->start = l->at;
    l->n = strcspn(l->at, " \t\r\n=!(),><");
    l->token = l->n > 0 ? T_WORD : T_END;
    for (size_t i = 0; l->n == 0 && i < ARRAY_LEN(symbols); i++)
        if (strncmp(l->at, symbols[i].text, strlen(symbols[i].text)) == 0) {
            l->n = strlen(symbols[i].text);
            l->token = symbols[i].token;
        }
    l->at += l->n;
}

static int unexpected(const struct lexer *l, const char *expected, struct error *err) {
    return error_set(err, -EINVAL, "found '%.*s'%s expected: %s", (int) l->n, l->start,
                     strcmp(expected, "'('") == 0 ? "" : ",", expected);
}

static bool is_word(const struct lexer *l, const char *word) {
    return l->token == T_WORD && l->n == strlen(word) && strncmp(l->start, word, l->n) == 0;
}

static int take_operator(struct lexer *l, enum match_operator *ret, struct error *err) {
    enum match_operator op = OP_NONE;
    if (is_word(l, "in"))
        op = OP_IN;
    else if (is_word(l, "notin"))
        op = OP_NOT_IN;
    else if (l->token == T_EQUALS)
        op = OP_EQUALS;
    else if (l->token == T_DOUBLE_EQUALS)
        op = OP_DOUBLE_EQUALS;
    else if (l->token == T_NOT_EQUALS)
        op = OP_NOT_EQUALS;
    else if (l->token == T_GREATER)
        op = OP_GREATER;
    else if (l->token == T_LESS)
        op = OP_LESS;
    else
        return unexpected(l, "in, notin, =, ==, !=, gt, lt", err);
    next_token(l);
    *ret = op;
    return 0;
}

/* Values are a sorted set, as upstream keeps and prints them. */
static void add_value(struct term *t, const char *s, size_t n) {
    size_t count = strv_len(t->values), at = 0;
    _cleanup_free_ char *value = xstrndup(s, n);
    while (at < count && strcmp(t->values[at], value) < 0)
        at++;
    if (at < count && strcmp(t->values[at], value) == 0)
        return;
    strv_push(&t->values, steal(&value));
    char *last = t->values[count];
    memmove(&t->values[at + 1], &t->values[at], (count - at) * sizeof(char *));
    t->values[at] = last;
}

/* "(a,b,)": an empty place between commas is the empty value. */
static int take_value_list(struct lexer *l, struct term *t, struct error *err) {
    if (l->token != T_OPEN)
        return unexpected(l, "'('", err);
    next_token(l);
    if (l->token == T_CLOSE) {
        next_token(l);
        return 0;
    }
    if (l->token != T_WORD && l->token != T_COMMA)
        return unexpected(l, "',', ')' or identifier", err);
    for (;;) {
        if (l->token == T_WORD) {
            add_value(t, l->start, l->n);
            next_token(l);
        } else {
            add_value(t, "", 0);
        }
        if (l->token == T_CLOSE)
            break;
        if (l->token != T_COMMA)
            return unexpected(l, "',' or ')'", err);
        next_token(l);
    }
    next_token(l);
    return 0;
}

static int take_value(struct lexer *l, struct term *t, struct error *err) {
    if (l->token == T_END || l->token == T_COMMA) {
        add_value(t, "", 0);
        return 0;
    }
    if (l->token != T_WORD)
        return unexpected(l, "identifier", err);
    add_value(t, l->start, l->n);
    next_token(l);
    return 0;
}

static int take_term(struct lexer *l, struct selector *s, struct error *err) {
    bool negated = l->token == T_NOT;
    if (negated)
        next_token(l);
    if (l->token != T_WORD)
        return unexpected(l, "identifier", err);
    _cleanup_free_ char *key = xstrndup(l->start, l->n);
    const char *why = name_is_qualified(key);
    if (why) /* "<nil>" is the path upstream prints, and what people search for */
        return error_set(err, -EINVAL, "<nil>: Invalid value: \"%s\": %s", key, why);
    next_token(l);
    struct term *t = add_term(s, key, negated ? OP_ABSENT : OP_EXISTS);
    if (negated || l->token == T_END || l->token == T_COMMA)
        return check_term(t, err);
    int r = take_operator(l, &t->op, err);
    if (r >= 0)
        r = t->op == OP_IN || t->op == OP_NOT_IN ? take_value_list(l, t, err) : take_value(l, t, err);
    return r < 0 ? r : check_term(t, err);
}

int selector_parse(const char *text, struct selector **ret, struct error *err) {
    _cleanup_(selector_freep) struct selector *s = xnew0(struct selector);
    struct lexer l = {.at = text ? text : ""};
    next_token(&l);
    while (l.token != T_END) {
        if (l.token != T_WORD && l.token != T_NOT)
            return unexpected(&l, "!, identifier, or 'end of string'", err);
        int r = take_term(&l, s, err);
        if (r < 0)
            return error_prefix(err, r, "unable to parse requirement");
        if (l.token == T_END)
            break;
        if (l.token != T_COMMA)
            return unexpected(&l, "',' or 'end of string'", err);
        next_token(&l);
        if (l.token != T_WORD && l.token != T_NOT)
            return unexpected(&l, "identifier after ','", err);
    }
    *ret = steal(&s);
    return 0;
}

/* --- the object form --- */

static int add_match_labels(struct selector *s, const struct json *map, struct error *err) {
    for (size_t i = 0; i < json_len(map); i++) {
        const char *value = json_str(json_value_at(map, i));
        if (!value)
            return error_set(err, -EINVAL, "matchLabels.%s: Invalid value: must be a string", json_key_at(map, i));
        struct term *t = add_term(s, json_key_at(map, i), OP_EQUALS);
        add_value(t, value, strlen(value));
    }
    return 0;
}

static int add_expression(struct selector *s, const struct json *expression, struct error *err) {
    static const struct {
        const char *name;
        enum match_operator op;
    } operators[] = {{"In", OP_IN}, {"NotIn", OP_NOT_IN}, {"Exists", OP_EXISTS}, {"DoesNotExist", OP_ABSENT}};
    const char *name = json_str_or(json_get(expression, "operator"), "");
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (strcmp(name, operators[i].name) != 0)
            continue;
        struct term *t = add_term(s, json_str_or(json_get(expression, "key"), ""), operators[i].op);
        const struct json *values = json_get(expression, "values");
        for (size_t k = 0; k < json_len(values); k++) {
            const char *value = json_str_or(json_at(values, k), "");
            add_value(t, value, strlen(value));
        }
        return check_term(t, err);
    }
    return error_set(err, -EINVAL, "\"%s\" is not a valid label selector operator", name);
}

int selector_from_object(const struct json *label_selector, struct selector **ret, struct error *err) {
    _cleanup_(selector_freep) struct selector *s = xnew0(struct selector);
    s->nothing = json_is_null(label_selector);
    int r = add_match_labels(s, json_get(label_selector, "matchLabels"), err);
    for (size_t i = 0; r >= 0 && i < s->n; i++)
        r = check_term(&s->terms[i], err);
    const struct json *expressions = json_get(label_selector, "matchExpressions");
    for (size_t i = 0; r >= 0 && i < json_len(expressions); i++)
        r = add_expression(s, json_at(expressions, i), err);
    if (r < 0)
        return r;
    *ret = steal(&s);
    return 0;
}

int selector_from_map(const struct json *map, struct selector **ret, struct error *err) {
    _cleanup_(selector_freep) struct selector *s = xnew0(struct selector);
    s->nothing = json_len(map) == 0;
    int r = add_match_labels(s, map, err);
    if (r < 0)
        return r;
    *ret = steal(&s);
    return 0;
}

/* --- use --- */

static bool term_matches(const struct term *t, const char *value) {
    bool listed = false;
    for (char **v = t->values; value && *v; v++)
        listed |= strcmp(*v, value) == 0;
    int64_t number;
    switch (t->op) {
    case OP_NONE:
        return false;
    case OP_EXISTS:
        return value != NULL;
    case OP_ABSENT:
        return value == NULL;
    case OP_EQUALS:
    case OP_DOUBLE_EQUALS:
    case OP_IN:
        return listed;
    case OP_NOT_EQUALS:
    case OP_NOT_IN:
        return !listed;
    case OP_GREATER:
        return value && parse_int64(value, &number) && number > t->number;
    case OP_LESS:
        return value && parse_int64(value, &number) && number < t->number;
    }
    return false;
}

bool selector_matches(const struct selector *s, const struct json *labels) {
    if (!s)
        return true;
    if (s->nothing)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (!term_matches(&s->terms[i], json_str(json_get(labels, s->terms[i].key))))
            return false;
    return true;
}

bool selector_is_empty(const struct selector *s) {
    return !s || (!s->nothing && s->n == 0);
}

static int by_key(const void *a, const void *b) {
    const struct term *x = *(const struct term *const *) a, *y = *(const struct term *const *) b;
    int r = strcmp(x->key, y->key);
    return r ? r : (x > y) - (x < y); /* stable */
}

static void term_to_text(const struct term *t, struct strbuf *b) {
    static const char *const signs[] = {[OP_NONE] = "",    [OP_EXISTS] = "",          [OP_ABSENT] = "",
                                        [OP_EQUALS] = "=", [OP_DOUBLE_EQUALS] = "==", [OP_NOT_EQUALS] = "!=",
                                        [OP_IN] = " in ",  [OP_NOT_IN] = " notin ",   [OP_GREATER] = ">",
                                        [OP_LESS] = "<"};
    bool set = t->op == OP_IN || t->op == OP_NOT_IN;
    strbuf_addf(b, "%s%s%s%s", t->op == OP_ABSENT ? "!" : "", t->key, signs[t->op], set ? "(" : "");
    for (char **v = t->values; *v; v++)
        strbuf_addf(b, "%s%s", v == t->values ? "" : ",", *v);
    strbuf_adds(b, set ? ")" : "");
}

char *selector_to_text(const struct selector *s) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t n = s && !s->nothing ? s->n : 0;
    _cleanup_free_ const struct term **sorted = xcalloc(n + 1, sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &s->terms[i];
    qsort(sorted, n, sizeof(*sorted), by_key);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strbuf_addc(&b, ',');
        term_to_text(sorted[i], &b);
    }
    return strbuf_steal(&b);
}
