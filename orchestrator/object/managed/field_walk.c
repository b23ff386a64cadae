/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/managed/field_walk.h"

#include <string.h>

static struct fset *member_kid(struct fset_arena *a, struct fset *out, const struct json *object, size_t i) {
    const struct json *key = json_key_value_at(object, i);
    return fset_kid(a, out, FSET_NAME, json_str(key), json_str_len(key));
}

static struct fset *item_kid(struct fset_arena *a, struct fset *out, const struct list_item *item) {
    return fset_kid(a, out, (enum fset_kind) item->element.kind, item->element.text, item->element.len);
}

/* The items of the run of equal elements that begins at i. */
static size_t run_length(const struct list_item *items, size_t n, size_t i) {
    size_t k = 1;
    while (i + k < n && fset_compare_elements(&items[i].element, &items[i + k].element) == 0)
        k++;
    return k;
}

/* --- what a document sets --- */

static void own(struct fset_arena *a, struct shape s, const struct json *v, struct fset *out);

static void own_items(struct fset_arena *a, struct shape s, const struct json *list, struct fset *out) {
    size_t n;
    struct list_item *items = shape_items(a, s, list, &n);
    struct shape of = shape_of_item(s);
    for (size_t i = 0; i < n;) {
        size_t run = run_length(items, n, i);
        struct fset *kid = item_kid(a, out, &items[i]);
        if (run == 1)
            own(a, of, items[i].value, kid);
        kid->member = true;
        i += run;
    }
}

static void own(struct fset_arena *a, struct shape s, const struct json *v, struct fset *out) {
    if (s.kind == SHAPE_SCALAR || s.atomic || (s.kind == SHAPE_ANY && !json_is_object(v))) {
        out->member = true;
        return;
    }
    if (s.kind == SHAPE_LIST) {
        own_items(a, s, v, out);
        return;
    }
    for (size_t i = 0; json_is_object(v) && i < json_len(v); i++) {
        const struct json *value = json_value_at(v, i);
        struct fset *kid = member_kid(a, out, v, i);
        own(a, shape_of_member(s, json_key_at(v, i)), value, kid);
        bool declared = s.kind == SHAPE_STRUCT && type_field(s.type, json_key_at(v, i));
        if (!declared || json_is_null(value) || (json_is_object(value) && json_len(value) == 0))
            kid->member = true;
        fset_settle(out);
    }
    fset_sort(out);
}

struct fset fields_of(struct fset_arena *a, struct shape s, const struct json *doc) {
    struct fset out = {0};
    own(a, s, doc, &out);
    return out;
}

/* --- what makes a document unfit --- */

struct checker {
    struct fset_arena *arena;
    struct strbuf path, *out;
    bool fine;
};

static void check(struct checker *c, struct shape s, const struct json *v);

static void blame(struct checker *c) {
    if (!c->fine)
        strbuf_addc(c->out, '\n');
    c->fine = false;
    strbuf_add(c->out, c->path.data, c->path.len);
    strbuf_adds(c->out, ": ");
}

static const char *missing_key(struct shape s, const struct json *item) {
    struct shape of = shape_of_item(s);
    for (const char *const *k = field_list_map_keys(s.field); *k; k++) {
        const struct field_info *f = of.type ? type_field(of.type, *k) : NULL;
        if (!json_get(item, *k) && !(f && field_default_value(f)))
            return *k;
    }
    return NULL;
}

static void print_path(void *userdata, const char *path) {
    strbuf_adds(userdata, path);
}

static void check_items(struct checker *c, struct shape s, const struct json *list) {
    size_t n, at = c->path.len;
    struct list_item *items = shape_items(c->arena, s, list, &n);
    for (size_t i = 0; i < n;) {
        size_t run = run_length(items, n, i);
        const char *key = items[i].incomplete ? missing_key(s, items[i].value) : NULL;
        if (key) {
            blame(c);
            strbuf_addf(c->out,
                        "element %u: associative list with keys has an element that omits key field \"%s\" (and "
                        "doesn't have default value)",
                        items[i].index, key);
        } else {
            struct fset element = items[i].element, parent = {.n = 1, .kids = &element};
            element.member = true;
            if (run > 1) {
                blame(c);
                strbuf_adds(c->out, "duplicate entries for key ");
                fset_each(&parent, print_path, c->out);
            }
            fset_each(&parent, print_path, &c->path);
            check(c, shape_of_item(s), items[i].value);
            c->path.len = at;
        }
        i += run;
    }
}

static void check(struct checker *c, struct shape s, const struct json *v) {
    size_t at = c->path.len;
    if (!shape_divides(s, v))
        return;
    if (s.kind == SHAPE_LIST) {
        check_items(c, s, v);
        return;
    }
    for (size_t i = 0; i < json_len(v); i++) {
        strbuf_addf(&c->path, ".%s", json_key_at(v, i));
        check(c, shape_of_member(s, json_key_at(v, i)), json_value_at(v, i));
        c->path.len = at;
    }
}

bool fields_check(struct fset_arena *a, struct shape s, const struct json *doc, struct strbuf *out) {
    struct checker c = {.arena = a, .path = STRBUF_INIT, .out = out, .fine = true};
    strbuf_adds(&c.path, "");
    check(&c, s, doc);
    strbuf_finish(&c.path);
    return c.fine;
}

/* --- what is there on one side only --- */

/* What an empty object has at a place. */
enum before { BEFORE_NOTHING, BEFORE_NULL, BEFORE_ZERO };

static bool is_zero(const struct json *v) {
    return json_is_null(v) || (json_is_string(v) && json_str_len(v) == 0) ||
           (json_type(v) == JSON_INT && json_int_or(v, 1) == 0) ||
           (json_type(v) == JSON_BOOL && !json_bool_or(v, true)) || (json_is_object(v) && json_len(v) == 0);
}

/* What Go writes for the field of an empty struct. */
static enum before before_of(const struct field_info *f, enum before parent) {
    if (!f || parent != BEFORE_ZERO)
        return BEFORE_NOTHING;
    if (f->container != FIELD_PLAIN || f->pointer)
        return f->omitempty ? BEFORE_NOTHING : BEFORE_NULL;
    bool is_struct = f->type == FIELD_OBJECT || f->type == FIELD_TIME || f->type == FIELD_MICRO_TIME ||
                     f->type == FIELD_QUANTITY || f->type == FIELD_INT_OR_STRING;
    return f->omitempty && !is_struct ? BEFORE_NOTHING : BEFORE_ZERO;
}

static void whole(struct fset_arena *a, struct shape s, const struct json *v, enum before before, struct fset *out);

static void whole_items(struct fset_arena *a, struct shape s, const struct json *list, struct fset *out) {
    size_t n;
    struct list_item *items = shape_items(a, s, list, &n);
    for (size_t i = 0; i < n;) {
        size_t run = run_length(items, n, i);
        struct fset *kid = item_kid(a, out, &items[i]);
        if (run == 1)
            whole(a, shape_of_item(s), items[i].value, BEFORE_NOTHING, kid);
        kid->member = true;
        i += run;
    }
}

static void whole(struct fset_arena *a, struct shape s, const struct json *v, enum before before, struct fset *out) {
    if (!shape_divides(s, v)) {
        out->member = before == BEFORE_NOTHING || (before == BEFORE_NULL ? !json_is_null(v) : !is_zero(v));
        return;
    }
    out->member = before == BEFORE_NOTHING;
    if (s.kind == SHAPE_LIST) {
        whole_items(a, s, v, out);
        return;
    }
    for (size_t i = 0; i < json_len(v); i++) {
        const char *key = json_key_at(v, i);
        const struct field_info *f = s.kind == SHAPE_STRUCT ? type_field(s.type, key) : NULL;
        struct shape of = f ? shape_of_field(f) : shape_of_member(s, key);
        whole(a, of, json_value_at(v, i), before_of(f, before), member_kid(a, out, v, i));
        fset_settle(out);
    }
    fset_sort(out);
}

struct fset fields_created(struct fset_arena *a, const struct type_info *t, const struct json *doc) {
    struct fset out = {0};
    whole(a, shape_of_type(t), doc, BEFORE_ZERO, &out);
    return out;
}

/* --- what differs --- */

static void compare(struct fset_arena *a, struct shape s, const struct json *from, const struct json *to,
                    struct fset *added, struct fset *modified, struct fset *removed);

struct kids {
    struct fset *added, *modified, *removed;
};

static void settle(struct fset *added, struct fset *modified, struct fset *removed) {
    fset_settle(added);
    fset_settle(modified);
    fset_settle(removed);
}

static void compare_members(struct fset_arena *a, struct shape s, const struct json *from, const struct json *to,
                            struct fset *added, struct fset *modified, struct fset *removed) {
    for (size_t i = 0; i < json_len(to); i++) {
        const char *key = json_key_at(to, i);
        const struct json *now = json_value_at(to, i), *was = json_get(from, key);
        if (was == now)
            continue;
        compare(a, shape_of_member(s, key), was, now, member_kid(a, added, to, i), member_kid(a, modified, to, i),
                member_kid(a, removed, to, i));
        settle(added, modified, removed);
    }
    for (size_t i = 0; i < json_len(from); i++) {
        const char *key = json_key_at(from, i);
        if (json_get(to, key))
            continue;
        whole(a, shape_of_member(s, key), json_value_at(from, i), BEFORE_NOTHING, member_kid(a, removed, from, i));
        fset_settle(removed);
    }
    fset_sort(added);
    fset_sort(modified);
    fset_sort(removed);
}

static bool same_run(const struct list_item *x, const struct list_item *y, size_t n, size_t m) {
    bool same = n == m;
    for (size_t i = 0; same && i < n; i++)
        same = json_equal(x[i].value, y[i].value);
    return same;
}

/* Items with the same element on both sides: n and m of them, not both 0. More than one of a kind is owned as a whole.
 */
static void compare_runs(struct fset_arena *a, struct shape of, const struct list_item *x, size_t n,
                         const struct list_item *y, size_t m, struct fset *added, struct fset *modified,
                         struct fset *removed) {
    const struct list_item *named = n ? x : y;
    struct kids k = {item_kid(a, added, named), item_kid(a, modified, named), item_kid(a, removed, named)};
    if (n <= 1 && m <= 1) {
        compare(a, of, n ? x->value : NULL, m ? y->value : NULL, k.added, k.modified, k.removed);
    } else if (n > 1 && m > 1) {
        k.modified->member = !same_run(x, y, n, m);
    } else if (n > 1) {
        if (m == 1)
            whole(a, of, y->value, BEFORE_NOTHING, k.added);
        k.removed->member = true;
    } else {
        if (n == 1)
            whole(a, of, x->value, BEFORE_NOTHING, k.removed);
        k.added->member = true;
    }
    settle(added, modified, removed);
}

static void compare_items(struct fset_arena *a, struct shape s, const struct json *from, const struct json *to,
                          struct fset *added, struct fset *modified, struct fset *removed) {
    size_t n, m;
    struct list_item *x = shape_items(a, s, from, &n), *y = shape_items(a, s, to, &m);
    struct shape of = shape_of_item(s);
    for (size_t i = 0, j = 0; i < n || j < m;) {
        int c = i == n ? 1 : j == m ? -1 : fset_compare_elements(&x[i].element, &y[j].element);
        size_t nx = c <= 0 ? run_length(x, n, i) : 0, ny = c >= 0 ? run_length(y, m, j) : 0;
        compare_runs(a, of, nx ? x + i : NULL, nx, ny ? y + j : NULL, ny, added, modified, removed);
        i += nx;
        j += ny;
    }
}

/* One side being empty or null still counts member by member; a value of another type does not. */
static bool compares_inside(struct shape s, const struct json *from, const struct json *to) {
    bool x = shape_divides(s, from), y = shape_divides(s, to);
    const struct json *one = x ? from : to, *other = x ? to : from;
    if (x == y)
        return x;
    return json_is_null(other) || (json_type(other) == json_type(one) && json_len(other) == 0);
}

static void compare(struct fset_arena *a, struct shape s, const struct json *from, const struct json *to,
                    struct fset *added, struct fset *modified, struct fset *removed) {
    if (from == to)
        return;
    if (!from || !to) {
        whole(a, s, from ? from : to, BEFORE_NOTHING, from ? removed : added);
        return;
    }
    if (!compares_inside(s, from, to)) {
        modified->member = !shape_equal(s, from, to);
        return;
    }
    if (s.kind == SHAPE_LIST)
        compare_items(a, s, from, to, added, modified, removed);
    else
        compare_members(a, s, from, to, added, modified, removed);
}

struct field_changes fields_compare(struct fset_arena *a, struct shape s, const struct json *from,
                                    const struct json *to) {
    struct field_changes c = {0};
    compare(a, s, from, to, &c.added, &c.modified, &c.removed);
    return c;
}

/* --- parents --- */

/* Names of fields are short; a longer one is a map's key. */
static const char *short_name(const struct fset *kid, char buffer[128]) {
    if (kid->kind != FSET_NAME || kid->len >= 128)
        return NULL;
    memcpy(buffer, kid->text, kid->len);
    buffer[kid->len] = 0;
    return buffer;
}

static struct shape shape_below(struct shape s, const struct fset *kid, bool *declared) {
    char buffer[128];
    const char *name = short_name(kid, buffer);
    *declared = s.kind == SHAPE_STRUCT && name && type_field(s.type, name);
    if (*declared)
        return shape_of_member(s, name);
    return s.kind == SHAPE_LIST || s.kind == SHAPE_MAP ? shape_of_item(s) : (struct shape){.kind = SHAPE_ANY};
}

struct fset fields_with_parents(struct fset_arena *a, struct shape s, const struct fset *set) {
    struct fset out = *set;
    out.kids = set->n ? fset_alloc(a, set->n * sizeof(*out.kids)) : NULL;
    out.cap = set->n;
    for (uint32_t i = 0; i < set->n; i++) {
        bool declared;
        struct shape below = shape_below(s, &set->kids[i], &declared);
        out.kids[i] = fields_with_parents(a, below, &set->kids[i]);
        out.kids[i].member |= declared && set->kids[i].n > 0;
    }
    return out;
}
