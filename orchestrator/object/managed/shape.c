/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/managed/shape.h"

#include <string.h>

#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "type_ids.h"

#define LIST_KEYS_MAX 4 /* the tables have three at most */

struct shape shape_of_type(const struct type_info *t) {
    return t ? (struct shape){.kind = SHAPE_STRUCT, .type = t} : (struct shape){.kind = SHAPE_ANY};
}

/* Types that are atomic by themselves and occur as items (elsewhere the field's row says it). */
static bool is_atomic_item(const struct type_info *t) {
    return t->id == TYPE_meta_v1_OwnerReference || t->id == TYPE_core_v1_LocalObjectReference ||
           t->id == TYPE_core_v1_ObjectReference;
}

static struct shape element_shape(const struct field_info *f, bool atomic) {
    if (f->type == FIELD_OBJECT)
        return (struct shape){.kind = SHAPE_STRUCT, .type = field_object(f), .atomic = atomic};
    if (f->type == FIELD_RAW || f->type == FIELD_ONE_OF)
        return (struct shape){.kind = SHAPE_ANY};
    return (struct shape){.kind = SHAPE_SCALAR, .field = f};
}

struct shape shape_of_field(const struct field_info *f) {
    switch ((enum field_container) f->container) {
    case FIELD_PLAIN:
        break;
    case FIELD_ARRAY:
        return (struct shape){.kind = SHAPE_LIST, .field = f, .atomic = f->list_type == LIST_ATOMIC};
    case FIELD_MAP:
    case FIELD_MAP_OF_ARRAY:
        return (struct shape){.kind = SHAPE_MAP, .field = f, .atomic = f->struct_atomic};
    }
    return element_shape(f, f->struct_atomic);
}

struct shape shape_of_item(struct shape s) {
    if (s.kind == SHAPE_MAP && s.field->container == FIELD_MAP_OF_ARRAY)
        return (struct shape){.kind = SHAPE_SCALAR, .field = s.field}; /* the lists in it are atomic */
    if (!s.field)
        return (struct shape){.kind = SHAPE_ANY};
    return element_shape(s.field, s.field->type == FIELD_OBJECT && is_atomic_item(field_object(s.field)));
}

struct shape shape_of_member(struct shape s, const char *name) {
    if (s.kind == SHAPE_MAP)
        return shape_of_item(s);
    const struct field_info *f = s.kind == SHAPE_STRUCT ? type_field(s.type, name) : NULL;
    return f ? shape_of_field(f) : (struct shape){.kind = SHAPE_ANY};
}

bool shape_divides(struct shape s, const struct json *v) {
    if (s.atomic || json_len(v) == 0)
        return false;
    return s.kind == SHAPE_LIST ? json_is_array(v) : s.kind != SHAPE_SCALAR && json_is_object(v);
}

bool shape_equal(struct shape s, const struct json *a, const struct json *b) {
    if (json_equal(a, b))
        return true;
    if (s.kind != SHAPE_SCALAR || !s.field || s.field->type != FIELD_QUANTITY)
        return false;
    _cleanup_free_ char *x = json_is_string(a) ? xstrdup(json_str(a)) : json_to_text(a),
                        *y = json_is_string(b) ? xstrdup(json_str(b)) : json_to_text(b), *p = quantity_canonical(x),
                        *q = quantity_canonical(y);
    return p && q && strcmp(p, q) == 0;
}

/* --- items --- */

static void write_default(const struct field_info *f, struct strbuf *out) {
    const char *text = field_default_value(f);
    if (f->type == FIELD_STRING)
        json_write_string(text, strlen(text), out);
    else
        strbuf_adds(out, text);
}

/* The keys of a list, sorted as elements have them. */
static size_t sorted_keys(struct shape s, const char *keys[LIST_KEYS_MAX]) {
    const char *const *all = field_list_map_keys(s.field);
    size_t n = 0;
    for (; n < LIST_KEYS_MAX && all[n]; n++) {
        size_t i = n;
        for (; i > 0 && strcmp(keys[i - 1], all[n]) > 0; i--)
            keys[i] = keys[i - 1];
        keys[i] = all[n];
    }
    return n;
}

static void write_key(struct shape s, const char *const *keys, size_t n, const struct json *value,
                      struct list_item *item, struct strbuf *out) {
    struct shape of = shape_of_item(s);
    for (size_t i = 0; i < n; i++) {
        const struct json *v = json_get(value, keys[i]);
        const struct field_info *f = of.type ? type_field(of.type, keys[i]) : NULL;
        strbuf_addf(out, "%c\"%s\":", i ? ',' : '{', keys[i]);
        if (v && !json_is_array(v) && !json_is_object(v)) {
            json_write(v, 0, out);
        } else if (f && field_default_value(f)) {
            write_default(f, out);
        } else {
            strbuf_adds(out, "null");
            item->incomplete = true;
        }
    }
    strbuf_addc(out, '}');
}

struct list_item *shape_items_in_order(struct fset_arena *a, struct shape s, const struct json *list, size_t *ret_n) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    const char *keys[LIST_KEYS_MAX];
    size_t n = json_is_array(list) ? json_len(list) : 0, n_keys = s.field ? sorted_keys(s, keys) : 0;
    struct list_item *items = n ? fset_alloc(a, n * sizeof(*items)) : NULL;
    bool map = s.field && s.field->list_type == LIST_MAP;
    for (size_t i = 0; i < n; i++) {
        struct list_item *item = &items[i];
        *item = (struct list_item){.value = json_at(list, i), .index = (uint32_t) i};
        strbuf_reset(&text);
        if (map)
            write_key(s, keys, n_keys, item->value, item, &text);
        else
            json_write(item->value, 0, &text);
        item->element.kind = map ? FSET_KEY : FSET_VALUE;
        item->element.text = fset_copy(a, strbuf_str(&text), text.len);
        item->element.len = (uint32_t) text.len;
    }
    *ret_n = n;
    return items;
}

static int compare_items(const void *a, const void *b) {
    const struct list_item *x = a, *y = b;
    int c = fset_compare_elements(&x->element, &y->element);
    return c ? c : x->index < y->index ? -1 : x->index > y->index;
}

struct list_item *shape_items(struct fset_arena *a, struct shape s, const struct json *list, size_t *ret_n) {
    struct list_item *items = shape_items_in_order(a, s, list, ret_n);
    if (*ret_n > 1)
        qsort(items, *ret_n, sizeof(*items), compare_items);
    return items;
}
