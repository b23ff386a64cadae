/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Templates as a tree: text, expressions (a chain of steps), ranges (an expression and a body). */
#include "orchestrator/cli/jsonpath.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "orchestrator/cli/jsonpath_tree.h"
#include "podium/base/alloc.h"

#define RESULTS_MAX (1u << 20) /* values one expression may select: nested recursion could square a document */

/* --- selecting --- */

struct selection {
    const struct json **items; /* borrowed from the document */
    size_t n, cap;
};

static void add(struct selection *s, const struct json *v) {
    if (!v || s->n >= RESULTS_MAX)
        return;
    xgrow(&s->items, s->n, &s->cap);
    s->items[s->n++] = v;
}

static void select_key(const struct json *v, const char *key, struct selection *out) {
    add(out, json_get(v, key));
    for (size_t i = 0; json_is_array(v) && i < json_len(v); i++) /* upstream looks into the elements of a list */
        add(out, json_get(json_at(v, i), key));
}

static void select_all(const struct json *v, struct selection *out) {
    for (size_t i = 0; i < json_len(v); i++)
        add(out, json_is_array(v) ? json_at(v, i) : json_value_at(v, i));
}

static void select_slice(const struct json *v, const struct step *s, struct selection *out) {
    if (!json_is_array(v))
        return;
    int64_t n = (int64_t) json_len(v);
    int64_t from = s->has_from ? s->from : 0, to = s->has_to ? s->to : n, stride = s->stride > 0 ? s->stride : 1;
    from = from < 0 ? from + n : from;
    to = to < 0 ? to + n : to;
    if (s->single)
        to = from < 0 ? from : from + 1;
    if (s->single && from < 0)
        return;
    for (int64_t i = from < 0 ? 0 : from; i < to && i < n; i += stride)
        add(out, json_at(v, (size_t) i));
}

static void select_recursive(const struct json *v, const char *key, unsigned depth, struct selection *out) {
    if (depth == 0)
        return;
    if (!key || !*key)
        add(out, v);
    else if (json_is_object(v))
        add(out, json_get(v, key));
    for (size_t i = 0; i < json_len(v); i++)
        select_recursive(json_is_array(v) ? json_at(v, i) : json_value_at(v, i), key, depth - 1, out);
}

static void walk(const struct path *p, const struct json *root, const struct json *at, struct selection *out);

/* --- filters --- */

static const struct json *operand(const struct operand *o, const struct json *root, const struct json *at) {
    if (!o->path)
        return o->literal;
    struct selection s = {0};
    walk(o->path, root, at, &s);
    const struct json *v = s.n ? s.items[0] : NULL;
    free(s.items);
    return v;
}

static bool is_number(const struct json *v) {
    return json_type(v) == JSON_INT || json_type(v) == JSON_DOUBLE;
}

/* False with *ret untouched when the two cannot be compared. */
static bool compare(const struct json *a, const struct json *b, int *ret) {
    if (is_number(a) && is_number(b)) {
        double x = json_double_or(a, 0), y = json_double_or(b, 0);
        *ret = x < y ? -1 : x > y;
        return true;
    }
    if (json_is_string(a) && json_is_string(b)) {
        *ret = strcmp(json_str(a), json_str(b));
        return true;
    }
    return false;
}

static bool passes(const struct filter *f, const struct json *root, const struct json *at) {
    const struct json *a = operand(&f->left, root, at);
    if (f->comparison == OP_EXISTS)
        return a != NULL;
    const struct json *b = operand(&f->right, root, at);
    if (!a || !b)
        return false;
    int order = 0;
    switch (f->comparison) {
    case OP_EQUAL:
        return json_equal(a, b);
    case OP_NOT_EQUAL:
        return !json_equal(a, b);
    case OP_LESS:
        return compare(a, b, &order) && order < 0;
    case OP_LESS_EQUAL:
        return compare(a, b, &order) && order <= 0;
    case OP_GREATER:
        return compare(a, b, &order) && order > 0;
    case OP_GREATER_EQUAL:
        return compare(a, b, &order) && order >= 0;
    case OP_EXISTS:
        break;
    }
    return false;
}

static void select_filtered(const struct json *v, const struct filter *f, const struct json *root,
                            struct selection *out) {
    for (size_t i = 0; json_is_array(v) && i < json_len(v); i++)
        if (passes(f, root, json_at(v, i)))
            add(out, json_at(v, i));
}

static void take_step(const struct step *s, const struct json *root, const struct json *v, struct selection *out) {
    switch (s->type) {
    case STEP_KEY:
        select_key(v, s->key, out);
        break;
    case STEP_ALL:
        select_all(v, out);
        break;
    case STEP_SLICE:
        select_slice(v, s, out);
        break;
    case STEP_RECURSIVE:
        select_recursive(v, s->key, JSONPATH_WALK_MAX, out);
        break;
    case STEP_FILTER:
        select_filtered(v, s->filter, root, out);
        break;
    case STEP_UNION:
        for (size_t i = 0; i < s->n_members; i++)
            take_step(&s->members[i], root, v, out);
        break;
    }
}

static void walk(const struct path *p, const struct json *root, const struct json *at, struct selection *out) {
    struct selection now = {0};
    add(&now, p->from_root ? root : at);
    for (size_t i = 0; i < p->n; i++) {
        struct selection next = {0};
        for (size_t j = 0; j < now.n; j++)
            take_step(&p->steps[i], root, now.items[j], &next);
        free(now.items);
        now = next;
    }
    for (size_t i = 0; i < now.n; i++)
        add(out, now.items[i]);
    free(now.items);
}

/* --- templates --- */

static void print_value(const struct json *v, struct strbuf *out) {
    if (json_is_string(v))
        strbuf_add(out, json_str(v), json_str_len(v));
    else
        json_write(v, 0, out);
}

static void print_nodes(const struct nodes *nodes, const struct json *root, const struct json *at, struct strbuf *out) {
    for (size_t i = 0; i < nodes->n; i++) {
        const struct node *node = &nodes->items[i];
        struct selection found = {0};
        if (node->type == NODE_TEXT)
            strbuf_adds(out, node->text);
        else
            walk(&node->path, root, at, &found);
        for (size_t j = 0; j < found.n; j++) {
            if (node->type == NODE_RANGE) {
                print_nodes(&node->body, root, found.items[j], out);
                continue;
            }
            if (j > 0)
                strbuf_addc(out, ' ');
            print_value(found.items[j], out);
        }
        free(found.items);
    }
}

void jsonpath_print(const struct jsonpath *p, const struct json *doc, struct strbuf *out) {
    print_nodes(&p->nodes, doc, doc, out);
}

static void find_nodes(const struct nodes *nodes, const struct json *root, const struct json *at, struct json **out) {
    for (size_t i = 0; i < nodes->n; i++) {
        const struct node *node = &nodes->items[i];
        struct selection found = {0};
        if (node->type != NODE_TEXT)
            walk(&node->path, root, at, &found);
        for (size_t j = 0; j < found.n; j++) {
            if (node->type == NODE_RANGE)
                find_nodes(&node->body, root, found.items[j], out);
            else
                json_append(out, json_ref(found.items[j]));
        }
        free(found.items);
    }
}

struct json *jsonpath_find(const struct jsonpath *p, const struct json *doc) {
    struct json *out = json_array();
    find_nodes(&p->nodes, doc, doc, &out);
    return out;
}
